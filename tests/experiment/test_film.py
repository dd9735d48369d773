"""A film on a substrate: against the slow recursion with the rest of the film as one more sublayer, an independent
program, and finite differences."""

from dataclasses import replace

import naive
import numpy as np
import pytest

import xrdsim
from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444, YIG_ON_GGG_444, Film, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Convention, Experiment
from xrdsim.forward.derivatives import linearize
from xrdsim.forward.optics import amplitudes, coupling

ANGLE = Scan(-140.0, 4.018235972, 701).angle
SCAN = Scan(float(ANGLE[0]), 4.018235972, 701)
PARAMS = np.array([0.0131, 0.0017, 5800.0, 3500.0, 0.0048, 4000.0, -500.0])


def slow(h, eps, reflection):
    """R of sublayers from the surface down, the rest of the film and the substrate, by complex recursion."""
    at = amplitudes(ANGLE, reflection, Convention.EXACT)
    h = np.append(h, reflection.film.thickness - h.sum())
    eps = np.append(eps, 0.0)
    total, m = 0.0, abs(np.cos(2 * reflection.theta_bragg))
    for sigma, ratio, weight in zip(at.sigma, at.substrate, (1.0, m), strict=True):
        u, v = ratio.astype(np.clongdouble), np.ones_like(ratio, dtype=np.clongdouble)
        for thickness, e in zip(h[::-1], eps[::-1], strict=True):
            a = at.f - coupling(reflection, Convention.EXACT) * e / (1 + e)
            q = np.sqrt(a * a - sigma * sigma)
            c, s = np.cos(q * thickness), np.sin(q * thickness) / q
            u, v = c * u - 1j * s * (a * u - sigma * v), c * v - 1j * s * (sigma * u - a * v)
        total = total + weight * np.abs(u / v) ** 2
    return np.asarray(total / (1 + m), dtype=float)


def test_layers_agree_with_the_slow_recursion():
    got = xrdsim.simulate(PARAMS, layers=40, fwhm=0, scan=SCAN, reflection=YIG_ON_GGG_444).reflectivity[0]
    expected = slow(*naive.sublayers(PARAMS, 40.0), YIG_ON_GGG_444)
    assert np.all(np.abs(got - expected) <= 1e-8 * expected + 1e-14)


def test_a_film_of_the_substrate_is_no_film(demonstration):
    film = Film(GGG_444.crystal, thickness=20000.0)
    got = xrdsim.simulate(demonstration, fwhm=0, reflection=replace(GGG_444, film=film)).reflectivity
    np.testing.assert_allclose(got, xrdsim.simulate(demonstration, fwhm=0).reflectivity, rtol=1e-7)


def test_a_thick_absorbing_film_hides_the_substrate():
    thick = replace(YIG_ON_GGG_444, film=replace(YIG_ON_GGG_444.film, thickness=1e7))
    chi0 = GGG_444.crystal.chi0
    other = replace(thick, crystal=replace(GGG_444.crystal, chi0=2.0 * chi0.real + 1j * chi0.imag))
    angles = Scan(200.0, 10.0, 200)
    curves = [xrdsim.simulate(PARAMS, fwhm=0, scan=angles, reflection=r).reflectivity for r in (thick, other)]
    assert np.isfinite(curves[0]).all()
    shift = (other.theta_substrate - thick.theta_substrate) / np.pi * 180 * 3600  # the zero is the substrate's
    moved = xrdsim.simulate(PARAMS, fwhm=0, scan=Scan(200.0 + shift, 10.0, 200), reflection=other).reflectivity
    np.testing.assert_allclose(moved, curves[0], rtol=2e-3)


