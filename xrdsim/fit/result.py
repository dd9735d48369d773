"""What a fit says about a measured curve, as records and as plain values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrdsim.curves.record import Aside
from xrdsim.fit.judgement.estimate import Estimate, logarithm
from xrdsim.fit.likelihood import Likelihood
from xrdsim.fit.unknowns import Array
from xrdsim.limits import Json

SCHEMA = 2
"""Version of ``result.json``; 1 had no such number, and a prediction had entries of its own."""


class Verdict(StrEnum):
    """What a fit says about a curve."""

    SOLVED = "solved"
    """What the model leaves of the curve is noise, and the curve determines the profile."""
    NOT_UNIQUE = "described, not unique"
    """What the model leaves is noise, for more than one profile."""
    AT_LIMITS = "at its limits"
    """It would be described better beyond the limits of an unknown."""
    ROUGH = "described only roughly"
    """What is left is more than noise, and little: the reason says where it lies."""
    NOT_DESCRIBED = "not described"
    """The misfit is large: wrong model, wrong ranges, or a better minimum was not found."""
    NOT_THIS = "not this material or reflection"
    """The substrate peak has another width or place than this reflection can have."""
    UNDETERMINED = "undetermined"
    """Described, but not known."""
    ESTIMATE = "estimate"
    """Not refined, and so not judged."""


@dataclass(frozen=True)
class Minimum:
    """One of the distinct solutions.

    Attributes
    ----------
    values : of the parameters.
    instrument : zero and parameters of the instrument of each measurement, and logarithms of loops, by name.
    reduced_chi2, rms_dex : its misfit, as of ``Fit``.
    acceptable : whether it is statistically as good as the best one.
    """

    values: tuple[float, ...]
    instrument: Mapping[str, float]
    reduced_chi2: float | None
    rms_dex: float
    acceptable: bool


class FittedCurve(NamedTuple):
    """The points (n,) of a curve and what the model makes of them.

    Attributes
    ----------
    angle : from the substrate peak [arcsec].
    measured, model : intensity in the unit of the file.
    used : whether a point was fitted.
    sigma : standard deviation of the measured intensity about the model: noise, and what the model may be wrong by;
        NaN where the noise is unknown.
    residual : signed root of what the point adds to χ², positive where more was measured; in standard deviations. But
        for few counts that is (measured − model)/sigma.
    left_out : why a point was not fitted, a ``xrdsim.curves.record.LeftOut``; empty where it was.
    """

    angle: Array
    measured: Array
    model: Array
    used: NDArray[np.bool_]
    sigma: Array
    residual: Array
    left_out: NDArray[np.str_]

    @property
    def log_ratio(self) -> Array:
        """log10 measured/model (n,), NaN where nothing was measured."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log10(np.where(self.measured > 0.0, self.measured, np.nan) / self.model))


@dataclass(frozen=True, eq=False)
class CurveFit:
    """What a fit makes of one of its curves.

    Attributes
    ----------
    source, note, reflection : the file, what it was taken for, and crystal with indices.
    assumed : what was taken for granted: reflection, radiation, instrument and damage.
    verdict, reason : ``solved`` where the model describes this curve, else ``not described``; a sentence.
    remark : what else is to be said of it, or nothing.
    reduced_chi2, mean_abs_log10, rms_dex : as of ``Fit``, of this curve.
    misfit_from : angle [arcsec] from which on the mean |log10| is taken.
    shown : its points and the model.
    aside : points of its file that the model is not compared with, and why.
    estimated : whether its noise is estimated from the scatter of its points.
    fitted : whether it was; a curve that was not has its own scale, background, zero and instrument only.
    measurement : its scale, background, zero and instrument.
    """

    source: str
    note: str
    reflection: str
    verdict: Verdict
    reason: str
    reduced_chi2: float | None
    mean_abs_log10: float
    rms_dex: float
    shown: FittedCurve
    assumed: str = ""
    aside: tuple[Aside, ...] = ()
    estimated: bool = False
    remark: str = ""
    misfit_from: float = math.nan
    fitted: bool = True
    measurement: tuple[Estimate, ...] = ()

    def to_dict(self) -> Json:
        """Plain values for JSON."""
        values: Json = {name: getattr(self, name) for name in ("source", "note", "reflection", "assumed", "fitted")}
        of_measurement = {each.name + _suffix(each): each for each in self.measurement}
        return {
            **values,
            "verdict": str(self.verdict),
            "reason": self.reason + self.remark,
            "misfit": _misfit(self),
            "measurement": {name: each.value for name, each in of_measurement.items()},
            "measurement_std": {
                name: each.std if math.isfinite(each.std) else None for name, each in of_measurement.items()
            },
            "curve": _points(self.shown),
        }


