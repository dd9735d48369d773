"""Loops: diffuse scattering and static Debye–Waller factors against slow formulas, a table, and finite differences."""

import math
from dataclasses import replace

import naive
import numpy as np
import pytest
from command_line import xrd

import xrdsim
from xrdsim.errors import DeviceError, ParameterError
from xrdsim.experiment.crystal import Crystal
from xrdsim.experiment.defects import Defects, Loops
from xrdsim.experiment.reflection import GGG_444, YIG_ON_GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Convention, Experiment
from xrdsim.forward.diffuse.scattering import Scattering
from xrdsim.forward.simulator import Seen, Simulator
from xrdsim.forward.sublayers import Sublayers, simulate_sublayers
from xrdsim.kernels.diffuse import strength
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import TWO_GAUSSIANS

LOOPS = Defects(
    layer=Loops(density=1.5e15, radius=71.6),
    substrate=(Loops(density=3.3e13, radius=50.0), Loops(density=5.7e8, radius=6000.0)),
)
SHORT = Scan(-80.0, 7.0, 220)
GGG_888 = Reflection(replace(GGG_444.crystal, chih=-11.16454e-6 + 3.41817e-6j), (8, 8, 8), GGG_444.wavelength)
GGG_880 = Reflection(
    replace(GGG_444.crystal, chih=-13.55918e-6 + 3.46209e-6j),
    (8, 8, 0),
    GGG_444.wavelength,
    surface=(1, 1, 1),
    geometry="grazing-incidence",
)


def slow(h, eps, angle, reflection, defects=LOOPS, **choices):
    """What ``naive`` makes of the records."""
    given = {
        "layer": (defects.layer.density * 1e-24, defects.layer.radius),
        "substrate": [(each.density * 1e-24, each.radius) for each in defects.substrate],
        "burgers": 0.5 * math.sqrt(3.0) * reflection.crystal.lattice,
        "attenuation": defects.attenuation,
    }
    if not reflection.plain:
        lean = reflection.psi if reflection.geometry == "grazing-exit" else -reflection.psi
        given["gamma"] = math.sin(reflection.theta_bragg + lean), math.sin(reflection.theta_bragg - lean)
    return naive.diffuse(h, eps, angle, reflection=reflection, **given, **choices)


@pytest.mark.parametrize("reflection", [GGG_444, GGG_888, GGG_880, replace(GGG_880, geometry="grazing-exit")])
@pytest.mark.parametrize("attenuation", [1.0, 0.5])
def test_sublayers_scatter_as_the_slow_formulas_say(demonstration, reflection, attenuation):
    h, eps = naive.sublayers(demonstration, 100.0)
    defects = replace(LOOPS, attenuation=attenuation)
    angle = DEFAULT_SCAN.angle
    expected = sum(slow(h, eps, angle, reflection, defects))
    found = np.zeros(len(angle))
    experiment = Experiment(reflection, defects=defects)
    Scattering(experiment, angle, TWO_GAUSSIANS, 8400.0).add_sublayers(h, eps, found)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_curve_of_sublayers_is_weakened_and_scatters(demonstration):
    h, eps = naive.sublayers(demonstration, 100.0)
    experiment = Experiment(defects=LOOPS, layers=100.0)
    strong = 0.5 * (GGG_444.h0 / (2.0 * math.pi) * 0.5 * math.sqrt(3.0) * GGG_444.crystal.lattice) ** 1.5
    factor = np.exp(-strong * 1.5e-9 * 71.6**3 * eps / eps.max())
    below = math.exp(-strong * (3.3e-11 * 50.0**3 + 5.7e-16 * 6000.0**3))
    coherent = naive.reflectivity(h, eps, DEFAULT_SCAN.angle, dw=factor, below=below)
    expected = coherent + sum(slow(h, eps, DEFAULT_SCAN.angle, GGG_444))
    same = xrdsim.simulate(demonstration, experiment=experiment, fwhm=0.0).reflectivity[0]
    largest = naive.strain_max(demonstration)  # of the continuous profile, by which the simulation divides
    assert abs(largest / eps.max() - 1.0) < 1e-3
    np.testing.assert_allclose(same, expected, rtol=1e-3)
    found = simulate_sublayers(Sublayers(h, eps), experiment=experiment, fwhm=0.0)[1]
    np.testing.assert_allclose(found, expected, rtol=2e-7)


