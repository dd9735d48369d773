"""Every way of training, end to end on a tiny dataset: interrupted as uninterrupted, tuning, and every refusal."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from cli import app
from xrdml import load_model, train
from xrdml.networks.losses import weighted_loss
from xrdml.training import objective
from xrdml.training import rows as material
from xrdsim import generate
from xrdsim.errors import CheckpointError, ParameterError, StoreError, XrdError
from xrdsim.experiment.scan import DEFAULT_SCAN
from xrdsim.profiles.space import ParameterSpace

FAST = {"epochs": 2, "batch_size": 64}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "dataset.zarr"
    return generate(path, n=160, test_rows=8, sensitivity=np.ones(7), rtol_dex=1e-3, block_size=128)


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    return train(dataset, output=tmp_path_factory.mktemp("run") / "weighted", **FAST).path


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(material, "HELD", 20)


def tensors(run):
    return load_file(run.path / "model.safetensors")


def interrupt(now):
    if now.phase != "metrics" and now.epoch == 2 and now.batch == 1:
        raise KeyboardInterrupt


def check_resuming(source, folder, **options):
    """Train at once, and interrupted in the second epoch; the run."""
    whole = train(source, output=folder / "whole", **FAST | options)
    with pytest.raises(KeyboardInterrupt):
        train(source, output=folder / "part", progress=interrupt, **FAST | options)
    resumed = train(source, output=folder / "part", resume=True, **FAST | options)
    ours, theirs = tensors(whole), tensors(resumed)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert resumed.metrics == whole.metrics
    assert all(np.isfinite([row["loss"], row["validation"]]).all() for row in whole.metrics["history"])
    model = load_model(whole.path)
    estimated = model.estimate(np.random.default_rng(0).normal(size=(3, 2, model.window.points)).astype(np.float32))
    assert model.space.contains(estimated).all()
    return model


@pytest.mark.parametrize(
    "options",
    [
        {"model": "multitask", "weights": "fisher"},
        {"model": "attention", "loss": "curve", "alpha": 0.8, "undo_sampler": True},
        {"model": "flow", "loss": "curve", "curve_share": 0.05},
        {"model": "hierarchical", "weights": "fisher", "loss": "curve", "curve_share": 0.05},
    ],
)
def test_interrupted_is_uninterrupted(dataset, tmp_path, options):
    model = check_resuming(dataset, tmp_path, **options)
    training = model.card["training"]
    if "weights" in options:
        assert training["weights"] == "fisher"
    if "loss" in options:
        assert training["curve"] == {
            "alpha": options.get("alpha", 0.5),
            "share": options.get("curve_share", 0.125),
        }
    assert (training["sensitivity"] is not None) == (options["model"] == "hierarchical")


@pytest.mark.usefixtures("few")
def test_fresh_curves_with_damage(tmp_path):
    options = {"simulate": 130, "space": ParameterSpace().with_damage(), "undamaged": 0.5}
    model = check_resuming(None, tmp_path, model="attention", weights="fisher", **options)
    assert model.net.get_buffer("order").shape == (9,)


def test_tuning_begins_with_trained_weights(dataset, trained, tmp_path):
    model = check_resuming(dataset, tmp_path, finetune=trained, loss="curve", curve_share=0.05)
    training = model.card["training"]
    assert training["finetune"]["model"] == str(trained)
    assert training["lr"] == 3e-4
    still = train(dataset, output=tmp_path / "still", finetune=trained, **FAST | {"epochs": 1, "lr": 1e-12})
    before = load_file(trained / "model.safetensors")
    for name, tensor in tensors(still).items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(tensor, before[name], atol=1e-6, rtol=1e-6)


def test_tuning_refuses_what_is_missing_or_another_model(dataset, trained, tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match=r"nowhere holds no trained model"):
        train(dataset, finetune=tmp_path / "nowhere", output=tmp_path / "a", **FAST)
    with pytest.raises(CheckpointError, match=r"weighted is a weighted network.*/b a flow network"):
        train(dataset, model="flow", finetune=trained, output=tmp_path / "b", **FAST)
    with pytest.raises(CheckpointError, match=r"weighted has another window than the model for .*/w"):
        train(None, simulate=64, finetune=trained, output=tmp_path / "w", **FAST)
    monkeypatch.setattr("xrdml.training.rows.WHOLE_SCAN", DEFAULT_SCAN)
    with pytest.raises(CheckpointError, match=r"weighted has another network than the model for .*/c.*outputs=7"):
        train(None, simulate=64, space=ParameterSpace().with_damage(), finetune=trained, output=tmp_path / "c", **FAST)
    low = (0.002, *ParameterSpace().low[1:])
    with pytest.raises(CheckpointError, match=r"weighted has another parameter table than the model for .*/d"):
        train(
            None, simulate=64, space=ParameterSpace(low, ParameterSpace().high), finetune=trained, output=tmp_path / "d"
        )
    with pytest.raises(CheckpointError, match="cannot be tuned into itself"):
        train(dataset, finetune=trained, output=trained, resume=True, **FAST)
    assert not list(tmp_path.iterdir())


def test_resuming_refuses_another_loss_or_another_start(dataset, trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "copy")
    for change, name in (
        ({"loss": "curve"}, "curve"),
        ({"weights": "fisher"}, "weights"),
        ({"finetune": trained, "lr": 2e-3}, "finetune"),
        ({"model": "attention"}, "definition"),
    ):
        with pytest.raises(CheckpointError, match=f"was trained with {name} = "):
            train(dataset, output=folder, resume=True, **FAST | change)


def test_a_loss_that_is_not_finite_keeps_the_last_good_model(dataset, tmp_path, monkeypatch):
    calls = []

    def spoiled(*args):
        calls.append(1)
        return weighted_loss(*args) * (np.nan if len(calls) == 5 else 1.0)  # 2 batches and a validation are an epoch

    monkeypatch.setattr(objective, "weighted_loss", spoiled)
    with pytest.raises(XrdError, match="not finite in phase all, epoch 2, batch 2"):
        train(dataset, output=tmp_path / "run", loss="curve", curve_share=0.02, **FAST)
    assert len(load_model(tmp_path / "run").card["history"]) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "chi2"}, ParameterError, "loss 'chi2' is unknown"),
        ({"loss": "curve", "alpha": 2.0}, ParameterError, "alpha = 2 must lie"),
        ({"alpha": 0.5}, ParameterError, "belong to the loss curve"),
        ({"weights": "fisher", "dataset": "missing.zarr"}, StoreError, r"missing\.zarr"),
        ({"weights": "Fisher"}, ParameterError, "Fisher: the weights cannot be read"),
        ({"finetune": "missing"}, CheckpointError, "missing holds no trained model"),
        ({"simulate": 64, "undamaged": 0.5}, ParameterError, r"undamaged = 0\.5"),
        (
            {"simulate": 64, "undamaged": 1.5, "space": ParameterSpace().with_damage()},
            ParameterError,
            r"undamaged = 1\.5",
        ),
    ],
)
def test_refuses_before_anything_is_written(dataset, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        train(options.pop("dataset", dataset), output=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def run(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


@pytest.mark.usefixtures("few")
def test_the_command_trains_on_fresh_curves_without_a_dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("--simulate", 64, "--damage", "--undamaged", 0.5, "--model", "flow", "--epochs", 1)
    assert result.exit_code == 0, result.output
    card = json.loads(Path("runs/flow/model.json").read_text())
    assert card["training"]["simulate"] == 64
    assert len(card["definition"]["parameters"]["names"]) == 9
    Path("space.toml").write_text("[ranges]\nDmax1 = [0.005, 0.02]\n")
    arguments = ("--weights", "fisher", "--loss", "curve", "--alpha", 0.3, "--curve-share", 0.05, "--epochs", 1)
    result = run("--simulate", 64, "--space", "space.toml", "--model", "multitask", *arguments)
    assert result.exit_code == 0, result.output
    training = load_model("runs/multitask").card["training"]
    assert (training["weights"], training["curve"]) == ("fisher", {"alpha": 0.3, "share": 0.05})
    result = run("--simulate", 64, "--space", "space.toml", "--model", "multitask", "--finetune", "runs/multitask",
                 "--epochs", 1)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert load_model("runs/multitask-2").card["training"]["finetune"]["model"] == "runs/multitask"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("data.zarr", "--simulate", 64), "leave out data.zarr"),
        ((), "dataset.zarr does not exist"),
        (("--damage",), "a dataset has its own"),
        (("--simulate", 64, "--undamaged", 0.5), "undamaged = 0.5"),
        (("--simulate", 64, "--alpha", 0.5), "belong to the loss curve"),
        (("--simulate", 64, "--finetune", "nowhere"), "nowhere holds no trained model"),
    ],
)
def test_the_command_refuses(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
    assert not Path("runs").exists()
