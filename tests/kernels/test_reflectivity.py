"""Reflectivity against reference data, the slow reference, an independent program and physical invariants."""

import naive
import numpy as np
import pytest
from flanks import narrow_flanks
from hypothesis import given, settings
from test_strain import unit_vectors

from xrdsim.experiment.crystal import Crystal
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Convention
from xrdsim.forward.model import simulate
from xrdsim.forward.optics import coupling, optics
from xrdsim.kernels import batch
from xrdsim.kernels.reflectivity import reflect
from xrdsim.kernels.steps import Steps
from xrdsim.profiles.two_gaussians import TwoGaussians

ANGLE = DEFAULT_SCAN.angle


def rms_dex(a, b):
    return np.sqrt(np.mean((np.log10(a) - np.log10(b)) ** 2, axis=-1))


@pytest.mark.parametrize(
    ("key", "convention", "thickness"),
    [("linear_layers_100A", "linear", 100), ("linear_layers_20A", "linear", 20), ("exact_layers_20A", "exact", 20)],
)
def test_fixed_layers_agree_with_the_reference(reference, key, convention, thickness):
    curves = simulate(reference["params"], convention=convention, layers=thickness, fwhm=0)
    expected = reference[f"reflectivity_{key}"]
    assert np.all(np.abs(curves.reflectivity - expected) <= 1e-8 * expected + 1e-14)


@pytest.mark.parametrize("convention", ["exact", "linear"])
def test_continuum_agrees_with_the_reference(reference, convention):
    curves = simulate(reference["params"], convention=convention, fwhm=0)
    assert rms_dex(curves.reflectivity, reference[f"reflectivity_{convention}_continuum"]).max() <= 1e-4


@pytest.mark.parametrize("convention", ["exact", "linear"])
def test_fixed_layers_agree_with_the_slow_reference(prior, convention):
    rows = np.concatenate([prior[:6], narrow_flanks()])
    curves = simulate(rows, convention=convention, layers=40, fwhm=0).reflectivity
    for row, curve in zip(rows, curves, strict=True):
        expected = naive.reflectivity(*naive.sublayers(row, 40.0), ANGLE, convention=convention)
        assert np.all(np.abs(curve - expected) <= 1e-8 * expected + 1e-14)


@pytest.mark.parametrize("row", range(3))
def test_continuum_is_the_limit_of_thin_layers(prior, row):
    expected = naive.reflectivity(*naive.midpoints(prior[row], 2500), ANGLE)
    assert rms_dex(simulate(prior[row], fwhm=0).reflectivity[0], expected) <= 1e-4


@pytest.mark.parametrize("rtol", [1e-3, 1e-4, 1e-5])
def test_asked_accuracy_is_kept(prior, rtol):
    rows = np.concatenate([prior, narrow_flanks()])
    best = simulate(rows, fwhm=0, rtol_dex=1e-7).reflectivity
    assert rms_dex(simulate(rows, fwhm=0, rtol_dex=rtol).reflectivity, best).max() <= rtol


def test_asked_accuracy_is_kept_with_damage(prior):
    rows = np.concatenate([prior, narrow_flanks()])
    for kappa, p in ((0.45, 0.3), (0.6, 4.0), (0.6, 0.25)):
        damaged = np.column_stack([rows, np.full(len(rows), kappa), np.full(len(rows), p)])
        best = simulate(damaged, fwhm=0, rtol_dex=1e-7).reflectivity
        assert rms_dex(simulate(damaged, fwhm=0).reflectivity, best).max() <= 1e-4


def test_thick_layers_are_cut(demonstration):
    """Layers too thick for one step become several; the curve is that of the layer as a whole."""
    expected = naive.reflectivity(*naive.sublayers(demonstration, 700.0), ANGLE)
    curve = simulate(demonstration, layers=700, fwhm=0).reflectivity[0]
    np.testing.assert_allclose(curve, expected, rtol=1e-7)


def test_damage_agrees_with_the_slow_reference(demonstration):
    p = np.append(demonstration, [0.45, 0.3])
    h, eps = naive.sublayers(p, 20.0)
    factor = naive.damage(eps, p, naive.strain_max(p))
    expected = naive.reflectivity(h, eps, ANGLE, dw=factor)
    curve = simulate(p, layers=20, fwhm=0).reflectivity[0]
    np.testing.assert_allclose(curve, expected, rtol=1e-7)


def test_no_damage_is_no_change(prior):
    plain = simulate(prior[:4], fwhm=0).reflectivity
    damaged = np.column_stack([prior[:4], np.zeros(4), np.ones(4)])
    np.testing.assert_array_equal(simulate(damaged, fwhm=0).reflectivity, plain)


