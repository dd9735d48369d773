"""Comparing methods of training: what is run and what is skipped, test sets, differences and the report, all tiny."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from cli import app
from xrdml.study import study as study_module
from xrdml.study.costs import ROUNDS, load_costs, measure_cost
from xrdml.study.methods import BASELINE, BEFORE, METHODS, Cost, choose, kind, plan, planned_seconds
from xrdml.study.report import METRICS, collect, write
from xrdml.study.statistics import HELPS, HURTS, ONE_SEED, UNSEEN, Difference, compare, interval, widening
from xrdml.study.study import PREDICTIONS, Settings, open_study, run_study
from xrdml.study.test_curves import NAMES, TWIN_DEX, TWIN_PART, check_sets, load_sets, twin_difference
from xrdsim.dataset.reading import open_dataset
from xrdsim.errors import ParameterError, StoreError, TrainingError

TINY = Settings(rows=300, budget=5.0, tests=8, curves=4, profiles=16)
EPOCH = 256  # rows; a row costs 1/EPOCH s, so that a budget of 5 s is 5 epochs


def stubbed(options, folder):
    return Cost(2.5 / EPOCH)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study with two seeds of the baseline and one of another method; nothing in it is changed."""
    path = tmp_path_factory.mktemp("study")
    _, complete = run_study(path, only=[BASELINE], seeds=2, settings=TINY, measure=stubbed)
    assert complete
    run_study(path, only=["sensitivity"], seeds=1, settings=TINY, measure=stubbed)
    return path


def test_names_and_combinations():
    assert next(iter(METHODS)) == BASELINE
    assert METHODS[BASELINE].options == {}
    assert list(choose(["flow", "fisher"])) == ["fisher", "flow"]
    with pytest.raises(ParameterError, match=r"'nets' is unknown; choose weighted, sensitivity, .*multitask"):
        choose(["nets"])


def test_epochs_keep_the_budget():
    costs = {kind(method.options): Cost(1e-3, fine=1e-3 if "hier" in name else 0.0) for name, method in METHODS.items()}
    costs[kind(METHODS["fisher"].options)] = Cost(1e-3, metric=5e-3)
    assert plan(METHODS[BASELINE], costs, 1000, 10.5) == (0, 10)
    assert plan(METHODS["sensitivity"], costs, 1000, 10.5) == (0, 10)
    assert plan(METHODS["fisher"], costs, 1000, 10.5) == (0, 5)
    assert plan(METHODS["hierarchical"], costs, 1000, 10.5) == (0, 6)
    first, last = plan(METHODS["two-stage"], costs, 1000, 10.5)
    assert first == int(BEFORE * 10.5)
    assert first + last == 10
    for method in METHODS.values():
        assert planned_seconds(method, costs, 1000, 10.5) <= 10.5
    assert plan(METHODS[BASELINE], costs, 1000, 0.1) == (0, 1)


def test_costs_are_measured_once(tmp_path):
    asked = []

    def note(options, folder):
        asked.append(options)
        return Cost(float(len(asked)))

    for _ in range(2):
        costs = load_costs(tmp_path, METHODS, lambda line: None, note)
    kinds = len({kind(method.options) for method in METHODS.values()})
    assert len(asked) == ROUNDS * kinds
    assert costs[kind({})] == Cost(1.0 + kinds)  # the median of what was measured in turn
    assert {kind(method.options) for method in METHODS.values()} == set(costs)
    (tmp_path / "costs.json").write_text("{")
    with pytest.raises(StoreError, match="remove it"):
        load_costs(tmp_path, METHODS, lambda line: None, note)


@pytest.mark.slow
def test_a_cost_is_measured(tmp_path):
    cost = measure_cost({"model": "hierarchical", "weights": "fisher"}, tmp_path)
    assert 0.0 < cost.fine < 1.0
    assert 0.0 < cost.row < 1.0
    assert 0.0 < cost.metric < 1.0


def test_settings_have_meaning():
    for change in ({"rows": 100}, {"budget": 0.0}, {"tests": 7}, {"curves": 0}):
        with pytest.raises(ParameterError, match=f"{next(iter(change))} = "):
            Settings(**change)


