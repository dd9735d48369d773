"""Dislocation loops as unknowns of a fit: derivatives, recovery, where they come from, and what is said of them."""

import json
import math
import re

import numpy as np
import pytest
from command_line import xrd
from noisy import PROFILES

from xrdsim.curves.curve import Curve, write_curve
from xrdsim.errors import ParameterError
from xrdsim.experiment.defects import USUAL, Defects, Loops, read_fitted
from xrdsim.experiment.instrument import PEDESTAL, VOIGT
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.fit.fitting import fit_curve
from xrdsim.fit.judgement.verdict import FINAL
from xrdsim.fit.preparation import measurement_of
from xrdsim.fit.problem import Problem, Unknowns, problem
from xrdsim.fit.refinement import refine
from xrdsim.fit.result import Verdict
from xrdsim.fit.sample import read_sample_toml
from xrdsim.fit.search import with_loops
from xrdsim.fit.settings import settings_of
from xrdsim.fit.unknowns import UnknownDefects
from xrdsim.forward.simulator import Simulator
from xrdsim.observation.observer import Observer
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import NAMES

SPACE = ParameterSpace()
SCAN = Scan(-280.0, 5.0, 400)
TRUTH = Defects(layer=Loops(density=2.5e15, radius=90.0))
BOTH = Defects(layer=TRUTH.layer, substrate=(Loops(density=2e9, radius=4000.0),))
COUNTS, BACKGROUND = 3e6, 2e-5
FILE = """
[defects]
poisson = 0.29

[defects.layer]
density = 2e15
radius = 80.0
fixed = ["radius"]

[[defects.substrate]]
density = 5e8
radius = 6000.0
fixed = ["density", "radius"]
"""


def noisy_curve(defects, seed=0, own=(0.5, 38.0)):
    observer = Observer(Simulator(Experiment(rtol_dex=1e-5, defects=defects), SCAN, SPACE))
    mean = COUNTS * (observer.curves(PROFILES[:1], np.array([own]))[0] + BACKGROUND)
    drawn = np.random.default_rng(seed).poisson(mean).astype(float)
    return Curve(SCAN.angle, drawn, int(np.abs(SCAN.angle).argmin()), per_count=1.0)


@pytest.fixture(scope="module")
def curve():
    return noisy_curve(TRUTH)


def posed(curve, defects="layer"):
    return problem(curve, unknowns=Unknowns(defects=defects), mask=0.0, both_sides=True)


@pytest.mark.parametrize("instrument", ["gaussian", VOIGT, PEDESTAL, "pseudo-voigt"])
def test_derivatives_over_loops_and_all_others(curve, instrument):
    """Through every kind of instrument: with a core behind a Gaussian, with a tail, and of a shape as a whole."""
    given = problem(curve, unknowns=Unknowns(instrument=instrument, defects=UnknownDefects(start=BOTH)))
    (measured,) = given.measurements
    x = given.coordinates(PROFILES[:1])
    params, own = given.params(x), given.values(x)[:, given.layout.own[0]]
    both = np.concatenate([params, own], axis=1)
    size, slope = params.shape[1], measured.linearize(params, own, 1e-6)[1][0]
    assert len(slope) == both.shape[1] == len(given.layout)
    for j in range(size, len(slope)):
        h = 1e-3 * max(1.0, abs(both[0, j]))
        step = np.zeros_like(both)
        step[0, j] = h
        ends = [measured.curves(each[:, :size], each[:, size:], 1e-6)[0] for each in (both + step, both - step)]
        numerical = (ends[0] - ends[1]) / (2.0 * h)
        if np.linalg.norm(slope[j]) > 0.0:
            assert np.linalg.norm(numerical - slope[j]) < 2e-3 * np.linalg.norm(slope[j]), given.layout.names[j]


