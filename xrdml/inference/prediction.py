"""From a measured curve to parameters through a network: its estimate, or the best refinement of its samples.

The way is that of a fit: the same problem, the same refinement, the same record of the result. Of an estimate that is
not refined, zero and instrument are those with which its curve comes nearest to the measured one, of the shapes for
which there is most evidence, and the intervals are the network's; after a refinement they are those that the curve
gives.
"""

import math
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdml.data.ranges import Ranges
from xrdml.inference.starts import allowed, seen, solve_curve
from xrdml.networks.checkpoint import TrainedModel, load_model
from xrdsim.curves.curve import Curve, read_curve
from xrdsim.dataset.simulation import BASE_FWHM
from xrdsim.errors import CheckpointError, CurveError
from xrdsim.experiment.reflection import Reflection
from xrdsim.fit.fitting import describe, fit_curve
from xrdsim.fit.judgement.evidence import best_instruments
from xrdsim.fit.judgement.stated import contradictions, expected_angles, other_wavelength
from xrdsim.fit.posterior import Posterior
from xrdsim.fit.preparation import WHOLE, within_reach
from xrdsim.fit.problem import Problem, Unknowns, problem
from xrdsim.fit.refinement import refine as refine_on
from xrdsim.fit.result import Fit
from xrdsim.fit.unknowns import adapted
from xrdsim.observation.resample import narrowest_fwhm
from xrdsim.profiles.space import ParameterSpace

Array = NDArray[np.float64]

Prediction = Fit
"""The record of a prediction is that of a fit."""

DRAWS = 500
"""Samples of the posterior behind the intervals of a network."""

WIDEST_FWHM = 120.0
"""Instrument [arcsec] up to which a curve is described."""

POOR = 0.1
"""Mean |log10 measured/model| above which a curve is called unknown to the network."""

_ITERATIONS = 30  # of the search for zero and FWHM of an estimate


def predict(
    curve: str | PathLike[str] | Curve,
    model: str | Path | TrainedModel | None = None,
    *,
    refine: bool = False,
    damage: bool = False,
    reflection: Reflection | None = None,
    despite: bool = False,
    **reading: Any,
) -> Fit:
    """Estimate the parameters of a measured curve and simulate what they make.

    Parameters
    ----------
    curve : a file for ``xrdsim.read_curve``, or a curve that was read.
    model : folder of a trained model, or a loaded one; ``None`` for the one that ships with the package.
    refine : refine what the network takes for likely on the curve; the best one is returned.
    damage : estimate the static Debye–Waller damage, too; otherwise a network that knows it takes it for absent.
    reflection : what was measured; None takes that of the model for granted.
    despite : take the curve for one of that reflection although its file states another crystal or angle.
    reading : arguments of ``read_curve``.

    Returns
    -------
    Fit
        Its verdict is ``estimate`` unless it was refined.

    Raises
    ------
    CurveError
        The curve cannot be read, or has too few points in the window of the model.
    CheckpointError
        The model cannot be loaded, has no damage, or was trained for another reflection.
    """
    trained = model if isinstance(model, TrainedModel) else load_model(model)
    if reflection is not None and not reflection.alike(trained.experiment.reflection):
        raise CheckpointError(
            f"{trained.path} was trained for {trained.experiment.reflection.title}, not {reflection.title}; `xrd fit` "
            "needs no network, or train one for this reflection (`xrd gen` and `xrd train`) and name it with --model"
        )
    known = trained.experiment.reflection
    if not isinstance(curve, Curve):
        curve = read_curve(curve, expected=expected_angles(known), **reading)
    against = contradictions(curve.stated, known, said=reflection is not None)
    if (light := other_wavelength(curve.stated, known)) is not None:
        against.append(f"it was measured with {light:g} Å, and the network knows {known.wavelength:g} Å")
    if against and not despite:
        raise CurveError(f"{curve.source or 'the curve'}: {'; '.join(against)}; --despite-file takes it nevertheless")
    if damage and not trained.space.damage:
        raise CheckpointError(f"{trained.path} has no damage; train a model with it, or try `xrd fit --damage`")
    space = trained.space if damage else trained.space.without_damage()
    curve = within_reach(curve, space, trained.experiment.reflection)
    given = _posed(curve, trained, space, both_sides=True)  # as the network sees the curve
    inputs = seen(curve, trained, given.measurements[0].left_out)
    ranges = allowed(Ranges.of(space, trained.measurement.zero, trained.measurement.fwhm), trained)
    estimate = trained.estimate(inputs, ranges)[:, : len(space.low)]
    given, x = _seen_at_best(given, estimate)
    sampled = None if refine or not trained.draws else _posterior(given, x, trained, inputs, ranges)
    found = describe(given, x, sampled)
    notes = _notes(curve, trained)
    if refine:
        given = _posed(curve, trained, space, both_sides=False)
        better = fit_curve(given, begin=solve_curve(given, trained).x, only_refine=True)
        note = f"Refined on the curve: the misfit of the network's estimate was {found.mean_abs_log10:.4f}."
        found, notes = better, (*notes, *_outside(better, trained), note)
    elif found.mean_abs_log10 > POOR:
        notes += (
            f"The estimate differs from the curve by {found.mean_abs_log10:.2g} dex on average: it may be far from the "
            "truth, and so may its intervals. Go on with --refine or `xrd fit`; if that does not help, the model does "
            "not know such curves.",
        )
    return replace(found, notes=notes, settings=found.settings | {"model": str(trained.path)})


