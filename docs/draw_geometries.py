"""Draw how a beam meets a crystal, to scale for reflections of GGG: docs/geometries.png.

python docs/draw_geometries.py
"""

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, Rectangle

from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.plotting import MASKED, PALETTE, save_figure

BEAM, LATTICE, CRYSTAL = PALETTE[0], PALETTE[2], MASKED
LEFT, RIGHT, BOTTOM, TOP = -1.75, 1.75, -0.85, 1.62
LENGTH = 1.5  # of a beam
GAP = 0.2  # between lattice planes


def at(degrees, length=1.0):
    """A point in the direction of an angle, counterclockwise from the surface on the right."""
    angle = math.radians(degrees)
    return np.array([length * math.cos(angle), length * math.sin(angle)])


def line(axes, start, end, **style):
    axes.plot([start[0], end[0]], [start[1], end[1]], **style)


def arrow(axes, start, end, color, width=1.8, style="-|>"):
    axes.annotate(
        "",
        end,
        start,
        arrowprops={"arrowstyle": style, "color": color, "lw": width, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 14},
    )


def arc(axes, first, last, radius, text, color, beside=0.15, turned=0.0, centre=(0.0, 0.0)):
    """An arc from one angle to another and its name in the middle, turned along it by so many degrees."""
    axes.add_patch(Arc(centre, 2 * radius, 2 * radius, theta1=first, theta2=last, color=color, lw=1.3))
    place = np.add(centre, at(0.5 * (first + last) + turned, radius + beside))
    axes.text(*place, text, color=color, ha="center", va="center", fontsize=12)


def empty(axes, title, below):
    axes.set(xlim=(LEFT, RIGHT), ylim=(BOTTOM, TOP), aspect="equal")
    axes.axis("off")
    axes.set_title(title, fontsize=12, fontweight="bold", pad=3)
    axes.text(0.5 * (LEFT + RIGHT), BOTTOM - 0.08, below, ha="center", va="top", fontsize=10.5)


def planes(axes, tilt):
    """A crystal below the surface, and lattice planes tilted to it."""
    body = Rectangle((LEFT, BOTTOM), RIGHT - LEFT, -BOTTOM, color=CRYSTAL, alpha=0.55, lw=0)
    axes.add_patch(body)
    along, across = at(tilt, 4.0), at(tilt + 90.0)
    for i in range(-12, 13):
        middle = (i - (0.5 if tilt == 0.0 else 0.0)) * GAP * across
        (drawn,) = axes.plot(
            [middle[0] - along[0], middle[0] + along[0]], [middle[1] - along[1], middle[1] + along[1]], color=LATTICE,
            lw=0.9,
        )  # fmt: skip
        drawn.set_clip_path(body)
    line(axes, (LEFT, 0.0), (RIGHT, 0.0), color="black", lw=1.6)


def geometry(axes, title, reflection):
    """One geometry, to scale."""
    theta, psi = math.degrees(reflection.theta_bragg), math.degrees(reflection.psi)
    omega = math.degrees(math.asin(reflection.beams[0]))
    tilt = theta - omega  # of the planes, rising to the right
    planes(axes, tilt)
    out = 2.0 * theta - omega
    line(axes, (0.0, 0.0), at(-omega, 0.8), color=BEAM, lw=1.2, ls=":")
    arrow(axes, at(180.0 - omega, LENGTH), at(180.0 - omega, 0.02), BEAM)
    arrow(axes, at(out, 0.02), at(out, LENGTH), BEAM)
    line(axes, (0.0, 0.0), (0.0, 1.4), color="black", lw=1.2, ls="--")
    beside = 0.13 if abs(tilt) < 1.0 else 0.0
    axes.text(beside, 1.42, "n, h" if beside else "n", ha="center", va="bottom", fontsize=12)
    if abs(tilt) > 1.0:
        arrow(axes, (0.0, 0.0), at(90.0 + tilt, 1.15), LATTICE, 1.6)
        axes.text(*at(90.0 + tilt, 1.27), "h", color=LATTICE, ha="center", va="center", fontsize=12)
        ends = sorted((90.0, 90.0 + tilt))
        arc(axes, *ends, 0.8, "ψ", LATTICE, 0.13)
    else:
        arrow(axes, (0.0, 0.0), (0.0, 1.15), LATTICE, 1.6)
    arc(axes, 180.0 - omega, 180.0, 0.85 if omega < 60.0 else 0.45, "ω", BEAM, 0.15)
    arc(axes, -omega, out, 0.55, "2θ", BEAM, 0.18, turned=12.0 if title == "symmetric" else 0.0)
    if title == "grazing-exit":
        axes.texts[-1].set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.5})
    if title == "symmetric":
        name = {"color": BEAM, "fontsize": 10.5, "ha": "center", "va": "bottom"}
        axes.text(*at(180.0 - omega, LENGTH + 0.06), "incident", **name)
        axes.text(*at(out, LENGTH + 0.06), "diffracted", **name)
        axes.text(LEFT + 0.05, 0.04, "surface", fontsize=10.5, va="bottom")
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text(LEFT + 0.08, -0.5, "lattice planes", color=LATTICE, fontsize=10.5, va="center", bbox=box)
    empty(
        axes,
        title,
        f"{reflection.name}: ω = {omega:.1f}°, 2θ = {2 * theta:.1f}°" + (f", ψ = {psi:.1f}°" if psi else ""),
    )


