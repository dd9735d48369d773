"""Curves through instruments with tails, in single steps compared with the ways of the fit and of a measured file."""

import numpy as np
import pytest
import torch

from xrdml.data.drawing import COVER, Settings, draw_settings, most_points
from xrdml.data.measurement import WHOLE_CURVE, Measurement, measure, network_input, reach_of, seeded
from xrdml.data.observing import count, expected
from xrdml.data.windows import log_window, window_input
from xrdsim import simulate
from xrdsim.dataset.simulation import Simulation
from xrdsim.errors import ParameterError
from xrdsim.experiment.instrument import GAUSSIAN, PEDESTAL, VOIGT, VOIGT_PEDESTAL
from xrdsim.experiment.scan import WHOLE_SCAN
from xrdsim.forward.simulator import Simulator
from xrdsim.observation.observer import Observer
from xrdsim.observation.resample import observe, to_window

SIMULATION = Simulation(scan=WHOLE_SCAN)


@pytest.fixture(scope="module")
def curves(prior):
    made = simulate(prior, scan=SIMULATION.stored_scan, fwhm=20.0, rtol_dex=1e-4).intensity
    return torch.from_numpy(made.astype(np.float32))


@pytest.fixture(scope="module")
def reach(prior):
    return torch.from_numpy(reach_of(prior, SIMULATION))


def fixed(n, **change):
    """Settings of n curves that are all alike."""
    values = {
        "fwhm": 40.0,
        "lorentz": 0.0,
        "tail_share": 0.0,
        "tail_fwhm": 100.0,
        "zero": 0.0,
        "scale": 1.0,
        "background": 0.0,
        "slope": 0.0,
        "hump": 0.0,
        "centre": 500.0,
        "hump_width": 300.0,
        "per_intensity": 1e5,
        "start": WHOLE_SCAN.start,
        "step": WHOLE_SCAN.step,
        "points": WHOLE_SCAN.points,
        "mask": 0.0,
        "covers": True,
    } | change
    return Settings(**{name: torch.full((n,), value, dtype=torch.float64) for name, value in values.items()})


def seen(curves, settings, most=WHOLE_SCAN.points):
    stored = SIMULATION.stored_scan
    return expected(curves, stored, SIMULATION.base_fwhm, WHOLE_SCAN.last, settings, most).numpy()


@pytest.mark.parametrize(
    ("instrument", "own"),
    [
        (GAUSSIAN, (25.0,)),
        (GAUSSIAN, (80.0,)),
        (VOIGT, (25.0, 15.0)),
        (VOIGT, (38.0, 4.7)),
        (PEDESTAL, (40.0, 0.15, 250.0)),
        (PEDESTAL, (28.0, 0.076, 60.0)),
        (VOIGT_PEDESTAL, (30.0, 12.0, 0.15, 120.0)),
    ],
)
def test_every_instrument_is_that_of_the_fit(prior, curves, instrument, own):
    names = dict(zip(instrument.names, own, strict=True))
    made = seen(curves, fixed(len(curves), zero=3.0, **names))
    observer = Observer(Simulator(SIMULATION.experiment, WHOLE_SCAN, SIMULATION.space), instrument).within(1e-4)
    true = observer.curves(prior, np.tile([3.0, *own], (len(prior), 1)))
    away = np.abs(np.log10(made / true))  # without a background
    assert away[:, 25:-25].max() < 1e-3
    assert away.max() < 1e-2  # at the last angles, beyond which tails are seen from where nothing is stored
    assert np.sqrt(np.mean(away**2)) < 3e-4


def test_scans_between_the_points_are_those_of_the_direct_sum(curves):
    """At any angles, beside the convolution that is taken there and not interpolated."""
    n, points = len(curves), 700
    steps = torch.linspace(2.0, 4.4, n).double()
    settings = fixed(n, fwhm=27.0, zero=-7.3, scale=0.7, background=2e-6, start=-390.2)
    settings = Settings(**vars(settings) | {"step": steps})
    made = seen(curves, settings, points)
    angle = -390.2 + steps.numpy()[:, None] * np.arange(points)
    stored = SIMULATION.stored_scan
    true = observe(
        curves.numpy(),
        stored,
        20.0,
        angles=angle.ravel(),
        offsets=np.arange(n + 1) * points,
        fwhm=27.0,
        zero=-7.3,
        scale=0.7,
        background=2e-6,
    )
    assert np.abs(np.log10(made.ravel() / true)).max() < 1e-3


def test_backgrounds_slope_and_swell():
    nothing = torch.zeros(2, SIMULATION.stored_scan.points)
    made = seen(nothing, fixed(2, background=1e-4, slope=0.5, hump=2e-4, scale=3.0))
    angle = WHOLE_SCAN.angle
    true = 1e-4 * (1.0 + 0.5 * angle / WHOLE_SCAN.last) + 2e-4 / (1.0 + ((angle - 500.0) / 300.0) ** 2)
    np.testing.assert_allclose(made, np.tile(true, (2, 1)), rtol=1e-12)