class FittedProfile(NamedTuple):
    """Depth [Å] and strain, (d,), and its 2.5, 16, 84 and 97.5 % quantiles, (4, d); with damage also these of E."""

    depth: Array
    strain: Array
    band: Array
    damage: Array | None = None
    damage_band: Array | None = None


class Resolution(NamedTuple):
    """How fine a structure of the strain the curves determine, see ``xrdsim.fit.freeform.resolution``.

    Attributes
    ----------
    depth : (d,) [Å].
    width : (d,) [Å], of the narrowest window about each depth over which the mean strain is known; NaN where none is.
    part : of the largest strain, to which it is known.
    """

    depth: Array
    width: Array
    part: float


@dataclass(frozen=True, eq=False)
class Fit:
    """What a fit says about a measured curve.

    Attributes
    ----------
    source, note : the file, and what it was taken for.
    verdict : a ``Verdict``.
    reason : of the verdict, a sentence.
    parameters : estimates of the profile.
    measurement : estimates of scale, background, zero and FWHM of each measurement in turn, in the unit of the file
        and in arcsec; the names of those of the second one end in _2.
    derived : estimates of what follows from the profile, see ``xrdsim.forward.derived``.
    defects : estimates of densities and radii of dislocation loops, where they are fitted.
    notes : what else a reader should know, in sentences.
    assumed : what was taken for granted, in a sentence: reflection, radiation, instrument.
    reduced_chi2 : deviance by degrees of freedom; None if the noise is unknown.
    mean_abs_log10 : beyond 120.5″ of GGG 444 (30 points of the default scan) and the same strain of other reflections,
        of all points fitted.
    rms_dex : of log10 measured/model.
    minima : distinct solutions, the best first.
    correlation : (k, k) of the parameters, then of zero and FWHM of each measurement.
    uncertainty : method and effective sample size of the intervals.
    curves : what it makes of each of its curves, and of those that were only compared.
    depth, strain, band : (d,) [Å], (d,) and (4, d): 2.5, 16, 84 and 97.5 % quantiles of the strain.
    damage, damage_band : (d,) and (4, d), the static Debye–Waller factor E; None without damage.
    seconds, evaluations, ended : of the search.
    settings : what it takes to repeat it.
    likelihoods : profile likelihoods that were asked for.
    resolution : of a spline.
    """

    source: str
    note: str
    verdict: Verdict
    reason: str
    parameters: tuple[Estimate, ...]
    measurement: tuple[Estimate, ...]
    reduced_chi2: float | None
    mean_abs_log10: float
    rms_dex: float
    minima: tuple[Minimum, ...]
    correlation: Array
    uncertainty: Json
    curves: tuple[CurveFit, ...]
    depth: Array
    strain: Array
    band: Array
    seconds: float
    evaluations: int
    ended: str
    settings: Json
    likelihoods: tuple[Likelihood, ...] = ()
    derived: tuple[Estimate, ...] = ()
    assumed: str = ""
    notes: tuple[str, ...] = ()
    defects: tuple[Estimate, ...] = ()
    damage: Array | None = None
    damage_band: Array | None = None
    resolution: Resolution | None = None

    def __getitem__(self, name: str) -> Estimate:
        """The estimate of a parameter, of the measurement, of loops or their logarithms, or of a derived quantity."""
        loops = (*self.defects, *map(logarithm, self.defects))
        for each in (*self.parameters, *self.measurement, *self.derived, *loops):
            if each.name == name:
                return each
        raise KeyError(name)

    @property
    def curve(self) -> FittedCurve:
        """The whole measured curve and the model; of several curves, the first."""
        return self.curves[0].shown

    @property
    def angle(self) -> Array:
        """Of this curve [arcsec], (n,)."""
        return self.curve.angle

    @property
    def measured(self) -> Array:
        """Intensity (n,) of this curve, in the unit of the file."""
        return self.curve.measured

    @property
    def model(self) -> Array:
        """The model (n,) of this curve, in the unit of the file."""
        return self.curve.model

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which of its points were fitted, (n,)."""
        return self.curve.used

    @property
    def profile(self) -> FittedProfile:
        """The profiles of strain and damage, and their bands."""
        return FittedProfile(self.depth, self.strain, self.band, self.damage, self.damage_band)

    def save(self, folder: str | Path, *, html: bool = False, figures: str = "png") -> list[Path]:
        """Write ``result.json``, ``fit.png``, ``profile.csv`` and ``curve.csv`` into a folder, as ``xrd fit`` does.

        Parameters
        ----------
        folder : is made where there is none.
        html : also write ``fit.html``.
        figures : their format: png, svg or pdf.

        Raises
        ------
        OutputError
            A file cannot be written.
        """
        from xrdsim.fit.report.page import write

        return write(self, Path(folder), with_page=html, figures=figures)

    def to_dict(self) -> Json:
        """Plain values for JSON."""
        names = [estimate.name for estimate in self.parameters]
        of_measurement = {each.name + _suffix(each): each for each in self.measurement}
        return {
            "schema": SCHEMA,
            "source": self.source,
            "note": self.note,
            "verdict": str(self.verdict),
            "reason": self.reason,
            "assumed": self.assumed,
            "notes": list(self.notes),
            "parameters": {each.name: _plain(each) for each in self.parameters},
            "derived": {each.name: _plain(each) for each in self.derived},
            **({"defects": {each.name: _plain(each) for each in self.defects}} if self.defects else {}),
            "measurement": {name: each.value for name, each in of_measurement.items()},
            "measurement_std": {name: each.std for name, each in of_measurement.items()},
            "misfit": _misfit(self),
            "minima": [
                {
                    "parameters": dict(zip(names, each.values, strict=True)),
                    **{name + _suffix(self[name]): value for name, value in each.instrument.items()},
                    "reduced_chi2": each.reduced_chi2,
                    "rms_dex": each.rms_dex,
                    "acceptable": each.acceptable,
                }
                for each in self.minima
            ],
            "correlation": {
                "names": [*names, *self.minima[0].instrument],
                "values": np.nan_to_num(self.correlation).tolist(),
            },
            "uncertainty": self.uncertainty,
            "profile_likelihood": {each.name: _likelihood(each) for each in self.likelihoods},
            "seconds": self.seconds,
            "evaluations": self.evaluations,
            "ended": self.ended,
            "settings": self.settings,
            "curve": _points(self.curve),
            **({"curves": [each.to_dict() for each in self.curves]} if len(self.curves) > 1 else {}),
            **({} if self.resolution is None else {"resolution": _resolution(self.resolution)}),
            "profile": {name: values.tolist() for name, values in self.profile._asdict().items() if values is not None},
        }


def _suffix(each: Estimate) -> str:
    """The unit behind the name of what belongs to a measurement, where it is not that of the file."""
    return "_arcsec" if each.unit == "arcsec" else ""


def _misfit(of: Fit | CurveFit) -> Json:
    numbers = {name: getattr(of, name) for name in ("reduced_chi2", "mean_abs_log10", "rms_dex")}
    return {name: value if value is None or math.isfinite(value) else None for name, value in numbers.items()}


def _points(shown: FittedCurve) -> Json:
    return {name: getattr(shown, name).tolist() for name in ("angle", "measured", "model", "used")}


def _resolution(each: Resolution) -> Json:
    width = [value if math.isfinite(value) else None for value in each.width.tolist()]
    return {"depth": each.depth.tolist(), "width": width, "part_of_largest_strain": each.part}


def _likelihood(each: Likelihood) -> Json:
    rise = [value if math.isfinite(value) else None for value in each.rise.tolist()]
    return {"values": each.values.tolist(), "rise": rise, "low": each.low, "high": each.high, "better": each.better}


def _plain(each: Estimate) -> Json:
    numbers = {name: getattr(each, name) for name in ("value", "std", "low", "high")}
    plain = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    plain |= {"determined": each.determined, "unit": each.unit, "remark": each.remark}
    return plain | ({"tied_to": each.tied_to} if each.tied_to else {})
