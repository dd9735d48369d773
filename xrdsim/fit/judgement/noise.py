"""What one count is, where nobody says it: found in the intensities, or estimated from their scatter.

Scaled counts I = q·(N + c) are multiples of their quantum q but for a constant, so |Σ exp(2πi I/q)| is large; and they
scatter by Var I = q²·N, which gives c. Points that are no multiples where all others are were edited. Where there is no
quantum, the scatter itself is described by Var I = q·I + q²·d + (βI)²: an effective quantum, the noise d of a dark
count that was taken off, in counts, and a part of the intensity.
"""

import math
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from xrdsim.curves.curve import Curve
from xrdsim.fit.unknowns import Array, Limits

LEAST = 0.0115
"""Part of the intensity that estimated noise is at least: scatter of 0.005 dex."""

_LOW, _MOST = 300, 4.0e3  # points that are looked at, the lowest ones; their counts at most
_COARSE = 5  # digits, up to which the rounding is coarser than counts
_REFINED, _EXACT = 2000.0, 0.15  # counts up to which a quantum is refined, and by which a multiple may be off
_SLACK = 2e-6  # relative error of a quantum
_TRIED = 400_000  # frequencies at most
_FINE = 8  # frequencies for each cycle over the range of the points
_SURE = 12.0  # ln of how unlikely a periodicity must be by chance, beside ln of the frequencies tried
_OFF, _EDITED = 0.06, 0.1  # counts by which a point is no multiple; part of the points that may be edited
_DIFFERENCE = np.array([1.0, -4.0, 6.0, -4.0, 1.0]) / math.sqrt(70.0)  # noise of unit variance remains, curves do not
_BINS, _ROUNDS = 14, 6
_NONE = 1e-3  # part of the variance by the mean below which a quantum is none
_PLAIN = 0.85  # of the rest without a constant: by less it is not believed
_MEDIAN = 0.4549  # of χ² of one degree of freedom
_ERRORS = 6.0  # times 1/√n, by which the median of so many may miss it
_LEAST_SCATTER, _MOST_SCATTER = 0.4, 4.0  # variance of counts in parts of that of Poisson, for multiples of a quantum


@dataclass(frozen=True)
class Noise:
    """How the intensities of a curve scatter.

    Attributes
    ----------
    per_count, offset : intensity = per_count·(counts + offset).
    estimated : whether these are effective numbers, of the scatter.
    edited : (low, high) angles [arcsec] of points that were edited.
    words : what was found, a sentence.
    """

    per_count: float
    offset: float = 0.0
    estimated: bool = False
    edited: tuple[Limits, ...] = ()
    words: str = ""

    def of(self, curve: Curve) -> Curve:
        """The curve with what was found, and a note of it."""
        note = f"{curve.note} {self.words}".strip()
        return replace(curve, per_count=self.per_count, offset=self.offset, note=note)


def noise_of(curve: Curve) -> Noise:
    """Noise of a curve of which nobody says what a count is."""
    y = np.asarray(curve.intensity)
    return _quantized(curve, y) or _whole(y) or _scattered(y)


def _quantized(curve: Curve, y: Array) -> Noise | None:
    """Of intensities (n,) that are multiples of a quantum, or None."""
    quantum = quantum_of(y)
    if quantum is None:
        return None
    counts = y / quantum
    phase = float(np.angle(np.exp(2j * math.pi * counts[_lowest(y)]).mean()) / (2.0 * math.pi))
    constant = _added(counts)
    if constant is None:
        return None
    offset = round(constant - phase) + phase if abs(phase) > 0.2 or constant else 0.0
    offset = round(offset) if abs(offset - round(offset)) < 0.2 else offset
    away = np.abs(counts - offset - np.round(counts - offset))
    exact = _digits(y) > 8 or bool(np.median(away) < 1e-3)
    off = (away > _OFF + _SLACK * counts) & exact
    if off.mean() > _EDITED:
        return None
    at = curve.angle[curve.peak_index]
    edited = tuple((low, high) for low, high in _ranges(curve.angle, off) if low <= at <= high)  # peaks are edited
    off = np.any([(curve.angle >= low) & (curve.angle <= high) for low, high in edited], axis=0) & off
    words = f"Multiples of {quantum:.6g} are taken for counts"
    words += f", {offset:g} of which were added" if offset else ""
    if edited:
        words += f"; {off.sum()} points about the substrate peak that are none, as if edited, are left out"
    return Noise(quantum, float(offset), edited=edited, words=f"{words}.")


