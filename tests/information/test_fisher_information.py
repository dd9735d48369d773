"""Fisher information against its definition by finite differences, and against the scatter of simulated estimates."""

import numpy as np
import pytest

import xrdsim
from xrdsim.errors import ParameterError
from xrdsim.forward.derivatives import linearize
from xrdsim.information.fisher import fisher
from xrdsim.profiles.two_gaussians import RP2


def test_information_is_its_definition(demonstration):
    got = fisher(demonstration, 1e5, 1e-4, free=("scale",), rtol_dex=1e-6)
    p = np.asarray(demonstration, dtype=float)

    def intensity(p, scale=1.0):
        return xrdsim.simulate(p, background=1e-4, scale=scale, rtol_dex=1e-7).intensity[0]

    columns = []
    for i in range(7):
        step = 1e-4 * abs(p[i])
        up, down = p.copy(), p.copy()
        up[i] += step
        down[i] -= step
        columns.append((intensity(up) - intensity(down)) / (2 * step))
    columns.append((intensity(p, 1.001) - intensity(p, 0.999)) / 0.002)
    slope = np.array(columns)
    expected = 1e5 * (slope / intensity(p)) @ slope.T
    np.testing.assert_allclose(got.information[0], expected, rtol=2e-3, atol=1e-3)
    inverse = np.linalg.inv(got.information[0] / np.outer(1 / got.std[0], 1 / got.std[0]))
    np.testing.assert_allclose(np.diag(inverse), 1.0, rtol=1e-4)
    assert got.names == (*got.names[:7], "scale")
    np.testing.assert_allclose(np.diag(got.correlation[0]), 1.0)


def test_estimates_scatter_by_the_bound(demonstration):
    """One Gauss–Newton step from the truth is an efficient estimate for many counts."""
    counts = 1e8
    rng = np.random.default_rng(11)
    linear = linearize(demonstration, background=1e-4, nuisances=("scale", "background"))
    mean = counts * linear.curves.intensity[0]
    slope = counts * linear.slope[0]
    told = fisher(demonstration, counts, 1e-4, free=("scale", "background"))
    unit = told.std[0]
    normal = told.information[0] * np.outer(unit, unit)
    drawn = rng.poisson(mean, (1500, len(mean)))
    estimates = np.linalg.solve(normal, (slope * unit).T @ ((drawn - mean) / mean).T)
    np.testing.assert_allclose(estimates.std(axis=1), 1.0, atol=0.08)


def test_more_counts_tell_more(prior):
    few, many = (fisher(prior[:3], counts) for counts in (1e4, 1e6))
    np.testing.assert_allclose(few.std, 10.0 * many.std, rtol=1e-6)


def test_unknown_nuisances_and_a_mask_cost_information(prior):
    alone, free, masked = fisher(prior[:3], free=()), fisher(prior[:3]), fisher(prior[:3], mask=60.0)
    assert (free.std[:, :7] >= alone.std * (1 - 1e-6)).all()
    assert (masked.std[:, :7] >= free.std[:, :7] * (1 - 1e-6)).all()


def test_what_the_curve_does_not_show_is_infinite(demonstration):
    told = fisher([*demonstration, 0.0, 1.0])  # without damage its exponent means nothing
    assert np.isinf(told.std[0, 8])
    assert np.isfinite(told.std[0, :8]).all()
    assert np.isnan(told.correlation[0, 8]).all()
    assert told.to_dict()["std_median"][8] is None


def test_the_least_determined_parameter_is_rp2(prior):
    assert np.argmax(np.median(fisher(prior[:32]).relative, axis=0)) == RP2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"counts": 0.0}, "counts = 0"), ({"mask": 5000.0}, "leaves 0 angles"), ({"free": ("gain",)}, "gain")],
)
def test_choices_without_meaning_are_refused(demonstration, arguments, message):
    with pytest.raises(ParameterError, match=message):
        fisher(demonstration, **arguments)
