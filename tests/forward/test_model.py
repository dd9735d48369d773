"""The public forward model: shapes, measurement values, sensitivities and refusals."""

import naive
import numpy as np
import pytest

import xrdsim
from xrdsim.errors import DeviceError, ParameterError
from xrdsim.experiment.scan import Scan
from xrdsim.profiles.space import ParameterSpace
from xrdsim.profiles.two_gaussians import DMAX1, RP2


def test_one_row_and_many_give_the_same_curves(prior):
    many = xrdsim.simulate(prior[:5])
    assert many.angle.shape == (701,)
    assert many.reflectivity.shape == many.intensity.shape == (5, 701)
    assert many.intensity.dtype == np.float64
    for i in range(5):
        np.testing.assert_array_equal(xrdsim.simulate(prior[i]).intensity[0], many.intensity[i])


def test_the_number_of_threads_does_not_change_a_bit(prior):
    import numba

    before = xrdsim.simulate(prior).intensity
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        np.testing.assert_array_equal(xrdsim.simulate(prior).intensity, before)
    finally:
        numba.set_num_threads(threads)


def test_measurement_values_a_sample(prior):
    fwhm, scale = np.array([20.0, 30.0, 0.0, 55.0]), np.array([0.3, 1.0, 2.0, 1.0])
    background, zero = np.array([0.0, 1e-4, 1e-5, 0.0]), np.array([0.0, 3.0, -5.5, 8.0])
    finely = {"rtol_dex": 1e-6}  # other nodes agree to the asked accuracy
    together = xrdsim.simulate(prior[:4], fwhm=fwhm, scale=scale, background=background, zero=zero, **finely)
    for i in range(4):
        alone = xrdsim.simulate(prior[i], fwhm=fwhm[i], **finely)
        np.testing.assert_allclose(together.reflectivity[i], alone.reflectivity[0], rtol=1e-6)
        moved = xrdsim.simulate(prior[i], fwhm=fwhm[i], scan=Scan(Scan().start - zero[i]), **finely)
        expected = scale[i] * moved.intensity[0] + background[i]
        np.testing.assert_allclose(together.intensity[i], expected, rtol=2e-4)


def test_no_instrument_is_the_reflectivity(prior):
    curves = xrdsim.simulate(prior[:3], fwhm=0, scale=2.0, background=0.5)
    np.testing.assert_array_equal(curves.intensity, 2.0 * curves.reflectivity + 0.5)


def test_the_default_monochromator_follows_the_convention(prior):
    for convention, factor in (("exact", 0.62855), ("linear", 0.79281)):
        default = xrdsim.simulate(prior[0], convention=convention, fwhm=0).reflectivity
        given = xrdsim.simulate(prior[0], convention=convention, monochromator=factor, fwhm=0).reflectivity
        np.testing.assert_allclose(default, given, rtol=1e-5)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        (0, np.nan, "Dmax1 = nan"),
        (2, np.inf, "L1 = inf"),
        (0, 0.04, r"Dmax1 = 0.04 .*0.001 … 0.031"),
        (1, 5e-5, r"D01 = 5e-05 .*0.0001"),
        (6, 10.0, r"Rp2 = 10 .*-6500 … 0"),
        (3, 6000.0, r"L1 = 5800, Rp1 = 6000 .*Rp1 <= L1"),
        (5, 6500.0, r"L1 = 5800, L2 = 6500 .*L2 <= L1"),
        (1, 0.02, r"Dmax1 = 0.01305, D01 = 0.02 .*D01 <= Dmax1"),
        (4, 0.029, r"D01 = 0.0017, D02 = 0.029 .*D01 \+ D02 <= 0.03"),
    ],
)
def test_bad_parameters_are_named(demonstration, column, value, words):
    rows = np.array([demonstration, demonstration])
    rows[1, column] = value
    with pytest.raises(ParameterError, match=words) as caught:
        xrdsim.simulate(rows)
    assert "row 1" in str(caught.value)


