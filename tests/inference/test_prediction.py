"""Prediction: with the network replaced by one that knows the truth, everything else must come out right."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from xrdml import TrainedModel, load_model, predict
from xrdml.data.measurement import Measurement
from xrdsim import depth_end, simulate
from xrdsim.curves.curve import Curve, write_curve
from xrdsim.errors import CheckpointError, CurveError
from xrdsim.experiment.reflection import GGG_444
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.fit.judgement.verdict import MISFIT_FROM
from xrdsim.fit.report.tables import table
from xrdsim.fit.result import Verdict
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import NAMES

TRUE = {"fwhm": 42.0, "zero": 2.5, "scale": 310.0, "background": 0.05}


def values(found):
    return np.array([each.value for each in found.parameters])


def ends(found):
    return np.array([(each.low, each.high) for each in found.parameters]).T


class Oracle(torch.nn.Module):
    def __init__(self, params):
        super().__init__()
        unit, _ = ParameterSpace().to_unit(list(np.atleast_2d(params).T))
        self.unit = torch.nn.Parameter(torch.tensor(np.array(unit).T))

    def forward(self, x, told):
        return self.unit.expand(len(x), -1)


@pytest.fixture
def oracle(demonstration):
    net = Oracle(demonstration)
    return TrainedModel(net, ParameterSpace(), DEFAULT_SCAN, Measurement(), Experiment(), {}, Path("oracle"))


@pytest.fixture
def curve(demonstration):
    scan = Scan(-250.0, 3.1, 700)
    intensity = simulate(demonstration, scan=scan, **TRUE).intensity[0]
    return Curve(scan.angle, intensity, int(np.argmax(intensity)), "made up", "A curve.")


def test_finds_the_measurement_of_a_known_sample(oracle, curve, demonstration):
    found = predict(curve, oracle)
    np.testing.assert_allclose(values(found), demonstration, rtol=1e-9)
    assert found.verdict is Verdict.ESTIMATE
    assert found["fwhm"].value == pytest.approx(42.0, abs=1.0)
    assert found["zero"].value == pytest.approx(2.5, abs=0.3)
    assert found["scale"].value == pytest.approx(310.0, rel=0.02)
    assert found["background"].value == pytest.approx(0.05, rel=0.02)
    assert found.mean_abs_log10 < 3e-3
    tail = curve.angle >= MISFIT_FROM
    again = np.abs(np.log10(curve.intensity[tail] / found.model[tail])).mean()
    assert found.mean_abs_log10 == pytest.approx(again)
    np.testing.assert_array_equal(found.used, np.abs(curve.angle) >= 48.0)
    assert found.depth[-1] == pytest.approx(1.02 * depth_end(demonstration)[0])
    assert found.strain.max() == pytest.approx(0.013, rel=0.2)
    assert tuple(each.name for each in found.parameters) == NAMES
    assert (found.note, found.notes) == ("A curve.", ())
    assert np.isnan(ends(found)).all()  # the network states no posterior
    assert {row[-1] for row in table(found)[1][:7]} == {"no interval"}


@pytest.mark.usefixtures("one_thread")
def test_refinement_of_an_estimate_beside_the_truth(oracle, curve, demonstration):
    beside = demonstration * [1.01, 0.9, 0.99, 1.01, 1.03, 0.97, 0.9]
    off = replace(oracle, net=Oracle(beside))
    raw, refined = predict(curve, off), predict(curve, off, refine=True)
    assert raw.mean_abs_log10 > 0.02
    assert refined.mean_abs_log10 < 3e-3
    assert refined.verdict is Verdict.SOLVED
    np.testing.assert_allclose(values(refined)[:6], demonstration[:6], rtol=5e-3)
    assert (
        refined.notes[-1] == f"Refined on the curve: the misfit of the network's estimate was {raw.mean_abs_log10:.4f}."
    )


@pytest.mark.usefixtures("one_thread")
def test_the_pretrained_network_finds_a_sample_and_says_what_it_does_not_know(demonstration):
    scan = Scan(-80.0, 6.0, 300)
    wide, noise = TRUE | {"fwhm": 95.0}, np.random.default_rng(0)
    counts = noise.poisson(1e3 * simulate(demonstration, scan=scan, **wide).intensity[0])
    found = predict(Curve(scan.angle, counts, int(np.argmax(counts))), refine=True, damage=True)
    assert len(found.parameters) == 9
    assert np.all(ends(found)[0] < ends(found)[1])
    assert found.mean_abs_log10 < 0.05
    assert found["fwhm"].value == pytest.approx(95.0, abs=3.0)
    assert any("FWHM, 9" in note and "outside of 25 … 80" in note for note in found.notes)
    assert {"value", "std", "unit", "low", "high"} <= set(found.to_dict()["parameters"]["L1"])
    strange = Curve(scan.angle, noise.poisson(1000.0 * 10.0 ** np.sin(scan.angle / 40.0)), 13)
    assert any("not one that the model knows" in note for note in predict(strange, refine=True).notes)


def test_counts_with_zeros_are_fitted(oracle, curve):
    counts = np.random.default_rng(0).poisson(curve.intensity * 100.0)
    counts[400:420] = 0
    found = predict(Curve(curve.angle, counts, curve.peak_index), oracle)
    assert np.isfinite(found.mean_abs_log10)
    assert found["scale"].value == pytest.approx(31000.0, rel=0.1)
    assert found["background"].value >= 0.0


def test_reads_files_and_is_jsonable(oracle, curve, tmp_path):
    path = tmp_path / "curve.xy"
    write_curve(path, curve.angle - curve.angle[curve.peak_index], curve.intensity)
    found = json.loads(json.dumps(predict(path, oracle).to_dict(), allow_nan=False))
    assert found["source"] == str(path)
    assert found["parameters"]["L1"]["unit"] == "Å"
    assert found["parameters"]["L1"]["low"] is None
    assert (found["schema"], found["verdict"], found["ended"]) == (2, "estimate", "estimate")
    assert set(found["measurement"]) == {"fwhm_arcsec", "zero_arcsec", "scale", "background"}
    assert {len(part) for part in found["curve"].values()} == {700}
    assert len(found["profile"]["depth"]) == len(found["profile"]["strain"])
    column = tmp_path / "column.txt"
    np.savetxt(column, curve.intensity)
    np.testing.assert_allclose(np.diff(predict(column, oracle, step=3.1).angle), 3.1)


def test_says_what_the_model_was_not_trained_for(oracle, curve):
    short = curve.angle < 700.0
    found = predict(Curve(curve.angle[short][::5], curve.intensity[short][::5], 16), oracle)
    assert any("ends at 6" in note for note in found.notes)
    assert any("step is 15.5" in note for note in found.notes)


def test_refuses_curves_and_models_that_cannot_be_used(oracle, curve, tmp_path):
    near = curve.angle < 150.0
    with pytest.raises(CurveError, match=r"covers \d+ of the 701 points"):
        predict(Curve(curve.angle[near], curve.intensity[near], curve.peak_index), oracle)
    with pytest.raises(CurveError, match=r"missing\.txt"):
        predict(tmp_path / "missing.txt", oracle)
    with pytest.raises(CheckpointError, match="no trained model"):
        predict(curve, tmp_path)


def test_measured_curves_are_read(oracle, measured_folder):
    for name in ("ggg_he_2e15.txt", "ggg_he_6e15.txt"):
        found = predict(measured_folder / name, oracle)
        assert np.isfinite(found.mean_abs_log10)
        assert (found.model > 0.0).all()


@pytest.mark.usefixtures("one_thread")
def test_refined_values_have_intervals_of_their_own(demonstration):
    counts = np.random.default_rng(4).poisson(2e5 * simulate(demonstration, fwhm=40.0, background=2e-4).intensity[0])
    curve = Curve(DEFAULT_SCAN.angle, counts / 2e5, 20, "counted", per_count=1 / 2e5)
    raw, refined = predict(curve), predict(curve, refine=True)
    assert (raw.verdict, refined.verdict) == (Verdict.ESTIMATE, Verdict.SOLVED)
    assert (raw.uncertainty["method"], refined.uncertainty["method"]) == ("network", "laplace")
    (low, high), (least, most) = ends(refined), ends(raw)
    assert np.all((low <= values(refined)) & (values(refined) <= high))
    assert np.all(high - low <= 1.2 * (most - least))
    masked = load_model().measurement.always_masked  # a network of whole curves has the compressed side fitted, too
    np.testing.assert_array_equal(refined.used, (curve.angle >= masked) | (masked == 0.0))
    np.testing.assert_array_equal(raw.used, np.abs(curve.angle) >= masked)
    for found in (raw, refined):
        assert found.assumed.startswith("Assumed: GGG 444, 1.54056 Å (Cu Kα₁), a ")
        assert "instrument of FWHM " in found.assumed
        assert found.to_dict()["assumed"] == found.assumed


def test_a_misfit_is_said_without_a_refinement_too(oracle, curve):
    other = replace(curve, intensity=np.interp(0.6 * curve.angle, curve.angle, curve.intensity))
    found = predict(other, oracle)
    assert found.mean_abs_log10 > 0.1
    assert f"The estimate differs from the curve by {found.mean_abs_log10:.2g} dex on average" in found.notes[-1]
    assert "--refine" in found.notes[-1]


def test_damage_is_estimated_where_it_is_asked_for(curve, oracle):
    bare, damaged = predict(curve), predict(curve, damage=True)
    assert len(bare.parameters) == 7
    assert tuple(each.name for each in damaged.parameters) == ParameterSpace().with_damage().names
    assert bare.assumed.endswith("without lattice damage.")
    assert damaged.assumed.endswith("with lattice damage.")
    with pytest.raises(CheckpointError, match="has no damage"):
        predict(curve, oracle, damage=True)


def test_another_reflection_than_that_of_the_network_is_refused(tmp_path, demonstration):
    """A curve of 888 would be taken for three times the strain."""
    curves = simulate(demonstration, scan=DEFAULT_SCAN, fwhm=40.0, background=1e-4)
    write_curve(tmp_path / "curve.xy", curves.angle, curves.intensity[0])
    other = replace(GGG_444, hkl=(8, 8, 8))
    with pytest.raises(CheckpointError, match=r"was trained for GGG 444.*not GGG 888.*xrd fit"):
        predict(tmp_path / "curve.xy", reflection=other)
    assert predict(tmp_path / "curve.xy", reflection=GGG_444).parameters
