"""Instrument functions of all shapes against a direct sum over a fine grid, and their derivatives."""

import naive
import numpy as np
import pytest

import xrdsim
from xrdsim.errors import ParameterError
from xrdsim.experiment.instrument import (
    GAUSSIAN,
    PEDESTAL,
    PSEUDO_VOIGT,
    SPLIT_PSEUDO_VOIGT,
    VOIGT,
    Family,
    Instrument,
    Kernel,
)
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.simulator import Simulator
from xrdsim.observation.observer import Observer
from xrdsim.profiles.space import ParameterSpace

SCAN = Scan(-160.0, 8.0, 250)
TABLE = Kernel([-60.0, -20.0, 0.0, 15.0, 70.0], [0.0, 0.3, 1.0, 0.5, 0.0], "a table")
CASES = {
    "gaussian": (GAUSSIAN, (38.4,)),
    "voigt": (VOIGT, (38.4, 5.0)),
    "pedestal": (PEDESTAL, (40.0, 0.08, 110.0)),
    "pseudo-voigt": (PSEUDO_VOIGT, (41.0, 0.13)),
    "split-pseudo-voigt": (SPLIT_PSEUDO_VOIGT, (38.0, 0.1, 46.0, 0.25)),
    "tabulated": (Instrument("table", (), Family.TABULATED, TABLE), ()),
}


@pytest.fixture(scope="module")
def fine(demonstration):
    """A curve so fine and so long that sums over it are integrals: angles and reflectivity."""
    scan = Scan(-4000.0, 0.5, 18001)
    angle = np.concatenate([scan.angle, np.arange(-60.0, 60.0, 0.02)])
    angle = np.unique(np.round(angle, 6))
    simple = Experiment(rtol_dex=1e-6)
    dense = Scan(-60.0, 0.02, 6001)
    rough, near = (
        xrdsim.simulate(demonstration, experiment=simple, scan=each, fwhm=0.0).reflectivity[0] for each in (scan, dense)
    )
    at = np.interp(angle, scan.angle, rough)
    inside = np.abs(angle) <= 60.0
    at[inside] = np.interp(angle[inside], dense.angle, near)
    return angle, at


def observer(name, scan=SCAN):
    return Observer(Simulator(Experiment(rtol_dex=1e-6), scan, ParameterSpace()), CASES[name][0])


@pytest.mark.parametrize("name", CASES)
def test_a_direct_sum_agrees(name, fine, demonstration):
    own = np.array([[3.0, *CASES[name][1]]])
    found = observer(name).curves(np.atleast_2d(demonstration).astype(float), own)[0]
    expected = naive.seen(*fine, SCAN.angle - 3.0, CASES[name][0], CASES[name][1])
    away = np.abs(np.log10(found / expected))
    assert away.max() < 2e-3, (name, away.max(), SCAN.angle[away.argmax()])
    assert np.sqrt(np.mean(away**2)) < 4e-4


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name, demonstration):
    """Against Richardson differences, 1e-6 of the norm; a narrow step of the core leaves its nodes alone."""
    rows, own = np.atleast_2d(demonstration).astype(float), np.array([[3.0, *CASES[name][1]]])
    made = observer(name)
    _, slope = made.linearize(rows, own)
    for j in range(own.shape[1]):
        step = 1e-3 * max(1.0, abs(own[0, j])) if own[0, j] > 1.0 or j == 0 else 1e-4

        def along(t, j=j):
            moved = own.copy()
            moved[0, j] += t
            return made.curves(rows, moved)[0]

        near, far = ((along(t) - along(-t)) / (2.0 * t) for t in (step, 2.0 * step))
        expected = (4.0 * near - far) / 3.0
        error = np.linalg.norm(slope[0, 7 + j] - expected) / np.linalg.norm(expected)
        assert error < 2e-6, (name, j, error)


def test_a_kernel_that_is_a_gaussian_is_the_gaussian(demonstration):
    rows = np.atleast_2d(demonstration).astype(float)
    x = np.linspace(-150.0, 150.0, 1201)
    table = Kernel(x, np.exp(-4.0 * np.log(2.0) * (x / 38.4) ** 2))
    made = Observer(observer("gaussian").simulator, Instrument("table", (), Family.TABULATED, table))
    expected = observer("gaussian").curves(rows, np.array([[1.0, 38.4]]))
    np.testing.assert_allclose(made.curves(rows, np.array([[1.0]])), expected, rtol=1e-3)


@pytest.mark.parametrize(("name", "without"), [("voigt", (38.4, 0.0)), ("pedestal", (38.4, 0.0, 100.0))])
def test_without_its_tail_an_instrument_is_its_core(name, without, demonstration):
    rows = np.atleast_2d(demonstration).astype(float)
    found = observer(name).curves(rows, np.array([[0.5, *without]]))
    expected = observer("gaussian").curves(rows, np.array([[0.5, 38.4]]))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize(("step", "fwhm"), [(2.0, 38.0), (18.0, 40.0)])
def test_the_step_of_the_scan_does_not_matter(step, fwhm, demonstration):
    """A coarse scan is seen on a finer grid."""
    rows, own = np.atleast_2d(demonstration).astype(float), np.array([[0.0, fwhm, 0.1, 120.0]])
    coarse = observer("pedestal", Scan(-180.0, step, int(1800 / step) + 1)).curves(rows, own)[0]
    finest = observer("pedestal", Scan(-180.0, 1.0, 1801)).curves(rows, own)[0]
    np.testing.assert_allclose(coarse, finest[:: int(step)], rtol=1e-3)


def test_kernels_that_have_no_meaning():
    for angle, weight, words in (
        ([0.0, 1.0], [1.0, 1.0], "at least 3 finite numbers"),
        ([0.0, 2.0, 1.0], [0.0, 1.0, 0.0], "must rise"),
        ([0.0, 1.0, 2.0], [0.0, -1.0, 0.0], "must not be negative"),
        ([0.0, 1.0, 2.0], [0.0, 0.0, 0.0], "nor all 0"),
    ):
        with pytest.raises(ParameterError, match=words):
            Kernel(angle, weight)
