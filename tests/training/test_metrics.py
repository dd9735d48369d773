"""Metrics of samples: against simulated changes, their scale, and that they follow their rows."""

import numpy as np
import pytest

import xrdsim
from xrdml.training import metrics as fisher
from xrdml.training.metrics import BACKGROUND, FWHM, Metrics, measure_metrics
from xrdsim import ParameterSpace
from xrdsim.dataset.simulation import Simulation
from xrdsim.forward.prior import draw_prior

CONFIG = Simulation()


@pytest.mark.parametrize("damage", [False, True])
def test_the_norm_is_the_rms_change_of_the_curve(damage):
    space = ParameterSpace().with_damage() if damage else ParameterSpace()
    rows = draw_prior(3, space=space, rng=np.random.default_rng(3))
    delta = 1e-5 * np.random.default_rng(4).choice([-1.0, 1.0], rows.shape)
    options = {"fwhm": FWHM, "background": BACKGROUND, "rtol_dex": 1e-6, "space": space}
    ends = [np.log10(xrdsim.simulate(rows + sign * delta * space.span, **options).intensity) for sign in (1, -1)]
    expected = np.sqrt(np.mean((0.5 * (ends[0] - ends[1])) ** 2, axis=1))
    metric = measure_metrics(rows, Simulation(space))
    norm = np.sqrt(np.einsum("nj,njk,nk->n", delta, metric.astype(float), delta))
    np.testing.assert_allclose(norm, expected, rtol=0.02)


def test_metrics_follow_their_rows_and_are_measured_once(monkeypatch):
    held, source = (draw_prior(n, rng=np.random.default_rng(n)).astype(np.float32) for n in (5, 20))
    calls, plain = [], measure_metrics

    def counted(params, *args):
        calls.append(len(params))
        return plain(params, *args)

    monkeypatch.setattr(fisher, "measure_metrics", counted)
    metrics = Metrics(CONFIG, held)
    seen = []
    for _ in range(2):
        metrics.cover(source, lambda done, total: seen.append((done, total)))
    assert calls == [5, 20]
    assert seen == [(20, 20)]
    order = np.random.default_rng(0).permutation(20)
    factor = metrics.of(held)[0, 0, 0] / plain(held, CONFIG)[0, 0, 0]
    np.testing.assert_allclose(metrics.of(source[order]), factor * plain(source, CONFIG)[order], rtol=1e-4, atol=1e-5)
    size = np.sqrt(np.trace(metrics.of(held), axis1=1, axis2=2))
    assert size.mean() == pytest.approx(7.0, rel=1e-5)
    metrics.cover(held)  # another epoch has other rows
    with pytest.raises(KeyError):
        metrics.of(source)
