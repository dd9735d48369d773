"""The evaluation of models that are known: one that knows the truth, the prior, one whose samples are shifted."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cli import app
from xrdml import TrainedModel
from xrdml.data.measurement import Measurement, measure
from xrdml.data.source import stream
from xrdml.evaluation import evaluation as module
from xrdml.evaluation.calibration import LEVELS
from xrdml.evaluation.evaluation import evaluate
from xrdml.evaluation.holdout import fresh, refuse_known, stored
from xrdml.evaluation.report import tables, write
from xrdml.evaluation.single_curves import solve
from xrdml.networks.nets import Flow
from xrdsim import draw_prior, generate
from xrdsim.errors import CheckpointError, ParameterError
from xrdsim.experiment.reflection import GGG_444, strain_to_angle
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.profiles.space import ParameterSpace

YAG_444 = replace(GGG_444, crystal=replace(GGG_444.crystal, name="YAG", lattice=12.01))
ROWS = 150
FEW = {"rows": 150, "refined": 0, "draws": 100}


class Known(torch.nn.Module):
    """Gives coordinates (n, p) of the rows, in their order."""

    def __init__(self, unit):
        super().__init__()
        self.unit = torch.nn.Parameter(torch.tensor(unit))

    def forward(self, x, told):
        return self.unit[torch.arange(len(x)) % len(self.unit)]


class Stating(Flow):
    """Gives the coordinates of the rows, and of each row the samples (n, draws, k) of a function (first, n, draws)."""

    def __init__(self, unit, samples):
        torch.nn.Module.__init__(self)
        self.unit = torch.nn.Parameter(torch.tensor(unit))
        self.first, self.samples = 0, samples

    def forward(self, x, told):
        return self.unit[torch.arange(len(x)) % len(self.unit)]

    def context(self, x, told):
        return x

    @property
    def posterior(self):
        return SimpleNamespace(sample=self._sample)

    def _sample(self, context, draws):
        n = len(context)
        unit = torch.tensor(self.samples(self.first, n, draws), dtype=torch.float32)
        self.first += n
        return unit, torch.zeros(n, draws)


def trained(net, space=None):
    return TrainedModel(net, space or ParameterSpace(), DEFAULT_SCAN, Measurement(), Experiment(), {}, Path("known"))


def places(space=None, rows=ROWS, seed=0):
    """Coordinates (rows, k) of the values that ``evaluate`` draws."""
    model = trained(None, space)
    held, config = fresh(model, rows, seed)
    measured = measure(held.reflectivity, held.params, config, model.measurement, stream(seed, module._MEASURE))
    return model.ranges.coordinates(torch.from_numpy(measured.values), None).double().numpy()


def prior_median():
    params = np.median(draw_prior(5000, rng=np.random.default_rng(1)), axis=0)
    return np.array(ParameterSpace().to_unit(list(params[None].T))[0]).T


@pytest.mark.usefixtures("one_thread")
def test_who_knows_the_truth_has_no_error_and_solves_what_can_be_solved():
    found = evaluate(trained(Known(places(rows=12)[:, :7])), rows=12, refined=4)
    for group in found.accuracy:
        if group.rows:
            np.testing.assert_allclose(group.mae, 0.0, atol=1e-3)
            np.testing.assert_allclose(group.skill, 1.0, atol=1e-3)
            assert (group.limit[~np.isnan(group.limit)] > 0.0).all()
    assert found.curve.max() < 0.02
    assert found.profile.max() < 1e-3
    assert found.calibration is None
    assert found.solve_rate >= found.solvable > 0.5  # a fit may describe more than the truth, by a little
    assert max(each.refined_chi2 - each.truth for each in found.solved) < 0.01
    assert np.median(found.solved_curve["refined"]) < 0.05  # what a scan ends before is anything
    assert [each.kind.split()[0] for each in found.detections] == ["FWHM", "background", "material"]
    wide, high, material = (each.rates for each in found.detections)
    assert wide["refined_chi2"] == material["refined_chi2"] == 1.0
    assert high["contrast"] == 1.0  # ten times the highest background that is known, and more
    assert set(found.milliseconds) == {"estimate, batch 1", "estimate, batch 256"}


def test_the_prior_as_posterior_is_calibrated_without_skill():
    rng, space = np.random.default_rng(2), ParameterSpace()

    def samples(first, n, draws):
        params = draw_prior(n * draws, rng=rng)
        unit = np.column_stack([*space.to_unit(list(params.T))[0], rng.random((n * draws, 2))])
        return unit.reshape(n, draws, -1)

    found = evaluate(trained(Stating(prior_median(), samples)), **FEW)
    np.testing.assert_allclose(found.accuracy[0].skill, 0.0, atol=0.03)
    of = found.calibration
    assert of.names[-2:] == ("zero", "fwhm")
    np.testing.assert_allclose(of.coverage, np.repeat(np.array(LEVELS)[:, None], 9, axis=1), atol=0.13)
    np.testing.assert_allclose(of.contraction, 0.0, atol=0.05)
    assert of.tarp_deviation < 0.15


@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_a_shifted_posterior_is_told_from_the_right_one(shift):
    rng, truth, width = np.random.default_rng(2), places(), 0.04
    middle = truth - width * rng.standard_normal(truth.shape)  # from which truth and samples are equally far

    def samples(first, n, draws):
        here = middle[np.arange(first, first + n) % ROWS]
        return here[:, None] + shift + width * rng.standard_normal((n, draws, here.shape[1]))

    of = evaluate(trained(Stating(truth[:, :7], samples)), **FEW).calibration
    held = of.coverage[LEVELS.index(0.9)]
    if shift:
        assert (held < 0.7).all()
        assert of.tarp_deviation > 0.2
    else:
        np.testing.assert_allclose(held, 0.9, atol=0.08)
        assert of.tarp_deviation < 0.15
        assert of.contraction.min() > 0.8


@pytest.mark.usefixtures("one_thread")
def test_rows_without_damage_say_nothing_about_damage(tmp_path):
    space = ParameterSpace().with_damage()
    truth, rng = places(space, 30), np.random.default_rng(1)

    def samples(first, n, draws):
        return truth[np.arange(first, first + n) % 30][:, None] + 0.01 * rng.standard_normal((n, draws, 11))

    calls = []
    net = Stating(truth[:, :9], samples)
    found = evaluate(
        trained(net, space), rows=30, refined=2, draws=100, progress=lambda done, total: calls.append((done, total))
    )
    damaged = int((found.truth[:, 7] > 0.0).sum())
    assert 0 < damaged < 30
    assert found.calibration.rows.tolist() == [30] * 7 + [damaged] * 2 + [30] * 2
    groups = {group.group: group for group in found.accuracy}
    assert groups["with damage"].rows == damaged
    assert np.isnan(groups["without damage"].mae[7:]).all()
    np.testing.assert_array_equal(found.estimate[~found.unknown[:, 7], 7:], np.tile([0.0, 1.0], (30 - damaged, 1)))
    assert calls[-1] == (30 + 2 + 3, 30 + 2 + 3)
    files = {path.name for path in write(found, tmp_path)}
    drawn = {f"{name}.png" for name in ("accuracy", "estimates", "calibration", "ranks", "outside")}
    assert files == drawn | {"evaluation.json", "evaluation.html"}
    assert (tmp_path / "svg" / "ranks.svg") in write(found, tmp_path / "svg", "svg")
    assert "data:image/png;base64," in (tmp_path / "svg" / "evaluation.html").read_text()
    plain = json.loads((tmp_path / "evaluation.json").read_text())
    assert plain["refined"]["rows"] == 2
    assert plain["accuracy"][0]["parameters"]["L1"]["skill"] > 0.99
    page = (tmp_path / "evaluation.html").read_text()
    for title, header, rows in tables(found):
        assert all(len(row) == len(header) for row in rows)
        assert title.split(":")[0] in page
    assert page.count("<img") == 5


def test_measured_curves_are_those_of_the_prior():
    model = trained(None)
    held, config = fresh(model, 40, 3)
    measured = measure(held.reflectivity, held.params, config, model.measurement, stream(3, 1))
    ends = np.array([measured.curve(row).angle[-1] for row in range(40)])
    strained = [strain_to_angle(strain, GGG_444) for strain in (held.params[:, 0] + held.params[:, 4])]
    assert measured.covers[ends >= strained].all()
    assert 0 < measured.covers.sum() < 40
    curve = measured.curve(5)
    np.testing.assert_allclose(curve.counts, np.round(curve.counts), atol=1e-6)
    assert measured.inputs(model.window).shape == (40, 2, 701)


@pytest.mark.usefixtures("one_thread")
def test_the_limit_falls_with_the_counts_and_stays_below_the_prior():
    model, spread = trained(None), np.full(7, 0.25) * ParameterSpace().span
    held, config = fresh(model, 4, 5)
    limits = []
    for counts in (1e4, 1e6):
        prior = replace(Measurement(covered=1.0), counts=(counts, counts))
        measured = measure(held.reflectivity, held.params, config, prior, stream(0, 1))
        limits.append([solve(measured, row, model, measured.values[row : row + 1], spread).limit for row in range(4)])
    few, many = np.array(limits)
    assert (many <= few * 1.001).all()
    assert (few <= spread).all()
    assert np.median(few / many) > 3.0


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "dataset.zarr"
    return generate(path, n=64, test_rows=24, sampler="sobol", rtol_dex=1e-3, block_size=64)


@pytest.fixture
def model(dataset):
    net = Known(prior_median())
    base = trained(net)
    return replace(base, experiment=Experiment(monochromator=dataset.config.monochromator))


def test_test_rows_of_a_dataset(dataset, model):
    found = evaluate(model, test=dataset.path, train=dataset.path, rows=10, refined=0)
    np.testing.assert_array_equal(found.truth, dataset.load("test").params[:10])
    assert found.how["data"] == str(dataset.path)
    assert found.solve_rate is None


def test_rows_that_were_learned_from_are_refused(dataset, model):
    learned = dataset.load("train").params
    with pytest.raises(ParameterError, match=r"2 of the 4 test rows of a\.zarr, the first of them row 1, .*b\.zarr"):
        refuse_known(
            np.concatenate([dataset.load("test").params[:1], learned[3:5], learned[:1] + 1]),
            learned,
            "a.zarr",
            "b.zarr",
        )
    with pytest.raises(ParameterError, match=r"'train' of .* is there to learn from"):
        stored(model, dataset.path, 10, part="train")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"space": ParameterSpace().with_damage()}, "the parameters .*the model known .*kappa"),
        ({"space": replace(ParameterSpace(), strain_sum=0.02)}, r"largest D01 \+ D02 0\.03, the model known 0\.02"),
        ({"window": Scan(-80.0, 4.0, 701)}, "has the scan start .*start -80"),
        ({"experiment": {"convention": "linear"}}, "has the convention exact, the model known linear"),
        ({"experiment": {"reflection": YAG_444}}, "reflection crystal GGG.*YAG"),
    ],
)
def test_a_dataset_of_another_kind_is_refused(dataset, model, changed, message):
    if "experiment" in changed:
        changed = {"experiment": replace(model.experiment, **changed["experiment"])}
    with pytest.raises(CheckpointError, match=message):
        evaluate(replace(model, **changed), test=dataset.path, rows=10)


def test_numbers_without_meaning_are_refused(model):
    for name, value in (("rows", 1), ("refined", -1), ("draws", 5), ("seed", -1)):
        with pytest.raises(ParameterError, match=f"{name} = {value} must be at least"):
            evaluate(model, **{name: value})
    with pytest.raises(ParameterError, match="give --test"):
        evaluate(model, train="dataset.zarr")
    layered = replace(model, experiment=Experiment(layers=100.0))
    with pytest.raises(ParameterError, match="trained on layers"):
        evaluate(layered)


def test_the_command_evaluates_the_pretrained_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["evaluate", "--rows", "8", "--refined", "0"])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    assert found["how"]["rows"] == 8
    assert (tmp_path / "evaluation" / "evaluation.html").exists()


def test_the_command_ends_in_one_line_where_there_is_no_model(tmp_path):
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path)])
    assert result.exit_code == 1
    assert "no trained model" in result.output
    assert len(result.output.strip().splitlines()) == 1
