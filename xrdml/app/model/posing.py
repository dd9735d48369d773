"""From a document to the problem of a fit, and to that of the model on the page, whose sliders move all unknowns."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from xrdml.app.model.document import Document, MeasuredFile, Quantity, frozen, suffix
from xrdsim.curves.curve import Curve
from xrdsim.experiment.setup import Experiment
from xrdsim.fit.judgement.stated import Claim
from xrdsim.fit.preparation import WHOLE
from xrdsim.fit.problem import Problem
from xrdsim.fit.sample import Entry, joint_problem
from xrdsim.fit.unknowns import LINEAR, Array
from xrdsim.observation.shapes import KALPHA2_RATIO
from xrdsim.profiles.damage import DAMAGE
from xrdsim.profiles.profile import Profile
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.spline import spline, spline_space
from xrdsim.profiles.two_gaussians import TWO_GAUSSIANS

FIRST = {"Dmax1": 0.0081, "D01": 0.0009, "L1": 5200.0, "Rp1": 3500.0, "D02": 0.0026, "L2": 3000.0, "Rp2": -50.0}
"""Profile that is shown before anything is known."""

_UNDAMAGED = {"kappa": 0.0, "p": 1.0}
_FIRST_SPLINE = 0.004  # largest strain of the spline that is shown before anything is known
_DECADES = 1.5  # of the slider of a scale or background to either side


@dataclass(frozen=True, eq=False)
class Posed:
    """The problem of a document, and its curves."""

    given: Problem
    entries: tuple[Entry, ...]

    def row(self, document: Document) -> Array:
        """Values (1, k) of the unknowns on the page."""
        return np.array([[document[name].value for name in self.given.layout.names]])


def stored(curve: MeasuredFile, folder: Path) -> Path:
    """The file of a curve in the temporary folder, written where it is not there yet."""
    path = folder / hashlib.sha256(curve.content).hexdigest()[:20] / curve.name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(curve.content)
    return path


def read(curve: MeasuredFile, document: Document, folder: Path) -> tuple[Curve, Experiment]:
    """The curve and what was measured.

    Raises
    ------
    CurveError, ParameterError
        It cannot be read, its file says that it is of something else, or a setting has no meaning.
    """
    for name, text in document.cifs.items():
        path = folder / "crystals" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    table = None if curve.reflection is None else dict(curve.reflection)
    said = json.dumps([table, dict(curve.described), curve.despite, dict(curve.reading)], sort_keys=True)
    return _read(stored(curve, folder), said, folder / "crystals" / "page")


@lru_cache(maxsize=64)
def _read(path: Path, said: str, where: Path) -> tuple[Curve, Experiment]:
    table, described, despite, reading = json.loads(said)
    claim = Claim(table=table, where=str(where), described=described, despite=despite)
    found, experiment = claim.read(path, **reading)
    return replace(found, source=path.name), experiment


def space_of(document: Document, exact: bool = False) -> ParameterSpace:
    """Ranges of the profile: limits on the page; ``exact`` holds what is not fitted at its value."""
    ends = [_ends(each, exact) for each in document.profile.values()]
    low, high = zip(*ends, strict=True)
    return ParameterSpace(low, high, profile=profile_of(document))


def profile_of(document: Document) -> Profile:
    """The family of the profile."""
    return spline(document.coefficients, document.end) if document.shape == "spline" else TWO_GAUSSIANS


def _ends(each: Quantity, exact: bool) -> tuple[float, float]:
    return (each.value, each.value) if exact and not each.fit else (each.low, each.high)


def preparing(curve: MeasuredFile, *, exact: bool) -> dict[str, Any]:
    """Arguments of ``measurement_of``; ``exact`` as the fit has them, else as the page shows the model."""
    limits = {name: _ends(each, exact) for name, each in curve.quantities.items() if name not in _OF_SCALE}
    fixed = {
        name: curve.quantities[name].value
        for name in LINEAR
        if exact and name in curve.quantities and not curve.quantities[name].fit
    }
    ground: float | str = fixed.get("background", curve.background)
    if not exact:
        ground = "linear" if curve.sloping else "constant"
    found = dict(WHOLE) | {
        "instrument": curve.instrument,
        "background": ground,
        "scale": fixed.get("scale"),
        "kalpha2": KALPHA2_RATIO if curve.kalpha2 else None,
        "mask": curve.mask,
        "both_sides": curve.both_sides,
        "exclude": curve.exclude,
        "zero": limits.pop("zero", None),
    }
    return found | {"limits": limits}


_OF_SCALE = (*LINEAR, "background_end")


def posed(document: Document, folder: Path, *, exact: bool = False) -> Posed:
    """The problem of a document.

    Parameters
    ----------
    document : with one curve at least.
    folder : temporary, for its files.
    exact : as the fit has it; otherwise every unknown may move, and all curves are shown.

    Raises
    ------
    CurveError, ParameterError
        A curve cannot be read or used, or a setting has no meaning.
    """
    space = space_of(document, exact)
    entries = []
    for each in document.curves:
        curve, experiment = read(each, document, folder)
        fitted = each.fitted or not exact
        prepared = preparing(each, exact=exact)
        entries.append(Entry(curve=curve, experiment=experiment, preparing=prepared, fitted=fitted))
    given = joint_problem(entries, space, priors=priors_of(document) if exact else None)
    if not exact:
        pairs = zip(given.measurements, document.curves, strict=True)
        some = tuple(each if one.tolerance is None else each.tolerating(one.tolerance) for each, one in pairs)
        given = replace(given, measurements=some)
    return Posed(given, tuple(entries))


def priors_of(document: Document) -> dict[str, tuple[float, float]]:
    """Means and standard deviations of what is fitted, as the fit has the names of what is fitted."""
    names = [*document.profile]
    kept = [each for each in document.curves if each.fitted]
    names += [name + suffix(i) for i, each in enumerate(kept) for name in each.quantities]
    quantities = [*document.profile.values(), *(one for each in kept for one in each.quantities.values())]
    pairs = zip(names, quantities, strict=True)
    return {name: each.prior for name, each in pairs if each.prior is not None and each.fit}


def opened(name: str, content: bytes, document: Document, folder: Path, **settings: Any) -> MeasuredFile:
    """A curve with the unknowns of its instrument, as it is first shown.

    A file that names its crystal and reflection is taken for it.

    Raises
    ------
    CurveError, ParameterError
        It cannot be read, or is of something else than is taken for granted.
    """
    curve = MeasuredFile(name=name, content=content, **settings)
    if curve.reflection is None:
        curve = _as_stated(curve, document, folder)
    return with_unknowns(curve, document, folder)


def _as_stated(curve: MeasuredFile, document: Document, folder: Path) -> MeasuredFile:
    """The same with the reflection that its file names, where that is a known one and not the default."""
    found, _ = _read(stored(curve, folder), json.dumps([None, {}, True, dict(curve.reading)]), folder / "page")
    stated = found.stated
    if stated.material is None or stated.hkl is None:
        return curve
    from xrdsim.errors import ParameterError
    from xrdsim.experiment.library import structure_of

    try:
        crystal = structure_of(stated.material).name
    except ParameterError:
        return curve
    if crystal == "GGG" and tuple(map(abs, stated.hkl)) == (4, 4, 4):
        return curve
    return replace(curve, reflection=frozen({"crystal": crystal, "hkl": list(stated.hkl)}))


def with_unknowns(curve: MeasuredFile, document: Document, folder: Path) -> MeasuredFile:
    """The same with the unknowns of its instrument and background; those that it has already stay.

    Raises
    ------
    CurveError, ParameterError
        As ``read``, or too few points are left.
    """
    found, experiment = read(curve, document, folder)
    known = {name: each for name, each in curve.quantities.items() if name in _OF_SCALE}
    bare = replace(curve, quantities=frozen(known))
    space = space_of(document) if document.profile else ParameterSpace()
    entry = Entry(curve=found, experiment=experiment, preparing=preparing(bare, exact=False))
    measured = entry.measurement(space, 1.0)
    made: dict[str, Quantity] = {}
    ends = (measured.zero, *measured.limits)
    for name, (low, high), value in zip(measured.names, ends, measured.start.tolist(), strict=True):
        made[name] = curve.quantities.get(name) or Quantity(value=value, low=low, high=high)
    top, least = float(np.max(found.intensity)), float(max(np.min(found.intensity), 0.0))
    about = {"scale": top, "background": max(least, 1e-7 * top)}
    for name in _OF_SCALE if curve.sloping else LINEAR:
        at = about.get(name, about["background"])
        ends_of = at * 10.0**-_DECADES, at * 10.0**_DECADES
        made[name] = curve.quantities.get(name) or Quantity(value=at, low=ends_of[0], high=ends_of[1])
    return replace(curve, quantities=frozen(made))


def first_profiles(document: Document) -> Mapping[str, Mapping[str, Quantity]]:
    """Unknowns of both shapes of the profile, before anything is known."""
    space = ParameterSpace().with_damage()
    values = FIRST | _UNDAMAGED
    two = {
        name: Quantity(value=values[name], low=low, high=high)
        for name, low, high in zip(space.names, space.low, space.high, strict=True)
    }
    depth = two["L1"].value
    return frozen({"two-gaussians": frozen(two), "spline": frozen(first_spline(document, depth))})


def first_spline(document: Document, depth: float) -> dict[str, Quantity]:
    """Unknowns of a spline of no particular form."""
    least = -0.031 if document.signed else 0.0
    space = spline_space(document.coefficients, document.end, strain=(least, 0.031)).with_damage()
    usual = _UNDAMAGED | {"L": depth}
    found = {}
    for name, low, high in zip(space.names, space.low, space.high, strict=True):
        found[name] = Quantity(value=usual.get(name, _FIRST_SPLINE), low=low, high=high)
    found["kappa"] = replace(found["kappa"], high=DAMAGE[0].most)
    return found