@settings(deadline=None, max_examples=40)
@given(unit_vectors())
def test_reflectivity_is_between_0_and_1(p):
    curve = simulate(p, fwhm=0, rtol_dex=1e-3).reflectivity
    assert np.all((curve > 0.0) & (curve <= 1.0))


def sublayer_curve(thickness, strain, angle, reflection=GGG_444, convention=Convention.EXACT):
    """R of given sublayers (surface first) through the kernel."""
    grid = Scan(float(angle[0]), float(angle[1] - angle[0]), len(angle))
    thickness, strain = np.asarray(thickness, dtype=float), np.asarray(strain, dtype=float)
    total = max(thickness.sum(), 100.0)
    prepared = optics(grid, np.empty(0), reflection, convention, monochromator=0.6, thickness=total, error=1e-11)
    g = coupling(reflection, convention) * strain / (1.0 + strain * (convention is Convention.EXACT))
    ones, zeros = np.ones(len(strain)), np.zeros(len(strain))
    space = batch.workspace(1, TwoGaussians(), prepared)
    out = np.empty(len(angle))
    steps = Steps(thickness, g, ones, zeros, zeros)
    reflect(prepared, steps, len(strain), prepared.substrate, space.work, space.block, space.coarse, space.element, out)
    return out


def test_splitting_a_sublayer_changes_nothing():
    whole = sublayer_curve([100.0, 100.0, 50.0], [0.004, 0.011, 0.011], ANGLE)
    split = sublayer_curve([15.0, 85.0, 50.0, 70.0, 30.0], [0.004, 0.004, 0.011, 0.011, 0.011], ANGLE)
    np.testing.assert_allclose(split, whole, rtol=1e-9)


def test_no_strain_is_the_perfect_crystal():
    bare = sublayer_curve([], [], ANGLE)
    np.testing.assert_allclose(sublayer_curve([100.0] * 40, [0.0] * 40, ANGLE), bare, rtol=1e-9)


def test_uniform_strain_is_a_shifted_perfect_crystal():
    """A uniformly strained layer so thick that the substrate below is invisible, in the linear convention."""
    strain = 0.002
    shift = strain * np.tan(GGG_444.theta_bragg) * 206264.80624709636
    angle = np.linspace(-30.0, 30.0, 121)
    layer = sublayer_curve([100.0] * 12000, [strain] * 12000, angle + shift, convention=Convention.LINEAR)
    bare = sublayer_curve([], [], angle, convention=Convention.LINEAR)
    np.testing.assert_allclose(layer, bare, rtol=1e-3)


def test_total_reflection_without_absorption():
    transparent = Reflection(Crystal("none", 12.383, -3.7e-5 + 1e-15j, -1.27e-5 + 0j, "test"), (4, 4, 4), 1.54056)
    curve = sublayer_curve([], [], np.linspace(-1.5, 1.5, 31), transparent)
    np.testing.assert_allclose(curve, 1.0, atol=1e-6)


def test_another_reflection_agrees_with_the_slow_reference(demonstration):
    silicon = Reflection(
        Crystal("Si", 5.43102, -1.5127e-5 + 3.4955e-7j, 6.2e-6 - 2.4e-7j, "tables, rounded"), (3, 3, 3), 1.54056
    )
    scan = Scan(-100.0, 3.3, 1000)
    curve = simulate(demonstration, layers=25, fwhm=0, reflection=silicon, scan=scan).reflectivity[0]
    expected = naive.reflectivity(*naive.sublayers(demonstration, 25.0), scan.angle, reflection=silicon)
    np.testing.assert_allclose(curve, expected, rtol=1e-7)


@pytest.mark.filterwarnings("ignore")
def test_an_independent_program_agrees(demonstration):
    """xrayutilities' DynamicalModel: four tie points, quartic dispersion."""
    pytest.importorskip("xrayutilities")
    from xrdsim.benchmark.xrayutilities import xrayutilities_curve, xrayutilities_model

    model = xrayutilities_model("DynamicalModel", *naive.sublayers(demonstration, 20.0))
    curve = simulate(demonstration, layers=20, fwhm=0).reflectivity[0]
    difference = np.log10(curve) - np.log10(xrayutilities_curve(model, ANGLE))
    assert np.abs(difference).max() <= 1e-3
    assert np.sqrt(np.mean(difference**2)) <= 3e-4


def test_single_precision_is_good_enough_where_it_is_offered(prior):
    rows = np.concatenate([prior, narrow_flanks()])
    double = simulate(rows, fwhm=0).reflectivity
    single = simulate(rows, fwhm=0, precision="single").reflectivity
    for a, b in zip(double, single, strict=True):
        strong = a > 1e-7
        assert rms_dex(a[strong], b[strong]) <= 2e-3
    assert rms_dex(double, single).max() > 1e-6  # it is not the same code in disguise
