"""A static Debye–Waller factor with a spline of its own: against SciPy's, the slow recursion and differences."""

import naive
import numpy as np
import pytest
from scipy.interpolate import BSpline

import xrdsim
from xrdsim.errors import ParameterError
from xrdsim.experiment.defects import Defects, Loops
from xrdsim.experiment.reflection import GGG_444, YIG_ON_GGG_444
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.derivatives import linearize
from xrdsim.forward.derived import damage_profile
from xrdsim.forward.sublayers import of_depth, simulate_sublayers
from xrdsim.profiles.profile import profile_named
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.spline import spline, spline_space

SHORT = Scan(-80.0, 8.0, 250)
FACTOR = [0.9, 0.5, 0.2, 0.6, 0.95, 0.8]
STRAIN = [0.001, 0.004, 0.008, 0.009, 0.006, 0.003, 0.005, 0.002, 0.001, 0.0005]
SMOOTH = spline_space(12, own=6).with_damage()
ROW = [4300.0, *STRAIN, *FACTOR]
ABRUPT = spline_space(10, "abrupt", own=6).with_damage()


def by_scipy(coefficients, t):
    count = len(coefficients)
    knots = np.concatenate([np.zeros(3), np.linspace(0.0, 1.0, count - 2), np.ones(3)])
    return BSpline(knots, coefficients, 3)(t)


def test_it_is_the_spline_of_scipy_and_1_below():
    depth = np.linspace(0.0, 4300.0, 501)
    found = damage_profile(ROW, depth, space=SMOOTH)[0]
    np.testing.assert_allclose(found, by_scipy(FACTOR, depth / 4300.0), atol=1e-15)
    assert damage_profile(ROW, [4301.0], space=SMOOTH)[0, 0] == 1.0


@pytest.mark.parametrize(("space", "reflection"), [(SMOOTH, GGG_444), (ABRUPT, GGG_444)])
def test_curves_are_those_of_the_slow_recursion(space, reflection):
    found = xrdsim.simulate(ROW, fwhm=0.0, space=space, scan=SHORT).reflectivity[0]
    edges = np.linspace(0.0, 4300.0, 3001)
    middle = 0.5 * (edges[1:] + edges[:-1])
    strain = xrdsim.strain_profile(ROW, middle, space=space)[0]
    slow = naive.reflectivity(np.diff(edges), strain, SHORT.angle, dw=by_scipy(FACTOR, middle / 4300.0))
    assert naive.rms_dex(found, slow) < 2e-4


def test_strain_may_be_0_where_the_lattice_is_damaged():
    row = [4300.0, *np.zeros(10), *FACTOR]
    found = xrdsim.simulate(row, fwhm=0.0, space=SMOOTH, scan=SHORT).reflectivity[0]
    edges = np.linspace(0.0, 4300.0, 3001)
    factor = by_scipy(FACTOR, 0.5 * (edges[1:] + edges[:-1]) / 4300.0)
    slow = naive.reflectivity(np.diff(edges), np.zeros(3000), SHORT.angle, dw=factor)
    assert naive.rms_dex(found, slow) < 2e-4
    assert np.isfinite(linearize(row, space=SMOOTH, scan=SHORT).slope).all()


def test_fixed_sublayers():
    found = xrdsim.simulate(ROW, fwhm=0.0, space=SMOOTH, scan=SHORT, layers=5.0).reflectivity[0]
    middle = 5.0 * (np.arange(860) + 0.5)
    strain = xrdsim.strain_profile(ROW, middle, space=SMOOTH)[0]
    slow = naive.reflectivity(np.full(860, 5.0), strain, SHORT.angle, dw=by_scipy(FACTOR, middle / 4300.0))
    np.testing.assert_allclose(found, slow, rtol=1e-6)


def test_without_damage_all_coefficients_are_1():
    row = [4300.0, *STRAIN, *np.ones(6)]
    found = xrdsim.simulate(row, space=SMOOTH, scan=SHORT).intensity
    np.testing.assert_allclose(found, xrdsim.simulate(row[:-6], space=spline_space(12), scan=SHORT).intensity)


@pytest.mark.parametrize(
    ("space", "experiment", "away"),
    [
        (SMOOTH, Experiment(), 1e-5),
        (ABRUPT, Experiment(), 1e-5),
        (SMOOTH, Experiment(damage_power=2.0), 1e-5),
        (SMOOTH, Experiment(YIG_ON_GGG_444), 1e-5),
        (ABRUPT, Experiment(defects=Defects(layer=Loops(density=3e14, radius=70.0))), 1e-4),
    ],
)
def test_derivatives(space, experiment, away):
    """Over all coefficients and the depth, against Richardson's differences of finer steps.

    Loops follow ε/ε_max, and where the strain is largest is known to the square root of the rounding.
    """
    row = np.array(ROW)
    found = linearize(row, space=space, scan=SHORT, experiment=experiment.within(1e-8))
    for j, part in enumerate(found.names):
        ends = []
        for size in (1e-3, 5e-4):
            step = np.zeros(len(row))
            step[j] = size * (row[j] if part == "L" else 0.1 if part.startswith("d") else 0.01)
            pair = xrdsim.simulate(
                [row + step, row - step], space=space, scan=SHORT, experiment=experiment.within(1e-8)
            ).intensity
            ends.append((pair[0] - pair[1]) / (2.0 * step[j]))
        expected = (4.0 * ends[1] - ends[0]) / 3.0
        assert np.linalg.norm(found.slope[0, :, j] - expected) <= away * np.linalg.norm(expected), part


def test_a_table_over_depth_is_the_same_layer():
    depth = np.linspace(0.0, 4300.0, 2001)
    layers = of_depth(depth, by_scipy([*STRAIN, 0.0, 0.0], depth / 4300.0), by_scipy(FACTOR, depth / 4300.0))
    _, _, table = simulate_sublayers(layers, scan=SHORT, fwhm=30.0)
    assert naive.rms_dex(xrdsim.simulate(ROW, space=SMOOTH, scan=SHORT, fwhm=30.0).intensity[0], table) < 2e-4


def test_names_ranges_and_files():
    assert SMOOTH.names[-6:] == ("d1", "d2", "d3", "d4", "d5", "d6")
    assert SMOOTH.low[-6:] == (0.05,) * 6
    assert SMOOTH.high[-6:] == (1.0,) * 6
    assert SMOOTH.damage
    assert not SMOOTH.without_damage().damage
    assert ParameterSpace.from_dict(SMOOTH.to_dict()) == SMOOTH
    assert profile_named("spline of 13 coefficients, abrupt end, 7 of the damage") == spline(13, "abrupt", 7)
    with pytest.raises(ParameterError, match="factor has 5 … 100 coefficients, not 3"):
        spline(12, "smooth", 3)
