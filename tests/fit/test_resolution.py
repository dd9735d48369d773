"""How fine a structure of a profile a curve determines."""

import numpy as np
import pytest

import xrdsim
from xrdsim.curves.curve import Curve
from xrdsim.experiment.scan import DEFAULT_SCAN
from xrdsim.fit.freeform import resolution
from xrdsim.fit.freeform.before import Before, Freeform, problem_of
from xrdsim.fit.freeform.resolution import narrowest, resolution_of
from xrdsim.fit.preparation import measurement_of
from xrdsim.fit.problem import Problem
from xrdsim.fit.refinement import refine
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.spline import spline_space

ROW = [4300.0, 1e-3, 3e-3, 6e-3, 8e-3, 7e-3, 5e-3, 4e-3, 5e-3, 5e-3, 3e-3, 1e-3, 4e-4, 2e-4]


def test_windows_of_independent_places():
    """A Gaussian mean of independent numbers: its standard deviation is theirs over √(2 s √π), s in places."""
    places, std, most = 400, 0.01, 0.002
    width = narrowest(np.eye(places), std**2 * np.eye(places), 4000.0, most)
    expected = 2.0 * np.sqrt(2.0 * np.log(2.0)) * (std / most) ** 2 / (2.0 * np.sqrt(np.pi)) * 10.0
    np.testing.assert_allclose(width[40:80], expected, rtol=0.2)
    assert (width[40:80] >= expected * (1.0 - 1e-3)).all()
    assert width[0] > width[60]
    assert np.isnan(narrowest(np.eye(places), np.eye(places), 4000.0, 1e-3)).all()


def made(counts):
    """The problem of a spline with the whole curve of so many counts, its minimum, and where it comes from."""
    space = spline_space(15)
    intensity = xrdsim.simulate(ROW, space=space, fwhm=35.0, background=1e-4).intensity[0]
    counted = np.random.default_rng(1).poisson(counts * intensity)
    curve = Curve(DEFAULT_SCAN.angle, counted / counts, 20, "made", per_count=1.0 / counts)
    measured = measurement_of(curve, ParameterSpace(), mask=0.0, both_sides=True)
    depth = np.linspace(0.0, 6000.0, 600)
    strain = xrdsim.strain_profile(ROW, depth, space=space)[0]
    before = Before(Problem(ParameterSpace(), (measured,)), depth, strain, 4300.0, np.empty(0), measured.start, {})
    given = problem_of(before, Freeform(), 15)
    x = refine(given, given.coordinates(np.array([ROW]), *measured.start), max_iter=40).x
    return given, before, x


def test_more_counts_resolve_finer_structure():
    found = [resolution_of(given, before, Freeform(), x).width for given, before, x in map(made, (1e5, 1e6))]
    assert np.nanmedian(found[1]) < 0.7 * np.nanmedian(found[0])
    assert (found[1][10:110] < found[0][10:110] * 1.1).mean() > 0.9
    assert 100.0 < np.nanmedian(found[1]) < 800.0


def test_the_number_of_coefficients_matters_little(monkeypatch):
    given, before, x = made(1e5)
    found = []
    for number in (50, 80):
        monkeypatch.setattr(resolution, "_COEFFICIENTS", number)
        found.append(resolution_of(given, before, Freeform(), x).width)
    assert np.nanmedian(np.abs(np.log(found[0] / found[1]))) < 0.2


def test_it_reaches_from_the_surface_to_the_end():
    given, before, x = made(1e6)
    found = resolution_of(given, before, Freeform(), x)
    assert found.part == 0.03
    assert found.depth[0] == 0.0
    assert found.depth[-1] == pytest.approx(given.params(x)[0, 0])
    assert np.isfinite(found.width[20:100]).all()
    assert (found.width[20:100] >= found.depth[-1] / 57.0 * 0.999).all()
