"""What a fit says about a measured curve, as records and as plain values."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdsim.fit.likelihood import Likelihood
from xrdsim.fit.problem import INSTRUMENT, Array

_SUFFIX = dict.fromkeys(INSTRUMENT, "_arcsec")


@dataclass(frozen=True)
class Estimate:
    """A parameter: its value at the best minimum, standard deviation and interval of 90 % probability.

    The interval is placed so that the value is as near to its middle as the posterior allows. A parameter that is tied
    has the numbers of the one that it follows.
    """

    name: str
    unit: str
    value: float
    std: float
    low: float
    high: float
    determined: bool
    remark: str = ""
    tied_to: str = ""


@dataclass(frozen=True)
class Minimum:
    """One of the distinct solutions."""

    values: tuple[float, ...]
    zero: float
    fwhm: float
    reduced_chi2: float | None
    rms_dex: float
    acceptable: bool


@dataclass(frozen=True, eq=False)
class Fit:
    """What a fit says about a measured curve.

    Attributes
    ----------
    source, note : the file, and what it was taken for.
    verdict : ``solved``, ``not described`` by the model, or ``undetermined``: described, but not known.
    reason : of the verdict, a sentence.
    parameters : estimates of the profile.
    measurement : estimates of scale, background, zero and FWHM, in the unit of the file and in arcsec.
    derived : estimates of what follows from the profile, see ``xrdsim.forward.derived``.
    assumed : what was taken for granted, in a sentence: reflection, radiation, instrument.
    reduced_chi2 : deviance by degrees of freedom; None if the noise is unknown.
    mean_abs_log10 : beyond 120.5″ (30 points of the default scan), of all points fitted.
    rms_dex : of log10 measured/model.
    minima : distinct solutions, the best first.
    correlation : (k, k) of the parameters, zero and FWHM.
    uncertainty : method and effective sample size of the intervals.
    angle, measured, model, used : (n,) of the whole curve, in the unit of the file.
    depth, strain, band : (d,) [Å], (d,) and (4, d): 2.5, 16, 84 and 97.5 % quantiles of the strain.
    seconds, evaluations, ended : of the search.
    settings : what it takes to repeat it.
    likelihoods : profile likelihoods that were asked for.
    """

    source: str
    note: str
    verdict: str
    reason: str
    parameters: tuple[Estimate, ...]
    measurement: tuple[Estimate, ...]
    reduced_chi2: float | None
    mean_abs_log10: float
    rms_dex: float
    minima: tuple[Minimum, ...]
    correlation: Array
    uncertainty: dict[str, Any]
    angle: Array
    measured: Array
    model: Array
    used: NDArray[np.bool_]
    depth: Array
    strain: Array
    band: Array
    seconds: float
    evaluations: int
    ended: str
    settings: dict[str, Any]
    likelihoods: tuple[Likelihood, ...] = ()
    derived: tuple[Estimate, ...] = ()
    assumed: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = [estimate.name for estimate in self.parameters]
        return {
            "source": self.source,
            "note": self.note,
            "verdict": self.verdict,
            "reason": self.reason,
            "assumed": self.assumed,
            "parameters": {each.name: _plain(each) for each in self.parameters},
            "derived": {each.name: _plain(each) for each in self.derived},
            "measurement": {each.name + _SUFFIX.get(each.name, ""): each.value for each in self.measurement},
            "measurement_std": {each.name + _SUFFIX.get(each.name, ""): each.std for each in self.measurement},
            "misfit": {
                "reduced_chi2": self.reduced_chi2,
                "mean_abs_log10": self.mean_abs_log10,
                "rms_dex": self.rms_dex,
            },
            "minima": [
                {
                    "parameters": dict(zip(names, each.values, strict=True)),
                    "zero_arcsec": each.zero,
                    "fwhm_arcsec": each.fwhm,
                    "reduced_chi2": each.reduced_chi2,
                    "rms_dex": each.rms_dex,
                    "acceptable": each.acceptable,
                }
                for each in self.minima
            ],
            "correlation": {"names": [*names, *INSTRUMENT], "values": np.nan_to_num(self.correlation).tolist()},
            "uncertainty": self.uncertainty,
            "profile_likelihood": {each.name: _likelihood(each) for each in self.likelihoods},
            "seconds": self.seconds,
            "evaluations": self.evaluations,
            "ended": self.ended,
            "settings": self.settings,
            "curve": {name: getattr(self, name).tolist() for name in ("angle", "measured", "model", "used")},
            "profile": {name: getattr(self, name).tolist() for name in ("depth", "strain", "band")},
        }


def _likelihood(each: Likelihood) -> dict[str, Any]:
    rise = [value if math.isfinite(value) else None for value in each.rise.tolist()]
    return {"values": each.values.tolist(), "rise": rise, "low": each.low, "high": each.high, "better": each.better}


def _plain(each: Estimate) -> dict[str, Any]:
    names = ("value", "std", "low", "high", "determined", "unit", "remark")
    return {name: getattr(each, name) for name in names} | ({"tied_to": each.tied_to} if each.tied_to else {})
