"""What an earlier result says of how it was made, so that a refinement begun from it is of the same problem."""

from pathlib import Path

from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import Reflection
from xrdsim.fit.problem import Problem
from xrdsim.fit.result import Verdict
from xrdsim.limits import Json, read_json
from xrdsim.profiles.space import ParameterSpace, profile_of

PLAIN = ("zero", "fwhm", "scale", "background", "priors", "per_count", "offset", "mask", "both_sides")
"""Settings that are taken as they stand; beside them ``exclude``, ``space``, ``convention`` and ``reflection``."""


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
        raise ParameterError(f"{path} cannot be read as JSON: {error}") from error
    settings = content.get("settings") if isinstance(content, dict) else None
    if settings is None:
        return {}
    try:
        found = {name: settings[name] for name in PLAIN if name in settings}
        for name in ("zero", "fwhm"):
            if name in found:
                low, high = found[name]
                found[name] = (float(low), float(high))
        if content.get("verdict") == Verdict.ESTIMATE:
            found.pop("both_sides", None)
            found.pop("mask", None)
        if "priors" in found:
            found["priors"] = {name: (float(mean), float(std)) for name, (mean, std) in found["priors"].items()}
        if "excluded" in settings:
            found["exclude"] = tuple((float(low), float(high)) for low, high in settings["excluded"])
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


def assumed(given: Problem) -> str:
    """What a fit takes for granted, in a sentence."""
    return assumed_of(given.experiment.reflection, given.unknowns.fwhm, given.unknowns.space.damage)


def assumed_of(reflection: Reflection, fwhm: tuple[float, float], damage: bool) -> str:
    """The same of a reflection, limits of the FWHM [arcsec] and whether there is damage."""
    low, high = fwhm
    width = f"{low:g} … {high:g}″" if low < high else f"{low:g}″"
    film = "" if reflection.film is None else f", under a film of {reflection.film.crystal}"
    return (
        f"Assumed: {reflection.crystal} {''.join(map(str, reflection.hkl))}{film}, {reflection.wavelength:g} Å, a "
        f"Gaussian instrument of FWHM {width}, {'with' if damage else 'without'} lattice damage."
    )


def settings_to_dict(given: Problem) -> Json:
    unknowns = given.unknowns
    return {
        "ranges": {
            name: [low, high]
            for name, low, high in zip(unknowns.space.names, unknowns.space.low, unknowns.space.high, strict=True)
        },
        "zero": list(unknowns.zero),
        "fwhm": list(unknowns.fwhm),
        "scale": unknowns.scale,
        "background": unknowns.background,
        "priors": {name: list(value) for name, value in unknowns.priors.items()},
        "per_count": given.per_count if given.counting else None,
        "offset": given.offset,
        "points": len(given),
        **given.left_out,
        **{name: value for name, value in unknowns.space.to_dict().items() if name not in ("low", "high")},
        "ties": dict(unknowns.space.ties),
        **{name: value for name, value in given.experiment.to_dict().items() if name != "layers"},
    }
