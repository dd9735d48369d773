"""Derivatives of curves with defects: what diffuse scattering and static Debye–Waller factors add to those without.

The kernels of the coherent reflectivity take L of the layer and E of the substrate as two more parameters, from which
the derivatives over densities and radii follow; the diffuse reflectivity is added, and both are linear in what the
instrument sees.
"""

import numpy as np
from numpy.typing import NDArray

from xrdsim.forward.diffuse.beams import exponent_slopes, weakened
from xrdsim.forward.diffuse.scattering import Scattering
from xrdsim.kernels import batch
from xrdsim.kernels.convolve import SCALE, WIDTH, ZERO, Nodes, blur, convolve

Array = NDArray[np.float64]


def join(
    scattering: Scattering,
    rows: Array,
    nodes: Nodes,
    seen_by: tuple[Array, Array, Array],
    codes: NDArray[np.int64],
    results: tuple[Array, Array, Array],
    chunks: int,
) -> tuple[Array, Array, Array, Array]:
    """Reflectivity, intensity of scale 1 and derivatives of the whole curves, the last over the defects.

    Parameters
    ----------
    scattering : at the nodes.
    rows : (n, p) parameters.
    nodes : where the curves are simulated.
    seen_by : sigma and zero [arcsec] and scale, (n,) each.
    codes : of the nuisances.
    results : of ``batch.linearize`` for rows with the columns of ``static_columns``: (n, points), (n, points) and
        (n, p + 2 + nuisances, points).

    Returns
    -------
    (n, points), (n, points), (n, p + nuisances, points), (n, defects, points)
    """
    defects, reflection, size = scattering.experiment.defects, scattering.experiment.reflection, scattering.profile.size
    assert defects is not None
    bare, seen, slope = results
    diffuse, steep = scattering.linearize(rows, chunks)
    reach = slice(nodes.first, nodes.first + nodes.points * nodes.stride, nodes.stride)
    bare, seen = bare + diffuse[:, reach], seen.copy()
    over = np.empty((len(rows), len(defects.names), nodes.points))
    of_l = exponent_slopes(defects, reflection)
    layered = 0 if defects.layer is None else 2
    weaker = weakened(defects, reflection)
    kept = np.delete(slope, (size, size + 1), axis=1)
    first = kept.shape[1] - len(codes)
    for i in range(len(rows)):
        sigma, zero, scale = (float(each[i]) for each in seen_by)
        through = _through(np.concatenate([diffuse[i : i + 1], steep[i]]), nodes, sigma, zero)
        seen[i] += through[0]
        kept[i, :size] += scale * through[1 : 1 + size]
        over[i] = scale * through[1 + size :]
        over[i, :layered] += of_l[:layered, None] * slope[i, size]
        over[i, layered:] -= weaker * of_l[layered:, None] * slope[i, size + 1]
        for j, code in enumerate(codes.tolist()):
            if code in (ZERO, WIDTH):
                kept[i, first + j] += scale * _through(diffuse[i : i + 1], nodes, sigma, zero, code)[0]
            elif code == SCALE:
                kept[i, first + j] += through[0]
    return bare, seen, kept, over


def _through(curves: Array, nodes: Nodes, sigma: float, zero: float, order: int = 0) -> Array:
    """Curves (m, nodes) as the instrument sees them, (m, points), or a derivative of that."""
    out = np.empty((len(curves), nodes.points))
    if order == 0:
        batch.see(curves, nodes, sigma, zero, blur(nodes), out)
    else:
        convolve(curves, nodes, sigma, zero, order, blur(nodes), out)
    return out
