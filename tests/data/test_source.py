"""The measurement model: what a network sees of a stored curve."""

import importlib

import numpy as np
import pytest
import torch

from xrdml.data.measurement import DEX, Measurement, network_input
from xrdml.data.source import Source, batches, draw_batch, importance, open_source, shuffled, split, stream
from xrdsim import generate, simulate
from xrdsim.dataset.samplers import make_plan, sample
from xrdsim.dataset.simulation import Simulation
from xrdsim.dataset.store import Rows
from xrdsim.errors import ParameterError
from xrdsim.experiment.scan import DEFAULT_SCAN
from xrdsim.forward.derived import largest_strain
from xrdsim.observation.resample import Windowed
from xrdsim.profiles.two_gaussians import NAMES
from xrdsim.units import ARCSEC

ANGLE = DEFAULT_SCAN.angle


@pytest.fixture(scope="module")
def simulation():
    return Simulation()


@pytest.fixture(scope="module")
def rows(prior, simulation):
    curves = simulate(prior, scan=simulation.stored_scan, fwhm=20.0, rtol_dex=1e-3).intensity
    return Rows(prior.astype(np.float32), curves.astype(np.float32), np.ones(len(prior), np.float32))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """300 rows in 10 blocks."""
    path = tmp_path_factory.mktemp("data") / "dataset.zarr"
    return generate(path, n=300, test_rows=2, rtol_dex=1e-2, block_size=32)


@pytest.fixture
def small_buffer(monkeypatch):
    monkeypatch.setattr(importlib.import_module("xrdml.data.source"), "BUFFER", 96)  # 3 blocks


def test_a_noiseless_measurement_is_the_simulated_curve(prior, rows, simulation):
    fixed = Measurement(
        fwhm=(40.0, 40.0),
        scale=(0.7, 0.7),
        background=(1e-4, 1e-4),
        zero=(3.0, 3.0),
        counts=(1e14, 1e14),
        start=(ANGLE[0], ANGLE[0]),
        end=(2000.0, 2000.0),
        step=(DEFAULT_SCAN.step, DEFAULT_SCAN.step),
    )
    seen = draw_batch(rows.reflectivity, rows.params, simulation, fixed, np.random.default_rng(0))
    expected = np.log10(simulate(prior, fwhm=40.0, zero=3.0, scale=0.7, background=1e-4).intensity)
    valid = (np.abs(ANGLE) >= 48.0) & (ANGLE <= 2000.0)
    np.testing.assert_array_equal(seen[:, 1], np.broadcast_to(valid, seen[:, 1].shape))
    expected -= expected[:, valid].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(seen[:, 0, valid] * DEX, expected[:, valid], atol=2e-3)
    assert np.all(seen[:, 0, ~valid] == 0.0)


