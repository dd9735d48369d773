"""Kα2 in the beam: a fit with it, what a fit without it says, and where it is remembered."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from command_line import xrd
from noisy import PROFILES

from xrdsim.curves.curve import Curve, write_curve
from xrdsim.experiment.instrument import PEDESTAL
from xrdsim.experiment.notation import kalpha2_by
from xrdsim.experiment.reflection import GGG_444
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.fit.fitting import fit_curve
from xrdsim.fit.judgement.doublet import seen_doublet
from xrdsim.fit.preparation import TOLERANCE
from xrdsim.fit.problem import Unknowns, problem
from xrdsim.fit.refinement import refine
from xrdsim.fit.result import Verdict
from xrdsim.fit.sample import read_sample_toml
from xrdsim.forward.model import simulate
from xrdsim.observation.shapes import KALPHA2_RATIO, doublet_of
from xrdsim.profiles.two_gaussians import NAMES

SCAN = Scan(-400.0, 4.0, 620)
COUNTS, BACKGROUND, ZERO, FWHM = 3e5, 1e-4, 1.5, 38.0
START = dict(zip(NAMES, PROFILES[0].tolist(), strict=True))
WHOLE = {"mask": 0.0, "both_sides": True, "tolerance": TOLERANCE}


def seen(reflection, shift):
    """The curve of one wavelength, in angles from the peak of the first."""
    moved = replace(SCAN, start=SCAN.start + shift)
    return simulate(
        PROFILES[0], experiment=Experiment(reflection, rtol_dex=1e-5), scan=moved, zero=ZERO, fwhm=FWHM
    ).intensity[0]


@pytest.fixture(scope="module")
def curve():
    """Counts of both lines, each simulated with its own wavelength."""
    second = replace(GGG_444, wavelength=GGG_444.wavelength * kalpha2_by(GGG_444.wavelength))
    mean = seen(GGG_444, 0.0) + KALPHA2_RATIO * seen(second, doublet_of(GGG_444).shift) + BACKGROUND
    drawn = np.random.default_rng(0).poisson(COUNTS * mean).astype(float)
    return Curve(SCAN.angle, drawn, int(np.abs(SCAN.angle).argmin()), per_count=1.0)


@pytest.mark.parametrize("instrument", ["gaussian", PEDESTAL])
def test_the_profile_is_recovered(curve, instrument):
    given = problem(curve, unknowns=Unknowns(instrument=instrument), kalpha2=KALPHA2_RATIO, **WHOLE)
    fit = fit_curve(given, starts=PROFILES[:1], only_refine=True)
    assert fit.verdict == Verdict.SOLVED
    for name, truth in START.items():
        assert abs(fit[name].value - truth) < 4.0 * fit[name].std, name
    assert fit["scale"].value == pytest.approx(COUNTS, rel=0.01)
    assert fit["zero"].value == pytest.approx(ZERO, abs=0.3)
    assert "(Cu Kα₁) with 0.5 times as much Kα₂, a " in fit.assumed


def test_a_fit_without_it_names_the_option(curve):
    """From the truth, and from the profile that one line alone would need."""
    given = problem(curve, **WHOLE)
    fit = fit_curve(given, starts=PROFILES[:1], only_refine=True)
    assert fit.verdict != Verdict.SOLVED
    assert "fit with --kalpha2" in fit.reason
    lit = problem(curve, kalpha2=KALPHA2_RATIO, **WHOLE)
    found = refine(lit, lit.coordinates(PROFILES[:1]))
    assert seen_doublet(lit, found.x, math.inf) == ""


def test_a_curve_of_one_line_is_not_suspected():
    """Though it is described badly: the profile is another one."""
    one = COUNTS * (seen(GGG_444, 0.0) + BACKGROUND)
    drawn = np.random.default_rng(1).poisson(one).astype(float)
    given = problem(Curve(SCAN.angle, drawn, int(np.abs(SCAN.angle).argmin()), per_count=1.0), **WHOLE)
    assert seen_doublet(given, given.coordinates(PROFILES[1:]), math.inf) == ""


def test_the_command_remembers(curve, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_curve("curve.xy", curve.angle, curve.intensity)
    (tmp_path / "start.json").write_text(json.dumps(START))
    common = ("refine", "curve.xy", "--per-count", 1.0, "--start")
    first = xrd(*common, "start.json", "--kalpha2")
    assert first.exit_code == 0, first.output
    again = xrd(*common, "result/result.json", "--instrument", "gaussian", "-o", "again")
    assert again.exit_code == 0, again.output
    for folder in ("result", "again"):
        record = json.loads((tmp_path / folder / "result.json").read_text())
        assert record["verdict"] == "solved"
        assert record["settings"]["instrument"]["kalpha2"]["ratio"] == KALPHA2_RATIO
    listed = tmp_path / "sample.toml"
    listed.write_text('[[curves]]\nfile = "curve.xy"\ncrystal = "GGG"\nhkl = [4, 4, 4]\nkalpha2 = 0.4\nper_count = 1\n')
    assert read_sample_toml(listed).entries[0].preparing["kalpha2"] == 0.4