def _whole(y: Array) -> Noise | None:
    """Of whole numbers (n,), which are counts, too, where too few of them are low to show it; otherwise None."""
    if y.min() < 0.0 or not (y == np.round(y)).all():
        return None
    return Noise(1.0, words="Whole numbers are taken for counts.")


def quantum_of(y: Array) -> float | None:
    """Quantum of intensities (n,), None where they have none."""
    low = y[_lowest(y)]
    if len(low) < 50:
        return None
    digits, span = _digits(y), float(np.ptp(low))
    grain = 10.0 ** (math.floor(math.log10(low.max())) - digits + 1) if digits <= 8 else 0.0
    finest = max(1.05 * grain, float(np.median(low)) / _MOST)
    scatter = _spread(_weak(y)[1])  # of the curve: slower changes are no quantum
    coarsest = max(scatter / 0.8, 1e-300)
    if not (span > 0.0 and coarsest > finest):
        return None
    tried = np.arange(1.0 / coarsest, 1.0 / finest, 1.0 / (_FINE * span))
    if not 0 < len(tried) < _TRIED:
        return None
    strength = _periodicity(low, tried)
    least = math.sqrt((math.log(len(tried)) + _SURE) / len(low))
    if strength.max() < least:
        return None
    at = int(np.flatnonzero(strength >= 0.85 * strength.max())[0])  # not a harmonic
    frequency, ordered, top = float(tried[at]), np.sort(y[y > 0.0]), float(low.max())
    while True:  # the more cycles, the finer; a change by one cycle over the points so far is not to be missed
        part = ordered[ordered <= top]
        if grain:
            part = part[10.0 ** (np.floor(np.log10(part)) - digits + 1) <= 0.7 / frequency]
        span = float(np.ptp(part))
        for width in (0.6 / span, 0.05 / span):
            near = frequency + np.linspace(-1.0, 1.0, 41) * width
            power = np.abs(np.exp(2j * math.pi * np.outer(near, part)).mean(axis=1))
            frequency = float(near[power.argmax()])
        if top >= ordered[-1] or top * frequency > _REFINED or (grain and span < 0.4 * top):
            break
        top *= 2.0
    if grain:  # to a rounded number, frequencies that add up to 1/grain are the same: the scatter tells them apart
        other, usual = 1.0 / grain - frequency, 1.0 / _scattered(y).per_count
        if other > 0.0 and abs(math.log(other / usual)) < abs(math.log(frequency / usual)):
            frequency = other
        if digits <= _COARSE and abs(math.log(frequency / usual)) > math.log(4.0):
            return None
    return _refined(y, 1.0 / frequency) if not grain or digits > _COARSE else 1.0 / frequency


def _periodicity(y: Array, frequency: Array) -> Array:
    """|Σ exp(2πi f·y)|/n of intensities (n,) at equidistant frequencies (f,), coarse and fine ones multiplied."""
    fine = math.isqrt(len(frequency)) + 1
    coarse, near = (
        np.exp(2j * math.pi * np.outer(each, y)) for each in (frequency[::fine], frequency[:fine] - frequency[0])
    )
    return np.asarray(np.abs(coarse @ near.T).ravel()[: len(frequency)] / len(y))


def _refined(y: Array, quantum: float) -> float:
    """A quantum by least squares of the intensities that are multiples of it, the larger ones as soon as it is sure."""
    for most in (_REFINED, _REFINED, 10.0 * _REFINED):
        number = np.round(y / quantum)
        good = (np.abs(y / quantum - number) < _EXACT) & (number > 0.0) & (number <= most)
        if not good.any() or good.sum() < 0.5 * np.sum((number > 0.0) & (number <= most)):
            break
        quantum = float((y * number)[good].sum() / (number**2)[good].sum())
    return quantum


