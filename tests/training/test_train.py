"""Training end to end on a tiny dataset: files, reproducibility, resuming, and every refusal."""

import importlib
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import xrdml
from xrdml import load_model, train
from xrdml.data.ranges import Narrowing, Ranges
from xrdml.networks import losses
from xrdsim import generate
from xrdsim.errors import CheckpointError, DeviceError, OutputError, ParameterError, StoreError, XrdError
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import NAMES

FAST = {"epochs": 2, "batch_size": 64}
MODULE = importlib.import_module("xrdml.training.objective")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "dataset.zarr"
    options = {"sensitivity": np.ones(7), "rtol_dex": 1e-3, "block_size": 128}
    return generate(path, n=300, test_rows=24, **options)


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    return train(dataset, output=tmp_path_factory.mktemp("run") / "first", **FAST)


def test_training_leaves_denormals_as_they_were(run):
    assert np.float64(np.finfo(np.float64).tiny) / 2 > 0.0


def tensors(run):
    return load_file(run.path / "model.safetensors")


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one) and one.keys() == other.keys()


def interrupted(dataset, folder, epoch, **options):
    """Train until the first batch of an epoch (counted over all phases), then press Ctrl-C."""
    seen = set()

    def stop(progress):
        seen.add((progress.phase, progress.epoch))
        if len(seen) == epoch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"--resume.*resume=True"):
        train(dataset, output=folder, progress=stop, **options)