@pytest.mark.filterwarnings("ignore")
def test_an_independent_program_agrees():
    pytest.importorskip("xrayutilities")
    from xrdsim.benchmark.xrayutilities import xrayutilities_curve, xrayutilities_model

    model = xrayutilities_model("DynamicalModel", *naive.sublayers(PARAMS, 20.0), YIG_ON_GGG_444)
    got = xrdsim.simulate(PARAMS, layers=20, fwhm=0, scan=SCAN, reflection=YIG_ON_GGG_444).reflectivity[0]
    difference = np.log10(got) - np.log10(xrayutilities_curve(model, ANGLE, YIG_ON_GGG_444))
    assert np.abs(difference).max() <= 1e-3
    assert np.sqrt(np.mean(difference**2)) <= 3e-4


def test_convolution_resolves_the_fringes_of_the_film():
    def curve_of(grid):
        scan = Scan(float(grid[0]), float(grid[1] - grid[0]), len(grid))
        return xrdsim.simulate(PARAMS, fwhm=0, scan=scan, reflection=YIG_ON_GGG_444).reflectivity[0]

    scan = Scan(-140.0, 4.0, 120)
    for fwhm in (8.0, 30.0):
        got = xrdsim.simulate(PARAMS, fwhm=fwhm, scan=scan, reflection=YIG_ON_GGG_444).intensity[0]
        assert np.abs(np.log10(got / naive.convolve(curve_of, scan.angle, fwhm))).max() <= 3e-4


def test_derivatives():
    rows = np.array([[*PARAMS, 0.3, 0.9]])
    keywords = {"reflection": YIG_ON_GGG_444, "scan": Scan(-140.0, 9.0, 200), "rtol_dex": 1e-8, "fwhm": 20.0}
    slope = linearize(rows, **keywords).slope[0]
    for i in range(9):
        step = 1e-4 * abs(rows[0, i])

        def central(d, i=i):
            moved = np.repeat(rows, 2, axis=0)
            moved[0, i] += d
            moved[1, i] -= d
            up, down = xrdsim.simulate(moved, **keywords).intensity
            return (up - down) / (2 * d)

        expected = (4 * central(step / 2) - central(step)) / 3
        assert np.linalg.norm(slope[:, i] - expected) <= 1e-5 * np.linalg.norm(expected), i


def test_what_a_film_cannot_be():
    with pytest.raises(ParameterError, match="convention exact"):
        xrdsim.simulate(PARAMS, convention="linear", reflection=YIG_ON_GGG_444)
    thin = replace(YIG_ON_GGG_444, film=replace(YIG_ON_GGG_444.film, thickness=5000.0))
    with pytest.raises(ParameterError, match="below the film of 5000 Å"):
        xrdsim.simulate(PARAMS, reflection=thin)
    with pytest.raises(ParameterError, match="below the film of 5000 Å"):
        xrdsim.simulate(PARAMS, experiment=Experiment(thin))
    with pytest.raises(ParameterError, match="thickness -1 Å must be positive"):
        replace(YIG_ON_GGG_444.film, thickness=-1.0)


def test_a_film_is_read_from_toml_and_written(tmp_path):
    table = YIG_ON_GGG_444.to_dict()
    assert Reflection.from_dict(table) == YIG_ON_GGG_444
    film = table["film"]
    path = tmp_path / "yig.toml"
    path.write_text(
        f'[reflection]\ncrystal = "GGG"\nlattice = {GGG_444.crystal.lattice}\nhkl = [4, 4, 4]\nwavelength = 1.54056\n'
        f'chi0 = {table["chi0"]}\nchih = {table["chih"]}\nsource = "test"\n'
        f'[reflection.film]\ncrystal = "YIG"\nlattice = {film["lattice"]}\nthickness = 31500.0\n'
        f'chi0 = {film["chi0"]}\nchih = {film["chih"]}\nsource = "test"\n'
    )
    read = Reflection.from_toml(path)
    assert read.film.thickness == 31500.0
    assert read.film.crystal == replace(YIG_ON_GGG_444.film.crystal, source="test")
    assert "film" not in GGG_444.to_dict()
    assert DEFAULT_SCAN.points == 701
