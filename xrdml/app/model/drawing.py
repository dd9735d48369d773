"""What the page draws of a document: curve, residuals and profile, and how well they agree."""

from dataclasses import dataclass, replace

import numpy as np

from xrdml.app.model.document import Document, MeasuredFile, suffix
from xrdml.app.model.posing import Posed
from xrdsim.fit.measurement import Measurement, everywhere
from xrdsim.fit.unknowns import END, LINEAR, Array
from xrdsim.forward.derived import damage_profile, depth_end, strain_profile
from xrdsim.limits import Json
from xrdsim.observation.grids import equidistant

RTOL = 1e-3
"""Accuracy of the model on the page [dex]."""

_DEPTHS = 240


@dataclass(frozen=True, eq=False)
class Drawn:
    """A curve and the profile at one state of the unknowns.

    Attributes
    ----------
    model : (n,) at all angles of the curve, in the unit of its file.
    residual : (m,) of the points that are fitted: in standard deviations, or in dex where the noise is unknown.
    chi2 : reduced χ² of all curves that are fitted; the RMS in dex where the noise is unknown.
    linear : scales and backgrounds by name, in the unit of the file.
    depth, strain, damage : (d,) [Å], and E or None.
    """

    model: Array
    residual: Array
    chi2: float
    linear: dict[str, float]
    depth: Array
    strain: Array
    damage: Array | None

    def to_dict(self) -> Json:
        """Plain values for the browser, with as many digits as a screen shows."""
        damage = None if self.damage is None else np.round(self.damage, 5).tolist()
        return {
            "model": significant(self.model).tolist(),
            "residual": np.round(np.nan_to_num(self.residual), 3).tolist(),
            "depth": np.round(self.depth, 2).tolist(),
            "strain": np.round(100.0 * self.strain, 6).tolist(),
            "damage": damage,
        }


def draw(document: Document, posed: Posed) -> Drawn:
    """Simulate a document.

    Raises
    ------
    ParameterError
        The profile breaks a constraint.
    """
    with np.errstate(invalid="ignore", divide="ignore"):  # of intensities below 0, which have no logarithm
        return _drawn(document, posed)


def _drawn(document: Document, posed: Posed) -> Drawn:
    given, row = posed.given, posed.row(document)
    params = given.space.check(row[:, given.layout.profile])
    objective, squares, points, fitted = 0.0, 0.0, 0, 0
    linear: dict[str, float] = {}
    shown = None
    for i, (measured, own) in enumerate(zip(given.measurements, given.layout.own, strict=True)):
        curve = document.curves[i]
        if not curve.fitted and i != document.active:
            continue
        held = {name: curve.quantities[name].value for name in LINEAR if not curve.quantities[name].fit}
        at = _at(measured, params, row[:, own], held)
        linear |= {name + suffix(i): value for name, value in at.linear.items()}
        if curve.fitted:
            objective += at.objective
            points += len(measured)
            fitted += sum(each.fit and name not in _absent(curve) for name, each in curve.quantities.items())
            squares += float(np.sum(at.difference**2))
        if i == document.active:
            shown = at
    assert shown is not None
    fitted += sum(each.fit for name, each in document.profile.items() if name not in _smooth(document))
    counting = given.counting
    freedom = max(points - fitted, 1)
    chi2 = 2.0 * objective / freedom if counting else float(np.sqrt(squares / max(points, 1)))
    depth, strain, damage = profile(document, posed)
    return Drawn(shown.model, shown.residual, chi2, linear, depth, strain, damage)


def _smooth(document: Document) -> set[str]:
    """Coefficients of a spline, each of which comes with a term of its smoothness; they do not count as fitted."""
    return set(document.profile) - {"L", "kappa", "p"} if document.shape == "spline" else set()


def _absent(curve: MeasuredFile) -> set[str]:
    """Unknowns of tails that the instrument does not have, as the evidence leaves them; they do not count as fitted."""
    off = {name for name in ("lorentz", "tail_share") if name in curve.quantities and not curve.quantities[name].value}
    return off | ({"tail_fwhm"} if "tail_share" in off else set())