def _scattered(y: Array) -> Noise:
    """Of intensities (n,), by their scatter."""
    level, noise = _levels(y)
    order = np.argsort(level)
    weak = order[: int(0.9 * len(order))]
    bins = np.array_split(weak, max(1, min(_BINS, len(weak) // 8)))
    mean = np.array([float(np.mean(level[part])) for part in bins])
    variance = np.array([_spread(noise[part]) ** 2 for part in bins])
    dark = bool((y < 0.0).any())
    columns = np.column_stack([np.maximum(mean, 0.0), mean**2, np.full(len(mean), 1.0 if dark else -1.0)])
    (quantum, _, constant), rest = _described(columns, variance)
    plain, rest_of_plain = _described(columns[:, :2], variance)
    if not dark and rest > _PLAIN * rest_of_plain:
        quantum, constant = float(plain[0]), 0.0
    usual = variance[mean > 0.0] / mean[mean > 0.0]
    if len(usual) and quantum < _NONE * usual.min():  # noise that grows as the intensity does: the least of it
        quantum = float(usual.min())
    quantum = max(quantum, 1e-9 * float(np.abs(y).max()))
    words = f"The noise is estimated from the scatter: that of counts of {quantum:.3g} each"
    if dark:
        offset = -max(constant / quantum**2, 1.0 - float(y.min()) / quantum)
        words += f" beside {-offset:.3g} of a dark count"
    else:
        offset = min(constant / quantum**2, max(float(y.min()) / quantum - 1.0, 0.0))
        words += f", {offset:.3g} of which were added" if offset > 1.0 else ""
    return Noise(quantum, float(offset), estimated=True, words=f"{words}.")


def _described(columns: Array, variance: Array) -> tuple[Array, float]:
    """Factors, not negative, of columns (n, k) that describe variances (n,) of equal relative errors, and the rest."""
    unit = np.maximum(np.abs(columns).max(axis=0), 1e-300)
    model = np.maximum(columns[:, 0], 1e-12 * columns[:, 0].max() + 1e-300) * float(
        variance.sum() / columns[:, 0].sum()
    )
    rest = math.inf
    for _ in range(_ROUNDS):
        found, rest = nnls(columns / unit / model[:, None], variance / model)
        fitted = columns / unit @ found
        model = np.maximum(fitted, 1e-3 * model)
    return np.asarray(found / unit), float(rest)


def _lowest(y: Array) -> NDArray[np.int64]:
    """Indices of the lowest positive intensities."""
    order = np.argsort(y, kind="stable")
    order = order[y[order] > 0.0]
    if len(order) and (digits := _digits(y)) <= _COARSE:  # those alone that are written finely enough
        grain = 10.0 ** (np.floor(np.log10(y[order])) - digits + 1)
        order = order[grain <= max(0.25 * _spread(_weak(y)[1]), float(grain[0]))]
    return np.asarray(order[:_LOW][y[order[:_LOW]] <= 20.0 * y[order[0]]] if len(order) else order)


def _digits(y: Array) -> int:
    """Significant digits with which intensities (n,) were written; 9 for more than eight."""
    positive = y[y > 0.0]
    for digits in range(2, 9):
        unit = 10.0 ** (np.floor(np.log10(positive) + 1e-12) - digits + 1)
        if np.all(np.abs(positive / unit - np.round(positive / unit)) < 1e-4):
            return digits
    return 9


def _levels(y: Array) -> tuple[Array, Array]:
    """Means of five neighbours of intensities, and their noise, which what curves leaves alone, (n − 4,) each."""
    return np.convolve(y, np.full(5, 0.2), mode="valid"), np.convolve(y, _DIFFERENCE, mode="valid")


def _spread(noise: Array) -> float:
    """Standard deviation by the median."""
    return 1.4826 * float(np.median(np.abs(noise)))


def _weak(y: Array) -> tuple[Array, Array]:
    """The same of the weaker part of intensities."""
    level, noise = _levels(y)
    weak = level <= np.quantile(level, 0.35)
    return level[weak], noise[weak]


def _added(counts: Array) -> float | None:
    """The constant c that was added to counts (n,), such that they scatter by √(N − c); None if they do not."""
    level, noise = _weak(counts)

    def excess(constant: float) -> float:
        return float(np.median(noise**2 / np.maximum(level - constant, 0.5))) / _MEDIAN

    error = _ERRORS / math.sqrt(len(level))
    if abs(excess(0.0) - 1.0) <= error:
        return 0.0
    low, high = 0.0, float(counts.min())
    if high < 0.0:  # a dark count was taken off
        low, high = -10.0 * float(np.abs(noise).max()) ** 2, high
    elif excess(0.0) > 1.0 or excess(high) < 1.0 - error:
        return 0.0 if _LEAST_SCATTER <= excess(0.0) <= _MOST_SCATTER else None
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if excess(middle) < 1.0 else (low, middle)
    return 0.5 * (low + high)


def _ranges(angle: Array, off: NDArray[np.bool_]) -> tuple[Limits, ...]:
    """Angles that enclose runs of points; single ones between two that are off belong to them."""
    wide = off.copy()
    wide[1:-1] |= off[:-2] & off[2:]
    found = []
    for is_off, run in groupby(range(len(wide)), key=lambda i: bool(wide[i])):
        if is_off:
            some = list(run)
            found.append((float(angle[some[0]]), float(angle[some[-1]])))
    return tuple(found)