def _posed(curve: Curve, trained: TrainedModel, space: ParameterSpace, *, both_sides: bool) -> Problem:
    """A curve as the network knows such: Gaussian instruments without the peak, or whole and of any instrument."""
    prior, fwhm = trained.measurement, (narrowest_fwhm(trained.window, BASE_FWHM), WIDEST_FWHM)
    if not prior.gaussian:
        unknown = ("instrument", "background")
        preparing = {name: value for name, value in WHOLE.items() if name not in unknown}
        preparing |= {"mask": prior.always_masked}
        unknowns = Unknowns(space, fwhm=fwhm, **{name: WHOLE[name] for name in unknown})
        return problem(curve, unknowns=unknowns, experiment=trained.experiment, **preparing)
    return problem(
        curve,
        unknowns=Unknowns(space, fwhm=fwhm),
        mask=prior.always_masked,
        both_sides=both_sides,
        experiment=trained.experiment,
    )


def _seen_at_best(given: Problem, params: Array) -> tuple[Problem, Array]:
    """The problem behind the best instrument, and coordinates (1, k) of parameters (1, p) seen through it."""
    row = tuple(params[0].tolist())
    held = replace(given, space=replace(given.space, low=row, high=row, ties=()))
    held, start = best_instruments(held, held.coordinates(params), math.inf)
    found = refine_on(held, start, max_iter=_ITERATIONS).x
    given = replace(given, measurements=held.measurements)
    return given, given.coordinates(params, *found[:, held.layout.profile.stop :].T)


def _posterior(
    given: Problem, x: Array, trained: TrainedModel, inputs: NDArray[np.float32], ranges: Ranges
) -> Posterior:
    """Samples of the network, of the unknowns of the problem; tails, of which it says nothing, are those found, x."""
    values = trained.draw(inputs, DRAWS, ranges).values[0]
    params, instrument = values[:, : ranges.parameters], values[:, ranges.parameters :]
    rows = np.repeat(given.values(x), DRAWS, axis=0)
    own = np.column_stack([adapted(params, given.space), instrument])
    rows[:, : own.shape[1]] = own
    return Posterior(given.layout.names, rows, np.full(DRAWS, 1.0 / DRAWS), float(DRAWS), "network")


def _notes(curve: Curve, trained: TrainedModel) -> tuple[str, ...]:
    prior, end = trained.measurement, float(curve.angle[-1])
    notes = []
    if end < prior.end[0]:
        notes.append(
            f"The scan ends at {end:.0f} arcsec, before the {prior.end[0]:.0f} that the model was trained for."
        )
    if not 0.9 * prior.step[0] <= curve.step <= 1.1 * prior.step[1]:
        notes.append(
            f"The step is {curve.step:.3g} arcsec; the model was trained for {prior.step[0]:g} … {prior.step[1]:g}."
        )
    return tuple(notes)


def _outside(found: Fit, trained: TrainedModel) -> tuple[str, ...]:
    """What of a refined curve lies outside of what the model was trained for."""
    prior, notes = trained.measurement, []
    contrast = found["background"].value / max(found["scale"].value, 1e-300)
    for name, value, (low, high) in (
        ("FWHM", found["fwhm"].value, prior.fwhm),
        ("zero", found["zero"].value, prior.zero),
        ("background by scale", contrast, prior.contrast),
    ):
        if not low <= value <= high:
            notes.append(
                f"The {name}, {value:.3g}, is outside of {low:.3g} … {high:.3g}, which the model was trained for."
            )
    if found.mean_abs_log10 > POOR:
        notes.append(
            f"The refined curve still differs by {found.mean_abs_log10:.2g} dex: the curve is not one that the model "
            "knows, or the minimum was missed; `xrd fit` searches further."
        )
    return tuple(notes)