@pytest.mark.parametrize("measurement", [Measurement(), WHOLE_CURVE])
@pytest.mark.parametrize("window", [WHOLE_SCAN, Simulation().scan])
def test_windows_are_those_of_measured_files(curves, reach, measurement, window):
    generator = torch.Generator().manual_seed(5)
    made = count(curves, reach, SIMULATION, measurement, generator)
    counts, s = made.counts.numpy(), made.settings
    points = s.points.numpy()
    used = np.arange(counts.shape[1]) < points[:, None]
    assert not counts[~used].any()
    angle = s.start.numpy()[:, None] + s.step.numpy()[:, None] * np.arange(counts.shape[1])
    offsets = np.concatenate([[0], np.cumsum(points)])
    true = to_window(angle[used], counts[used], offsets, window, peak_mask=s.mask.numpy())
    level, valid = log_window(made.counts, s, window)
    np.testing.assert_array_equal(valid.numpy(), true.valid)
    np.testing.assert_allclose(level.numpy(), true.log_intensity, atol=1e-9)
    np.testing.assert_allclose(window_input(made.counts, s, window).numpy(), network_input(true), atol=2e-6)


def test_a_scan_without_counts_is_invalid():
    settings = fixed(2)
    level, valid = log_window(torch.zeros(2, WHOLE_SCAN.points).double(), settings, WHOLE_SCAN)
    assert not valid.any()
    assert not level.any()


def test_counts_are_those_of_poisson(curves, reach):
    prior = Measurement(counts=(1e5, 1e5), background=(1e-3, 1e-3), step=(4.0, 4.0), start=(-100.0, -100.0))
    made = count(curves, reach, SIMULATION, prior, torch.Generator().manual_seed(1))
    stored = SIMULATION.stored_scan
    mean = expected(curves, stored, 20.0, WHOLE_SCAN.last, made.settings, made.counts.shape[1])
    mean = mean * made.settings.per_intensity[:, None]
    used = torch.arange(made.counts.shape[1]) < made.settings.points[:, None]
    away = ((made.counts - mean) / mean.sqrt())[used].numpy()
    assert abs(away.mean()) < 0.02
    assert abs(away.std() - 1.0) < 0.02


def test_draws_keep_their_ranges():
    n = 20000
    reach = torch.linspace(200.0, 2700.0, n).double()
    s = draw_settings(reach, WHOLE_SCAN, WHOLE_CURVE, torch.Generator().manual_seed(0))
    for name in ("fwhm", "zero", "scale", "background", "step", "tail_fwhm", "hump_width"):
        low, high = getattr(WHOLE_CURVE, name)
        drawn = getattr(s, name)
        assert low <= drawn.min() < drawn.max() <= high
    for values, share in ((s.lorentz, 0.5), (s.tail_share, 0.5), (s.slope, 0.25), (s.hump, 0.25), (s.mask, 0.25)):
        assert (values != 0.0).double().mean().item() == pytest.approx(share, abs=0.02)
    assert ((s.lorentz > 0.0) & (s.tail_share > 0.0)).double().mean().item() == pytest.approx(0.25, abs=0.02)
    last = s.start + s.step * (s.points - 1)
    assert s.points.max() <= most_points(WHOLE_SCAN, WHOLE_CURVE)
    assert (s.start > WHOLE_SCAN.start - s.step - 1e-9).all()
    assert (s.start <= -50.0).all()
    assert (s.start < WHOLE_SCAN.start).double().mean().item() == pytest.approx(0.36, abs=0.02)
    assert (last > 890.0).all()
    assert (last <= WHOLE_SCAN.last).all()
    covered = (last >= torch.minimum(reach + COVER - s.step, WHOLE_SCAN.last - s.step + 0.0 * reach)).double().mean()
    assert 0.75 < covered.item() < 0.87
    assert torch.equal(s.covers, last >= reach)


def test_old_cards_mean_what_they_meant():
    old = {"fwhm": [25.0, 80.0], "peak_mask": 48.0, "covered": 0.5}
    prior = Measurement.from_dict(old)
    assert prior == Measurement()
    assert prior.gaussian
    assert prior.always_masked == 48.0
    assert WHOLE_CURVE.always_masked == 0.0
    assert not WHOLE_CURVE.gaussian
    assert Measurement.from_dict(WHOLE_CURVE.to_dict()) == WHOLE_CURVE


def test_measured_curves_are_reproducible(prior, curves):
    made = [measure(curves.numpy(), prior, SIMULATION, WHOLE_CURVE, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(made[0].counts, made[1].counts)
    assert len(made[0].counts) != len(made[2].counts)
    inputs = made[0].inputs(WHOLE_SCAN)
    assert inputs.dtype == np.float32
    assert inputs.shape == (len(prior), 2, WHOLE_SCAN.points)
    whole = made[0].mask == 0.0
    middle = np.abs(WHOLE_SCAN.angle) < 20.0
    assert inputs[whole][:, 1, middle].all()
    assert not inputs[~whole][:, 1, middle].any()
    curve = made[0].curve(0)
    assert curve.per_count == made[0].per_count[0]
    assert len(curve.angle) == made[0].offsets[1]


def test_refuses_instruments_narrower_than_that_of_the_curves(curves, reach):
    with pytest.raises(ParameterError, match="fwhm = 19 arcsec cannot be made"):
        count(curves, reach, SIMULATION, Measurement(fwhm=(19.0, 30.0)), seeded(np.random.default_rng(0)))
