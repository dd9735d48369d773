"""Instrument functions in Fourier space: what makes the whole function from its Gaussian core.

A curve C that a Gaussian of FWHM c has smoothed is seen through the whole function K as I = C ∗ T, with the Fourier
transform K̂(ν) = Ĝ_c(ν)·T̂(ν), ν in 1/arcsec,

    Ĝ_w = exp(−(πwν)²/(4 ln 2)),    L̂_w = exp(−πw|ν|).

``voigt``, ``pedestal`` and ``monochromator`` are a core with a tail behind it: c is their own FWHM. Of the others c is
a quarter of their width, narrow enough that T̂ = K̂/Ĝ_c stays moderate wherever K̂ has anything left.

A discrete transform repeats a function with the period P of its grid. The repetitions of a Lorentzian are long, and are
taken out again: what is left is a Lorentzian cut off at ±P/2.

A doublet is a factor more, D̂(ν) = 1 + r·exp(2πiνδ), of the transform and of its derivatives.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdsim.experiment.instrument import Family, Instrument, Kernel

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

WITH_CORE = (Family.GAUSSIAN, Family.VOIGT, Family.PEDESTAL, Family.VOIGT_PEDESTAL, Family.MONOCHROMATOR)
"""Shapes whose first parameter is the FWHM of a Gaussian core."""

PART = 0.25
"""FWHM of the core by which the other shapes are reached, in parts of theirs."""

_GAUSS = math.pi**2 / (4.0 * math.log(2.0))
_LARGEST = 25.0  # exponent of 1/Ĝ_c at most: beyond it K̂ is nothing
_RATIO = 1.25  # of neighbouring cores
_DENSE = 8  # points of a tabulated function for each of the grid


def core_of(instrument: Instrument, own: Array) -> Array:
    """FWHM (m,) of the core [arcsec] of parameters (m, q)."""
    if instrument.family in WITH_CORE:
        return own[:, 0]
    if instrument.family is Family.SPLIT_PSEUDO_VOIGT:
        return _stepwise(np.minimum(own[:, 0], own[:, 2]))
    if instrument.family is Family.PSEUDO_VOIGT:
        return _stepwise(own[:, 0])
    return _stepwise(np.full(len(own), _kernel(instrument).fwhm))


def _stepwise(width: Array) -> Array:
    """PART of a width, rounded down to a power: small changes of it leave the core alone."""
    return np.asarray(_RATIO ** np.floor(np.log(PART * width) / math.log(_RATIO)))


def multiplier(instrument: Instrument, own: Array, step: float, length: int) -> tuple[Complex, Complex]:
    """T̂ (m, f) at the frequencies of ``numpy.fft.rfft`` of a grid, and its derivatives (m, q, f).

    Of a shape with a core the derivative over its FWHM is 0: the core has it. Of the others it is taken at a fixed
    core, and is the whole.

    Parameters
    ----------
    instrument : the function.
    own : (m, q) its parameters.
    step, length : of the grid, [arcsec] and points.
    """
    value, slope = _of_shape(instrument, own, step, length)
    if instrument.doublet is None:
        return value, slope
    turn = 2j * math.pi * instrument.doublet.shift * np.fft.rfftfreq(length, step)
    both = 1.0 + instrument.doublet.ratio * np.exp(turn)
    return value * both, slope * both


def _of_shape(instrument: Instrument, own: Array, step: float, length: int) -> tuple[Complex, Complex]:
    """The same of one line alone."""
    nu = np.fft.rfftfreq(length, step)
    family, slope = instrument.family, np.zeros((len(own), own.shape[1], len(nu)), dtype=np.complex128)
    if family is Family.GAUSSIAN:
        return np.ones((len(own), len(nu)), dtype=np.complex128), slope
    if family is Family.VOIGT:
        value, slope[:, 1] = _lorentz(own[:, 1:2], step, length)
        return value, slope
    if family is Family.PEDESTAL:
        both, slope[:, 1], slope[:, 2] = _pedestal(own[:, 1:2], own[:, 2:3], nu)
        return both.astype(np.complex128), slope
    if family is Family.VOIGT_PEDESTAL:
        tail, over_width = _lorentz(own[:, 1:2], step, length)
        both, over_share, over_foot = _pedestal(own[:, 2:3], own[:, 3:4], nu)
        slope[:, 1], slope[:, 2], slope[:, 3] = over_width * both, tail * over_share, tail * over_foot
        return tail * both, slope
    if family is Family.MONOCHROMATOR:
        return np.tile(np.conj(_transform(_kernel(instrument), step, length)), (len(own), 1)), slope
    narrow = 1.0 / _gauss(core_of(instrument, own)[:, None], np.minimum(nu, _highest(core_of(instrument, own).max())))
    if family is Family.PSEUDO_VOIGT:
        width, eta = own[:, :1], own[:, 1:]
        gauss, (lorentz, over_width) = _gauss(width, nu), _lorentz(width, step, length)
        slope[:, 0] = narrow * (eta * over_width - (1.0 - eta) * 2.0 * _GAUSS * width * nu**2 * gauss)
        slope[:, 1] = narrow * (lorentz - gauss)
        return (narrow * ((1.0 - eta) * gauss + eta * lorentz)).astype(np.complex128), slope
    if family is Family.SPLIT_PSEUDO_VOIGT:
        value, change = _split(own, step, length)
        return narrow * value, narrow[:, None] * change
    return narrow * _transform(_kernel(instrument), step, length), slope


def _gauss(width: NDArray[Any], nu: NDArray[Any]) -> Array:
    return np.asarray(np.exp(-_GAUSS * (width * nu) ** 2))


def _pedestal(share: Array, wide: Array, nu: NDArray[Any]) -> tuple[Array, Array, Array]:
    """1 − f + f·Ĝ of shares and widths (m, 1), and its derivatives over both, (m, f) each."""
    foot = _gauss(wide, nu)
    return 1.0 + share * (foot - 1.0), foot - 1.0, -2.0 * _GAUSS * wide * nu**2 * share * foot


def _lorentz(width: Array, step: float, length: int) -> tuple[Complex, Complex]:
    """L̂ (m, f) of widths (m, 1) and its derivative, of Lorentzians cut off at the half period."""
    period, nu = step * length, np.fft.rfftfreq(length, step)
    half = np.arange(length // 2 + 1) * step  # both sides are alike
    wide = np.maximum(width, 1e-9)
    a, c = math.pi * wide / period, np.cos(2.0 * math.pi * half / period)
    away = np.cosh(a) - c
    away[:, 0] = 2.0 * np.sinh(0.5 * a[:, 0]) ** 2
    t = (2.0 * half / wide) ** 2
    alone = 2.0 / (math.pi * wide) / (1.0 + t)
    others = np.sinh(a) / away / period - alone
    over = (1.0 - c * np.cosh(a)) / away**2 * math.pi / period**2 - alone / wide * (2.0 * t / (1.0 + t) - 1.0)
    others[:, 0] = a[:, 0] / (6.0 * period)  # both are large there: coth(a/2) = 2/a + a/6
    over[:, 0] = math.pi / (6.0 * period**2)
    value = np.exp(-math.pi * width * nu)
    slope = -math.pi * nu * value
    tail = length - len(half)
    repeated, change = (
        np.fft.rfft(np.concatenate([each, each[:, tail:0:-1]], axis=1), axis=1).real * step for each in (others, over)
    )
    return (value - repeated).astype(np.complex128), (slope - change).astype(np.complex128)


def _highest(core: float) -> float:
    """Frequency beyond which 1/Ĝ_c is no longer divided by."""
    return math.sqrt(_LARGEST / _GAUSS) / core


def _kernel(instrument: Instrument) -> Kernel:
    assert instrument.kernel is not None
    return instrument.kernel


@lru_cache(maxsize=16)
def _transform(kernel: Kernel, step: float, length: int) -> Complex:
    """K̂ (f,) of a function between whose points it is linear."""
    nu = np.fft.rfftfreq(length, step)
    fine = np.arange(kernel.angle[0], kernel.angle[-1] + step, step / _DENSE)
    x = np.union1d(kernel.angle, fine[fine <= kernel.angle[-1]])
    y = np.interp(x, kernel.angle, kernel.weight)
    gap = np.diff(x)
    share = y * (np.append(gap, 0.0) + np.append(0.0, gap)) / 2.0
    parts = [np.exp(-2j * math.pi * some[:, None] * x) @ share for some in np.array_split(nu, -(-len(nu) // 64))]
    return np.asarray(np.concatenate(parts) / share.sum())


def _split(own: Array, step: float, length: int) -> tuple[Complex, Complex]:
    """K̂ (m, f) of split pseudo-Voigt functions and its derivatives (m, 4, f), from their values on the grid.

    Each side has the shape S(x) = (1 − η)·g/g(0)·… of height 1 at 0, so that K = S/∫S with ∫S the mean of both sides'.
    """
    x = (np.arange(length) - length // 2) * step
    value, change = np.zeros((len(own), length)), np.zeros((len(own), 4, length))
    area, by = np.zeros(len(own)), np.zeros((len(own), 4))
    for side, where in ((0, x < 0.0), (2, x > 0.0)):
        shape, over_width, over_eta = _pseudo_voigt(x[where], own[:, side : side + 1], own[:, side + 1 : side + 2])
        height, of_width, of_eta = _pseudo_voigt(np.zeros(1), own[:, side : side + 1], own[:, side + 1 : side + 2])
        value[:, where] = shape / height
        change[:, side, where] = over_width / height - shape * of_width / height**2
        change[:, side + 1, where] = over_eta / height - shape * of_eta / height**2
        area += 0.5 / height[:, 0]
        by[:, side], by[:, side + 1] = (
            -0.5 * of_width[:, 0] / height[:, 0] ** 2,
            -0.5 * of_eta[:, 0] / height[:, 0] ** 2,
        )
    value[:, x == 0.0] = 1.0
    kernel = value / area[:, None]
    change = (change - kernel[:, None] * by[:, :, None]) / area[:, None, None]
    both = (np.fft.rfft(np.fft.ifftshift(each, axes=-1), axis=-1) * step for each in (kernel, change))
    first, second = both
    return np.asarray(first), np.asarray(second)


def _pseudo_voigt(x: NDArray[Any], width: Array, eta: Array) -> tuple[Array, Array, Array]:
    """(1 − η)·G + η·L of unit area at x (n,), and its derivatives over width and η, (m, n) each."""
    t = (x / width) ** 2
    g = 2.0 * math.sqrt(math.log(2.0) / math.pi) / width * np.exp(-4.0 * math.log(2.0) * t)
    ell = 2.0 / (math.pi * width) / (1.0 + 4.0 * t)
    over_width = (1.0 - eta) * g * (8.0 * math.log(2.0) * t - 1.0) / width
    over_width = over_width + eta * ell * (8.0 * t / (1.0 + 4.0 * t) - 1.0) / width
    return np.asarray((1.0 - eta) * g + eta * ell), np.asarray(over_width), np.asarray(ell - g)
