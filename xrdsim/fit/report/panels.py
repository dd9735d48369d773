"""Panels of the figure of a fit: a curve with its model, what is left of it, and the profiles of strain and damage."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xrdsim.curves.record import LeftOut
from xrdsim.experiment.instrument import Instrument
from xrdsim.experiment.scan import DEFAULT_SCAN
from xrdsim.experiment.setup import Experiment
from xrdsim.fit.measurement import everywhere
from xrdsim.fit.result import CurveFit, Fit, FittedCurve, Minimum, Resolution, Verdict
from xrdsim.forward.derived import depth_end, strain_profile
from xrdsim.forward.simulator import Simulator
from xrdsim.observation.observer import Observer
from xrdsim.plotting import BAND, LEFT_OUT, MEASURED, MODEL, PALETTE, SECOND, angle_axes, profile_axes, shade
from xrdsim.profiles.space import MOST_STRAIN, ParameterSpace, profile_of

Array = NDArray[np.float64]
Numbered = tuple[int, Minimum]

_ROUGH = 1e-3  # accuracy of the curves of other minima [dex]
_OTHERS = tuple(PALETTE[i] for i in (2, 3, 5, 6, 7))
_DIFFERENT = 0.02  # RMS [dex], or part of the largest strain, from which on another minimum is drawn
_OUTSIDE = 0.35  # opacity of a model where it was not fitted
_BAND = 2.0  # standard deviations of the band about 0
_RULER = 0.022  # of the height of the panel, at which the resolution is drawn
_LEAST_SIGMA, _LEAST_DEX = 4.0, 0.05  # least ends of the axis of residuals
_MARKS = {
    LeftOut.MASK: "o",
    LeftOut.SIDE: "<",
    LeftOut.EXCLUDED: "x",
    LeftOut.SATURATED: "s",
    LeftOut.EDITED: "D",
    LeftOut.OUTLIER: "+",
}
_LAST = ("left out", "not shown", "no counts")  # in a legend
_LINE = 0.235  # height of a line of a legend [inch]


def draw_curve(axes: Axes, fit: Fit, curve: CurveFit, others: Sequence[Numbered]) -> None:
    """Measured points with the model and those of other minima; what is left out is grey, and the legend says why."""
    shown, used = curve.shown, curve.shown.used
    positive = shown.measured > 0.0
    shade(axes, shown.angle, ~used)
    for why, angle, intensity in _left_out(curve):
        drawn = intensity > 0.0
        if drawn.any():
            axes.semilogy(
                angle[drawn],
                intensity[drawn],
                _MARKS[why],
                ms=4,
                mew=0.8,
                mfc="none",
                color=LEFT_OUT,
                label=f"left out: {why}",
            )
    what = "measured" if curve.fitted else "measured, not fitted"
    axes.semilogy(
        shown.angle[used & positive], shown.measured[used & positive], ".", ms=4, mew=0, color=MEASURED, label=what
    )
    for i, each in others:
        seen = _seen(fit, each)
        if np.sqrt(np.mean(np.log10(seen[used] / shown.model[used]) ** 2)) > _DIFFERENT:
            axes.semilogy(shown.angle, seen, "-", lw=0.8, color=_color(i), label=_another(i))
    draw_model(axes, shown, 1.0, MODEL)
    if (zero := used & ~positive).any():
        ticks, low = axes.get_xaxis_transform(), np.full(zero.sum(), 0.012)
        axes.plot(shown.angle[zero], low, "|", ms=5, color=MEASURED, transform=ticks, label="no counts")
    if beyond := sum(why is LeftOut.REACH for *_, why in curve.aside):
        axes.plot([], [], " ", label=f"not shown: {beyond} points beyond the reach of strain")
    angle_axes(axes, "intensity")
    axes.set_xlabel("")
    legend(axes, 2)


def draw_model(axes: Axes, curve: FittedCurve, factor: float, color: Any) -> None:
    """The model, pale where it was not fitted."""
    axes.semilogy(curve.angle, factor * curve.model, "-", lw=1.1, color=color, alpha=_OUTSIDE)
    fitted = np.where(curve.used, factor * curve.model, np.nan)
    axes.semilogy(curve.angle, fitted, "-", lw=1.3, color=color, label="model")


def draw_residual(axes: Axes, curve: CurveFit) -> None:
    """What the model leaves, in standard deviations where the noise is known, else in dex; ends of the axis are marked.

    Points that were not fitted are grey.
    """
    shown = curve.shown
    known = bool(np.isfinite(shown.residual).any())
    rest = shown.residual if known else _dex(shown)
    size = np.abs(rest[shown.used])
    limit = max(_LEAST_SIGMA if known else _LEAST_DEX, 1.1 * float(min(size.max(), 3.0 * np.quantile(size, 0.98))))
    shade(axes, shown.angle, ~shown.used)
    if known:
        axes.axhspan(-_BAND, _BAND, color=BAND, lw=0, zorder=0.6)
        axes.annotate(
            f"±{_BAND:g}σ", (1.0, 0.0), xycoords=("axes fraction", "data"), xytext=(3, 0), textcoords="offset points",
            va="center", fontsize=8, color=LEFT_OUT, annotation_clip=False,
        )  # fmt: skip
    axes.axhline(0.0, color=MODEL, lw=1.0)
    for kept, color in ((~shown.used, LEFT_OUT), (shown.used, MEASURED)):
        for mark, some in ((".", np.abs(rest) <= limit), ("^", rest > limit), ("v", rest < -limit)):
            at = kept & some
            if at.any():
                axes.plot(
                    shown.angle[at], np.clip(rest[at], -0.97 * limit, 0.97 * limit), mark, ms=3, mew=0, color=color
                )
    axes.set_ylim(-limit, limit)
    estimated = ", estimated" if curve.estimated else ""
    angle_axes(axes, f"residual\n[σ{estimated}]" if known else "log$_{10}$\nmeasured/model")


def draw_strain(axes: Axes, fit: Fit, others: Sequence[Numbered]) -> None:
    """The strain with its bands, and that of other minima that differ."""
    _bands(axes, fit.depth, 100.0 * fit.band)
    shown = "estimate" if fit.verdict == Verdict.ESTIMATE else "best"
    axes.plot(fit.depth, 100.0 * fit.strain, color=SECOND, lw=1.8, label=shown, zorder=2.1)
    space, most = _space(fit), fit.strain.max()
    for i, each in others:
        depth = np.linspace(0.0, max(fit.depth[-1], 1.02 * depth_end(each.values, space=space)[0]), 2 * len(fit.depth))
        strain = strain_profile(each.values, depth, space=space)[0]
        if np.abs(strain - np.interp(depth, fit.depth, fit.strain, right=0.0)).max() > _DIFFERENT * most:
            axes.plot(depth, 100.0 * strain, "--", lw=1.0, color=_color(i), label=_another(i))
    profile_axes(axes)
    if fit.resolution is not None:
        _ruler(axes, fit.resolution)
    legend(axes, 3 if len(axes.lines) < 2 else 2)


def _ruler(axes: Axes, resolution: Resolution) -> None:
    """A ruler along the depth, each part as long as the resolution at its middle; none where nothing is resolved."""
    depth, width = resolution.depth, resolution.width
    marks = [0.0]
    while True:
        length = 2.0 * (depth - marks[-1])  # of a part with its middle at each depth
        fits = np.flatnonzero((length > 0.0) & (width <= length) & (marks[-1] + length <= depth[-1] * (1.0 + 1e-9)))
        if not len(fits):
            break
        marks.append(marks[-1] + float(length[fits[0]]))
    if len(marks) > 1:
        across = axes.get_xaxis_transform()  # depth, and part of the height
        axes.plot(marks, [_RULER] * len(marks), "-|", ms=5, lw=0.7, mew=0.8, color=LEFT_OUT, transform=across,
                  label="resolution", zorder=1.5)  # fmt: skip


def draw_damage(axes: Axes, fit: Fit) -> None:
    """The static Debye–Waller factor with its bands."""
    assert fit.damage is not None
    assert fit.damage_band is not None
    _bands(axes, fit.depth, fit.damage_band)
    axes.plot(fit.depth, fit.damage, color=SECOND, lw=1.8)
    profile_axes(axes)
    low = float(fit.damage_band.min())
    axes.set_ylim(max(0.0, low - 0.12 * (1.0 - low) - 0.002), 1.0 + 0.05 * (1.0 - low) + 0.001)
    axes.set_ylabel("Debye–Waller\nfactor E")


def legend(axes: Axes, columns: int = 1) -> None:
    """A legend above everything drawn, for which the axis is made longer; what is left out comes last."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i].startswith(_LAST))
    lines = -(-len(labels) // columns)
    height = axes.get_position().height * cast(Figure, axes.figure).get_figheight()
    part = min((_LINE * lines + 0.1) / height, 0.5)
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        axes.set_ylim(low, low * (high / low) ** (1.0 / (1.0 - part)))
    else:
        axes.set_ylim(low, low + (high - low) / (1.0 - part))
    drawn = axes.legend(
        [handles[i] for i in order], [labels[i] for i in order],
        frameon=False, loc="upper right", fontsize=9, ncols=columns, markerscale=1.3, columnspacing=1.2,
        borderaxespad=0.1,
    )  # fmt: skip
    for text in drawn.texts:
        text.set_parse_math(False)


def _bands(axes: Axes, depth: Array, band: Array) -> None:
    lowest, low, high, highest = band
    if not (lowest < highest).any():  # an estimate that does not say how certain it is
        return
    axes.fill_between(depth, lowest, highest, color=SECOND, alpha=0.14, lw=0, label="95 %")
    axes.fill_between(depth, low, high, color=SECOND, alpha=0.3, lw=0, label="68 %")


def _left_out(curve: CurveFit) -> list[tuple[LeftOut, Array, Array]]:
    """Why points were left out, their angles and intensities."""
    shown = curve.shown
    angle = np.concatenate([shown.angle, [each[0] for each in curve.aside]])
    intensity = np.concatenate([shown.measured, [each[1] for each in curve.aside]])
    reasons = np.array([*shown.left_out.tolist(), *(str(each[2]) for each in curve.aside)])
    return [(why, angle[reasons == why], intensity[reasons == why]) for why in _MARKS if (reasons == why).any()]


def _dex(shown: FittedCurve) -> Array:
    """log10 measured/model; where nothing was measured, that of half the least intensity."""
    least = 0.5 * np.min(shown.measured[shown.measured > 0.0])
    return np.asarray(np.log10(np.maximum(shown.measured, least) / shown.model))


def _another(i: int) -> str:
    return f"no. {i + 1} of the minima, as good"


def _seen(fit: Fit, minimum: Minimum) -> Array:
    """Model of another minimum at all angles, scale and background chosen to come near the best model."""
    experiment = Experiment.from_dict(fit.settings).within(_ROUGH)
    instrument = Instrument.from_dict(fit.settings["instrument"])
    observer = Observer(Simulator(experiment, DEFAULT_SCAN, _space(fit)), instrument)
    every = list(minimum.instrument.values())  # those of the first measurement, and of loops
    own = np.array([every[: 1 + len(instrument.parameters)] + every[len(every) - len(fit.defects) :]])
    curve = everywhere(observer, fit.angle, np.array([minimum.values]), own)
    columns = np.column_stack([curve, np.ones_like(curve), fit.angle])
    columns = columns if fit.settings["background"] == "linear" else columns[:, :2]
    used = fit.used
    near = np.linalg.lstsq(columns[used] / fit.model[used, None], np.ones(used.sum()))[0]
    return np.asarray(np.maximum(columns @ near, 1e-3 * fit.model.min()))


def _space(fit: Fit) -> ParameterSpace:
    """The ranges of the fit, their sum of strains unbounded."""
    low, high = zip(*fit.settings["ranges"].values(), strict=True)
    return ParameterSpace(low, high, strain_sum=2.0 * MOST_STRAIN, profile=profile_of(fit.settings))


def _color(i: int) -> str:
    return _OTHERS[(i - 1) % len(_OTHERS)]
