"""Every sampler: valid rows, densities that lead back to the prior, and the same rows whoever asks."""

import numpy as np
import pytest
from scipy.stats import qmc

from xrdsim.dataset import samplers
from xrdsim.dataset.configuration import Sampler
from xrdsim.dataset.generation import generate
from xrdsim.dataset.grid import rounded, storable
from xrdsim.dataset.samplers import make_plan, sample
from xrdsim.errors import ParameterError
from xrdsim.forward.prior import draw_prior, in_window
from xrdsim.information.fisher import log_root_information
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import L1, L2, RP2

SPACE = ParameterSpace()
SENSITIVITY = [3.0, 0.6, 0.8, 0.9, 0.5, 0.6, 0.1]
ROWS = {Sampler.JEFFREYS: 150}


def unit(rows):
    return (rows - SPACE.low) / SPACE.span


def errors_near_zero():
    """A pilot sample of a network that errs where Rp2 is near 0."""
    rows = draw_prior(200, rng=np.random.default_rng(6))
    return np.column_stack([rows, np.where(unit(rows)[:, RP2] > 0.7, 1.0, 0.1)])


@pytest.fixture(scope="module")
def samples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samplers, "_FISHER_PILOT", 200)
        given = {"sensitivity": SENSITIVITY, "errors": errors_near_zero()}
        return {name: sample(name, ROWS.get(name, 4000), **given) for name in Sampler}


@pytest.fixture(scope="module")
def many():
    """The prior, (40 000, 7)."""
    return draw_prior(40000, rng=np.random.default_rng(5))


@pytest.mark.parametrize("name", Sampler)
def test_rows_are_valid_and_storable(samples, name):
    rows = samples[name].params
    assert rows.shape == (ROWS.get(name, 4000), 7)
    assert np.all(SPACE.contains(rows))
    assert np.all(in_window(rows))
    assert np.array_equal(rows, rounded(rows))
    assert len(np.unique(rows, axis=0)) == len(rows)


@pytest.mark.parametrize("name", Sampler)
def test_weights_lead_back_to_the_prior(samples, many, name):
    drawn = samples[name]
    weights = 1.0 / drawn.density
    assert weights.mean() == pytest.approx(1.0, abs=0.25 if name is Sampler.JEFFREYS else 0.05)
    weights /= weights.sum()
    for power in (1, 2):
        ours, theirs = unit(drawn.params) ** power, unit(many) ** power
        mean = weights @ ours
        deviation = np.hypot(np.sqrt(weights**2 @ (ours - mean) ** 2), theirs.std(axis=0) / len(many) ** 0.5)
        assert np.all(np.abs(mean - theirs.mean(axis=0)) < 4.0 * deviation)


def test_edge_jeffreys_and_errors_leave_the_density_of_the_prior(samples):
    for name, drawn in samples.items():
        assert (np.ptp(drawn.density) > 0.0) == (name in (Sampler.EDGE, Sampler.JEFFREYS, Sampler.ERRORS))


def test_sobol_is_spread_more_evenly_than_chance():
    low = (0.012, 0.002, 6500.0, 1000.0, 0.002, 1000.0, -5000.0)  # a box that no constraint cuts
    high = (0.014, 0.004, 6900.0, 3000.0, 0.004, 3000.0, -1000.0)
    box = ParameterSpace(low, high)
    rows = (sample("sobol", 512, space=box).params - low) / box.span
    chance = np.random.default_rng(1).random((512, 7))
    assert qmc.discrepancy(np.clip(rows, 0.0, 1.0)) < 0.3 * qmc.discrepancy(chance)


def test_sobol_means_are_closer_than_those_of_chance(many):
    def miss(rows):
        return np.abs(unit(rows).mean(axis=0) - unit(many).mean(axis=0)).mean()

    ours = np.mean([miss(sample("sobol", 1024, seed=seed).params) for seed in range(4)])
    theirs = np.mean([miss(draw_prior(1024, rng=np.random.default_rng(seed))) for seed in range(4)])
    assert ours < 0.6 * theirs


def test_edge_favours_the_extremes_of_the_chosen_parameters(samples, many):
    def outer(rows, column):
        return np.mean(np.abs(unit(rows)[:, column] - 0.5) > 0.45)

    edge = samples[Sampler.EDGE].params
    for column in (RP2, L2):
        assert outer(edge, column) > 2.0 * outer(many, column)
    other = sample("edge", 4000, edge=("Rp2",)).params
    assert outer(other, L2) < 1.5 * outer(many, L2)


