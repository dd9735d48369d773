"""What an earlier result says of how it was made, so that a refinement begun from it is of the same problem."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from xrdsim.errors import ParameterError, unreadable
from xrdsim.experiment.defects import Defects
from xrdsim.experiment.instrument import GAUSSIAN, ZERO, Instrument
from xrdsim.experiment.notation import light
from xrdsim.experiment.reflection import Reflection
from xrdsim.fit.measurement import Measurement
from xrdsim.fit.problem import Problem
from xrdsim.fit.result import CurveFit, Verdict
from xrdsim.fit.unknowns import Array, UnknownDefects
from xrdsim.limits import Json, read_json
from xrdsim.profiles.space import ParameterSpace, profile_of

_LIMITS = (ZERO.name, *GAUSSIAN.names)
PLAIN = (*_LIMITS, "scale", "background", "priors", "per_count", "offset", "mask", "both_sides", "tolerance")
"""Settings that are taken as they stand; beside them ``exclude``, ``space``, ``convention``, ``reflection``,
``instrument``, the ``limits`` of its further parameters, its ``kalpha2`` and ``defects``."""


def settings_of(path: str | Path) -> Json:
    """Settings in a result.json of a fit: those of PLAIN, ``space``, ``convention`` and ``reflection``.

    A file without settings, such as parameters alone, has none of them. Of an estimate that was not refined, the
    points are left out: it was compared where the network looks, on both sides of the peak.

    Raises
    ------
    ParameterError
        The file cannot be read, or its settings have no meaning.
    """
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, "JSON", error) from error
    settings = content.get("settings") if isinstance(content, dict) else None
    if settings is None:
        return {}
    try:
        found = {name: settings[name] for name in PLAIN if name in settings}
        for name in _LIMITS:
            if found.get(name) is not None:
                low, high = found[name]
                found[name] = (float(low), float(high))
        if content.get("verdict") == Verdict.ESTIMATE:
            found.pop("both_sides", None)
            found.pop("mask", None)
        if "priors" in found:
            found["priors"] = {name: (float(mean), float(std)) for name, (mean, std) in found["priors"].items()}
        if "excluded" in settings:
            found["exclude"] = tuple((float(low), float(high)) for low, high in settings["excluded"])
        if "fixed_defects" in settings:
            start, fixed = Defects.from_dict(settings["defects"], str(path)), tuple(settings["fixed_defects"])
            found["defects"] = UnknownDefects(start=start, fixed=fixed)
        if "instrument" in settings:
            found["instrument"] = Instrument.from_dict(settings["instrument"])
            doublet = found["instrument"].doublet
            found |= {} if doublet is None else {"kalpha2": doublet.ratio}
        if "limits" in settings:
            found["limits"] = {name: (float(low), float(high)) for name, (low, high) in settings["limits"].items()}
        if "ranges" in settings:
            low, high = zip(*settings["ranges"].values(), strict=True)
            ties = tuple(settings.get("ties", {}).items())
            found["space"] = ParameterSpace(low, high, settings["strain_sum"], ties, profile_of(settings))
        if "reflection" in settings:
            found["reflection"] = Reflection.from_dict(settings["reflection"], str(path))
        return found | {name: settings[name] for name in ("convention",) if name in settings}
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ParameterError(f"{path}: its settings are malformed ({error}); give the parameters alone") from error


def read_fitted_profile(path: str | Path) -> tuple[Array, ParameterSpace]:
    """Parameters (p,) of the best profile of a result.json, and their ranges.

    Raises
    ------
    ParameterError
        The file cannot be read, or is none of a fit.
    """
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, "JSON", error) from error
    try:
        space = fitted_space(content["settings"])
        return np.array([float(content["parameters"][name]["value"]) for name in space.names]), space
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ParameterError(f"{path} is no result.json of `xrd fit` ({error}); give one") from error


def fitted_space(settings: Json) -> ParameterSpace:
    """Ranges of the profile that was fitted, of the settings of a fit."""
    low, high = zip(*settings["ranges"].values(), strict=True)
    return ParameterSpace(low, high, settings["strain_sum"], tuple(settings["ties"].items()), profile_of(settings))


def assumed(curves: Sequence[CurveFit]) -> str:
    """What a fit takes for granted of its curves, and of those that are compared with it, in a sentence."""
    if len(curves) == 1:
        return f"Assumed: {curves[0].assumed}."
    named = (
        f"{'' if each.fitted else 'not fitted, '}{Path(each.source).name or 'curve'}: {each.assumed}" for each in curves
    )
    return f"Assumed: {'; '.join(named)}."


def taken_for_granted(measured: Measurement) -> str:
    """Reflection, radiation, instrument and damage of a curve, for a sentence."""
    reflection, instrument = measured.experiment.reflection, measured.instrument
    over = ", a background that is linear in the angle" if measured.sloping else ""
    limits = []
    for parameter, (low, high) in zip(instrument.parameters, measured.limits, strict=True):
        unit = "″" if parameter.unit == "arcsec" else ""
        span = f"{low:.4g} … {high:.4g}{unit}" if low < high else f"{low:.4g}{unit}"
        limits.append(f"{parameter.label} {span}")
    leaning = f", miscut by {reflection.miscut:g}°" if reflection.miscut else ""
    behind = f" of {', '.join(limits)}" if limits else ""
    beside = "" if instrument.doublet is None else f" with {instrument.doublet.ratio:g} times as much Kα₂"
    loops = ", with dislocation loops" if measured.experiment.defects else ""
    space = measured.simulator.space
    damage = "with" if space.damage else "without"
    free = " that does not follow the strain" if space.damage and space.profile.own_factor else ""
    return (
        f"{reflection.title}{leaning}, {light(reflection.wavelength)}{beside}, a {instrument.name} instrument{behind}"
        f"{over}, {damage} lattice damage{free}{loops}"
    )


def settings_to_dict(given: Problem) -> Json:
    """What it takes to repeat a fit; of several measurements the first, and under ``others`` the further ones."""
    space, (first, *others) = given.space, given.measurements
    ranges = zip(space.names, space.low, space.high, strict=True)
    settings = {
        "ranges": {name: [low, high] for name, low, high in ranges},
        **_limits(first),
        "priors": {name: list(value) for name, value in given.priors.items()},
        **_points(first),
        **{name: value for name, value in space.to_dict().items() if name not in ("low", "high")},
        "ties": dict(space.ties),
        **_experiment(first),
    }
    if given.defects is not None:
        settings["fixed_defects"] = list(given.defects.fixed)
    further = [_limits(each) | _points(each) | _experiment(each) for each in others]
    return settings | ({"others": further} if further else {})


def _limits(measured: Measurement) -> Json:
    names = zip(measured.names, (measured.zero, *measured.limits), strict=True)
    limits = {name: list(limits) for name, limits in names}
    usual = {name: limits.pop(name, None) for name in _LIMITS}
    ground = "linear" if measured.sloping else None
    fixed = {"scale": measured.scale, "background": ground if measured.background is None else measured.background}
    return usual | fixed | {"instrument": measured.instrument.to_dict(), "limits": limits}


def _points(measured: Measurement) -> Json:
    counts = {"per_count": measured.per_count if measured.counting else None, "offset": measured.offset}
    return {**counts, "tolerance": measured.tolerance, "points": len(measured), **measured.left_out}


def _experiment(measured: Measurement) -> Json:
    return {name: value for name, value in measured.experiment.to_dict().items() if name != "layers"}