@pytest.mark.parametrize("shape", [(6,), (3, 8), (2, 2, 7), ()])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(ParameterError, match="shape"):
        xrdsim.simulate(np.ones(shape))


def test_text_is_no_parameter():
    with pytest.raises(ParameterError, match="must be numbers"):
        xrdsim.simulate([["a"] * 7])


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"convention": "approximate"}, "convention 'approximate'"),
        ({"precision": "half"}, "precision 'half' is unknown"),
        ({"layers": 0.0}, "layers = 0"),
        ({"layers": np.nan}, "layers = nan"),
        ({"rtol_dex": 0.5}, "rtol_dex = 0.5"),
        ({"monochromator": 1.5}, "monochromator = 1.5"),
        ({"fwhm": -1.0}, "fwhm = -1"),
        ({"scale": np.inf}, "scale = inf"),
        ({"background": [1.0, 2.0]}, "background has the shape"),
        ({"scan": Scan(-200000.0, 100.0, 4000)}, "leave 0 … 90°"),
    ],
)
def test_bad_options_are_named(demonstration, option, words):
    with pytest.raises(ParameterError, match=words):
        xrdsim.simulate(demonstration, **option)


def test_a_missing_device_is_refused(demonstration):
    with pytest.raises(DeviceError, match="cuda"):
        xrdsim.simulate(demonstration, device="cuda")


def test_other_ranges_can_be_given(demonstration):
    p = demonstration.copy()
    p[DMAX1] = 0.04
    space = ParameterSpace(high=(0.05, *ParameterSpace().high[1:]))
    assert np.isfinite(xrdsim.simulate(p, space=space).intensity).all()


@pytest.mark.parametrize("relative_to", ["value", "range"])
def test_finite_differences_are_the_definition(prior, relative_to):
    rows = prior[:6]
    got = xrdsim.finite_difference(rows, relative_to=relative_to, fwhm=30.0)
    base = xrdsim.simulate(rows).intensity
    space = ParameterSpace()
    for i, row in enumerate(rows):
        for j in range(7):
            size = 0.01 * (row[j] if relative_to == "value" else space.span[j])
            changed = row.copy()
            changed[j] += size
            if not space.contains(changed)[0]:
                changed[j] = row[j] - size
            other = xrdsim.simulate(changed).intensity[0]
            expected = np.mean(np.abs(np.log10(other + 1e-10) - np.log10(base[i] + 1e-10)))
            assert got[i, j] == pytest.approx(expected, rel=1e-6)


def test_a_value_of_zero_has_no_relative_change(demonstration):
    p = demonstration.copy()
    p[RP2] = 0.0
    by_value = xrdsim.finite_difference(p)[0]
    assert np.isnan(by_value[RP2])
    assert np.isfinite(np.delete(by_value, RP2)).all()
    assert xrdsim.finite_difference(p, relative_to="range")[0, RP2] > 0.0  # shrinks: one-sided


def test_finite_differences_of_damage(demonstration):
    p = np.append(demonstration, [0.4, 0.5])
    assert np.all(xrdsim.finite_difference(p) > 0.0)


def test_the_reflectivity_itself_is_differenced_without_instrument(demonstration):
    got = xrdsim.finite_difference(demonstration, fwhm=0, floor=0.0)[0, 2]
    changed = demonstration.copy()
    changed[2] *= 1.01
    curves = xrdsim.simulate([demonstration, changed], fwhm=0).reflectivity
    assert got == pytest.approx(np.mean(np.abs(np.diff(np.log10(curves), axis=0))), rel=1e-6)


def test_a_slow_profile_agrees(demonstration):
    depth = np.linspace(0.0, 5000.0, 50)
    np.testing.assert_allclose(xrdsim.strain_profile(demonstration, depth)[0], naive.strain(depth, demonstration))