def test_writes_model_card_metrics_and_state(run, dataset):
    assert {path.name for path in run.path.iterdir()} == {
        "model.safetensors",
        "model.json",
        "metrics.json",
        "state.pt",
    }
    card = json.loads((run.path / "model.json").read_text())
    assert card["definition"]["parameters"]["names"] == list(NAMES)
    assert card["definition"]["window"] == dataset.config.scan.to_dict()
    assert card["definition"]["measurement"]["fwhm"] == [25.0, 80.0]
    assert card["training"]["weights"] == [1.0] * 7
    assert card["dataset"] == dataset.config.to_dict()
    assert "torch" in card["versions"]
    metrics = json.loads((run.path / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(run.metrics))
    assert [record["epoch"] for record in metrics["history"]] == [1, 2]
    test = metrics["test"]
    assert test["rows"] == 24
    for side in ("model", "mean_of_training_parameters"):
        assert set(test[side]["parameters"]) == set(NAMES)
        assert 0.0 < test[side]["mean_mae_percent"] < 50.0
        assert test[side]["curve_error_dex"] > 0.0
        assert test[side]["profile_error"] > 0.0


def test_loaded_model_gives_valid_vectors(run):
    model = load_model(run.path)
    assert model.window.points == 701
    assert model.experiment.exact
    params = model.estimate(np.random.default_rng(0).normal(size=(5, 2, 701)).astype(np.float32))
    assert model.space.contains(params).all()
    assert not model.net.training
    with pytest.raises(CheckpointError, match="a weighted network, which gives no samples"):
        model.draw(np.zeros((1, 2, 701), np.float32), 5)


def test_is_reproducible_and_depends_on_the_seed(run, dataset, tmp_path):
    assert same(tensors(run), tensors(train(dataset.path, output=tmp_path / "again", **FAST)))
    assert not same(tensors(run), tensors(train(dataset, output=tmp_path / "other", seed=1, **FAST)))


def test_resumed_equals_uninterrupted(run, dataset, tmp_path):
    interrupted(dataset, tmp_path / "run", 2, **FAST)
    load_model(tmp_path / "run")  # the first epoch is a model
    resumed = train(dataset, output=tmp_path / "run", resume=True, **FAST)
    assert same(tensors(run), tensors(resumed))
    assert resumed.metrics == run.metrics
    assert train(dataset, output=tmp_path / "run", resume=True, **FAST).metrics == run.metrics  # nothing left to do


def test_hierarchical_trains_its_second_phase_alone_and_resumes(dataset, tmp_path):
    options = {"model": "hierarchical", "weights": [0, 0, 1, 2, 3, 0, 0], **FAST}
    whole = train(dataset, output=tmp_path / "whole", **options)
    history = [(record["phase"], record["epoch"]) for record in whole.metrics["history"]]
    assert history == [("coarse", 1), ("coarse", 2), ("fine", 1)]
    net = load_model(whole.path).net
    assert net.get_buffer("columns").tolist() == [2, 3, 4]
    interrupted(dataset, tmp_path / "part", 3, **options)  # in the second phase
    coarse = load_file(tmp_path / "part" / "model.safetensors")
    assert not coarse["fine.out.weight"].any()
    resumed = train(dataset, output=tmp_path / "part", resume=True, **options)
    assert same(tensors(whole), tensors(resumed))
    state = torch.load(whole.path / "state.pt", weights_only=True)["net"]
    assert all(torch.equal(state[name], coarse[name]) for name in coarse if not name.startswith("fine"))
    assert state["fine.out.weight"].any()


def test_curves_that_are_not_held_in_memory_change_nothing(run, dataset, tmp_path):
    assert same(tensors(run), tensors(train(dataset, output=tmp_path / "run", memory=0, **FAST)))


def test_undo_sampler_changes_nothing_where_every_density_is_one(run, dataset, tmp_path):
    assert same(tensors(run), tensors(train(dataset, output=tmp_path / "run", undo_sampler=True, **FAST)))


def test_validation_is_of_the_prior_and_undo_sampler_weights_the_training(tmp_path, monkeypatch):
    data = generate(tmp_path / "edge.zarr", n=200, test_rows=2, sampler="edge", rtol_dex=1e-2)
    given = []

    def loss(predicted, true, span, weights, importance):
        given.append((predicted.requires_grad, true, importance))
        return losses.weighted_loss(predicted, true, span, weights, importance)

    monkeypatch.setattr(MODULE, "weighted_loss", loss)
    density = {tuple(params): value for params, value in zip(data.parameters[:], data.density[:], strict=True)}
    for undo in (False, True):
        given.clear()
        train(data, output=tmp_path / f"run-{undo}", epochs=1, batch_size=180, undo_sampler=undo)
        for training, true, importance in given:
            expected = np.array([1.0 / density[tuple(row)] for row in true.numpy()])
            expected = expected / expected.mean() if undo or not training else np.ones(len(true))
            np.testing.assert_allclose(importance.numpy(), expected, rtol=1e-5)


def test_a_training_by_another_optimizer_is_not_continued(run, dataset, tmp_path):
    folder = copy(run, tmp_path)
    state = torch.load(folder / "state.pt", weights_only=True)
    settings = json.loads(state["settings"])
    assert settings.pop("optimizer") == "muon"  # trainings of earlier versions do not say theirs
    torch.save(state | {"settings": json.dumps(settings)}, folder / "state.pt")
    with pytest.raises(CheckpointError, match="optimizer = adamw, not muon"):
        train(dataset, output=folder, resume=True, **FAST)


def test_full_precision_is_what_processors_without_bfloat16_have(dataset, tmp_path, monkeypatch):
    runs = {}
    for name, quick, full in (("slow", False, False), ("mixed", True, False), ("full", True, True)):
        monkeypatch.setattr("xrdml.training.train.fast_bfloat16", lambda quick=quick: quick)
        runs[name] = train(dataset, output=tmp_path / name, full_precision=full, **FAST | {"epochs": 1})
    assert same(tensors(runs["slow"]), tensors(runs["full"]))
    assert not same(tensors(runs["mixed"]), tensors(runs["full"]))


def test_fine_by_name_or_default(dataset, tmp_path):
    one = {"epochs": 1, "model": "hierarchical"}
    run = train(dataset, output=tmp_path / "named", fine=["L2", "Rp1"], **one)
    assert load_model(run.path).net.get_buffer("columns").tolist() == [5, 3]
    run = train(dataset, output=tmp_path / "default", **one)
    model = load_model(run.path)
    measured = model.card["training"]["sensitivity"]
    assert list(measured) == list(NAMES)
    columns = model.net.get_buffer("columns").tolist()
    assert {NAMES[column] for column in columns} == set(sorted(measured, key=measured.get)[-3:])


def test_learns(dataset, tmp_path):
    """On the rows it was trained on: the test is of the loop, not of what 270 curves teach."""
    run = train(dataset, output=tmp_path / "run", epochs=5, batch_size=32)
    history = [record["loss"] for record in run.metrics["history"]]
    assert history[-1] < 0.9 * history[0]


def test_early_stopping(dataset, tmp_path, monkeypatch):
    validation = iter([3.0, 2.0, 2.5, 2.4])

    def loss(*args, **kwargs):
        true = losses.weighted_loss(*args, **kwargs)
        return true if true.requires_grad else torch.tensor(next(validation))

    monkeypatch.setattr(MODULE, "weighted_loss", loss)
    run = train(dataset, output=tmp_path / "run", epochs=9, batch_size=270, patience=2)
    assert [record["validation"] for record in run.metrics["history"]] == pytest.approx([3.0, 2.0, 2.5, 2.4])


def test_stops_at_a_loss_that_is_not_finite(dataset, tmp_path, monkeypatch):
    calls = []

    def spoiled(*args, **kwargs):
        calls.append(1)
        return losses.weighted_loss(*args, **kwargs) * (np.nan if len(calls) == 7 else 1.0)

    monkeypatch.setattr(MODULE, "weighted_loss", spoiled)  # 4 batches and a validation are one epoch
    with pytest.raises(XrdError, match=r"not finite in phase all, epoch 2, batch 2.*lr below") as caught:
        train(dataset, output=tmp_path / "run", **FAST)
    assert str(tmp_path) in str(caught.value)
    assert len(load_model(tmp_path / "run").card["history"]) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"model": "transformer"},
            ParameterError,
            "'transformer' is unknown; choose weighted, hierarchical, flow, multitask, attention",
        ),
        ({"epochs": 0}, ParameterError, "epochs = 0"),
        ({"batch_size": -1}, ParameterError, "batch_size = -1"),
        ({"lr": float("nan")}, ParameterError, "lr = nan"),
        ({"seed": -1}, ParameterError, "seed = -1"),
        ({"weights": [1.0, 2.0]}, ParameterError, r"shape \(2,\)"),
        ({"fine": ["L1"]}, ParameterError, "belongs to the hierarchical"),
        ({"model": "hierarchical", "fine": ["L9"]}, ParameterError, "fine = L9"),
        ({"model": "hierarchical", "fine": []}, ParameterError, "fine = nothing"),
        ({"device": "abacus"}, DeviceError, "'abacus'"),
        ({"dataset": "missing.zarr"}, StoreError, "missing.zarr"),
        ({"resume": True}, CheckpointError, "no training to resume"),
    ],
)
def test_refuses_settings_without_meaning(dataset, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        train(options.pop("dataset", dataset), output=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_refuses_an_absent_gpu(dataset, tmp_path):
    with pytest.raises(DeviceError, match="no CUDA device"):
        train(dataset, output=tmp_path / "run", device="cuda")


def test_refuses_to_overwrite_and_to_resume_something_else(run, dataset, tmp_path):
    with pytest.raises(CheckpointError, match=r"--resume.*another folder"):
        train(dataset, output=run.path, **FAST)
    changes = [{"epochs": 3}, {"lr": 1e-4}, {"undo_sampler": True}]
    for change in (*changes, {"weights": [2, 1, 1, 1, 1, 1, 1]}, {"model": "hierarchical"}):
        with pytest.raises(CheckpointError, match=next(iter(change)) if "model" not in change else "definition"):
            train(dataset, output=run.path, resume=True, **FAST | change)
    other = generate(tmp_path / "other.zarr", n=100, test_rows=2, seed=1, sensitivity=np.ones(7), rtol_dex=1e-3)
    with pytest.raises(CheckpointError, match=r"trained with dataset\b"):
        train(other, output=run.path, resume=True, **FAST)


def test_refuses_an_unwritable_output(dataset, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        train(dataset, output=tmp_path / "file" / "run", **FAST)


def test_default_folders_are_numbered(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = {"epochs": 1, "batch_size": 270}
    assert [str(train(dataset, **one).path) for _ in range(2)] == ["runs/weighted", "runs/weighted-2"]
    assert str(train(dataset, resume=True, **one).path) == "runs/weighted-2"


def copy(run, tmp_path):
    return shutil.copytree(run.path, tmp_path / "copy")


def test_load_refuses_what_is_no_model(run, tmp_path):
    with pytest.raises(CheckpointError, match=r"no trained model.*xrd train"):
        load_model(tmp_path)
    folder = copy(run, tmp_path)
    (folder / "model.json").write_text("[1]")
    with pytest.raises(CheckpointError, match="not the card of a model"):
        load_model(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_model(folder)


def test_load_refuses_truncated_or_missing_weights(run, tmp_path):
    weights = copy(run, tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="truncated"):
        load_model(weights.parent)
    weights.unlink()
    with pytest.raises(CheckpointError, match="missing"):
        load_model(weights.parent)


def test_load_refuses_edited_weights(run, tmp_path):
    weights = copy(run, tmp_path) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match="changed after training"):
        load_model(weights.parent)
    save_file({"a": torch.zeros(1)}, weights)
    with pytest.raises(CheckpointError, match="changed after training"):
        load_model(weights.parent)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["parameters"]["high"].__setitem__(0, 0.02), "was edited"),
        (lambda d: d["parameters"]["names"].reverse(), "was edited"),
        (lambda d: d["architecture"].__setitem__("hidden", 10**6), "was edited"),
        (lambda d: d.__setitem__("version", 99), "version 99, this program reads up to 3; update"),
    ],
)
def test_load_refuses_edited_and_newer_cards(run, tmp_path, change, message):
    path = copy(run, tmp_path) / "model.json"
    card = json.loads(path.read_text())
    change(card["definition"])
    path.write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match=message):
        load_model(path.parent)


