"""Draw the strain profile of two Gaussians with the parameters that describe it: docs/profile.png.

python docs/draw_profile.py
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from xrdsim import strain_profile
from xrdsim.plotting import MASKED, MODEL, PALETTE, profile_axes, save_figure
from xrdsim.profiles.two_gaussians import NAMES

SAMPLE = dict(zip(NAMES, (0.0120, 0.0028, 5600.0, 3000.0, 0.0046, 3900.0, -300.0), strict=True))
FIRST, SECOND = PALETTE[0], PALETTE[2]


def arrow(axes, start, end, text, at, color="black"):
    """A double arrow with a name beside it."""
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "<->", "color": color, "lw": 1.1, "shrinkA": 0, "shrinkB": 0}
    )
    axes.text(*at, text, color=color, ha="center", va="center", fontsize=11)


def main():
    depth = np.linspace(0.0, 6200.0, 1200)
    top, d01, l1, rp1, d02, l2, rp2 = SAMPLE.values()
    total = 100.0 * strain_profile(list(SAMPLE.values()), depth)[0]
    second_only = 100.0 * (d02 * np.exp(-np.log(d02 / 1e-4) * _shape(depth / l2, l2 / (l2 - 2.0 * rp2))))
    first_only = total - second_only
    figure = Figure(figsize=(8.0, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.fill_between(depth, total, color=MASKED, lw=0, alpha=0.6)
    axes.plot(depth, total, color=MODEL, lw=2.0, label="ε(z) = D1(z) + D2(z)")
    axes.plot(depth, np.maximum(first_only, 0.0), color=FIRST, lw=1.4, ls="--", label="D1: asymmetric Gaussian")
    axes.plot(
        depth, second_only, color=SECOND, lw=1.4, ls="--", label="D2: from half a Gaussian (Rp2 = 0) to an exponential"
    )
    arrow(axes, (rp1, 0.0), (rp1, 100.0 * top), "Dmax1", (rp1 + 330.0, 55.0 * top), FIRST)
    arrow(axes, (-60.0, 0.0), (-60.0, 100.0 * d01), "D01", (-330.0, 50.0 * d01), FIRST)
    arrow(axes, (-620.0, 0.0), (-620.0, 100.0 * d02), "D02", (-890.0, 50.0 * d02), SECOND)
    for end, name, below, color in ((rp1, "Rp1", -0.16, FIRST), (l1, "L1", -0.32, FIRST), (l2, "L2", -0.48, SECOND)):
        axes.plot([end, end], [0.0, below], color=color, lw=0.8, ls=":")
        arrow(axes, (0.0, below), (end, below), name, (0.5 * end, below + 0.055), color)
    axes.plot(l1, 0.01, "o", ms=4, color=FIRST)
    axes.plot(l2, 0.01, "o", ms=4, color=SECOND)
    axes.annotate(
        "D1 falls to 1e-4", (l1, 0.01), (l1 - 50.0, 0.30), fontsize=9, ha="center", arrowprops={"arrowstyle": "->"}
    )
    axes.annotate(
        "D2 falls to 1e-4", (l2, 0.01), (l2 + 900.0, 0.55), fontsize=9, ha="left", arrowprops={"arrowstyle": "->"}
    )
    axes.text(160.0, 0.06, "Rp2 ≤ 0 sets the shape of D2", color=SECOND, fontsize=9)
    axes.axhline(0.0, color="black", lw=0.8)
    axes.axvline(0.0, color="black", lw=0.8)
    axes.text(-30.0, 1.5, "surface", rotation=90, ha="right", va="top", fontsize=9)
    profile_axes(axes)
    axes.set(xlim=(-1150.0, 6200.0), ylim=(-0.56, 1.6), xlabel="depth z from the surface [Å]", ylabel="strain ε [%]")
    axes.set_yticks([0.0, 0.5, 1.0, 1.5])
    axes.legend(frameon=False, fontsize=9, loc="upper right")
    return save_figure(figure, Path(__file__).with_name("profile.png"))


def _shape(t, u):
    return (u * t + 1.0 - u) * t


if __name__ == "__main__":
    print(main())
