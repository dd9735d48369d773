"""What a fit says, as plain values for the page, and the states of a search on the way."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from xrdml.app.model.document import Document, Quantity, frozen, suffix
from xrdsim.fit.judgement.estimate import Estimate
from xrdsim.fit.problem import Problem
from xrdsim.fit.report.tables import SHOWN, label, rounded, scale
from xrdsim.fit.result import Fit
from xrdsim.fit.settings import fitted_space
from xrdsim.fit.unknowns import Array, Background
from xrdsim.forward.derived import depth_end, strain_profile
from xrdsim.limits import Json
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import TWO_GAUSSIANS

_THUMBNAIL = 60  # points of the profile of an alternative
_ABSENT = {"lorentz": 0.0, "tail_share": 0.0}  # of an instrument that has no such tail


def state_of(given: Problem, x: Array, document: Document) -> Json:
    """The profile and its values at coordinates (1, k) of a problem, by the names of the page."""
    values = given.values(x)[0].tolist()
    named = dict(zip(given.layout.names, values, strict=True))
    return {"shape": shape_of(given.space), "values": _by_page(named, document)}


def shape_of(space: ParameterSpace) -> Json:
    """The family of a profile and its ranges."""
    ranges = {name: list(ends) for name, *ends in zip(space.names, space.low, space.high, strict=True)}
    if space.profile == TWO_GAUSSIANS:
        return {"name": "two-gaussians"}
    family: Any = space.profile.family
    coefficients, end = family.number + family.zeros, "smooth" if family.zeros else "abrupt"
    return {"name": "spline", "coefficients": coefficients, "end": end, "ranges": ranges}


def with_state(document: Document, state: Json) -> Document:
    """A document with the profile and the values of a search, a network or an alternative."""
    shape, values = state["shape"], dict(state["values"])
    made = replace(document, shape=shape["name"])
    if shape["name"] == "spline":
        old = document.profiles["spline"]
        rows = {}
        for name, (low, high) in shape["ranges"].items():
            at = float(np.clip(values.get(name, low), low, high))
            known = old.get(name)
            rows[name] = Quantity(value=at, low=low, high=high, fit=known.fit if known else True)
        for name in ("kappa", "p"):
            rows.setdefault(name, old[name])
        made = replace(
            made,
            coefficients=int(shape["coefficients"]),
            end=shape["end"],
            profiles=frozen({**document.profiles, "spline": frozen(rows)}),
        )
    if document.damage and "kappa" not in values:
        values["kappa"] = 0.0
    for i, curve in enumerate(document.curves):
        own = suffix(i)
        for name, value in _ABSENT.items():
            if name in curve.quantities and f"fwhm{own}" in values:
                values.setdefault(name + own, value)
    return made.with_values({name: value for name, value in values.items() if name in made.names()})


def outcome(fit: Fit, document: Document) -> Json:
    """What a fit of a document says: verdict, estimates, alternatives, bands; all of them plain values."""
    space = fitted_space(fit.settings)
    rows = {}
    for each in fit.parameters:
        rows[each.name] = _estimate(each)
    for i, estimates in zip(_order(document), (one.measurement for one in fit.curves), strict=True):
        for each in estimates:
            rows[_own(each.name) + suffix(i)] = _estimate(each)
    shape = shape_of(space)
    minima = [
        {
            "values": _by_page(dict(zip(space.names, each.values, strict=True)) | dict(each.instrument), document),
            "chi2": each.reduced_chi2,
            "rms_dex": each.rms_dex,
            "acceptable": each.acceptable,
            "strain": _thumbnail(np.array([each.values]), space),
        }
        for each in fit.minima[:SHOWN]
    ]
    settings = [fit.settings, *fit.settings.get("others", [])]
    number = len(settings)
    curves = [
        {
            "number": i,
            "verdict": str(one.verdict),
            "reason": one.reason + one.remark,
            "fitted": one.fitted,
            "tolerance": settings[j]["tolerance"] if j < number else None,
            "sloping": settings[j]["background"] == Background.LINEAR if j < number else False,
            "reduced_chi2": one.reduced_chi2,
        }
        for j, (i, one) in enumerate(zip(_order(document), fit.curves, strict=True))
    ]
    return {
        "shape": shape,
        "verdict": str(fit.verdict),
        "reason": fit.reason,
        "notes": [*fit.notes, *_points_chosen(shape, document)],
        "assumed": fit.assumed,
        "reduced_chi2": fit.reduced_chi2,
        "rms_dex": _finite(fit.rms_dex),
        "seconds": round(fit.seconds, 2),
        "evaluations": fit.evaluations,
        "ended": fit.ended,
        "rows": rows,
        "derived": [{"label": label(each), **_estimate(each)} for each in fit.derived],
        "minima": minima,
        "profile": _bands(fit),
        "curves": curves,
    }


def taken(document: Document, result: Json) -> Document:
    """A document at the best minimum of a fit, with what the fit says."""
    made = with_state(document, {"shape": result["shape"], "values": result["minima"][0]["values"]})
    for each in result["curves"]:
        curve = made.curves[each["number"]]
        sloping = bool(each["sloping"])
        own = suffix(each["number"])
        quantities = {name: one for name, one in curve.quantities.items() if name != "background_end" or sloping}
        if sloping and "background_end" not in quantities:
            end = result["rows"].get("background_end" + own, {}).get("value") or curve.quantities["background"].value
            usual = curve.quantities["background"]
            quantities["background_end"] = replace(usual, value=end, low=min(end, usual.low), high=max(end, usual.high))
        tolerance = each["tolerance"] if each["fitted"] else curve.tolerance
        curve = replace(curve, quantities=frozen(quantities), tolerance=tolerance, sloping=sloping)
        made = made.with_curve(each["number"], curve)
        if not each["fitted"]:
            found = {name: row["value"] for name, row in result["rows"].items() if name in made.names()}
            mine = [name + own for name in curve.quantities if name + own in found]
            made = made.with_values({name: found[name] for name in mine})
    return replace(made, result=result, moved=False)


def _order(document: Document) -> list[int]:
    """Numbers of the curves in the order of a fit, which has those that are fitted first."""
    fitted = [i for i, each in enumerate(document.curves) if each.fitted]
    return [*fitted, *(i for i in range(len(document.curves)) if i not in fitted)]


def _own(name: str) -> str:
    """The name of an unknown of a measurement without the number of this."""
    own, _, number = name.rpartition("_")
    return own if number.isdecimal() else name


def _by_page(values: dict[str, float], document: Document) -> dict[str, float]:
    """Values by the names of the page, which counts curves that are not fitted, too."""
    numbers = {suffix(j): suffix(i) for j, i in enumerate(_order(document))}
    found = {}
    for name, value in values.items():
        own = _own(name)
        found[own + numbers[name.removeprefix(own)] if name != own else _first(name, numbers[""])] = float(value)
    return found


def _first(name: str, own: str) -> str:
    """The name of what has no number: of the profile, or of the first curve that is fitted."""
    return name + own if own and name in ("zero", "fwhm", "lorentz", "tail_share", "tail_fwhm", "eta") else name


def _estimate(each: Estimate) -> Json:
    factor = scale(each)
    value, std = rounded(factor * each.value, factor * each.std)
    ends = [rounded(factor * end, factor * each.std)[0] for end in (each.low, each.high)]
    known = not each.fixed and math.isfinite(each.std) and each.std > 0.0
    return {
        "value": each.value,
        "std": _finite(each.std),
        "low": _finite(each.low),
        "high": _finite(each.high),
        "text": value,
        "interval": f"{ends[0]} … {ends[1]}" if known else "",
        "std_text": std if known else "",
        "determined": each.determined,
        "remark": each.remark,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _points_chosen(shape: Json, document: Document) -> list[str]:
    """What is to be said where a fit chose another number of control points than are on the page."""
    if shape["name"] != "spline" or shape["coefficients"] == document.coefficients:
        return []
    number = shape["coefficients"]
    return [f"The fit has {number} control points instead of {document.coefficients}."]


def _thumbnail(params: Array, space: ParameterSpace) -> Json:
    end = 1.02 * float(depth_end(params, space=space)[0])
    depth = np.linspace(0.0, end, _THUMBNAIL)
    strain = 100.0 * strain_profile(params, depth, space=space)[0]
    return {"depth": np.round(depth, 1).tolist(), "strain": np.round(strain, 5).tolist()}


def _bands(fit: Fit) -> Json:
    def some(values: Array, factor: float = 1.0) -> list[float]:
        return [round(each, 6) for each in (factor * values[::2]).tolist()]

    found: Json = {"depth": np.round(fit.depth[::2], 2).tolist(), "strain": some(fit.strain, 100.0)}
    found["band"] = [some(each, 100.0) for each in fit.band]
    found["damage"] = None if fit.damage is None else some(fit.damage)
    bands: Iterable[Array] = () if fit.damage_band is None else fit.damage_band
    found["damage_band"] = [some(each) for each in bands]
    return found
