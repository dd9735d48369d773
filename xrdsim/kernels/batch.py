"""Loops over samples: parallel, in chunks with one workspace each. Results do not depend on the number of chunks."""

from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from xrdsim._jit import jit
from xrdsim.kernels.convolve import SCALE, WIDTH, ZERO, Blur, blur, convolve
from xrdsim.kernels.derivatives.jacobian import TURNS, Tangents, reflect_tangents, tangents
from xrdsim.kernels.film import through_film
from xrdsim.kernels.reflectivity import BLOCK, GROUP, MATRIX, PHASES, WORK, aligned, reflect
from xrdsim.kernels.slopes import LEAST, Slopes, at_least, fill_steps_and_slopes, strains_of
from xrdsim.kernels.steps import Steps, count_steps, fill_steps, varies
from xrdsim.profiles import stage


class Workspace(NamedTuple):
    """Arrays of one thread, for samples of up to so many steps."""

    counts: NDArray[np.int64]
    steps: Steps
    substrate: NDArray[np.float64]  # (nodes, 4) amplitude ratio below the strained layer
    work: NDArray[np.float64]
    block: NDArray[np.float64]
    coarse: NDArray[np.float64]
    element: NDArray[np.float64]


@jit
def workspace(most, profile, optics):
    """Make the arrays, of the precision of the optics."""
    kind = optics.table.dtype
    return Workspace(
        np.empty(stage.segments(profile), np.int64),
        Steps(
            np.empty(most, kind), np.empty(most, kind), np.empty(most, kind), np.empty(most, kind), np.empty(most, kind)
        ),
        optics.substrate.copy(),
        aligned(WORK * BLOCK, optics.table),
        aligned(2 * MATRIX * BLOCK, optics.table).reshape(2, MATRIX * BLOCK),
        aligned((len(optics.table) * BLOCK + GROUP) * 2 * MATRIX, optics.table),
        aligned(PHASES * GROUP * 2 * MATRIX, optics.table),
    )


@jit
def curve(p, profile, layer, accuracy, optics, space, out):
    """Reflectivity of one sample at all nodes."""
    count_steps(p, profile, layer, accuracy, space.counts)
    count = fill_steps(p, profile, layer, accuracy, space.counts, space.steps)
    below(optics, space, count)
    reflect(optics, space.steps, count, space.substrate, space.work, space.block, space.coarse, space.element, out)


@jit
def sublayers(h, g, e, profile, optics, out):
    """Reflectivity at all nodes of homogeneous sublayers of thickness h, g(ε) and E (steps,), the surface first."""
    space = workspace(len(h), profile, optics)
    for k in range(len(h)):
        space.steps.h[k], space.steps.g[k], space.steps.e[k] = h[k], g[k], e[k]
        space.steps.alpha[k] = space.steps.beta[k] = 0.0
    below(optics, space, len(h))
    reflect(optics, space.steps, len(h), space.substrate, space.work, space.block, space.coarse, space.element, out)


@jit
def below(optics, space, count):
    """Amplitude ratio below the layer of so many steps: of the substrate, or of the rest of the film on it."""
    if optics.film_thickness > 0.0:
        thickness = 0.0
        for k in range(count):
            thickness += space.steps.h[k]
        through_film(optics, optics.film_thickness - thickness, space.substrate)