def profile(document: Document, posed: Posed) -> tuple[Array, Array, Array | None]:
    """Depth [Å], strain and E, None without damage."""
    space = posed.given.space
    params = posed.row(document)[:, posed.given.layout.profile]
    end = float(depth_end(params, space=space)[0])
    if document.result is not None:
        end = max(end, float(document.result["profile"]["depth"][-1]) / 1.02)
    depth = np.linspace(0.0, 1.02 * end, _DEPTHS)
    strain = strain_profile(params, depth, space=space)[0]
    return depth, strain, damage_profile(params, depth, space=space)[0] if space.damage else None


@dataclass(frozen=True, eq=False)
class _At:
    model: Array
    residual: Array
    difference: Array
    objective: float
    linear: dict[str, float]


def _at(measured: Measurement, params: Array, own: Array, held: dict[str, float]) -> _At:
    """One curve at one state, with scale and background at their best where they are not held."""
    if held:
        measured = replace(measured, scale=held.get("scale"), background=held.get("background"))
    whole, curves = _simulated(measured, params, own)
    linear = measured.scaled(curves)
    mu = measured.expected(curves, linear)
    if whole is None:
        model = measured.whole(params, own, linear, RTOL)
    else:
        share = np.ones((1, len(whole)))
        if measured.sloping:
            angle = measured.curve.angle
            part = (angle - angle[0]) / (angle[-1] - angle[0])
            share = np.stack([1.0 - part, part])
        model = (linear[0, 0] * whole + linear[0, 1:] @ share + measured.offset) * measured.per_count
    numbers = measured.in_unit_of_file(linear)[0].tolist()
    names = (*LINEAR, END)[: len(numbers)]
    residual = measured.residuals(mu)[0] if measured.counting else measured.difference(mu)[0]
    return _At(
        np.asarray(model),
        residual,
        np.asarray(measured.difference(mu)[0]),
        float(measured.objective(mu)[0]),
        dict(zip(names, numbers, strict=True)),
    )


def _simulated(measured: Measurement, params: Array, own: Array) -> tuple[Array | None, Array]:
    """The unscaled curve at all angles (n,), None where that takes another simulation, and at the fitted ones."""
    angle = measured.curve.angle
    if measured.between is None:
        grid, places, _ = equidistant(angle, np.ones(len(angle), bool))
        if grid == measured.simulator.scan:
            on_grid = measured.observer.within(RTOL).curves(np.ascontiguousarray(params), own)
            return on_grid[0, places], np.ascontiguousarray(on_grid[:, measured.picked] * measured.exposure)
    curves = measured.curves(params, own, RTOL)
    if len(angle) == len(measured.angle) and np.array_equal(angle, measured.angle):
        return curves[0] / measured.exposure, curves
    return everywhere(measured.observer.within(RTOL), angle, params, own), curves


def significant(values: Array, digits: int = 5) -> Array:
    """Values rounded to so many significant digits."""
    size = np.floor(np.log10(np.maximum(np.abs(values), 1e-300)))
    unit = 10.0 ** (size - (digits - 1))
    return np.asarray(np.round(values / unit) * unit)


def still(document: Document, posed: Posed) -> Json:
    """What of the curve that is shown does not move: its points, which are fitted, the bands of the last fit."""
    curve = document.curves[document.active]
    measured = posed.given.measurements[document.active]
    shown = measured.curve
    far = [list(pair) for pair in curve.exclude]
    for why in ("edited", "saturated"):
        far += [list(pair) for pair in measured.left_out.get(why, [])]
    result = document.result
    bands = None if result is None or result["shape"]["name"] != document.shape else result["profile"]
    aside = [[angle, intensity] for angle, intensity, _ in shown.aside]
    return {
        "angle": np.round(shown.angle, 4).tolist(),
        "measured": significant(np.asarray(shown.intensity), 6).tolist(),
        "used": measured.used.tolist(),
        "residual_angle": np.round(measured.angle, 4).tolist(),
        "unit": "σ" if measured.counting else "dex",
        "left_out": far,
        "mask": curve.mask,
        "aside": aside,
        "bands": bands,
        "stale": document.moved,
    }
