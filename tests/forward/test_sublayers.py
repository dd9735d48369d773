"""Curves of lists of sublayers, at a scan's angles and at incidence angles, from Python and from the command line."""

import math

import naive
import numpy as np
import pytest
from command_line import refused, xrd

import xrdsim
from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444, YIG_ON_GGG_444, Reflection
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Convention, Experiment
from xrdsim.forward.sublayers import Sublayers, angle_of, of_depth, omega_of, read_sublayers, simulate_sublayers

SHORT = Scan(-80.0, 9.0, 200)
INCLINED = Experiment(
    Reflection(GGG_444.crystal, (8, 8, 0), GGG_444.wavelength, surface=(1, 1, 1), geometry="grazing-incidence"),
    Convention.SECOND_ORDER,
)


def layers(demonstration, thickness=50.0):
    h, eps = naive.sublayers(demonstration, thickness)
    return h, eps, 1.0 - 0.4 * np.sqrt(eps / eps.max())


@pytest.mark.parametrize("polarisation", [None, 0.0, math.inf])
def test_they_are_those_of_the_slow_recursion(demonstration, polarisation):
    h, eps, factor = layers(demonstration)
    experiment = Experiment(monochromator=polarisation)
    angle, found, _ = simulate_sublayers(Sublayers(h, eps, factor), experiment=experiment, scan=SHORT, fwhm=0.0)
    weight = 1e12 if polarisation == math.inf else polarisation
    expected = naive.reflectivity(h, eps, SHORT.angle, monochromator=weight, dw=factor)
    np.testing.assert_array_equal(angle, SHORT.angle)
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_instrument(demonstration):
    h, eps, factor = layers(demonstration)
    _, _, found = simulate_sublayers(Sublayers(h, eps, factor), scan=SHORT, fwhm=30.0)
    slow = naive.convolve(lambda angle: naive.reflectivity(h, eps, angle, dw=factor), SHORT.angle, 30.0, step=0.1)
    assert naive.rms_dex(found, slow) < 1e-4


def test_any_angles_in_any_order(demonstration):
    h, eps, _ = layers(demonstration)
    omega = np.random.default_rng(3).permutation(np.linspace(8.6, 9.6, 101))
    angle = angle_of(omega, INCLINED)
    np.testing.assert_allclose(omega_of(angle, INCLINED), omega, atol=1e-12)
    back, found, _ = simulate_sublayers(Sublayers(h, eps), experiment=INCLINED, omega=omega, fwhm=0.0)
    np.testing.assert_array_equal(back, angle)
    given = {"reflection": INCLINED.reflection, "psi": INCLINED.reflection.psi}
    sigma, pi = (naive.inclined(h, eps, np.radians(omega), pi=pi, **given) for pi in (False, True))
    m = INCLINED.monochromator
    np.testing.assert_allclose(found, (sigma + m * pi) / (1.0 + m), rtol=1e-7)


def test_a_film_holds_them(demonstration):
    h, eps, _ = layers(demonstration)
    experiment = Experiment(YIG_ON_GGG_444)
    _, found, _ = simulate_sublayers(Sublayers(h, eps), experiment=experiment, scan=SHORT, fwhm=0.0)
    same = xrdsim.simulate(demonstration, experiment=Experiment(YIG_ON_GGG_444, layers=50.0), scan=SHORT, fwhm=0.0)
    np.testing.assert_allclose(found, same.reflectivity[0], rtol=1e-6)
    with pytest.raises(ParameterError, match="more than the film, 31500 Å"):
        simulate_sublayers(Sublayers([4e4], [0.01]), experiment=experiment)


