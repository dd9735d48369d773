"""The ways of training that a study compares: names, and the arguments of ``xrdml.train`` that differ.

Cost and budget: a way that costs more a row gets fewer epochs, so that every run takes the same time.
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
"""The dataset of most ways; the others are named by their sampler."""

BEFORE = 2.0 / 3.0
"""Part of the budget of two stages that the first one gets."""


@dataclass(frozen=True)
class Way:
    """A way of training.

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


WAYS: dict[str, Way] = {
    BASELINE: Way(),
    "sensitivity": Way({"weights": SENSITIVITY}),
    "fisher": Way({"weights": "fisher"}),
    "curve": Way({"loss": "curve"}),
    "two-stage": Way({"loss": "curve"}, before={}),
    "multitask": Way({"model": "multitask"}),
    "hierarchical": Way({"model": "hierarchical"}),
    "attention": Way({"model": "attention"}),
    "flow": Way({"model": "flow"}),
    "edge": Way(sampler="edge"),
    "jeffreys": Way(sampler="jeffreys"),
    "errors": Way(sampler="errors"),
    "hierarchical+sensitivity+curve": Way({"model": "hierarchical", "weights": SENSITIVITY, "loss": "curve"}),
    "multitask+sensitivity": Way({"model": "multitask", "weights": SENSITIVITY}),
}
"""All ways; the baseline is the first."""


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


def choose(only: Sequence[str] | None) -> dict[str, Way]:
    """The named ways, in the order of ``WAYS``; all of them for ``None``.

    Raises
    ------
    ParameterError
        A name is unknown.
    """
    for name in only or ():
        if name not in WAYS:
            raise ParameterError(f"the way {name!r} is unknown; choose {', '.join(WAYS)}")
    return {name: way for name, way in WAYS.items() if not only or name in only}


def kind(options: Json) -> str:
    """What the cost of a training depends on: its arguments, but not the values of the weights."""
    counted = {name: value for name, value in options.items() if (name, value) != ("weights", SENSITIVITY)}
    return json.dumps(counted, sort_keys=True)


def plan(way: Way, costs: dict[str, Cost], rows: int, budget: float) -> tuple[int, int]:
    """Epochs of the first stage (0 without one) and of the last one, which together keep the budget [s]."""
    cost = costs[kind(way.options)]
    if way.before is None:
        return 0, cost.epochs(rows, budget)
    earlier = costs[kind(way.before)]
    first = earlier.epochs(rows, BEFORE * budget)
    return first, cost.epochs(rows, budget - earlier.seconds(rows, first))


def planned_seconds(way: Way, costs: dict[str, Cost], rows: int, budget: float) -> float:
    """Time that a run is expected to take, above the budget only where one epoch is."""
    first, last = plan(way, costs, rows, budget)
    before = costs[kind(way.before)].seconds(rows, first) if way.before is not None else 0.0
    return before + costs[kind(way.options)].seconds(rows, last)


def two_phases(options: Json) -> bool:
    """Whether a second phase follows the first."""
    return options.get("model") == Model.HIERARCHICAL
