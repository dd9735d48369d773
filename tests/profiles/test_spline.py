"""Free-form profiles: the spline against SciPy's, its curves against the slow recursion, its derivatives."""

import naive
import numpy as np
import pytest
from scipy.interpolate import BSpline

import xrdsim
from xrdsim.errors import ParameterError
from xrdsim.experiment.defects import Defects, Loops
from xrdsim.experiment.reflection import GGG_444, YIG_ON_GGG_444
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.derivatives import linearize
from xrdsim.forward.derived import UNITS, derived
from xrdsim.forward.simulator import Seen, Simulator
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.spline import roughness, spline, spline_space, values_at

SHORT = Scan(-80.0, 8.0, 250)


def humps(count, sign=1.0):
    """Coefficients of two humps, of which the second may be of the other sign."""
    t = np.linspace(0.0, 1.0, count)
    return 0.009 * np.exp(-(((t - 0.25) / 0.12) ** 2)) + sign * 0.006 * np.exp(-(((t - 0.7) / 0.1) ** 2)) + 0.0005


def knots(coefficients):
    return np.concatenate([np.zeros(3), np.linspace(0.0, 1.0, coefficients - 2), np.ones(3)])


CASES = {
    "smooth": (spline_space(12), [4300.0, *humps(10)]),
    "abrupt": (spline_space(12, "abrupt"), [4300.0, *humps(12)]),
    "signed": (spline_space(15, strain=(-0.02, 0.03)), [3700.0, *humps(13, -1.0)]),
    "damaged": (spline_space(12).with_damage(), [4300.0, *humps(10), 0.3, 1.5]),
    "signed and damaged": (spline_space(15, strain=(-0.02, 0.03)).with_damage(), [3700.0, *humps(13, -1.0), 0.2, 2.0]),
}


@pytest.mark.parametrize("name", CASES)
def test_the_spline_is_that_of_scipy(name):
    space, row = CASES[name]
    end = "abrupt" if name == "abrupt" else "smooth"
    coefficients = np.append(row[1 : space.profile.size], np.zeros(2 * (end == "smooth")))
    depth = np.linspace(0.0, row[0], 701)
    expected = BSpline(knots(len(coefficients)), coefficients, 3)(depth / row[0])
    np.testing.assert_allclose(xrdsim.strain_profile(row, depth, space=space)[0], expected, atol=1e-16)
    np.testing.assert_allclose(values_at(space.profile, depth / row[0]) @ row[1 : space.profile.size], expected)
    assert xrdsim.strain_profile(row, [row[0] + 1.0], space=space)[0, 0] == 0.0
    found = dict(zip(UNITS, derived(np.array([row]), space)[0], strict=True))
    assert abs(found["largest_strain"]) == pytest.approx(np.abs(expected).max(), rel=1e-4)
    assert found["depth_of_layer"] == row[0]


@pytest.mark.parametrize("name", CASES)
def test_curves_are_those_of_the_slow_recursion(name):
    space, row = CASES[name]
    found = xrdsim.simulate(row, fwhm=0.0, space=space, scan=SHORT).reflectivity[0]
    edges = np.linspace(0.0, row[0], 3001)
    strain = xrdsim.strain_profile(row, 0.5 * (edges[1:] + edges[:-1]), space=space)[0]
    factor = None
    if space.damage:
        factor = 1.0 - row[-2] * np.abs(strain / np.abs(strain).max()) ** row[-1]
    slow = naive.reflectivity(np.diff(edges), strain, SHORT.angle, dw=factor)
    assert naive.rms_dex(found, slow) < 2e-4


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    """Over all of its coefficients, against Richardson's differences of finer steps."""
    space, row = CASES[name]
    row = np.array(row)
    found = linearize(row, space=space, scan=SHORT, rtol_dex=1e-8)
    for j, part in enumerate(found.names):
        ends = []
        for size in (1e-3, 5e-4):
            step = np.zeros(len(row))
            step[j] = size * (row[j] if part in ("L", "kappa", "p") else 0.01)
            pair = xrdsim.simulate([row + step, row - step], space=space, scan=SHORT, rtol_dex=1e-8).intensity
            ends.append((pair[0] - pair[1]) / (2.0 * step[j]))
        expected = (4.0 * ends[1] - ends[0]) / 3.0
        assert np.linalg.norm(found.slope[0, :, j] - expected) <= 1e-5 * np.linalg.norm(expected), part


def test_no_strain_at_all_is_the_substrate():
    space = spline_space(10).with_damage()
    row = [4000.0, *np.zeros(8), 0.3, 0.5]
    found = linearize(row, space=space)
    flat = xrdsim.simulate([4000.0, *np.zeros(8)], space=spline_space(10)).intensity
    assert np.isfinite(found.slope).all()
    np.testing.assert_allclose(found.curves.intensity, flat, rtol=1e-6)


def test_fixed_sublayers_go_down_to_the_end():
    space, row = CASES["signed"]
    thick = xrdsim.simulate(row, fwhm=0.0, space=space, scan=SHORT, layers=5.0).reflectivity[0]
    h = np.full(740, 5.0)
    strain = xrdsim.strain_profile(row, 5.0 * (np.arange(740) + 0.5), space=space)[0]
    np.testing.assert_allclose(thick, naive.reflectivity(h, strain, SHORT.angle), rtol=1e-6)


@pytest.mark.parametrize(
    "experiment",
    [
        Experiment(YIG_ON_GGG_444),
        Experiment(GGG_444, defects=Defects(layer=Loops(density=3e14, radius=70.0))),
        Experiment(GGG_444, damage_power=2.0),
    ],
)
def test_films_and_defects_and_orders(experiment):
    """A straight ramp can be written as either end; both are the same sample to all that is above the profile."""
    one, other = spline_space(9, "abrupt").with_damage(), spline_space(14, "abrupt").with_damage()
    rows = []
    for space in (one, other):
        count = space.profile.size - 1
        inner = knots(count)[1:-1]
        ramp = 0.01 - 0.009 * np.array([inner[i : i + 3].mean() for i in range(count)])  # Greville's abscissae
        rows.append([3000.0, *ramp, 0.2, 1.5])
    seen = Seen.unscaled(np.full(1, 30.0), np.zeros(1))
    curves = [
        Simulator(experiment, DEFAULT_SCAN, space).curves(np.array([row]), seen)[1][0]
        for space, row in zip((one, other), rows, strict=True)
    ]
    assert naive.rms_dex(*curves) < 2e-4


def test_ranges_and_names():
    space = spline_space(12, depth=(4000.0, 4000.0), strain=(-0.01, 0.02))
    assert space.thickest == 4000.0
    assert space.most_strain == 0.02
    assert ParameterSpace.from_dict(space.to_dict()) == space
    with pytest.raises(ParameterError, match="5 … 100"):
        spline(4)
    with pytest.raises(ParameterError, match="smooth or abrupt"):
        spline(12, "round")
    with pytest.raises(ParameterError, match="unknown"):
        ParameterSpace.from_dict({"profile": "spline of 3 words"})


def test_roughness_is_that_of_the_second_differences():
    rng = np.random.default_rng(3)
    for end, zeros in (("smooth", 2), ("abrupt", 0)):
        row = rng.random(1 + 12 - zeros)
        second = np.diff(np.append(row[1:], np.zeros(zeros)), n=2)
        assert row @ roughness(spline(12, end)) @ row == pytest.approx((second**2).sum())