def table_strain():
    """Strains of 52 sublayers of 100 Å of the program that made the table: the second Gaussian is cut at its depth."""
    z = (np.arange(52) + 0.5) * 100.0
    p = [0.008094, 0.000943, 5200.0, 3500.0, 0.00255, 3000.0, -50.0]
    first = naive.strain(z, [*p[:4], naive.DMIN, 3000.0, -50.0]) - naive.DMIN  # the second is constant then
    return np.full(52, 100.0), np.where(z < 3000.0, naive.strain(z, p), first)


@pytest.mark.parametrize(
    ("name", "hkl", "chih", "table"),
    [
        (
            "table_444",
            (4, 4, 4),
            -12.66065e-6 + 3.26115e-6j,
            {"chi0": (-2.99636, 5.694), "real": (-2.4703, 3.786), "sigma": (-2.96996, 3.21), "pi": (-1.8459, 11.4)},
        ),
        (
            "table_888",
            (8, 8, 8),
            -11.16454e-6 + 3.41817e-6j,
            {"chi0": (-2.99687, 5.749), "real": (-1.87101, 2.025), "sigma": (-2.91622, 5.28), "pi": (-8.9998, 29.1)},
        ),
    ],
)
def test_a_table_of_another_program(shared_file, name, hkl, chih, table):
    """Reproduced with its own signs; then how far the formulas with the right ones are from it."""
    columns = shared_file("defects.npz")
    values = dict(zip(columns["columns"].tolist(), columns[name].T, strict=True))
    angle = values["angle_arcsec"]
    reflection = Reflection(replace(GGG_444.crystal, chih=chih), hkl, 1.5405)
    h, eps = table_strain()
    old = replace(LOOPS, attenuation=0.5)
    of_substrate, of_layer = slow(h, eps, angle, reflection, old, m=0.88408, table=table)
    hb = reflection.h0 / (2.0 * math.pi) * 0.5 * math.sqrt(3.0) * 12.383
    exponent = [0.5 * each.density * 1e-24 * each.radius**3 * hb**1.5 for each in LOOPS.loops]
    dw, below = np.exp(-exponent[0] * eps / eps.max()), math.exp(-sum(exponent[1:]))
    coherent = naive.reflectivity(
        h,
        eps,
        angle,
        convention="linear",
        reflection=reflection,
        monochromator=0.88408,
        dw=dw,
        below=below,
        table=table,
    )

    def off(found, column):
        return np.abs(found / values[column] - 1.0)

    assert np.median(off(coherent, "coherent")) < 2e-6
    assert np.median(off(of_layer, "diffuse_layer")) < 2e-6
    assert np.median(off(of_substrate, "diffuse_substrate")) < 2e-6
    total = coherent + of_layer + of_substrate
    assert np.median(off(total, "total")) < 2e-6
    assert np.sort(off(total, "total"))[-2] < 1e-5  # the one angle at the very peak apart
    experiment = Experiment(reflection, Convention.LINEAR, 0.88408, defects=old)
    found = np.zeros(len(angle))
    Scattering(experiment, angle, TWO_GAUSSIANS, 8400.0).add_sublayers(h, eps, found)
    assert np.median(off(found, "diffuse")) < 0.03  # constant susceptibilities


def test_averages_over_a_cell_are_integrals():
    place, weight = np.polynomial.legendre.leggauss(2000)
    rng = np.random.default_rng(1)
    for _ in range(60):
        t, a, width = 10.0 ** rng.uniform(-6, -2), 10.0 ** rng.uniform(-5, -4), 10.0 ** rng.uniform(-6, -3)
        d = (t + 0.5 * width * place) ** 2 + a * a
        found = strength.averages(t, a, width, 1.0)
        assert found[0] == pytest.approx(-0.5 * weight @ np.log(d), rel=3e-9)
        assert found[4] == pytest.approx(0.5 * weight @ (a * a / d), rel=1e-6)


def simulator(defects=LOOPS, scan=DEFAULT_SCAN, reflection=GGG_444, **choices):
    convention = Convention.EXACT if reflection.plain else Convention.SECOND_ORDER
    return Simulator(Experiment(reflection, convention, defects=defects, **choices), scan, ParameterSpace())


def seen_by(n, fwhm=38.0):
    return Seen(np.full(n, fwhm), np.full(n, 3.0 if fwhm else 0.0), np.full(n, 0.9), np.full(n, 1e-5))


