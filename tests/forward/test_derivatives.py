"""Derivatives against finite differences of the same steps, of much finer ones, and at the limits of the parameters."""

import itertools

import mpmath as mp
import naive
import numpy as np
import pytest

import xrdsim
from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Convention
from xrdsim.forward.derivatives import jacobian, linearize
from xrdsim.forward.optics import amplitudes
from xrdsim.forward.prepare import prepare
from xrdsim.forward.simulator import NUISANCES
from xrdsim.kernels import batch
from xrdsim.kernels.reflectivity import reflect
from xrdsim.kernels.slopes import LEAST
from xrdsim.kernels.steps import GAUSS, count_steps
from xrdsim.profiles.two_gaussians import D01, DMAX1, L1, L2, RP1, RP2


def with_damage(rows):
    rng = np.random.default_rng(5)
    return np.column_stack([rows, rng.uniform(0.05, 0.55, len(rows)), rng.uniform(0.3, 3.5, len(rows))])


class FixedSteps:
    """log10 R with the step edges of one vector, of which only the end of the layer moves; formulas of ``naive``."""

    def __init__(self, p, damaged):
        self.model = prepare(DEFAULT_SCAN, damaged=damaged)
        profile = self.model.profile
        segments = profile.segments()
        counts = np.empty(segments, np.int64)
        count_steps(p, profile, self.model.layer, self.model.accuracy, counts)
        counts[counts > 0] = np.maximum(counts[counts > 0], LEAST)
        ends = [profile.edge(i, p, naive.depth_end(p)) for i in range(segments + 1)]
        pieces = [np.linspace(ends[i], ends[i + 1], counts[i] + 1)[:-1] for i in range(segments) if counts[i]]
        self.upper = np.concatenate(pieces)
        self.space = batch.workspace(len(self.upper), profile, self.model.optics)

    def __call__(self, p):
        steps = self.space.steps
        edges = np.append(self.upper, naive.depth_end(p))
        h = np.diff(edges)
        upper, lower = (naive.strain(edges[:-1] + (0.5 + sign * GAUSS) * h, p) for sign in (-1, 1))
        top = self.top(p)
        g_upper, g_lower = (self.model.layer.coupling * eps / (1 + eps) for eps in (upper, lower))
        e_upper, e_lower = (naive.damage(eps, p, top) for eps in (upper, lower))
        steps.h[:], steps.g[:], steps.e[:] = h, (g_upper + g_lower) / 2, (e_upper + e_lower) / 2
        steps.alpha[:] = GAUSS * h**2 * (e_lower - e_upper)
        steps.beta[:] = GAUSS * h**2 * (g_lower * e_upper - g_upper * e_lower)
        out = np.empty(DEFAULT_SCAN.points)
        space = self.space
        arrays = (space.substrate, space.work, space.block, space.coarse, space.element)
        reflect(self.model.optics, steps, len(h), *arrays, out)
        return np.log10(out)

    @staticmethod
    def top(p):
        if len(p) < 9:
            return 1.0
        depth = np.linspace(0.0, p[RP1], 2001)
        best = int(np.argmax(naive.strain(depth, p)))
        depth = np.linspace(depth[max(best - 1, 0)], depth[min(best + 1, 2000)], 2001)
        value = naive.strain(depth, p)
        best = int(np.argmax(value))
        if best in (0, 2000):
            return value[best]
        a, b, c = value[best - 1 : best + 2]
        return b - (c - a) ** 2 / (8.0 * (a - 2.0 * b + c))  # vertex of the parabola


def richardson(function, p, i, h):
    """Central difference of the fourth order, and its change against half the step."""

    def central(d):
        up, down = p.copy(), p.copy()
        up[i] += d
        down[i] -= d
        return (function(up) - function(down)) / (2 * d)

    coarse, middle, fine = central(h), central(h / 2), central(h / 4)
    best = (4 * fine - middle) / 3
    return best, np.linalg.norm(best - (4 * middle - coarse) / 3)


@pytest.mark.parametrize("damaged", [False, True])
def test_derivatives_of_the_steps_that_are_taken(prior, demonstration, damaged):
    rows = np.concatenate([[demonstration], prior[:5]])
    rows = with_damage(rows) if damaged else rows
    got = jacobian(rows, fwhm=0.0)
    checked = 0
    for row, slope in zip(rows, got, strict=True):
        curve = FixedSteps(row, damaged)
        for i in range(len(row)):
            expected, change = richardson(curve, row, i, 2e-5 * max(abs(row[i]), 1e-4))
            norm = np.linalg.norm(slope[:, i])
            if change < 2e-7 * norm:  # else the finite difference is not good enough to tell
                assert np.linalg.norm(slope[:, i] - expected) <= 1e-6 * norm, i
                checked += 1
    assert checked > 0.8 * rows.size


