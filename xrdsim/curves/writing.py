"""Curves as text that is read back exactly."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from xrdsim.curves.columns import refuse
from xrdsim.curves.text.reading import MARK
from xrdsim.files import replacing


def write_curve(path: str | Path, angle: ArrayLike, intensity: ArrayLike) -> None:
    """Write a curve as text that ``read_curve`` reads back exactly; an existing file is replaced.

    Parameters
    ----------
    path : the file.
    angle : (n,) angle from the substrate peak [arcsec], ascending.
    intensity : (n,) intensity in any unit, not negative.

    Raises
    ------
    CurveError
        The arrays do not make a curve.
    OutputError
        The file cannot be written.
    """
    x, y = np.asarray(angle, dtype=np.float64), np.asarray(intensity, dtype=np.float64)
    alike = x.ndim == 1 and x.shape == y.shape and np.isfinite([x, y]).all()
    if not alike or np.any(np.diff(x) <= 0.0) or np.any(y < 0.0):
        refuse(str(path), "not written; give finite columns of one length, angles ascending, intensities ≥ 0")
    body = "".join(f"{a!r} {b!r}\n" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    with replacing(path) as temporary:
        temporary.write_text(f"{MARK}\n# angle[arcsec] intensity\n{body}", encoding="utf-8", newline="\n")
