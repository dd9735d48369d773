"""The instrument function, against dense quadrature and reference data."""

import naive
import numpy as np
import pytest

from xrdsim.experiment.geometry import Geometry
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.forward.model import simulate
from xrdsim.forward.nodes import PART_OF_FASTEST, PART_OF_FRINGE, nodes
from xrdsim.forward.optics import frequency, highest_frequency
from xrdsim.forward.prepare import prepare
from xrdsim.forward.simulator import reflectivity_of as reflectivity


def dense(params, angle, fwhm):
    """Convolution by quadrature on a grid of 0.02″."""

    def curve_of(grid):
        model = prepare(DEFAULT_SCAN, grid=Scan(float(grid[0]), float(grid[1] - grid[0]), len(grid)))
        return reflectivity(np.atleast_2d(params), model)[0]

    return naive.convolve(curve_of, angle, fwhm)


@pytest.mark.parametrize("fwhm", [1.0, 2.0, 5.0, 12.0, 20.0, 30.0, 80.0])
def test_convolution_agrees_with_dense_quadrature(prior, demonstration, fwhm):
    scan = Scan(points=120)
    for p in (demonstration, prior[0], prior[1]):
        got = simulate(p, fwhm=fwhm, scan=scan).intensity[0]
        assert np.abs(np.log10(got / dense(p, scan.angle, fwhm))).max() <= 3e-4


@pytest.mark.parametrize("step", [2.0, 10.0])
def test_other_steps_are_convolved_as_well(demonstration, step):
    scan = Scan(-80.0, step, int(500 / step))
    got = simulate(demonstration, fwhm=30.0, scan=scan).intensity[0]
    assert np.abs(np.log10(got / dense(demonstration, scan.angle, 30.0))).max() <= 3e-4


def test_reference_curves(reference):
    got = simulate(reference["params"], fwhm=30.0).intensity
    expected = reference["convolved_exact_continuum_30arcsec"]
    away = np.abs(reference["angle_arcsec"]) > 75.0  # the reference does not oversample the peak
    assert np.abs(np.log10(got / expected)[:, away]).max() <= 3e-4


def test_weights_integrate_a_smooth_function():
    grid = nodes(DEFAULT_SCAN, GGG_444, narrowest=30.0, widest=30.0, zero=0.0, thickness=8400.0)
    bell = np.exp(-0.5 * (grid.angle / 40.0) ** 2) + np.exp(-0.5 * ((grid.angle - 1000.0) / 60.0) ** 2)
    assert (grid.weight * bell).sum() == pytest.approx(np.sqrt(2 * np.pi) * 100.0, rel=1e-4)
    middle = np.exp(-0.5 * ((grid.angle - 10.0) / 15.0) ** 2)
    assert (grid.weight * middle).sum() == pytest.approx(np.sqrt(2 * np.pi) * 15.0, rel=1e-4)


def test_the_integral_is_kept(demonstration):
    """A wider instrument spreads intensity but keeps the sum over the peak."""
    scan = Scan(-1000.0, 4.0, 1251)
    narrow, wide = (simulate(demonstration, fwhm=f, scan=scan).intensity.sum() for f in (20.0, 60.0))
    assert wide == pytest.approx(narrow, rel=1e-4)


def test_zero_moves_the_curve(demonstration):
    moved = simulate(demonstration, zero=7.3).intensity[0]
    shifted = simulate(demonstration, scan=Scan(Scan().start - 7.3)).intensity[0]
    np.testing.assert_allclose(moved, shifted, rtol=1e-4)


@pytest.mark.parametrize("skipped", [25, 31, 35, 41, 45, 51, 53, 150])
def test_a_scan_that_begins_beyond_the_peak(demonstration, skipped):
    whole = Scan(-100.0, 4.0, 250)
    scan = Scan(whole.start + 4.0 * skipped, 4.0, 250 - skipped)
    expected = simulate(demonstration, scan=whole).intensity[0][skipped:]
    np.testing.assert_allclose(simulate(demonstration, scan=scan).intensity[0], expected, rtol=1e-4)


def test_a_scan_that_ends_before_the_peak(demonstration):
    whole = Scan(-300.0, 4.0, 150)
    for points in (50, 60, 68):
        scan = Scan(whole.start, 4.0, points)
        expected = simulate(demonstration, scan=whole).intensity[0][:points]
        np.testing.assert_allclose(simulate(demonstration, scan=scan).intensity[0], expected, rtol=1e-4)


def test_the_grid_follows_the_fringes_of_an_inclined_surface():
    """Those at the peak; where they are narrower, it has five nodes for each period of the transfer matrix."""
    out = Reflection(GGG_444.crystal, (8, 8, 0), GGG_444.wavelength, surface=(1, 1, 1), geometry=Geometry.EXIT)
    for scan in (Scan(-32.0, 1.59, 701), DEFAULT_SCAN):
        at = nodes(scan, out, narrowest=30.0, widest=30.0, zero=0.0, thickness=8400.0)
        spacing = scan.step / at.stride
        assert spacing * frequency(8400.0, out) <= PART_OF_FRINGE
        assert spacing * highest_frequency(8400.0, out, scan) <= PART_OF_FASTEST
    assert spacing * highest_frequency(8400.0, out, DEFAULT_SCAN) > PART_OF_FRINGE