def test_derivatives_of_the_continuous_profile(prior):
    """Far finer steps, moving with the parameters: what the steps do is gone, and the derivative is that of physics."""
    for row in prior[5:9]:
        slope = jacobian(row, fwhm=0.0, rtol_dex=1e-8)[0]
        for i in range(7):

            def curve(p):
                return np.log10(xrdsim.simulate(p, fwhm=0.0, rtol_dex=1e-8).reflectivity[0])

            expected, change = richardson(curve, row, i, 1e-4 * abs(row[i]))
            norm = np.linalg.norm(slope[:, i])
            assert np.linalg.norm(slope[:, i] - expected) <= 1e-5 * norm + 3 * change
            coarse = jacobian(row, fwhm=0.0)[0]
            assert np.linalg.norm(coarse[:, i] - slope[:, i]) <= 2e-3 * norm


@pytest.mark.parametrize("scan", [DEFAULT_SCAN, Scan(-60.0, 10.0, 150), Scan(100.0, 4.0, 300)])
def test_derivatives_of_the_measured_curve(prior, scan):
    rows = with_damage(prior[:3])
    experiment = {"fwhm": 38.0, "scale": 0.8, "background": 2e-5, "zero": 7.0}
    got = linearize(rows, nuisances=tuple(NUISANCES), scan=scan, rtol_dex=1e-7, **experiment)
    assert got.names[9:] == tuple(NUISANCES)
    assert got.slope.shape == (3, scan.points, 13)

    def curve(p, **changed):
        return xrdsim.simulate(p, scan=scan, rtol_dex=1e-7, **{**experiment, **changed}).intensity[0]

    for row, intensity, slope in zip(rows, got.curves.intensity, got.slope, strict=True):
        np.testing.assert_allclose(intensity, curve(row), rtol=1e-6)
        for i in range(9):
            expected, change = richardson(curve, row, i, 1e-4 * abs(row[i]))
            assert np.linalg.norm(slope[:, i] - expected) <= 1e-5 * np.linalg.norm(expected) + 3 * change, i
        for i, name in enumerate(NUISANCES, start=9):
            value = experiment[name]
            step = 1e-3 * value
            expected = (curve(row, **{name: value + step}) - curve(row, **{name: value - step})) / (2 * step)
            np.testing.assert_allclose(slope[:, i], expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("index", "value", "changed", "step"),
    [
        (RP1, 0.0, RP1, 1.0),
        (RP1, 0.0, D01, None),
        (D01, 0.012, D01, -2e-6),
        (RP2, 0.0, RP2, -0.5),
        (L2, 5000.0, L2, -0.5),
    ],
)
def test_limits_are_one_sided(index, value, changed, step):
    p = np.array([0.012, 0.004, 5000.0, 2500.0, 0.004, 3000.0, -800.0])
    p[index] = value
    slope = jacobian(p, fwhm=0.0, rtol_dex=1e-7)[0]
    assert np.isfinite(slope).all()
    if step is None:  # without left flank its height means nothing
        assert np.abs(slope[:, changed] * p[changed]).max() < 1e-6
        return

    def curve(h):
        moved = p.copy()
        moved[changed] += h
        return np.log10(xrdsim.simulate(moved, fwhm=0.0, rtol_dex=1e-8).reflectivity[0])

    def forward(h):
        return (-3.0 * curve(0.0) + 4.0 * curve(h) - curve(2.0 * h)) / (2.0 * h)

    expected = (4.0 * forward(step / 2.0) - forward(step)) / 3.0
    norm = np.linalg.norm(expected)
    assert np.linalg.norm(slope[:, changed] - expected) <= 2e-3 * norm


def test_an_empty_right_flank_has_derivatives():
    p = np.array([0.012, 0.004, 5000.0, 5000.0, 0.004, 3000.0, -800.0])
    slope = jacobian(p, fwhm=0.0)[0]
    assert np.isfinite(slope).all()
    assert np.abs(slope[:, [DMAX1, L1, RP1]]).max(axis=0).min() > 0.0


def test_one_curve_or_many_give_the_same(prior):
    many = linearize(prior[:7], nuisances=("fwhm",))
    for i in range(7):
        one = linearize(prior[i], nuisances=("fwhm",))
        np.testing.assert_array_equal(one.slope[0], many.slope[i])
        np.testing.assert_array_equal(one.curves.intensity[0], many.curves.intensity[i])


def test_the_curve_is_that_of_simulate(prior):
    got = linearize(prior[:4], fwhm=[0.0, 25.0, 30.0, 80.0], zero=[0.0, 3.0, -3.0, 0.0], scale=2.0, background=1e-5)
    expected = xrdsim.simulate(
        prior[:4], fwhm=[0.0, 25.0, 30.0, 80.0], zero=[0.0, 3.0, -3.0, 0.0], scale=2.0, background=1e-5
    )
    np.testing.assert_allclose(got.curves.intensity, expected.intensity, rtol=3e-4)
    np.testing.assert_allclose(got.curves.reflectivity, expected.reflectivity, rtol=3e-4)