def test_load_refuses_another_parameter_order(run, tmp_path):
    from xrdml.networks.checkpoint import save_model

    card = json.loads((run.path / "model.json").read_text())
    card["definition"]["parameters"]["names"].reverse()
    save_model(tmp_path, tensors(run), card)
    with pytest.raises(CheckpointError, match="this program Dmax1, D01"):
        load_model(tmp_path)
    card["definition"]["parameters"]["names"].reverse()
    card["definition"]["architecture"]["hidden"] = 13
    save_model(tmp_path, tensors(run), card)
    with pytest.raises(CheckpointError, match="do not make a model"):
        load_model(tmp_path)


def test_resume_refuses_a_damaged_state_and_executes_nothing(run, dataset, tmp_path):
    state = copy(run, tmp_path) / "state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        train(dataset, output=state.parent, resume=True, **FAST)
    torch.save({"settings": shutil.rmtree}, state)
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        train(dataset, output=state.parent, resume=True, **FAST)
    assert xrdml.load_model(state.parent)


@pytest.mark.usefixtures("few_held")
def test_a_flow_learns_from_fresh_curves_and_resumes(tmp_path):
    options = {"simulate": 192, "space": ParameterSpace().with_damage(), "undamaged": 0.5, "model": "flow", **FAST}
    whole = train(None, output=tmp_path / "whole", **options)
    assert len(whole.metrics["test"]["model"]["parameters"]) == 9
    interrupted(None, tmp_path / "part", 2, **options)
    resumed = train(None, output=tmp_path / "part", resume=True, **options)
    assert same(tensors(whole), tensors(resumed))
    assert resumed.metrics == whole.metrics
    loaded = load_model(whole.path)
    assert loaded.card["training"]["narrowing"]["share"] == 0.3
    seen = np.zeros((3, 2, loaded.window.points), np.float32)
    assert loaded.space.contains(loaded.estimate(seen)).all()
    drawn = loaded.draw(seen, 20)
    assert drawn.values.shape == (3, 20, 11)
    assert drawn.log_prob.shape == (3, 20)
    assert loaded.space.contains(drawn.values[:, :, :9].reshape(-1, 9)).all()
    np.testing.assert_array_equal(drawn.values, loaded.draw(seen, 20).values)
    known = Ranges(loaded.ranges.low.clone(), loaded.ranges.high.clone(), loaded.space.strain_sum)
    known.low[0, 7:9] = known.high[0, 7:9] = torch.tensor([0.0, 1.0]).double()
    assert not loaded.draw(seen, 20, known).values[:, :, 7].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"simulate": 1}, "simulate = 1"),
        ({}, "give a dataset"),
        ({"simulate": 64, "model": "weighted", "narrowing": Narrowing()}, "belongs to the model flow"),
    ],
)
def test_refuses_fresh_curves_without_meaning(tmp_path, options, message):
    with pytest.raises(ParameterError, match=message):
        train(None, output=tmp_path / "run", **options)
    with pytest.raises(ParameterError, match="leave them out"):
        train("dataset.zarr", undamaged=0.5)