def test_jeffreys_draws_curves_that_tell_more(samples, prior):
    drawn = samples[Sampler.JEFFREYS]
    ours = log_root_information(drawn.params[:100], SPACE)
    assert np.median(ours) > np.median(log_root_information(prior, SPACE)) + np.log(3.0)
    order = np.argsort(ours)
    assert np.all(np.diff(drawn.density[:100][order]) >= -1e-9)
    effective = drawn.density.size / np.mean(1.0 / drawn.density**2) * np.mean(1.0 / drawn.density) ** 2
    assert effective > 0.3 * drawn.density.size


@pytest.mark.parametrize("name", Sampler)
def test_a_block_does_not_depend_on_others_nor_on_how_many_rows_are_asked(monkeypatch, name):
    monkeypatch.setattr(samplers, "_FISHER_PILOT", 64)
    given = {"sensitivity": SENSITIVITY, "errors": errors_near_zero()}
    plan = make_plan(name, n=200, block_size=64, seed=4, **given)
    rows = plan.draw(2, 20)
    np.testing.assert_array_equal(rows.params[:9], plan.draw(2, 9).params)
    assert not np.isin(rows.params[:, 0], plan.draw(1, 20).params[:, 0]).any()


@pytest.mark.parametrize("name", ["sobol", "edge", "jeffreys"])
def test_workers_and_resume_do_not_change_the_rows(tmp_path, monkeypatch, name):
    monkeypatch.setattr(samplers, "_FISHER_PILOT", 64)
    small = {"n": 50, "test_rows": 5, "block_size": 16, "rtol_dex": 1e-3, "sampler": name}
    one = generate(tmp_path / "one.zarr", **small)

    def interrupt(done, total):
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "two.zarr", **small, progress=interrupt)
    two = generate(tmp_path / "two.zarr", **small, resume=True)
    for part in ("train", "test"):
        for field in ("params", "reflectivity", "density"):
            np.testing.assert_array_equal(getattr(one.load(part), field), getattr(two.load(part), field))
    assert one.config == two.config
    assert np.all(one.load("test").density == 1.0)
    plan = make_plan(name, n=50, block_size=16)
    drawn = [plan.draw(block, min(16, 50 - 16 * block)) for block in range(4)]
    np.testing.assert_array_equal(one.load().params, np.concatenate([part.params for part in drawn]))
    np.testing.assert_allclose(one.load().density, np.concatenate([part.density for part in drawn]), rtol=1e-6)


@pytest.mark.parametrize("name", ["sobol", "edge", "jeffreys"])
def test_fixed_tied_and_damage(monkeypatch, name):
    monkeypatch.setattr(samplers, "_FISHER_PILOT", 64)
    low, high = list(SPACE.low), list(SPACE.high)
    low[0] = high[0] = 0.02
    space = ParameterSpace(tuple(low), tuple(high), ties=(("L2", "L1"),)).with_damage()
    rows = sample(name, 20, space=space, edge=("Rp2", "p")).params
    assert rows.shape == (20, 9)
    assert np.ptp(rows[:, 0]) == 0.0
    assert np.array_equal(rows[:, L1], rows[:, L2])
    assert np.all(storable(space).contains(rows))
    with pytest.raises(ParameterError, match="a grid cannot tie L2 to L1; choose another sampler"):
        make_plan("grid", n=20, space=space)
    with pytest.raises(ParameterError, match="edge = L2 is no free parameter; choose among D01"):
        make_plan("edge", n=20, space=space, edge=("L2",))


@pytest.mark.parametrize(
    ("ties", "message"),
    [
        ((("L2", "L3"),), "must name two of the parameters"),
        ((("L2", "L1"), ("L1", "L2")), "follows a parameter that is tied itself"),
        ((("L2", "Dmax1"),), "the same unit and range"),
        ((("Rp1", "L1"),), "the same unit and range"),
    ],
)
def test_senseless_ties_are_refused(ties, message):
    with pytest.raises(ParameterError, match=message):
        ParameterSpace(ties=ties)


def test_too_many_rows_and_too_few_are_refused():
    with pytest.raises(ParameterError, match="Sobol sequence, which has"):
        make_plan("sobol", n=10**9)
    with pytest.raises(ParameterError, match="n = 0"):
        sample("sobol", 0)
    with pytest.raises(ParameterError, match="must name one or more different parameters"):
        make_plan("edge", n=5, edge=("Rp2", "Rp2"))


def test_errors_draws_more_where_a_network_errs(samples, many):
    favoured = np.mean(unit(samples[Sampler.ERRORS].params)[:, RP2] > 0.7)
    assert favoured > 1.4 * np.mean(unit(many)[:, RP2] > 0.7)


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        (None, "--around-errors RUN"),
        (np.zeros((3, 7)), r"shape \(3, 7\)"),
        (np.full((3, 8), np.nan), "finite"),
        (np.zeros((3, 8)), "some of them positive"),
    ],
)
def test_refuses_errors_without_meaning(errors, message):
    with pytest.raises(ParameterError, match=message):
        make_plan("errors", n=10, errors=errors)