def test_loops_are_recovered_within_their_errors(curve):
    """From the minimum that is found without them, which leaves much of the curve."""
    given = posed(curve)
    bare = given.among(None)
    assert bare.layout.names == given.layout.names[:-2]
    assert not bare.priors
    without = refine(bare, bare.coordinates(PROFILES[:1]))
    starts = with_loops(given, without.x, math.inf)
    assert starts.shape == (2, len(given.layout))  # and its mirrored partner
    found = refine(given, starts[:1])
    assert found.objective[0] < 0.5 * (given.freedom + 4.0 * math.sqrt(2.0 * given.freedom)) < without.objective[0]
    fit = fit_curve(given, begin=found.x, only_refine=True)
    assert fit.verdict == Verdict.SOLVED
    for name, truth, unit in (("density_layer", 2.5e15, "1/cm³"), ("radius_layer", 90.0, "Å")):
        each = fit[name]
        assert each.unit == unit
        assert each.low < each.value < each.high
        log = fit[f"ln_{name}"]
        assert abs(log.value - math.log(truth)) < 3.0 * log.std < 1.3
    assert abs(fit["L1"].value - PROFILES[0][2]) < 4.0 * fit["L1"].std
    assert [each.name for each in fit.defects] == ["density_layer", "radius_layer"]


def test_a_search_without_a_start(curve):
    """Without loops it ends in a mirrored profile, from which they lead to the right one."""
    fit = fit_curve(posed(curve), effort=0.25)
    assert fit.verdict == Verdict.SOLVED
    for name, truth in zip(("Dmax1", "L1", "Rp1", "radius_layer"), (*PROFILES[0][[0, 2, 3]], 90.0), strict=True):
        assert abs(fit[name].value - truth) < 4.0 * fit[name].std, name


def test_a_whole_fit_with_loops_and_its_result(curve, tmp_path):
    """The search is without them first; the settings of the result begin a refinement where it ended."""
    fit = fit_curve(posed(curve), starts=PROFILES[:1], effort=0.02, likelihood=("ln_radius_layer",))
    assert abs(fit["ln_radius_layer"].value - math.log(90.0)) < 3.0 * fit["ln_radius_layer"].std
    (followed,) = fit.likelihoods
    assert followed.low < fit["ln_radius_layer"].value < followed.high
    files = fit.save(tmp_path, html=True)
    assert all(each.is_file() for each in files)
    assert "loops of the layer" in (tmp_path / "fit.html").read_text(encoding="utf-8")
    again = settings_of(tmp_path / "result.json")["defects"]
    np.testing.assert_allclose(again.start.values, [each.value for each in fit.defects], rtol=1e-9)
    assert again.fixed == ()


def test_curves_of_one_sample_share_their_loops(curve):
    other = measurement_of(noisy_curve(TRUTH, 1, (-1.0, 50.0)), SPACE, mask=0.0, both_sides=True)
    one = measurement_of(curve, SPACE, mask=0.0, both_sides=True)
    given = Problem(SPACE, (one, other), {}, UnknownDefects.of("layer"))
    names = (*SPACE.names, "zero", "fwhm", "zero_2", "fwhm_2", "ln_density_layer", "ln_radius_layer")
    assert given.layout.names == names
    x = given.coordinates(PROFILES[:1])
    np.testing.assert_array_equal(given.layout.own[1], [9, 10, 11, 12])
    whole = given.evaluate(x, None, FINAL)
    alone = [Problem(SPACE, (each,), {}, given.defects) for each in (one, other)]
    rows = [x[:, [*range(9), 11, 12]], x[:, [*range(7), *range(9, 13)]]]
    parts = [each.evaluate(row, None, FINAL) for each, row in zip(alone, rows, strict=True)]
    shared = [part.gradient[0, 9:11] for part in parts]
    priors = (x[0, -2:] - np.log([1e15, 70.0])) / np.array([2.3, 1.0]) ** 2  # once, not for each curve
    np.testing.assert_allclose(whole.gradient[0, 11:13], shared[0] + shared[1] - priors, rtol=1e-9)
    assert given.held("ln_radius_layer", 4.0).layout.unknowns[-1].fixed


