"""The simulator behind the public functions: one experiment on one scan, for samples that were checked before.

A fit calls it at every step; ``xrdsim.simulate`` and ``xrdsim.linearize`` check their arguments and call it once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward import cuda as cards
from xrdsim.forward.diffuse.derivatives import join
from xrdsim.forward.diffuse.scattering import Scattering, static_columns
from xrdsim.forward.nodes import grid_and_cluster
from xrdsim.forward.nodes import nodes as instrument_nodes
from xrdsim.forward.prepare import Forward, Task, by_thickness, chunks, has_damage, prepare
from xrdsim.kernels import batch
from xrdsim.kernels.convolve import BACKGROUND, SCALE, WIDTH, ZERO, Nodes
from xrdsim.limits import afford
from xrdsim.profiles.space import ParameterSpace
from xrdsim.units import FWHM_TO_SIGMA

Array = NDArray[np.float64]

NUISANCES = {"zero": ZERO, "fwhm": WIDTH, "scale": SCALE, "background": BACKGROUND}
"""What else a measured curve depends on, and its number in the kernels."""

_ROWS = 4096  # rows simulated at once: bounds the memory of the nodes beside the result


@dataclass(frozen=True)
class Seen:
    """How each of n samples is measured: FWHM and zero [arcsec], scale and background of its intensity, (n,) each."""

    fwhm: Array
    zero: Array
    scale: Array
    background: Array

    @classmethod
    def unscaled(cls, fwhm: Array, zero: Array) -> "Seen":
        """Of scale 1, without a background."""
        each = np.ascontiguousarray(fwhm), np.ascontiguousarray(zero)
        return cls(*each, np.ones(len(fwhm)), np.zeros(len(fwhm)))

    def of(self, some: NDArray[np.int64] | slice) -> "Seen":
        """Of some of the samples."""
        return Seen(self.fwhm[some], self.zero[some], self.scale[some], self.background[some])

    def kinds(self) -> list[NDArray[np.int64]]:
        """Indices of the samples with an instrument, and of those without, where there are any."""
        blurred = self.fwhm > 0.0
        return [some for some in (np.flatnonzero(blurred), np.flatnonzero(~blurred)) if len(some)]

    def nodes(self, some: NDArray[np.int64], simulator: "Simulator") -> Nodes:
        """Where some of the samples must be simulated."""
        return instrument_nodes(
            simulator.scan,
            simulator.experiment.reflection,
            narrowest=self.fwhm[some].min(),
            widest=self.fwhm[some].max(),
            zero=float(np.abs(self.zero[some]).max()),
            thickness=simulator.space.thickest,
        )


@dataclass(frozen=True, eq=False)
class Simulator:
    """Curves and derivatives of one experiment on one scan.

    Attributes
    ----------
    experiment, scan : what is simulated.
    space : of what profiles; all rows lie in it.
    device, precision : as of ``xrdsim.simulate``.
    """

    experiment: Experiment
    scan: Scan
    space: ParameterSpace
    device: str = "cpu"
    precision: str = "double"

    def within(self, rtol_dex: float) -> "Simulator":
        """The same with another accuracy [dex]."""
        experiment = self.experiment.within(rtol_dex)
        return self if experiment is self.experiment else replace(self, experiment=experiment)

    def among(self, values: list[float]) -> "Simulator":
        """The same with other densities and radii of the loops, in the order of ``Defects.names``."""
        experiment = self.experiment
        assert experiment.defects is not None
        return replace(self, experiment=replace(experiment, defects=experiment.defects.with_values(values)))

    def curves(self, rows: Array, seen: Seen) -> tuple[Array, Array]:
        """Reflectivity and measured intensity, (n, angle) each, of rows (n, p)."""
        if self.device == "cuda":
            return self._curves_on_card(rows, seen)
        n, scan = len(rows), self.scan
        reflectivity, intensity = np.empty((n, scan.points)), np.empty((n, scan.points))
        damaged = has_damage(rows, self.space.profile)
        blurred = seen.fwhm > 0.0
        if blurred.any():
            indices = np.flatnonzero(blurred)
            nodes = seen.nodes(indices, self)
            afford(
                16.0 * min(n, _ROWS) * len(nodes.angle), f"{n} curves at {len(nodes.angle)} angles about the instrument"
            )
            for part in np.array_split(indices, -(-len(indices) // _ROWS)):
                at_nodes = self._reflect(rows[part], damaged, *grid_and_cluster(nodes))
                reflectivity[part] = at_nodes[:, nodes.first : nodes.first + scan.points * nodes.stride : nodes.stride]
                measured = np.empty((len(part), scan.points))
                batch.measure(
                    at_nodes,
                    nodes,
                    seen.fwhm[part] * FWHM_TO_SIGMA,
                    seen.zero[part],
                    seen.scale[part],
                    seen.background[part],
                    chunks(len(part)),
                    measured,
                )
                intensity[part] = measured
        sharp = np.flatnonzero(~blurred)
        if len(sharp):
            reflectivity[sharp] = self._reflect(rows[sharp], damaged, scan)
            for shift in np.unique(seen.zero[sharp]):
                part = sharp[seen.zero[sharp] == shift]
                shifted = reflectivity[part]
                if shift != 0.0:
                    shifted = self._reflect(rows[part], damaged, replace(scan, start=scan.start - shift))
                intensity[part] = seen.scale[part, None] * shifted + seen.background[part, None]
        return reflectivity, intensity

    def _reflect(self, rows: Array, damaged: bool, grid: Scan, cluster: Array | None = None) -> Array:
        """Reflectivity (n, nodes)."""
        out = np.empty((len(rows), grid.points + (0 if cluster is None else len(cluster))))
        for some, thickness in by_thickness(rows, self.space.profile, self.space.thickest, self.experiment.layers):
            model = prepare(
                self.scan,
                self.experiment,
                grid=grid,
                cluster=cluster,
                profile=self.space.profile,
                damaged=damaged,
                thickness=thickness,
                precision=self.precision,
            )
            out[some] = reflectivity_of(self._columns(rows[some]), model)
        if self.experiment.defects is not None:
            angle = grid.angle if cluster is None else np.concatenate([grid.angle, cluster])
            self._scattering(angle).add(rows, chunks(len(rows)), out)
        return out

    def _columns(self, rows: Array) -> Array:
        """Rows as the kernels of the coherent reflectivity take them."""
        if self.experiment.defects is None:
            return rows
        return static_columns(rows, self.space.profile, self.experiment)

    def _scattering(self, angle: Array) -> Scattering:
        """Diffuse scattering at the angles [arcsec]; the experiment has defects."""
        return Scattering(self.experiment, angle, self.space.profile, self.space.thickest)

    def _curves_on_card(self, rows: Array, seen: Seen) -> tuple[Array, Array]:
        reflectivity, intensity = (np.empty((len(rows), self.scan.points)) for _ in range(2))
        self.fill(rows, seen, reflectivity, intensity)
        return reflectivity, intensity

    def fill(self, rows: Array, seen: Seen, reflectivity: cards.Out | None, intensity: cards.Out) -> None:
        """Reflectivity, where it is wanted, and intensity from the card, into arrays or tensors (n, angle)."""
        cards.curves(list(self.tasks(rows, seen)), reflectivity, intensity)
        sharp = seen.fwhm == 0.0
        for shift in np.unique(seen.zero[sharp & (seen.zero != 0.0)]):
            some = np.flatnonzero(sharp & (seen.zero == shift))
            moved = replace(self, scan=replace(self.scan, start=self.scan.start - shift))
            cards.curves(list(self._alike(rows, seen, some, seen.nodes(some, moved))), None, intensity)

    def linearize(self, rows: Array, seen: Seen, nuisances: tuple[str, ...]) -> tuple[Array, Array, Array]:
        """Reflectivity and intensity (n, angle), and derivatives (n, k, angle) over parameters and nuisances."""
        if self.experiment.defects is not None:
            return self.linearize_defects(rows, seen, nuisances)[:3]
        (n, size), points = rows.shape, self.scan.points
        codes = np.array([NUISANCES[name] for name in nuisances], dtype=np.int64)
        outs = np.empty((n, points)), np.empty((n, points)), np.empty((n, size + len(nuisances), points))
        reflectivity, unscaled, slope = outs
        if self.device == "cuda":
            cards.linearize(list(self.tasks(rows, seen, derivatives=True)), codes, *outs)
        else:
            for task in self.tasks(rows, seen, derivatives=True):
                batch.linearize(*_arguments(task, codes), task.index, *outs)
        if "fwhm" in nuisances:
            slope[:, size + nuisances.index("fwhm")] *= FWHM_TO_SIGMA
        return reflectivity, seen.scale[:, None] * unscaled + seen.background[:, None], slope

    def linearize_defects(
        self, rows: Array, seen: Seen, nuisances: tuple[str, ...]
    ) -> tuple[Array, Array, Array, Array]:
        """``linearize`` of an experiment with defects, and derivatives (n, defects, angle) over ``Defects.names``.

        The last are per 1/cm³ of a density and per Å of a radius.
        """
        (n, size), points, defects = rows.shape, self.scan.points, self.experiment.defects
        codes = np.array([NUISANCES[name] for name in nuisances], dtype=np.int64)
        names = 0 if defects is None else len(defects.names)
        outs = tuple(np.empty((n, *shape)) for shape in ((points,), (points,), (size + len(codes), points)))
        over = np.empty((n, names, points))
        for task in self.tasks(rows, seen, derivatives=True):
            index = task.index
            bare, whole = np.empty((len(index), points)), np.empty((len(index), points))
            results = bare, whole, np.empty((len(index), size + 2 + len(codes), points))
            batch.linearize(*_arguments(task, codes), np.arange(len(index)), *results)
            seen_by = task.sigma, task.zero, task.scale
            scattering = self._scattering(task.nodes.angle)
            found = join(scattering, rows[index], task.nodes, seen_by, codes, results, chunks(len(index)))
            for out, part in zip((*outs, over), found, strict=True):
                out[index] = part
        reflectivity, unscaled, slope = outs
        if "fwhm" in nuisances:
            slope[:, size + nuisances.index("fwhm")] *= FWHM_TO_SIGMA
        return reflectivity, seen.scale[:, None] * unscaled + seen.background[:, None], slope, over

    def pull_back(self, rows: Array, seen: Seen, nuisances: tuple[str, ...], cotangent: Array) -> Array:
        """Derivatives (n, k) of Σ cotangent·intensity over parameters and nuisances; cotangent (n, angle)."""
        n, size = rows.shape
        out = np.empty((n, size + len(nuisances)))
        if self.device == "cuda" or self.experiment.defects is not None:
            for first in range(0, n, _ROWS):
                part = slice(first, first + _ROWS)
                slope = self.linearize(rows[part], seen.of(part), nuisances)[2]
                out[part] = np.einsum("nkj,nj->nk", slope, cotangent[part])
            return out
        codes = np.array([NUISANCES[name] for name in nuisances], dtype=np.int64)
        for task in self.tasks(rows, seen, derivatives=True):
            result = np.empty((len(task.index), out.shape[1]))
            batch.pull_back(*_arguments(task, codes), cotangent[task.index], result)
            out[task.index] = result
        if "fwhm" in nuisances:
            out[:, size + nuisances.index("fwhm")] *= FWHM_TO_SIGMA
        return out

    def tasks(self, rows: Array, seen: Seen, derivatives: bool = False) -> Iterator[Task]:
        """The samples, those together that are simulated alike; derivatives are of the continuous profile."""
        for some in seen.kinds():
            yield from self._alike(rows, seen, some, seen.nodes(some, self), derivatives)

    def _alike(
        self, rows: Array, seen: Seen, some: NDArray[np.int64], nodes: Nodes, derivatives: bool = False
    ) -> Iterator[Task]:
        """Some of the samples, those together whose layers are about as thick."""
        profile, layers = self.space.profile, None if derivatives else self.experiment.layers
        damaged = profile.holds_damage(rows.shape[1]) if derivatives else has_damage(rows, profile)
        grid, cluster = grid_and_cluster(nodes)
        for of_some, thickness in by_thickness(rows[some], profile, self.space.thickest, layers):
            index = some[of_some]
            model = prepare(
                self.scan,
                self.experiment,
                grid=grid,
                cluster=cluster,
                profile=profile,
                damaged=damaged,
                thickness=thickness,
                precision="double" if derivatives else self.precision,
            )
            sigma, how = seen.fwhm[index] * FWHM_TO_SIGMA, seen.of(index)
            yield Task(self._columns(rows[index]), model, nodes, sigma, how.zero, how.scale, how.background, index)


def _arguments(task: Task, codes: NDArray[np.int64]) -> tuple[object, ...]:
    """What the kernels of derivatives take first."""
    model, number = task.model, chunks(len(task.index))
    most = batch.most_steps(task.rows, model.profile, model.layer, model.accuracy, number)
    engine = (model.profile, model.layer, model.accuracy, model.optics, most, task.nodes)
    return (task.rows, *engine, task.sigma, task.zero, task.scale, codes, number)


def reflectivity_of(rows: Array, model: Forward) -> Array:
    """Reflectivity (n, nodes) of checked rows."""
    out = np.empty((len(rows), model.optics.grid + len(model.optics.cluster_first)))
    number = chunks(len(rows))
    most = batch.most_steps(rows, model.profile, model.layer, model.accuracy, number)
    batch.curves(rows, model.profile, model.layer, model.accuracy, model.optics, most, number, out)
    return out
