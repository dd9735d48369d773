"""Kα2 beside Kα1: against a simulation with the second wavelength, its derivatives, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from test_instruments import CASES, SCAN

from xrdsim.errors import ParameterError
from xrdsim.experiment.instrument import GAUSSIAN, PEDESTAL, VOIGT, Instrument
from xrdsim.experiment.notation import KALPHA2, LINES
from xrdsim.experiment.reflection import GGG_444
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.simulator import Simulator
from xrdsim.observation.observer import Observer
from xrdsim.observation.shapes import doublet_of
from xrdsim.profiles.space import ParameterSpace
from xrdsim.units import ARCSEC

OWN = {"gaussian": (3.0, 38.4), "voigt": (3.0, 38.4, 5.0), "pedestal": (3.0, 40.0, 0.08, 110.0)}


def seen(instrument, reflection=GGG_444, scan=SCAN):
    return Observer(Simulator(Experiment(reflection, rtol_dex=1e-6), scan, ParameterSpace()), instrument)


@pytest.mark.parametrize("shape", [GAUSSIAN, VOIGT, PEDESTAL], ids=OWN)
def test_a_simulation_with_the_second_wavelength(shape, demonstration):
    """The copy leaves out that strain turns the longer wave 0.3 % further."""
    own = np.array([OWN[shape.family]])
    scan = Scan(-400.0, 4.0, 600)
    rows, both = np.atleast_2d(demonstration).astype(float), replace(shape, doublet=doublet_of(GGG_444))
    longer = KALPHA2["CuKa1"] / LINES["CuKa1"]
    second = replace(GGG_444, wavelength=GGG_444.wavelength * longer)
    shift = (second.theta_bragg - GGG_444.theta_bragg) / ARCSEC
    assert both.doublet.shift == pytest.approx(shift, rel=1e-9)
    assert shift == pytest.approx(np.tan(GGG_444.theta_bragg) * (longer - 1.0) / ARCSEC, rel=2e-3)
    found = seen(both, scan=scan).curves(rows, own)[0]
    one = seen(shape, scan=scan).curves(rows, own)[0]
    other = seen(shape, second, replace(scan, start=scan.start + shift)).curves(rows, own)[0]
    expected = one + 0.5 * other
    away = np.abs(np.log10(found / expected))
    assert np.abs(np.log10(one / expected)).max() > 1.0
    assert away.max() < 0.03
    assert np.sqrt(np.mean(away**2)) < 0.006
    copied = seen(shape, scan=replace(scan, start=scan.start + shift)).curves(rows, own)[0]
    np.testing.assert_allclose(found, one + 0.5 * copied, rtol=2e-3)


@pytest.mark.parametrize("name", [name for name in CASES if name != "tabulated"])
def test_derivatives(name, demonstration):
    instrument, own = CASES[name]
    made = seen(replace(instrument, doublet=doublet_of(GGG_444, 0.4)))
    rows, at = np.atleast_2d(demonstration).astype(float), np.array([[3.0, *own]])
    _, slope = made.linearize(rows, at)
    whole = np.concatenate([rows, at], axis=1)
    for j in range(whole.shape[1]):
        step = np.zeros_like(whole)
        step[0, j] = 1e-5 * max(abs(whole[0, j]), 1e-3)
        ends = [made.curves(each[:, :7], each[:, 7:])[0] for each in (whole + step, whole - step)]
        expected = (ends[0] - ends[1]) / (2.0 * step[0, j])
        assert np.linalg.norm(slope[0, j] - expected) < 1e-4 * np.linalg.norm(expected), j


def test_records_and_what_is_refused():
    both = replace(VOIGT, doublet=doublet_of(GGG_444, 0.4))
    assert Instrument.from_dict(both.to_dict()) == both
    assert not both.plain
    assert doublet_of(GGG_444, 0.0) is None
    assert set(KALPHA2) == set(LINES)
    assert all(1.001 < KALPHA2[name] / LINES[name] < 1.008 for name in LINES)
    with pytest.raises(ParameterError, match=r"kalpha2 = 1\.5 must lie within 0 … 1"):
        doublet_of(GGG_444, 1.5)
    with pytest.raises(ParameterError, match=r"1\.5498 Å is no Kα1"):
        doublet_of(replace(GGG_444, wavelength=1.5498))
