"""The posterior distribution: a density, samples of it, and that it can learn one."""

import math

import numpy as np
import torch
from scipy.stats import norm

from xrdml.networks.flows import Posterior


def random_posterior(size=3, context=4, spread=0.05):
    torch.manual_seed(1)
    out = Posterior(size, context, transforms=2, hidden=16, bins=4).double()
    for tensor in out.parameters():
        tensor.data += spread * torch.randn_like(tensor)
    return out


def test_untrained_it_spreads_over_the_ranges():
    torch.manual_seed(0)
    posterior = Posterior(4, 5, transforms=2, hidden=16, bins=8)
    unit, log_prob = posterior.sample(torch.randn(2, 5), 500)
    assert unit.shape == (2, 500, 4)
    assert log_prob.shape == (2, 500)
    assert torch.all((unit > 0.0) & (unit < 1.0))
    assert torch.all((unit.std(dim=1) > 0.1) & (unit.std(dim=1) < 0.4))


def test_samples_have_the_density_that_they_come_with():
    posterior, context = random_posterior(), torch.randn(5, 4, dtype=torch.float64)
    with torch.no_grad():
        unit, log_prob = posterior.sample(context, 200)
        again = posterior.log_prob(unit.flatten(0, 1), context.repeat_interleave(200, 0)).view(5, 200)
    inner = ((unit > 1e-5) & (unit < 1.0 - 1e-5)).all(-1)
    assert inner.double().mean() > 0.9
    torch.testing.assert_close(again[inner], log_prob[inner], atol=1e-6, rtol=1e-6)


def test_the_density_is_normalised():
    posterior = random_posterior(size=2)
    context = torch.randn(1, 4, dtype=torch.float64)
    z = np.linspace(-4.7, 4.7, 400)
    place = norm.cdf(z)
    grid = torch.tensor(np.stack(np.meshgrid(place, place), axis=-1).reshape(-1, 2))
    with torch.no_grad():
        log_prob = posterior.log_prob(grid, context.expand(len(grid), -1)).numpy()
    cell = np.prod(norm.pdf(np.stack(np.meshgrid(z, z), axis=-1).reshape(-1, 2)), axis=1) * (z[1] - z[0]) ** 2
    assert math.isclose(float((np.exp(log_prob) * cell).sum()), 1.0, abs_tol=5e-3)


def test_learns_a_narrow_correlated_posterior():
    torch.manual_seed(0)
    posterior = Posterior(2, 1, transforms=2, hidden=16, bins=4)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(posterior.parameters(), lr=1e-2)
    for _ in range(400):
        context = torch.rand(256, 1, generator=generator)
        first = 0.3 + 0.4 * context + 0.02 * torch.randn(256, 1, generator=generator)
        second = 1.0 - first + 0.002 * torch.randn(256, 1, generator=generator)
        loss = -posterior.log_prob(torch.cat([first, second], dim=1), context).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        unit, _ = posterior.sample(torch.tensor([[0.5]]), 2000)
    assert abs(float(unit[0, :, 0].mean()) - 0.5) < 0.01
    assert 0.015 < float(unit[0, :, 0].std()) < 0.03
    assert float(unit[0].sum(-1).std()) < 0.008
    exact = -math.log(0.02 * 0.002 * 2.0 * math.pi) - 1.0
    assert float(loss.detach()) < -exact + 0.7
