"""The methods of training that a study compares: names, and the arguments of ``xrdml.train`` that differ.

Cost and budget: a method that costs more a row gets fewer epochs, so that every run takes the same time.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from xrdml.networks.nets import Model
from xrdsim.errors import ParameterError
from xrdsim.limits import Json

BASELINE = "weighted"
"""What all others are compared with: the default network, loss weights 1, rows of the prior."""

SENSITIVITY = "sensitivity"
"""Stands for the loss weights that the study measures, once for all runs."""

PRIOR = "prior"
"""The dataset of most methods; the others are named by their sampler."""

BEFORE = 2.0 / 3.0
"""Part of the budget of two stages that the first one gets."""


@dataclass(frozen=True)
class Method:
    """A method of training.

    Attributes
    ----------
    options : arguments of ``train``; the weights may be ``sensitivity``.
    sampler : of its training rows.
    before : arguments of a first stage, whose weights are tuned then; None without one.
    """

    options: Json = field(default_factory=dict)
    sampler: str = PRIOR
    before: Json | None = None

    def to_dict(self) -> Json:
        """Plain values for JSON."""
        return {"options": self.options, "sampler": self.sampler, "before": self.before}


METHODS: dict[str, Method] = {
    BASELINE: Method(),
    "sensitivity": Method({"weights": SENSITIVITY}),
    "fisher": Method({"weights": "fisher"}),
    "curve": Method({"loss": "curve"}),
    "two-stage": Method({"loss": "curve"}, before={}),
    "multitask": Method({"model": "multitask"}),
    "hierarchical": Method({"model": "hierarchical"}),
    "attention": Method({"model": "attention"}),
    "flow": Method({"model": "flow"}),
    "edge": Method(sampler="edge"),
    "jeffreys": Method(sampler="jeffreys"),
    "errors": Method(sampler="errors"),
    "hierarchical+sensitivity+curve": Method({"model": "hierarchical", "weights": SENSITIVITY, "loss": "curve"}),
    "multitask+sensitivity": Method({"model": "multitask", "weights": SENSITIVITY}),
}
"""All methods; the baseline is the first."""


@dataclass(frozen=True)
class Cost:
    """Seconds a row of training: of the first phase, of a second one, and to measure its metric beforehand."""

    row: float
    fine: float = 0.0
    metric: float = 0.0

    def seconds(self, rows: int, epochs: int) -> float:
        """Time of a run of so many epochs of so many rows."""
        return rows * (self.metric + epochs * self.row + -(-epochs // 2) * self.fine)

    def epochs(self, rows: int, budget: float) -> int:
        """Most epochs within a budget [s]; 1 where not even that fits."""
        epochs = 1
        while self.seconds(rows, epochs + 1) <= budget and epochs < _MOST:
            epochs += 1
        return epochs


_MOST = 10000  # epochs


def choose(only: Sequence[str] | None) -> dict[str, Method]:
    """The named methods, in the order of ``METHODS``; all of them for ``None``.

    Raises
    ------
    ParameterError
        A name is unknown.
    """
    for name in only or ():
        if name not in METHODS:
            raise ParameterError(f"the method {name!r} is unknown; choose {', '.join(METHODS)}")
    return {name: method for name, method in METHODS.items() if not only or name in only}


def kind(options: Json) -> str:
    """What the cost of a training depends on: its arguments, but not the values of the weights."""
    counted = {name: value for name, value in options.items() if (name, value) != ("weights", SENSITIVITY)}
    return json.dumps(counted, sort_keys=True)


def plan(method: Method, costs: dict[str, Cost], rows: int, budget: float) -> tuple[int, int]:
    """Epochs of the first stage (0 without one) and of the last one, which together keep the budget [s]."""
    cost = costs[kind(method.options)]
    if method.before is None:
        return 0, cost.epochs(rows, budget)
    earlier = costs[kind(method.before)]
    first = earlier.epochs(rows, BEFORE * budget)
    return first, cost.epochs(rows, budget - earlier.seconds(rows, first))


def planned_seconds(method: Method, costs: dict[str, Cost], rows: int, budget: float) -> float:
    """Time that a run is expected to take, above the budget only where one epoch is."""
    first, last = plan(method, costs, rows, budget)
    before = costs[kind(method.before)].seconds(rows, first) if method.before is not None else 0.0
    return before + costs[kind(method.options)].seconds(rows, last)


def two_phases(options: Json) -> bool:
    """Whether a second phase follows the first."""
    return options.get("model") == Model.HIERARCHICAL