def test_cells_and_coarse_angles_are_enough(prior):
    """Against 1000 cells at every node, the curve as it is measured."""
    rows, at = prior[:8], simulator()
    nodes = seen_by(8).nodes(np.arange(8), at)
    coherent = simulator(None).curves(rows, seen_by(8))[1]
    found = at.curves(rows, seen_by(8))[1]
    curves = {}
    for cells, strain in ((1000, 0.0), (32, 0.0), (32, 1.8e-4)):
        diffuse = np.zeros((8, len(nodes.angle)))
        Scattering(at.experiment, nodes.angle, TWO_GAUSSIANS, 8400.0, cells, strain).add(rows, 1, diffuse)
        curves[cells, strain] = diffuse[:, nodes.first : nodes.first + 701]
    cells = np.abs(curves[32, 0.0] - curves[1000, 0.0]) / found
    coarse = np.abs(curves[32, 1.8e-4] - curves[32, 0.0]) / found
    assert np.sqrt(np.mean(cells**2, axis=1)).max() < 1e-3
    assert np.sqrt(np.mean(coarse**2, axis=1)).max() < 5e-4  # before the instrument smooths it
    assert np.median(coarse) < 5e-5
    assert np.median(found / coherent) > 1.02


def richardson(function, value, step):
    """Derivative by two central differences, and how far apart they are."""
    wide, narrow = ((function(value + h) - function(value - h)) / (2.0 * h) for h in (step, 0.5 * step))
    return (4.0 * narrow - wide) / 3.0, np.linalg.norm(narrow - wide)


@pytest.mark.parametrize("reflection", [GGG_444, GGG_880])
@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("fwhm", [38.0, 0.0])
def test_derivatives(reflection, damaged, fwhm):
    """Over the profile, the damage, what the instrument adds, densities and radii."""
    row = np.array([0.0101, 0.00143, 5200.0, 3500.0, 0.00255, 3000.0, -500.0])
    row = np.append(row, [0.2, 0.7]) if damaged else row
    seen = seen_by(1, fwhm)
    nuisances = ("fwhm", "zero", "scale", "background") if fwhm else ("scale", "background")
    stretch = reflection.angle_per_strain / GGG_444.angle_per_strain
    scan = Scan(-80.0, 7.0 * stretch, 220)
    at = simulator(scan=scan, reflection=reflection, rtol_dex=1e-7)
    reflectivity, intensity, slope, over = at.linearize_defects(row[None], seen, nuisances)

    def curve(p=row, defects=LOOPS, seen=seen):
        return simulator(defects, scan, reflection, rtol_dex=1e-7).curves(p[None], seen)[1][0]

    np.testing.assert_allclose(intensity[0], curve(), rtol=1e-6)
    np.testing.assert_allclose(reflectivity[0], at.curves(row[None], seen)[0][0], rtol=1e-6)
    for i in range(len(row)):
        expected, change = richardson(lambda x, i=i: curve(np.r_[row[:i], x, row[i + 1 :]]), row[i], 1e-5 * abs(row[i]))
        norm = np.linalg.norm(expected)
        assert np.linalg.norm(slope[0, i] - expected) <= 1e-6 * norm + 3 * change, i
        assert change < 1e-3 * norm
    for i, name in enumerate(nuisances, start=len(row)):
        value = float(getattr(seen, name)[0])
        expected, change = richardson(
            lambda x, name=name: curve(seen=replace(seen, **{name: np.array([x])})), value, 1e-3 * value
        )
        assert np.linalg.norm(slope[0, i] - expected) <= 1e-6 * np.linalg.norm(expected) + 3 * change, name
    for i, value in enumerate(LOOPS.values):

        def changed(x, i=i):
            return curve(defects=LOOPS.with_values([*LOOPS.values[:i], x, *LOOPS.values[i + 1 :]]))

        expected, _ = richardson(changed, value, 1e-3 * value)
        assert np.linalg.norm(over[0, i] - expected) <= 1e-6 * np.linalg.norm(expected), LOOPS.names[i]


def test_public_functions_know_defects(prior):
    experiment = Experiment(defects=LOOPS)
    curves = xrdsim.simulate(prior[:3], experiment=experiment)
    found = xrdsim.linearize(prior[:3], experiment=experiment, nuisances=("scale",))
    np.testing.assert_allclose(found.curves.intensity, curves.intensity, rtol=3e-4)
    assert found.slope.shape == (3, 701, 8)
    one = xrdsim.simulate(prior[1], experiment=experiment)
    np.testing.assert_array_equal(one.intensity[0], curves.intensity[1])


