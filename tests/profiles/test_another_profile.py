"""A profile that is defined outside of the package goes the whole way: nothing there knows two Gaussians alone."""

import subprocess
import sys

import naive
import numpy as np
import pytest
from one_gaussian import FLOOR, ONE_GAUSSIAN, SPACE, D, L, R, plain

import xrdsim
from xrdml.inference.starts import NetworkStarts
from xrdsim.curves.curve import Curve
from xrdsim.dataset.samplers import sample
from xrdsim.dataset.simulation import BASE_FWHM
from xrdsim.errors import ParameterError
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.forward.derivatives import linearize
from xrdsim.forward.derived import UNITS, derived
from xrdsim.forward.prior import draw_prior
from xrdsim.profiles.space import ParameterSpace

ROW = np.array([0.011, 1800.0, 4200.0])
SHORT = Scan(-80.0, 8.0, 250)


@pytest.fixture(scope="module")
def rows():
    return draw_prior(6, space=SPACE, rng=np.random.default_rng(1))


def test_curves_are_those_of_the_slow_recursion(rows):
    found = xrdsim.simulate(rows, fwhm=0.0, space=SPACE).reflectivity
    for row, curve in zip(rows, found, strict=True):
        edges = np.linspace(0.0, row[L], 2001)
        strain = plain(0.5 * (edges[1:] + edges[:-1]), row)
        slow = naive.reflectivity(np.diff(edges), strain, DEFAULT_SCAN.angle)
        assert naive.rms_dex(curve, slow) < 2e-4


@pytest.mark.parametrize("damage", [(), (0.3, 1.5)])
def test_derivatives(damage):
    row, space = np.array([*ROW, *damage]), SPACE.with_damage() if damage else SPACE
    found = linearize(row, space=space, scan=SHORT, rtol_dex=1e-8)
    assert found.names == ("D", "R", "L", "kappa", "p")[: len(row)]
    for j in range(len(row)):
        ends = []
        for size in (1e-3, 5e-4):
            step = np.zeros(len(row))
            step[j] = size * row[j]
            pair = xrdsim.simulate([row + step, row - step], space=space, scan=SHORT, rtol_dex=1e-8).intensity
            ends.append((pair[0] - pair[1]) / (2.0 * step[j]))
        expected = (4.0 * ends[1] - ends[0]) / 3.0
        assert np.linalg.norm(found.slope[0, :, j] - expected) <= 1e-5 * np.linalg.norm(expected)
    assert xrdsim.jacobian(row, space=space, scan=SHORT).shape == (1, 250, len(row))


def test_finite_differences_and_what_follows_from_a_profile(rows):
    assert (xrdsim.finite_difference(rows, space=SPACE) > 0.0).all()
    assert xrdsim.measure_sensitivity(rows, space=SPACE).weights.shape == (3,)
    found = dict(zip(UNITS, derived(ROW[None], SPACE)[0], strict=True))
    assert found["largest_strain"] == pytest.approx(ROW[D])
    assert found["depth_of_largest_strain"] == pytest.approx(ROW[R])
    assert found["depth_of_layer"] == pytest.approx(ROW[L])
    depth = np.linspace(0.0, 5000.0, 301)
    np.testing.assert_allclose(xrdsim.strain_profile(ROW, depth, space=SPACE)[0], plain(depth, ROW), atol=1e-15)


def test_fit(tmp_path):
    truth = xrdsim.simulate(ROW, space=SPACE, fwhm=40.0, background=2e-4)
    counts = np.random.default_rng(2).poisson(2e5 * truth.intensity[0])
    curve = Curve(DEFAULT_SCAN.angle, counts / 2e5, 20, "one Gaussian", per_count=1 / 2e5)
    found = xrdsim.fit.fit(curve, space=SPACE, effort=0.2, starts=NetworkStarts())  # of which it has none
    assert found.verdict == "solved"
    assert [each.name for each in found.parameters] == ["D", "R", "L"]
    for each, true in zip(found.parameters, ROW, strict=True):
        assert abs(each.value - true) < 4.0 * each.std
    assert found.settings["profile"] == "one Gaussian"
    assert "result.json" in [path.name for path in found.save(tmp_path / "result")]


@pytest.mark.parametrize("sampler", ["grid", "adaptive", "sobol", "edge", "jeffreys"])
def test_sampling(sampler):
    chosen = {"edge": ("R", "L")} if sampler == "edge" else {}
    drawn = sample(sampler, 300, space=SPACE, seed=4, **chosen)
    assert SPACE.contains(drawn.params).all()
    assert (np.ptp(drawn.params, axis=0) > 0.5 * SPACE.span).all()


def test_dataset(tmp_path):
    path = tmp_path / "one.zarr"
    made = xrdsim.generate(path, n=60, test_rows=10, sampler="grid", space=SPACE, scan=SHORT)
    again = xrdsim.open_dataset(path)
    assert again.config == made.config
    assert again.names == ("D", "R", "L")
    rows = again.load(rows=slice(0, 20))
    expected = xrdsim.simulate(rows.params, space=SPACE, fwhm=BASE_FWHM, scan=again.config.stored_scan).intensity
    np.testing.assert_allclose(rows.reflectivity, expected, rtol=3e-4)  # 1e-4 dex
    assert len(xrdsim.append(path, 20).params()) == 80
    script = f"import xrdsim; xrdsim.open_dataset({str(path)!r})"
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "the profile 'one Gaussian' is unknown; import the module that defines it" in other.stderr


def test_messages_name_its_parameters():
    with pytest.raises(ParameterError, match=r"needed is \(n, 3\), \(n, 5\) with damage, or one row"):
        xrdsim.simulate(np.ones(7), space=SPACE)
    with pytest.raises(ParameterError, match=r"L = 7000 \(row 0\) is not a finite number in its range 1500 … 6000"):
        xrdsim.simulate([0.01, 1000.0, 7000.0], space=SPACE)
    with pytest.raises(ParameterError, match=r"R = 2500, L = 2000 \(row 0\) break the constraint R <= L"):
        xrdsim.simulate([0.01, 2500.0, 2000.0], space=SPACE)
    with pytest.raises(ParameterError, match=f"the range of D must stay above {FLOOR}"):
        ParameterSpace((1e-5, 0.0, 1500.0), (0.02, 3000.0, 6000.0), profile=ONE_GAUSSIAN)


def test_a_program_without_it_reads_the_cache_of_one_that_has_it():
    """What the tests above compiled must not stand in the way of a program that cannot import their module."""
    script = "import xrdsim; xrdsim.simulate([0.01305, 0.0017, 5800.0, 3500.0, 0.004845, 4000.0, -500.0])"
    subprocess.run([sys.executable, "-c", script], check=True, cwd="/")