def miscut(axes):
    """The same from the side, and from above."""
    centre, lean = np.array([-0.95, 0.0]), 14.0
    half = 0.75
    low, high = centre - at(-lean, half), centre + at(-lean, half)
    axes.fill([low[0], high[0], high[0], low[0]], [low[1], high[1], BOTTOM, BOTTOM], color=CRYSTAL, alpha=0.55, lw=0)
    line(axes, low, high, color="black", lw=1.6)
    line(axes, centre + at(180.0, half), centre + at(0.0, half), color=LATTICE, lw=1.3, ls="--")
    line(axes, centre, centre + at(90.0, 1.15), color=LATTICE, lw=1.3, ls="--")
    arrow(axes, centre, centre + at(90.0 - lean, 1.15), "black", 1.5)
    axes.text(*(centre + at(90.0 - lean, 1.27)), "n", ha="center", va="center", fontsize=12)
    arc(axes, 90.0 - lean, 90.0, 0.8, "miscut", "black", 0.13, turned=-29.0, centre=centre)
    arrow(axes, centre + at(155.0, 0.95), centre + at(155.0, 0.05), BEAM)
    axes.text(centre[0], BOTTOM + 0.33, "true surface: solid", ha="center", fontsize=9.5)
    axes.text(centre[0], BOTTOM + 0.13, "--surface: dashed", ha="center", fontsize=9.5, color=LATTICE)
    axes.text(centre[0], TOP - 0.24, "from the side", ha="center", fontsize=10.5)
    middle, radius, turned = np.array([0.92, 0.35]), 0.62, 50.0
    axes.add_patch(Circle(middle, radius, facecolor=CRYSTAL, alpha=0.55, lw=0))
    axes.add_patch(Circle(middle, radius, facecolor="none", edgecolor="black", lw=1.2))
    arrow(axes, middle - (1.0, 0.0), middle - (0.03, 0.0), BEAM)
    line(axes, middle, middle + at(0.0, radius + 0.08), color=BEAM, lw=1.2, ls=":")
    arrow(axes, middle, middle + at(turned, radius), "black", 1.5)
    axes.text(*(middle + at(turned, radius + 0.12)), "n", ha="center", va="center", fontsize=12)
    arc(axes, 0.0, turned, 0.34, "azimuth", "black", 0.0, centre=middle)
    axes.texts[-1].set(position=middle + at(-84.0, 0.2))
    axes.text(middle[0], TOP - 0.24, "from above", ha="center", fontsize=10.5)
    axes.text(middle[0], BOTTOM + 0.33, "0°: incidence grazes more", ha="center", fontsize=9.5)
    axes.text(middle[0], BOTTOM + 0.13, "180°: exit grazes more", ha="center", fontsize=9.5)
    empty(axes, "Miscut and azimuth", "the miscut is drawn far too large")


def main():
    crystal = GGG_444.crystal
    inclined = {"surface": (1, 1, 1)}
    figure = Figure(figsize=(7.4, 6.5), layout="constrained")
    axes = figure.subplots(2, 2).flat
    geometry(axes[0], "symmetric", GGG_444)
    for each, name in ((axes[1], "grazing-incidence"), (axes[2], "grazing-exit")):
        geometry(each, name, Reflection(crystal, (8, 8, 0), GGG_444.wavelength, geometry=name, **inclined))
    miscut(axes[3])
    return save_figure(figure, Path(__file__).with_name("geometries.png"))


if __name__ == "__main__":
    print(main())