def test_finished_runs_are_skipped(folder, monkeypatch):
    card = json.loads((folder / "runs" / "weighted-0" / "model.json").read_text())
    assert (card["training"]["epochs"], card["training"]["seed"]) == (2, 0)
    assert not (folder / "runs" / "weighted-0" / "state.pt").exists()
    monkeypatch.setattr(study_module, "train", None)
    _, complete = run_study(folder, only=[BASELINE], seeds=2, settings=TINY, measure=stubbed)
    assert complete
    with pytest.raises(StoreError, match=r"begun with budget = 5\.0, not 6\.0"):
        run_study(folder, settings=replace(TINY, budget=6.0), measure=stubbed)
    with pytest.raises(ParameterError, match="seeds = 0"):
        run_study(folder, seeds=0, settings=TINY)


def copied(folder, target, *runs):
    """A study of the same data without runs other than these."""
    for name in ("data", "tests", "sensitivity.npy", "study.json", *(f"runs/{run}" for run in runs)):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).symlink_to(folder / name)
    return target


def test_an_interrupted_run_goes_on(folder, tmp_path, monkeypatch):
    path, lines = copied(folder, tmp_path), []
    real = study_module.train

    def interrupted(*args, progress, **options):
        def note(now):
            progress(now)
            if now.validation is not None:
                raise KeyboardInterrupt

        return real(*args, progress=note, **options)

    monkeypatch.setattr(study_module, "train", interrupted)
    with pytest.raises(KeyboardInterrupt, match="continue with the same command"):
        run_study(path, only=[BASELINE], seeds=1, settings=TINY, measure=stubbed)
    resumed = []
    monkeypatch.setattr(
        study_module, "train", lambda *args, **options: resumed.append(options) or real(*args, **options)
    )
    _, complete = run_study(path, only=[BASELINE], seeds=1, settings=TINY, report=lines.append, measure=stubbed)
    assert complete
    assert [options["resume"] for options in resumed] == [True]
    assert "resumed" in lines[-1]
    ours, theirs = (np.load(each / "runs" / "weighted-0" / PREDICTIONS) for each in (path, folder))
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs.files)


def test_a_sitting_ends_after_an_epoch(folder, tmp_path, monkeypatch):
    path, now, lines = copied(folder, tmp_path), [0.0], []
    monkeypatch.setattr(study_module.time, "monotonic", lambda: now[0])
    options = {"only": [BASELINE], "seeds": 1, "settings": TINY, "report": lines.append}

    def late(*args):
        now[0] = 100.0
        return stubbed(*args)

    study, complete = run_study(path, minutes=1.0, measure=late, **options)
    assert not complete
    assert "the sitting is over in weighted, seed 0" in lines[-1]
    run = study.run_folder(BASELINE, 0)
    assert len(json.loads((run / "model.json").read_text())["history"]) == 1
    assert not run_study(path, minutes=0.0, measure=stubbed, **options)[1]
    assert not (run / PREDICTIONS).exists()
    assert run_study(path, minutes=1.0, measure=stubbed, **options)[1]
    assert (run / PREDICTIONS).exists()


def test_two_stages_and_failures(folder, tmp_path, monkeypatch):
    path = copied(folder, tmp_path, "weighted-0")
    run_study(path, only=["two-stage"], seeds=1, settings=TINY, measure=stubbed)
    run = json.loads((path / "runs" / "two-stage-0" / "run.json").read_text())
    assert (run["epochs_before"], run["epochs"]) == (1, 1)
    card = json.loads((path / "runs" / "two-stage-0" / "model.json").read_text())["training"]
    assert card["finetune"]["model"].endswith("before")

    def fail(*args, **options):
        raise TrainingError("the loss is not finite")

    monkeypatch.setattr(study_module, "train", fail)
    lines = []
    for _ in range(2):  # not tried again
        study, complete = run_study(path, only=["curve"], seeds=1, settings=TINY, measure=stubbed, report=lines.append)
        assert complete
    assert sum("failed: the loss" in line for line in lines) == 1
    found = collect(study, 1)
    assert found.failures == ("curve, seed 0: the loss is not finite",)
    assert "attention: no finished run" in found.exclusions


def test_a_dataset_around_errors_needs_the_baseline(folder, tmp_path):
    path = copied(folder, tmp_path)
    with pytest.raises(ParameterError, match="'errors' needs the errors of weighted, seed 0"):
        run_study(path, only=["errors"], seeds=1, settings=TINY, measure=stubbed)