def test_a_file_says_with_what_to_begin_and_what_stays(tmp_path):
    path = tmp_path / "loops.toml"
    path.write_text(FILE)
    defects, fixed = read_fitted(path)
    assert Defects.from_toml(path) == defects  # a simulation reads the same
    assert fixed == ("radius of layer", "density of substrate 1", "radius of substrate 1")
    made = UnknownDefects.of(str(path))
    assert made.names == ("ln_density_layer", "ln_radius_layer", "ln_density_substrate", "ln_radius_substrate")
    assert [each.free for each in made.unknowns] == [True, False, False, False]
    assert list(made.priors) == ["ln_density_layer"]
    assert made.start.poisson == 0.29


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: UnknownDefects.of("film"), "neither a file nor one of layer, layer+substrate"),
        (lambda _: UnknownDefects(start=Defects()), "no loops to fit"),
        (lambda _: UnknownDefects(start=USUAL["layer"], fixed=("size",)), "there is no size"),
        (lambda _: UnknownDefects(start=Defects(layer=Loops(density=0.0, radius=5.0))), "must be positive"),
        (lambda path: path.write_text(FILE.replace('["radius"]', '"all"')) and read_fitted(path), "fixed = 'all'"),
        (lambda path: path.write_text(FILE.replace('["radius"]', '["size"]')) and read_fitted(path), "must be a list"),
    ],
)
def test_loops_that_are_refused(tmp_path, make, words):
    with pytest.raises(ParameterError, match=re.escape(words)):
        make(tmp_path / "loops.toml")


def test_so_many_loops_that_the_substrate_diffracts_nothing(curve):
    """A step of the fit may go there: curve and derivatives are finite, and nothing overflows."""
    given = posed(curve, "layer+substrate")
    x = given.coordinates(PROFILES[:1])
    x[:, -2:] = given.layout.high[-2:]
    state = given.evaluate(x)
    assert np.isfinite(state.gradient).all()
    assert np.isfinite(state.hessian).all()


def test_the_command_and_a_list_of_curves(curve, tmp_path, monkeypatch):
    """What the loops ended with goes on in the next refinement; a list of curves names them once."""
    monkeypatch.chdir(tmp_path)
    write_curve("curve.xy", curve.angle, curve.intensity)
    start = tmp_path / "start.json"
    start.write_text(json.dumps(dict(zip(NAMES, PROFILES[0].tolist(), strict=True))))
    result = xrd("refine", "curve.xy", "--per-count", 1.0, "--start", start, "--defects", "layer")
    assert result.exit_code == 0, result.output
    assert "loops of the layer" in result.output
    first = json.loads((tmp_path / "result" / "result.json").read_text())
    assert first["assumed"].endswith("with dislocation loops.")
    again = xrd("refine", "curve.xy", "--start", "result/result.json", "-o", "again")
    assert again.exit_code == 0, again.output
    second = json.loads((tmp_path / "again" / "result.json").read_text())
    assert second["defects"]["radius_layer"]["value"] == pytest.approx(
        first["defects"]["radius_layer"]["value"], rel=0.02
    )
    listed = tmp_path / "sample.toml"
    of_curve = 'file = "curve.xy"\ncrystal = "GGG"\nhkl = [4, 4, 4]\nper_count = 1.0\n'
    listed.write_text(f'defects = "loops.toml"\n[[curves]]\n{of_curve}')
    (tmp_path / "loops.toml").write_text(FILE)
    assert read_sample_toml(listed).defects == UnknownDefects.of(tmp_path / "loops.toml")
    listed.write_text(listed.read_text().replace('"loops.toml"', "3"))
    with pytest.raises(ParameterError, match="defects = 3 must be a name or a file"):
        read_sample_toml(listed)