@pytest.mark.parametrize("defects", [replace(LOOPS, layer=None), replace(LOOPS, substrate=()), Defects()])
def test_either_may_be_absent(demonstration, defects):
    at = simulator(defects, SHORT)
    _, intensity, slope, over = at.linearize_defects(demonstration[None], seen_by(1), ("zero",))
    np.testing.assert_allclose(intensity, at.curves(demonstration[None], seen_by(1))[1], rtol=3e-4)
    assert slope.shape == (1, 8, 220)
    assert over.shape == (1, len(defects.names), 220)
    if not defects.loops:
        bare = simulator(None, SHORT).curves(demonstration[None], seen_by(1))[1]
        np.testing.assert_allclose(at.curves(demonstration[None], seen_by(1))[1], bare, rtol=1e-9)


def test_splitting_a_sublayer_changes_little(demonstration):
    """Both beams are absorbed above as they are within, but for the interference at a sublayer's own reflection."""
    h, eps = naive.sublayers(demonstration, 100.0)
    off = {}
    for part in (1.0, 0.5):
        whole, halves = (np.zeros(701) for _ in range(2))
        experiment = Experiment(defects=replace(LOOPS, attenuation=part))
        at = Scattering(experiment, DEFAULT_SCAN.angle, TWO_GAUSSIANS, 8400.0)
        at.add_sublayers(h, eps, whole)
        at.add_sublayers(np.repeat(h / 2, 2), np.repeat(eps, 2), halves)
        off[part] = np.abs(halves / whole - 1.0)
    assert off[1.0].max() < 1e-3
    assert np.median(off[1.0]) < 3e-5
    assert np.median(off[0.5]) > 10.0 * np.median(off[1.0])


def test_files_and_records(tmp_path):
    path = tmp_path / "loops.toml"
    path.write_text(
        "[defects]\npoisson = 0.30\n[defects.layer]\ndensity = 1.5e15\nradius = 71.6\n"
        "[[defects.substrate]]\ndensity = 3.3e13\nradius = 50\n[[defects.substrate]]\ndensity = 5.7e8\nradius = 6e3\n"
    )
    assert Defects.from_toml(path) == LOOPS
    row = {"Dmax1": 0.0113, "D01": 0.0016, "L1": 5400.0, "Rp1": 3300.0, "D02": 0.0042, "L2": 3600.0, "Rp2": -300.0}
    given = [part for name, value in row.items() for part in ("--param", f"{name}={value}")]
    done = xrd("simulate", *given, "--defects", str(path), "-o", str(tmp_path / "c.npz"))
    assert done.exit_code == 0, done.output
    with np.load(tmp_path / "c.npz") as file:
        same = xrdsim.simulate(list(row.values()), experiment=Experiment(defects=LOOPS))
        np.testing.assert_array_equal(file["intensity"], same.intensity)
    assert Defects.from_dict(LOOPS.to_dict()) == LOOPS
    assert Experiment.from_dict(Experiment(defects=LOOPS).to_dict()).defects == LOOPS
    assert "defects" not in Experiment().to_dict()
    assert LOOPS.with_values(list(LOOPS.values)) == LOOPS
    assert LOOPS.names[0] == "density of layer"


def test_what_makes_no_sense_is_refused(demonstration):
    for make, words in (
        (lambda: Loops(density=-1.0, radius=50.0), "density = -1"),
        (lambda: Loops(density=1.0, radius=0.0), "radius = 0"),
        (lambda: Defects(poisson=0.6), "poisson = 0.6"),
        (lambda: Defects(attenuation=2.0), "attenuation = 2"),
        (lambda: Defects(burgers=0.0), "burgers = 0"),
        (lambda: Defects.from_dict({"layers": {}}), "no entry 'layers'"),
        (lambda: Defects.from_dict({"layer": {"density": 1.0}}), "incomplete"),
        (lambda: LOOPS.with_values([1.0]), "1 values for"),
        (lambda: Experiment(YIG_ON_GGG_444, defects=LOOPS), "without a film"),
    ):
        with pytest.raises(ParameterError, match=words):
            make()
    hexagonal = Crystal("4H-SiC", (3.07, 3.07, 10.05, 90.0, 90.0, 120.0), -2e-5 + 3e-7j, -1e-5 + 3e-7j, "a test")
    with pytest.raises(ParameterError, match="give the length of the Burgers vector"):
        Experiment(Reflection(hexagonal, (0, 0, 4), 1.54056), defects=LOOPS)
    with pytest.raises(DeviceError):
        xrdsim.simulate(demonstration, experiment=Experiment(defects=LOOPS), device="cuda")