def test_choices_without_meaning_are_refused(demonstration):
    with pytest.raises(ParameterError, match="'gain' is unknown; choose among zero, fwhm, scale, background"):
        jacobian(demonstration, nuisances=("gain",))
    with pytest.raises(ParameterError, match="fwhm = 0 is no instrument"):
        jacobian(demonstration, fwhm=0.0, nuisances=("zero",))
    with pytest.raises(xrdsim.XrdError, match="device 'abacus'"):
        jacobian(demonstration, device="abacus")


class Multiprecision:
    """R of the same steps at single angles with 40 digits: exact sine and cosine, no interpolation, no Taylor step."""

    def __init__(self, p, angles, damaged):
        mp.mp.dps = 40
        steps = FixedSteps(p, damaged)
        self.upper = [mp.mpf(float(z)) for z in steps.upper]
        self.coupling = mp.mpf(steps.model.layer.coupling)
        at = amplitudes(angles, GGG_444, Convention.EXACT)
        self.angles = [
            (mp.mpc(f), [(mp.mpc(s[i]), mp.mpc(a[i])) for s, a in zip(at.sigma, at.substrate, strict=True)])
            for i, f in enumerate(at.f)
        ]
        self.peak = self.depth_of_peak(p) if damaged else None

    @staticmethod
    def depth_of_peak(p):
        depth = np.linspace(0.0, p[RP1], 200001)
        return mp.mpf(float(depth[np.argmax(naive.strain(depth, p))]))

    @staticmethod
    def strain(z, p):
        dmax1, d01, l1, rp1, d02, l2, rp2 = p[:7]
        if z < rp1:
            first = dmax1 * mp.exp(-mp.log(dmax1 / d01) * (1 - z / rp1) ** 2)
        else:
            first = dmax1 * mp.exp(-mp.log(dmax1 / mp.mpf(naive.DMIN)) * ((z - rp1) / (l1 - rp1)) ** 2)
        u, t = l2 / (l2 - 2 * rp2), z / l2
        return first + d02 * mp.exp(-mp.log(d02 / mp.mpf(naive.DMIN)) * (u * t**2 + (1 - u) * t))

    def log_reflectivity(self, p):
        """log10 R at the angles."""
        start = mp.mpf(float(naive.depth_end([float(x) for x in p])))
        end = mp.findroot(lambda z: self.strain(z, p) - mp.mpf(naive.DMIN), start)
        edges = [*self.upper, end]
        top = self.strain(self.peak, p) if self.peak is not None else None
        gauss = mp.sqrt(3) / 6
        steps = []
        for low, high in itertools.pairwise(edges):
            h = high - low
            eps = [self.strain(low + (mp.mpf("0.5") + sign * gauss) * h, p) for sign in (-1, 1)]
            g = [self.coupling * x / (1 + x) for x in eps]
            e = [1 - p[7] * (x / top) ** p[8] for x in eps] if top is not None else [mp.mpf(1)] * 2
            steps.append((h, g, e))
        out = []
        for f, polarisations in self.angles:
            total = 0
            for (sigma, ratio), weight in zip(polarisations, (1, abs(np.cos(2 * GGG_444.theta_bragg))), strict=True):
                u, v = ratio, mp.mpc(1)
                for h, (g_u, g_l), (e_u, e_l) in reversed(steps):
                    a, s = f - (g_u + g_l) / 2, sigma * (e_u + e_l) / 2
                    c = gauss * h**2 * ((f - g_u) * sigma * e_l - (f - g_l) * sigma * e_u)
                    phi = mp.sqrt((a**2 - s**2) * h**2 - c**2)
                    at_zero = a * h  # the factor of the last term is taken at σ = 0
                    last = 3 * (mp.sin(at_zero) / at_zero - mp.cos(at_zero)) / at_zero**2
                    cos, sinc = mp.cos(phi), mp.sin(phi) / phi
                    u, v = (
                        cos * u - 1j * h * sinc * (a * u - s * v) + c * last * v,
                        cos * v - 1j * h * sinc * (s * u - a * v) + c * last * u,
                    )
                total += weight * abs(u / v) ** 2
            out.append(mp.log10(total / (1 + abs(np.cos(2 * GGG_444.theta_bragg)))))
        return out


@pytest.mark.parametrize("damaged", [False, True])
def test_derivatives_in_multiprecision(demonstration, damaged):
    p = np.array([*demonstration, 0.35, 0.6] if damaged else demonstration)
    picked = [60, 400]
    got = linearize(p, fwhm=0.0)
    slope = got.log_slope[0]
    exact = Multiprecision(p, DEFAULT_SCAN.angle[picked], damaged)
    row = [mp.mpf(float(x)) for x in p]
    for i in range(len(p)):
        step = row[i] * mp.mpf(10) ** -15
        up, down = (exact.log_reflectivity([*row[:i], row[i] + sign * step, *row[i + 1 :]]) for sign in (1, -1))
        expected = np.array([float((b - a) / (2 * step)) for a, b in zip(down, up, strict=True)])
        size = np.sqrt(np.mean(slope[:, i] ** 2))
        np.testing.assert_allclose(slope[picked, i], expected, atol=1e-6 * size, rtol=1e-6)