def test_the_command(tmp_path, demonstration, monkeypatch):
    monkeypatch.chdir(tmp_path)
    h, eps, factor = layers(demonstration)
    table = "\n".join(f"{a},{b},{c}" for a, b, c in zip(h, eps, factor, strict=True))
    (tmp_path / "profile.csv").write_text("thickness,strain,E\n" + table)
    omega = np.linspace(25.0, 25.6, 40)
    (tmp_path / "omega.csv").write_text("omega_deg\n" + "\n".join(map(str, omega)))
    asked = ["--profile", "profile.csv", "--polarisation", "sigma", "--fwhm", "0", "--omega", "omega.csv"]
    done = xrd("simulate", *asked, "-o", "c.npz")
    assert done.exit_code == 0, done.output
    with np.load("c.npz") as file:
        assert set(file) == {"omega_deg", "angle_arcsec", "reflectivity", "intensity"}
        np.testing.assert_allclose(file["omega_deg"], omega)
        expected = naive.reflectivity(h, eps, file["angle_arcsec"], monochromator=0.0, dw=factor)
        np.testing.assert_allclose(file["reflectivity"], expected, rtol=1e-7)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("thickness\n100\n", "strain is missing"),
        ("thickness,strain,colour\n100,0.01,3\n", "has a column 'colour'; it may have thickness, strain, E"),
        ("thickness,strain\n100,0.01\n100,x\n", "line 3: 100, x are not 2 numbers"),
        ("thickness,strain\n", "has a header and no values"),
        ("thickness,strain\n100,0.01\n-5,0.01\n", "sublayer 2: thickness = -5 must be within 0"),
        ("thickness,strain\n100,0.9\n", "sublayer 1: strain = 0.9 must be within -0.3 … 0.3"),
        ("thickness,strain,E\n100,0.01,1.2\n", "sublayer 1: E = 1.2 must be within 0 … 1"),
        ("", "needs a header with the columns thickness, strain"),
    ],
)
def test_bad_files_are_explained(tmp_path, text, words):
    path = tmp_path / "profile.csv"
    path.write_text(text)
    with pytest.raises(ParameterError, match=words) as raised:
        read_sublayers(path)
    assert str(path) in str(raised.value)


def test_what_belongs_to_parameters_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_text("thickness,strain\n100,0.01\n")
    for options, words in (
        (["--profile", "p.csv", "--counts", "5"], "--counts belongs to --param or --params"),
        (["--params", "p.csv", "--omega", "o.csv"], "--omega belongs to --profile"),
        (["--profile", "p.csv", "--params", "p.csv"], "or sublayers with --profile"),
        (["--profile", "p.csv", "--polarisation", "pi", "--monochromator", "0.5"], "--monochromator weights both"),
    ):
        assert words in refused("simulate", *options)
    assert angle_of(np.array([25.0]), Experiment()).shape == (1,)
    with pytest.raises(ParameterError, match="omega must lie within"):
        angle_of(np.array([95.0]), Experiment())


def test_strain_over_depth(tmp_path):
    """Straight lines between depths are the finest of sublayers."""
    path = tmp_path / "profile.csv"
    path.write_text("depth,strain,E\n0,0.004,1\n1000,0.009,0.8\n2500,0,1\n")
    found = simulate_sublayers(read_sublayers(path), scan=SHORT, fwhm=0.0)[1]
    edges = np.linspace(0.0, 2500.0, 20001)
    middle = 0.5 * (edges[1:] + edges[:-1])
    strain, factor = (np.interp(middle, [0, 1000, 2500], each) for each in ([0.004, 0.009, 0], [1, 0.8, 1]))
    assert naive.rms_dex(found, naive.reflectivity(np.diff(edges), strain, SHORT.angle, dw=factor)) < 1e-4
    for text in ("depth,strain\n5,0.1\n9,0.1\n", "depth,strain\n0,0.1\n", "strain\n0.1\n"):
        path.write_text(text)
        with pytest.raises(ParameterError, match=r"depth"):
            read_sublayers(path)
    with pytest.raises(ParameterError, match="must be within"):
        of_depth([0.0, 10.0], [0.5, 0.5])


def test_the_profile_of_a_fit_is_such_a_table(tmp_path):
    """With the line of units and the bands that a fit writes."""
    plain, whole = tmp_path / "plain.csv", tmp_path / "profile.csv"
    plain.write_text("depth,strain,E\n0,0.004,1\n1000,0.009,0.8\n2500,0,1\n")
    whole.write_text(
        "depth,strain,strain_low95,strain_high68,E,E_low68\n# [Å],,,,,\n\n"
        "0,0.004,0.001,0.005,1,0.9\n1000,0.009,0,0,0.8,0.7\n2500,0,0,0,1,1\n"
    )
    one, other = read_sublayers(plain), read_sublayers(whole)
    for name in ("thickness", "strain", "factor"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    whole.write_text("depth,strain\n# units\n0,0.004\n10,x\n")
    with pytest.raises(ParameterError, match=r"profile.csv, line 4: 10, x are not 2 numbers"):
        read_sublayers(whole)
