"""Curves that a model was not trained for: whether they are recognised among those that it was.

The scores of a curve are its reduced χ², of the best posterior sample and of the refined estimate, and how far the
refined background departs from what the model knows, since a refinement makes up for any. A curve counts as outside
where a score exceeds that of 95 % of the curves that the model was trained for.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xrdml.data.measurement import Measured, Measurement, measure
from xrdml.data.source import stream
from xrdml.networks.checkpoint import TrainedModel
from xrdsim.dataset.fresh import stored_curves
from xrdsim.dataset.simulation import Simulation
from xrdsim.dataset.store import Rows
from xrdsim.experiment.reflection import GGG_444, YIG_ON_GGG_444, Reflection
from xrdsim.limits import Json

Array = NDArray[np.float64]

FALSE_ALARMS = 0.05
"""Share of the curves inside that count as outside."""

SCORES = {
    "drawn_chi2": "reduced χ², best sample or estimate",
    "refined_chi2": "reduced χ², refined",
    "contrast": "factor from the known background, refined",
}
"""Attributes of ``xrdml.evaluation.single_curves.Solved`` that tell, and what they are."""

_WIDER = (1.4, 1.8)  # FWHM in parts of the widest
_HIGHER = (10.0, 100.0)  # background in parts of the highest
_STREAM = 21


@dataclass(frozen=True, eq=False)
class Detection:
    """How one kind of unlike curve is recognised.

    Attributes
    ----------
    kind : what is different, in words.
    scores : (n,) for each of ``SCORES``.
    rates : share of them above the threshold.
    """

    kind: str
    scores: dict[str, Array]
    rates: dict[str, float]

    @property
    def rows(self) -> int:
        """Number of curves."""
        return len(next(iter(self.scores.values())))

    def to_dict(self) -> Json:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "rows": self.rows,
            "rate": self.rates,
            "median": {name: float(np.median(scores)) for name, scores in self.scores.items()},
        }


def threshold(inside: Array) -> float:
    """The score that FALSE_ALARMS of the curves inside (n,) exceed."""
    return float(np.quantile(inside, 1.0 - FALSE_ALARMS))


def detection(kind: str, inside: dict[str, Array], outside: dict[str, Array]) -> Detection:
    """Rates at which the scores of curves outside exceed what those of curves inside hardly do."""
    rates = {name: float((scores > threshold(inside[name])).mean()) for name, scores in outside.items()}
    return Detection(kind, outside, rates)


def unlike_curves(trained: TrainedModel, simulation: Simulation, rows: Rows, seed: int) -> dict[str, Measured]:
    """The rows, measured outside of what the model was trained for, by kind.

    Wider instruments and higher backgrounds than any that it knows; and another material, where there is one whose
    curves have the same window: a film of YIG for GGG 444, else GGG 444.
    """
    prior = trained.measurement
    widest, highest = prior.fwhm[1], prior.background[1]
    wide = replace(prior, fwhm=(_WIDER[0] * widest, _WIDER[1] * widest))
    high = replace(prior, background=(_HIGHER[0] * highest, _HIGHER[1] * highest))

    def drawn(number: int, source: Rows, how: Measurement) -> Measured:
        return measure(source.reflectivity, source.params, simulation, how, stream(seed, _STREAM, number))

    found = {
        f"FWHM {wide.fwhm[0]:.0f} … {wide.fwhm[1]:.0f}″": drawn(0, rows, wide),
        f"background {high.background[0]:.2g} … {high.background[1]:.2g}": drawn(1, rows, high),
    }
    other = another(trained)
    if other is not None:
        foreign = replace(simulation.experiment, reflection=other)
        curves = stored_curves(rows.params.astype(np.float64), replace(simulation, experiment=foreign))
        film = "" if other.film is None else f"{other.film.crystal.name} on "
        name = film + other.crystal.name
        found[f"material {name}"] = drawn(2, replace(rows, reflectivity=curves), prior)
    return found


def another(trained: TrainedModel) -> Reflection | None:
    """Another material than the model's, or None in a convention that knows no film."""
    if trained.experiment.reflection != GGG_444:
        return GGG_444
    plain = trained.experiment.exact and trained.experiment.layers is None
    return YIG_ON_GGG_444 if plain else None