@jit(parallel=True)
def most_steps(params, profile, layer, accuracy, chunks):
    """Largest number of steps of any sample."""
    n = len(params)
    most = np.zeros(chunks, np.int64)
    for chunk in prange(chunks):
        counts = np.empty(stage.segments(profile), np.int64)
        for i in range(chunk * n // chunks, (chunk + 1) * n // chunks):
            most[chunk] = max(most[chunk], count_steps(params[i], profile, layer, accuracy, counts))
    return most.max()


@jit(parallel=True)
def curves(params, profile, layer, accuracy, optics, most, chunks, out):
    """Reflectivity (n, nodes) of parameters (n, 7 or 9)."""
    n = len(params)
    for chunk in prange(chunks):
        space = workspace(most, profile, optics)
        for i in range(chunk * n // chunks, (chunk + 1) * n // chunks):
            curve(params[i], profile, layer, accuracy, optics, space, out[i])


@jit
def make_slopes(most, size, layer):
    """Make the arrays for derivatives of up to so many steps over ``size`` parameters."""
    plain, mixed = (0, most) if varies(layer) else (most, 0)
    turns = -(-(size - strains_of(layer, size) + 1 + (layer.own > 0)) // TURNS) * TURNS
    return Slopes(
        np.zeros((plain, size)),
        np.zeros((0, size)),
        np.zeros((0, size)),
        np.zeros((plain, size)),
        np.zeros(size),
        np.zeros((6, size)),
        np.zeros((mixed, size)),
        np.zeros((mixed, size)),
        np.zeros((mixed, 8)),
        np.zeros((mixed, turns, 3)),
    )


class Linear(NamedTuple):
    """Arrays of one thread for derivatives of a curve."""

    space: Workspace
    slopes: Slopes
    tangents: Tangents
    lens: Blur
    at_nodes: NDArray[np.float64]  # (1, nodes)
    gradient: NDArray[np.float64]  # (p, nodes)
    p: NDArray[np.float64]


@jit
def linear(most, size, profile, layer, optics, nodes):
    """Make the arrays."""
    parts = stage.segments(profile)
    bound = most + parts * LEAST
    return Linear(
        workspace(bound, profile, optics),
        make_slopes(bound, size, layer),
        tangents(bound, parts, size, optics),
        blur(nodes),
        np.empty((1, len(nodes.angle))),
        np.empty((size, len(nodes.angle))),
        np.empty(size),
    )


@jit
def linearize_one(params, profile, layer, accuracy, optics, nodes, sigma, zero, scale, nuisance, work, seen, slope):
    """One curve as the instrument sees it, (1, points), and the derivatives (p + nuisances, points) of scale·seen."""
    size = len(params)
    stage.widen(profile, params, work.p)
    count_steps(work.p, profile, layer, accuracy, work.space.counts)
    at_least(LEAST, work.space.counts)
    count = fill_steps_and_slopes(work.p, profile, layer, work.space.counts, work.space.steps, work.slopes)
    below(optics, work.space, count)
    reflect_tangents(
        optics,
        work.space.substrate,
        work.space.counts,
        work.space.steps,
        work.slopes,
        count,
        work.space.block,
        work.tangents,
        work.at_nodes[0],
        work.gradient,
        strains_of(layer, size),
        layer.loops + 1 if layer.loops >= 0 else -1,
        layer.own > 0,
    )
    see(work.at_nodes, nodes, sigma, zero, work.lens, seen)
    see(work.gradient, nodes, sigma, zero, work.lens, slope[:size])
    for j in range(size):
        for k in range(nodes.points):
            slope[j, k] *= scale
    for j in range(len(nuisance)):
        row = slope[size + j : size + j + 1]
        if nuisance[j] == ZERO or nuisance[j] == WIDTH:
            convolve(work.at_nodes, nodes, sigma, zero, nuisance[j], work.lens, row)
            row *= scale
        elif nuisance[j] == SCALE:
            row[0] = seen[0]
        else:
            row[:] = 1.0


@jit(parallel=True)
def linearize(
    params,
    profile,
    layer,
    accuracy,
    optics,
    most,
    nodes,
    sigma,
    zero,
    scale,
    nuisance,
    chunks,
    index,
    reflectivity,
    seen,
    slope,
):
    """Curves of parameters (n, p) as the instrument sees them, and their derivatives.

    Reflectivity (any, points); ``seen`` (any, points) convolved, without scale and background; ``slope`` (any, p +
    nuisances, points) of scale·seen + background, those over the zero (1), sigma (2), scale (3) or background (4) as
    asked. Sample i is number index[i] of them.
    """
    n, size = params.shape
    for chunk in prange(chunks):
        work = linear(most, size, profile, layer, optics, nodes)
        for i in range(chunk * n // chunks, (chunk + 1) * n // chunks):
            to = index[i]
            linearize_one(
                params[i],
                profile,
                layer,
                accuracy,
                optics,
                nodes,
                sigma[i],
                zero[i],
                scale[i],
                nuisance,
                work,
                seen[to : to + 1],
                slope[to],
            )
            see(work.at_nodes, nodes, 0.0, 0.0, work.lens, reflectivity[to : to + 1])


@jit(parallel=True)
def pull_back(
    params,
    profile,
    layer,
    accuracy,
    optics,
    most,
    nodes,
    sigma,
    zero,
    scale,
    nuisance,
    chunks,
    cotangent,
    gradient,
):
    """Derivatives (n, p + nuisances) of Σ cotangent·(scale·seen + background), cotangent (n, points)."""
    n, size = params.shape
    for chunk in prange(chunks):
        work = linear(most, size, profile, layer, optics, nodes)
        seen = np.empty((1, nodes.points))
        slope = np.empty((size + len(nuisance), nodes.points))
        for i in range(chunk * n // chunks, (chunk + 1) * n // chunks):
            linearize_one(
                params[i],
                profile,
                layer,
                accuracy,
                optics,
                nodes,
                sigma[i],
                zero[i],
                scale[i],
                nuisance,
                work,
                seen,
                slope,
            )
            for j in range(len(slope)):
                total = 0.0
                for k in range(nodes.points):
                    total += cotangent[i, k] * slope[j, k]
                gradient[i, j] = total


@jit(parallel=True)
def measure(curves, nodes, sigma, zero, scale, background, chunks, out):
    """Intensities (n, angles) from the reflectivity (n, nodes); sigma, zero, scale, background (n,)."""
    n = len(curves)
    for chunk in prange(chunks):
        space = blur(nodes)
        for i in range(chunk * n // chunks, (chunk + 1) * n // chunks):
            convolve(curves[i : i + 1], nodes, sigma[i], zero[i], 0, space, out[i : i + 1])
            for j in range(nodes.points):
                out[i, j] = scale[i] * out[i, j] + background[i]


@jit
def see(curves, nodes, sigma, zero, lens, out):
    """Curves (m, nodes) as the instrument sees them; without instrument, at the scan's angles."""
    if sigma > 0.0:
        convolve(curves, nodes, sigma, zero, 0, lens, out)
    else:
        for r in range(len(curves)):
            for j in range(nodes.points):
                out[r, j] = curves[r, nodes.first + j * nodes.stride]


@jit(parallel=True)
def peaks(profile, params, depth, out):
    """Depth [Å] of the largest strain of each profile, and this strain, (n,) each."""
    for i in prange(len(params)):
        depth[i] = stage.peak(profile, params[i])
        out[i] = stage.strain(profile, depth[i], params[i])


@jit(parallel=True)
def ends(profile, params, out):
    """Depth [Å] at which each profile ends, (n,)."""
    for i in prange(len(params)):
        out[i] = stage.depth_end(profile, params[i])


@jit(parallel=True)
def profiles(profile, params, depth, out):
    """Strain (n, depths) at the depths [Å]; 0 beyond the end of the layer."""
    for i in prange(len(params)):
        end = stage.depth_end(profile, params[i])
        for j in range(len(depth)):
            out[i, j] = stage.strain(profile, depth[j], params[i]) if depth[j] <= end else 0.0


@jit(parallel=True)
def factors(profile, params, depth, own, out):
    """Static Debye–Waller factor E (n, depths) at the depths [Å]; 1 beyond the end of the layer.

    ``own`` says that it is a function of depth of its own.
    """
    for i in prange(len(params)):
        end = stage.depth_end(profile, params[i])
        top = stage.strain(profile, stage.peak(profile, params[i]), params[i])
        for j in range(len(depth)):
            if depth[j] > end:
                out[i, j] = 1.0
            elif own:
                out[i, j] = stage.own_factor(profile, depth[j], params[i])
            else:
                out[i, j] = stage.factor(profile, stage.strain(profile, depth[j], params[i]), top, params[i])


@jit(parallel=True)
def scatter(rows, index, out):
    """out[index] = rows, of rows (m, points): copied by all threads."""
    for i in prange(len(index)):
        for j in range(rows.shape[1]):
            out[index[i], j] = rows[i, j]