def test_test_sets(folder, tmp_path):
    config = open_dataset(folder / "data" / "prior.zarr").config
    sets = load_sets(tmp_path, config, 8)
    assert tuple(sets) == NAMES
    again = load_sets(folder / "tests", config, 8)
    for name, held in sets.items():
        assert held.inputs.shape == (8, 2, 701)
        assert config.space.contains(held.params).all()
        assert np.array_equal(held.inputs, again[name].inputs)
    assert np.array_equal(sets["low-counts"].params, sets["iid"].params)
    assert not np.array_equal(sets["low-counts"].inputs, sets["wide-fwhm"].inputs)
    pairs = sets["twins"].params.reshape(4, 2, -1)
    curve, part = twin_difference(pairs, config)
    assert (curve <= 1.01 * TWIN_DEX).all()
    assert (part >= TWIN_PART).all()
    assert sets["twins"].groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    path = folder / "data" / "prior.zarr"
    check_sets(sets, {"prior": path})
    known = np.array(open_dataset(path).parameters[:8], np.float32)
    with pytest.raises(ParameterError, match="test rows of the test set iid"):
        check_sets({"iid": replace(sets["iid"], params=known)}, {"prior": path})
    (tmp_path / "iid.npz").write_bytes(b"")
    with pytest.raises(StoreError, match=r"iid\.npz cannot be read"):
        load_sets(tmp_path, config, 8)


def test_known_differences():
    rng, groups = np.random.default_rng(0), np.arange(400)
    baseline = rng.gamma(4.0, 1.0, (3, 400))
    noise = 0.3 * rng.normal(size=(3, 400))
    verdicts = [compare("w", "iid", "m", baseline + shift + noise, baseline, groups).verdict for shift in (-0.5, 0.5)]
    assert verdicts == [HELPS, HURTS]
    same = compare("w", "iid", "m", baseline + noise - noise.mean(), baseline, groups)
    assert same.verdict == UNSEEN
    assert same.low < 0.0 < same.high
    assert compare("w", "iid", "m", baseline[:1] - 1.0, baseline[:1], groups).verdict == ONE_SEED
    assert interval(np.full((3, 400), 0.25), groups) == (pytest.approx(0.25), pytest.approx(0.25))


def test_rows_that_belong_together_are_drawn_together():
    values = np.random.default_rng(1).normal(size=200)
    paired, single = np.repeat(values, 2)[None], np.arange(400)
    low, high = interval(paired, single // 2)
    assert high - low == pytest.approx(np.sqrt(2.0) * np.subtract(*interval(paired, single)[::-1]), rel=0.1)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(200), rel=0.1)


def test_intervals_of_three_seeds_hold_the_truth():
    rng, groups = np.random.default_rng(2), np.arange(50)
    assert widening(3) == pytest.approx(2.69, abs=0.01)
    held = 0
    for _ in range(400):
        difference = rng.normal(size=(3, 1)) + rng.normal(size=(1, 50)) + rng.normal(size=(3, 50))
        low, high = interval(difference, groups, draws=500)
        held += low <= 0.0 <= high
    assert 0.92 <= held / 400 <= 0.99


def test_the_report(folder, tmp_path):
    study = open_study(folder, TINY)
    found = collect(study, 2)
    files = write(found, study, tmp_path)
    assert [path.name for path in files] == ["comparison.csv", "comparison.md", "comparison.png"]
    with files[0].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["method"] for row in rows} == {BASELINE, "sensitivity"}
    assert {row["metric"] for row in rows} == {*METRICS, *open_dataset(study.dataset("prior")).names}
    assert {row["verdict"] for row in rows if row["method"] == "sensitivity"} == {ONE_SEED}
    assert all(float(row["difference"]) == 0.0 for row in rows if row["method"] == BASELINE)
    text = files[1].read_text(encoding="utf-8")
    assert "## twins" in text
    assert "- sensitivity: no finished run of seed 1" in text
    assert f"| the default ones | {EPOCH / 2.5:.0f} | {2500.0 / EPOCH:.2f} |  |  |" in text
    assert files[2].read_bytes().startswith(b"\x89PNG")
    better = Difference("fisher", "iid", METRICS[0], 3, 8, 2.0, 3.0, -1.2, -0.8)
    assert (better.difference, better.verdict) == (-1.0, HELPS)
    with pytest.raises(ParameterError, match="has no finished run of weighted"):
        collect(replace(study, folder=tmp_path), 1)


def test_the_command(folder, tmp_path):
    arguments = ["compare", "--study", str(folder), "-o", str(tmp_path), "--minutes", "0", "--seeds", "2"]
    result = CliRunner().invoke(app, [*arguments, "--only", "nets"])
    assert result.exit_code == 1
    assert "'nets' is unknown; choose weighted" in " ".join(result.stderr.split())
    result = CliRunner().invoke(app, [*arguments, "-n", "300"])
    assert result.exit_code == 1
    assert "begun with budget = 5.0, not 150" in " ".join(result.stderr.split())
