"""From one shape of a profile to another: the spline that is nearest to the profile on the page."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from xrdml.app.model.document import Document
from xrdml.app.model.posing import Posed, posed
from xrdsim.fit.freeform.starts import projected
from xrdsim.forward.derived import depth_end, strain_profile
from xrdsim.profiles.spline import Spline

_POINTS = 300
_BEYOND = 1.08  # of the depth of a layer, where a spline with a smooth end may end


def to_spline(before: Document, problem: Posed, after: Document, folder: Path) -> Document:
    """A document of a spline with the profile of another document.

    Parameters
    ----------
    before, problem : the other document, and its problem.
    after : that of the spline, whose values are replaced.
    folder : temporary.
    """
    space = problem.given.space
    row = problem.row(before)
    params = row[:, problem.given.layout.profile]
    end = float(depth_end(params, space=space)[0])
    depth = np.linspace(0.0, 1.5 * end, _POINTS)
    strain = strain_profile(params, depth, space=space)[0]
    target = posed(after, folder)
    reach = end * (_BEYOND if after.end == "smooth" and before.shape != "spline" else 1.0)
    damage = np.array([each.value for name, each in before.profiles[before.shape].items() if name in ("kappa", "p")])
    own = row[0, problem.given.layout.profile.stop :]
    found = target.given.params(projected(target.given, depth, strain, reach, damage, own))[0]
    names = target.given.space.names
    return replace(after.with_values(dict(zip(names, found.tolist(), strict=True))), shape="spline")


def abscissae(document: Document) -> list[float]:
    """Places of the control points of a spline in parts of L, the means of three knots each (T. N. E. Greville)."""
    from xrdml.app.model.posing import profile_of

    family: Spline = profile_of(document).family
    intervals = family.number + family.zeros - 3
    knots = np.clip(np.arange(-3, intervals + 4), 0, intervals) / intervals
    return [float(np.mean(knots[i + 1 : i + 4])) for i in range(family.number)]