def test_measurements_vary_and_are_reproducible(rows, simulation):
    one, same, other = (
        draw_batch(rows.reflectivity, rows.params, simulation, Measurement(), np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1
    assert one.dtype == np.float32
    assert one.shape == (len(rows.params), 2, DEFAULT_SCAN.points)
    assert np.isfinite(one).all()
    ends = [ANGLE[np.flatnonzero(valid)[-1]] for valid in one[:, 1]]
    assert 890.0 <= min(ends) < max(ends) <= ANGLE[-1]
    assert 0.5 < one[:, 0][one[:, 1] > 0.0].std() < 2.0


def test_input_does_not_depend_on_the_scale():
    log_intensity = np.random.default_rng(0).normal(size=(2, 701))
    valid = np.ones((2, 701), dtype=np.bool_)
    valid[0, 300:] = False
    one = network_input(Windowed(np.where(valid, log_intensity, 0.0), valid))
    other = network_input(Windowed(np.where(valid, log_intensity + 5.0, 0.0), valid))
    np.testing.assert_allclose(one, other, atol=1e-5)
    nothing = network_input(Windowed(np.zeros((1, 701)), np.zeros((1, 701), dtype=np.bool_)))
    assert not nothing.any()


def test_curves_are_simulated_when_they_are_needed(rows, simulation):
    held = Source(simulation, rows.params, rows.density, torch.from_numpy(rows.reflectivity), block_size=2048)
    fresh = Source(simulation, rows.params, rows.density, None, block_size=2048)
    index, weight = np.arange(32), np.ones(32, np.float32)
    for one, other in zip(*(shuffled(each, index, weight, 16, 0, 0) for each in (held, fresh)), strict=True):
        np.testing.assert_array_equal(one.params, other.params)
        np.testing.assert_allclose(one.reflectivity, other.reflectivity, rtol=1e-3)


def test_split_is_by_row_and_fixed():
    parts, again, other = split(1000, 5), split(1000, 5), split(1000, 6)
    np.testing.assert_array_equal(parts.train, again.train)
    assert not np.array_equal(parts.validation, other.validation)
    assert sorted([*parts.train, *parts.validation]) == list(range(1000))
    assert len(parts.validation) == 100
    assert len(split(100_000, 0).validation) == 2000
    with pytest.raises(ParameterError, match="larger dataset"):
        split(1, 0)


def test_batches_cover_the_rows_and_depend_on_seed_and_epoch_only(rows, simulation):
    index, weight = np.arange(30), np.arange(32, dtype=np.float32)
    source = Source(simulation, rows.params, rows.density, torch.from_numpy(rows.reflectivity), block_size=2048)

    def epoch(number, seed=0):
        return list(batches(source, index, weight, Measurement(), 8, seed, number))

    first, again, second, other = epoch(0), epoch(0), epoch(1), epoch(0, seed=1)
    assert len(first) == 3
    assert all(batch.input.shape == (8, 2, 701) and batch.params.shape == (8, 7) for batch in first)
    for one, same in zip(first, again, strict=True):
        for name in ("input", "params", "weight", "unit", "reflectivity"):
            np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
        np.testing.assert_array_equal(rows.params[one.weight.long()], one.params)
        np.testing.assert_array_equal(rows.reflectivity[one.weight.long()], one.reflectivity)
    assert not np.array_equal(first[0].input, second[0].input)
    assert not np.array_equal(first[0].input, other[0].input)
    assert len(np.unique(np.concatenate([batch.params for batch in first]), axis=0)) == 24
    few = list(batches(source, index[:3], weight, Measurement(), 3, 0, 0))
    assert [len(batch.params) for batch in few] == [3]


def test_scans_cover_the_largest_strain_or_end_anywhere(rows, simulation):
    reach = largest_strain(rows.params) * np.tan(simulation.experiment.reflection.theta_bragg) / ARCSEC

    def ends(covered):
        prior = Measurement(covered=covered, step=(4.0, 4.0))
        seen = draw_batch(rows.reflectivity, rows.params, simulation, prior, np.random.default_rng(0))
        return np.array([ANGLE[np.flatnonzero(valid)[-1]] for valid in seen[:, 1]])

    assert np.all(ends(1.0) >= np.minimum(reach + 50.0, 2720.0))
    assert np.any(ends(0.0) < reach)


@pytest.mark.parametrize("memory", [0.0, 1e9])
@pytest.mark.parametrize("size", [7, 32, 200])
def test_shuffled_gives_every_indexed_row_once_an_epoch(dataset, small_buffer, memory, size):
    source, parts = open_source(dataset, memory), split(300, 0)
    assert (source.curves is None) == (memory == 0.0)
    number, stored = np.arange(300, dtype=np.float32), dataset.load()

    def epoch(index, epoch, seed=0):
        found = list(shuffled(source, index, number, size, seed, epoch))
        assert all(len(values) == size for batch in found for values in batch)
        rows = np.concatenate([batch.weight for batch in found]).astype(int)
        np.testing.assert_array_equal(np.concatenate([batch.params for batch in found]), stored.params[rows])
        np.testing.assert_array_equal(
            np.concatenate([batch.reflectivity for batch in found]), stored.reflectivity[rows]
        )
        return rows

    rows = epoch(parts.train, 0)
    assert len(rows) == 270 // size * size
    assert len(np.unique(rows)) == len(rows)
    assert set(rows) <= set(parts.train)
    assert set(epoch(parts.train[:size], 0)) == set(parts.train[:size])
    np.testing.assert_array_equal(rows, epoch(parts.train, 0))
    assert not np.array_equal(rows, epoch(parts.train, 1))
    assert not np.array_equal(rows, epoch(parts.train, 0, seed=1))
    first = rows[: 3 * 22] // 32
    assert len(np.unique(first)) == 3  # blocks that are read and shuffled together
    assert np.count_nonzero(np.diff(first)) > 22


def test_rows_do_not_depend_on_whether_the_curves_are_in_memory(dataset, small_buffer):
    index, weight = np.arange(5, 295), np.ones(300, np.float32)
    held, read = (
        [batch.reflectivity for batch in shuffled(open_source(dataset, memory), index, weight, 16, 3, 2)]
        for memory in (1e9, 0.0)
    )
    np.testing.assert_array_equal(held, read)


def test_an_abandoned_epoch_ends(dataset):
    drawn = shuffled(open_source(dataset, 0.0), np.arange(300), np.ones(300, np.float32), 16, 0, 0)
    next(drawn)
    drawn.close()


def test_importance_recovers_the_mean_of_the_prior():
    drawn, plan = sample("edge", 40000), make_plan("edge", n=1)
    prior = plan.draw_test(0, 40000).params
    every = np.arange(len(drawn.params))
    weight = importance(drawn.density.astype(np.float32), every)
    assert weight.mean() == pytest.approx(1.0, abs=1e-6)
    for column in (NAMES.index("Rp2"), NAMES.index("L2")):
        for power in (1, 2):
            favoured, wanted = ((x[:, column] / plan.space.span[column]) ** power for x in (drawn.params, prior))
            recovered = (weight * favoured).mean()
            error = np.sqrt(wanted.var() / len(wanted) + (weight * (favoured - recovered)).var() / len(favoured))
            assert abs(recovered - wanted.mean()) < 4.0 * error < 0.02
            assert power == 1 or abs(favoured.mean() - wanted.mean()) > 4.0 * error


def test_importance_has_mean_one_over_the_indexed_rows():
    density = np.array([0.5, 2.0, 1.0, 4.0], np.float32)
    np.testing.assert_allclose(importance(density, np.array([0, 1])), [1.6, 0.4, 0.8, 0.2])
    np.testing.assert_array_equal(importance(np.ones(7, np.float32), np.arange(3)), np.ones(7))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fwhm": (80.0, 25.0)}, "fwhm is 80 … 25"),
        ({"counts": (0.0, 1e5)}, "counts is 0 … 100000; it must be positive"),
        ({"zero": (float("nan"), 1.0)}, "zero is nan"),
        ({"peak_mask": -1.0}, "peak_mask is -1"),
        ({"covered": 2.0}, "covered = 2"),
        ({"start": (-100.0, 1000.0)}, "before they end"),
    ],
)
def test_refuses_priors_without_meaning(change, message):
    with pytest.raises(ParameterError, match=message):
        Measurement(**change)


def test_measurement_survives_json():
    prior = Measurement(fwhm=(30.0, 50.0))
    assert Measurement.from_dict(prior.to_dict()) == prior
    with pytest.raises(ParameterError, match="malformed"):
        Measurement.from_dict({"colour": 1})


def test_streams_differ():
    assert stream(0, 1).random() != stream(0, 1, 0).random()
