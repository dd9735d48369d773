"""Inclined and miscut surfaces, against reference arrays, a recursion of field amplitudes, formulas and limits."""

import json
from dataclasses import replace

import naive
import numpy as np
import pytest

import xrdsim
from xrdsim.errors import ParameterError
from xrdsim.experiment.geometry import glancing, passage
from xrdsim.experiment.reflection import GGG_444, YIG_ON_GGG_444, Reflection
from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Convention, Experiment
from xrdsim.forward.derivatives import linearize
from xrdsim.forward.optics import centre, coupling, optics
from xrdsim.kernels import batch
from xrdsim.kernels.reflectivity import reflect
from xrdsim.kernels.steps import Steps
from xrdsim.profiles.two_gaussians import TwoGaussians
from xrdsim.units import ARCSEC

CHI = {"444": -12.66065e-6 + 3.26115e-6j, "888": -11.16454e-6 + 3.41817e-6j, "880": -13.55918e-6 + 3.46209e-6j}
MONOCHROMATOR = 0.6285


def of(hkl, geometry="symmetric", **more):
    crystal = replace(GGG_444.crystal, chih=CHI["".join(map(str, hkl))])
    return Reflection(crystal, hkl, GGG_444.wavelength, surface=(1, 1, 1), geometry=geometry, **more)


CASES = {
    "444": of((4, 4, 4)),
    "888": of((8, 8, 8)),
    "880in": of((8, 8, 0), "grazing-incidence"),
    "880out": of((8, 8, 0), "grazing-exit"),
}
INCLINED = ("880in", "880out")
ORDERS = {"order1": Convention.EXACT, "order2": Convention.SECOND_ORDER}


def scan_of(reflection, points=701):
    """Over the strains of the default scan."""
    part = reflection.angle_per_strain / GGG_444.angle_per_strain
    step = DEFAULT_SCAN.step * part * 700 / (points - 1)
    return Scan(DEFAULT_SCAN.start * part, step, points)


def sublayers(reflection, convention, scan, eps, thickness, factor, monochromator):
    """R of given sublayers from the surface down, by the kernels."""
    total = thickness.sum()
    prepared = optics(
        scan, np.empty(0), reflection, convention, monochromator=monochromator, thickness=total, error=1e-12
    )
    none, out = np.zeros(len(eps)), np.empty(scan.points)
    space = batch.workspace(1, TwoGaussians(), prepared)
    steps = Steps(thickness, coupling(reflection, convention) * eps / (1.0 + eps), factor, none, none)
    arrays = (space.substrate, space.work, space.block, space.coarse, space.element)
    reflect(prepared, steps, len(eps), *arrays, out)
    return out


def omega_of(reflection, convention, angle):
    """Incidence angle ω [rad] at the angles [arcsec]."""
    theta = centre(reflection, convention) - angle * ARCSEC
    return theta + (reflection.psi if reflection.geometry == "grazing-exit" else -reflection.psi)


@pytest.fixture(scope="module")
def arrays(shared_file):
    return shared_file("reflections.npz")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", CASES)
def test_reference_arrays(arrays, name, order):
    reflection = replace(CASES[name], crystal=replace(GGG_444.crystal, chih=complex(arrays[f"{name}_chih"])))
    angle = arrays[f"{name}_angle"]
    scan = Scan(angle[0], (angle[-1] - angle[0]) / (len(angle) - 1), len(angle))
    eps, thickness, factor = (arrays[key][::-1].copy() for key in ("eps", "thickness", "E"))
    ones = np.ones(len(eps))
    for key, damage, monochromator in (
        ("S", ones, 0.0),
        ("both", ones, MONOCHROMATOR),
        ("both", factor, MONOCHROMATOR),
    ):
        found = sublayers(reflection, ORDERS[order], scan, eps, thickness, damage, monochromator)
        expected = arrays[f"{name}_R_{key}_{order}{'' if damage is ones else '_E'}"]
        np.testing.assert_allclose(found, expected, rtol=1e-8)
    omega = np.degrees(omega_of(reflection, ORDERS[order], 0.0))
    assert omega == pytest.approx(float(arrays[f"{name}_omega_s_deg_{order}"]), abs=1e-10)


@pytest.mark.parametrize(
    ("stored", "name"), [("444_sym", "444"), ("888_sym", "888"), ("880_in", "880in"), ("880_out", "880out")]
)
def test_four_tie_points(shared_file, stored, name):
    """An independent solution of 40 digits with the waves that a surface really has; σ."""
    file = shared_file("four_tie_points.npz")
    omega, exact = np.radians(file[f"GGG{stored}_S"][:, 0]), file[f"GGG{stored}_S"][:, 1]
    eps, thickness = file["eps"][::-1].copy(), file["h"][::-1].copy()
    reflection, convention = CASES[name], Convention.SECOND_ORDER
    angle = (omega_of(reflection, convention, 0.0) - omega) / ARCSEC
    ones = np.ones(len(eps))
    found = [
        sublayers(reflection, convention, Scan(each - 1.0, 1.0, 3), eps, thickness, ones, 0.0)[1] for each in angle
    ]
    assert np.abs(np.log10(found / exact)).max() <= 5e-5


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", INCLINED)
def test_a_recursion_of_field_amplitudes_agrees(name, order, demonstration):
    reflection, convention = CASES[name], ORDERS[order]
    scan = scan_of(reflection, 240)
    seen = {"fwhm": 0.0, "layers": 25.0, "experiment": None, "scan": scan}
    experiment = Experiment(reflection, convention, monochromator=0.3, layers=25.0)
    found = xrdsim.simulate(demonstration, **seen | {"experiment": experiment}).reflectivity[0]
    omega = omega_of(reflection, convention, scan.angle)
    given = {"reflection": reflection, "psi": reflection.psi, "exit": name == "880out", "second": order == "order2"}
    sigma, pi = (naive.inclined(*naive.sublayers(demonstration, 25.0), omega, pi=pi, **given) for pi in (False, True))
    np.testing.assert_allclose(found, (sigma + 0.3 * pi) / 1.3, rtol=1e-7)


@pytest.mark.parametrize("azimuth", [0.0, 50.0, 180.0])
@pytest.mark.parametrize("name", CASES)
def test_the_angle_comes_back_from_the_cosines(name, azimuth):
    tilted = replace(CASES[name], miscut=0.4, azimuth=azimuth)
    theta = tilted.theta_bragg + np.linspace(-0.01, 0.02, 40)
    at = passage(theta, tilted.normal, tilted.k, tilted.h0)
    found = glancing(at.incident + at.diffracted, tilted.normal, tilted.k, tilted.h0)
    np.testing.assert_allclose(found, theta, rtol=0.0, atol=1e-13)
    assert np.isnan(glancing(np.array([2.5]), tilted.normal, tilted.k, tilted.h0))


def test_strain_moves_a_reflection_as_the_formula_says():
    theta = CASES["880in"].theta_bragg
    psi = CASES["880in"].psi
    for name, sign in (("880in", 1), ("880out", -1)):
        expected = np.cos(psi) * np.sin(theta + sign * psi) / np.cos(theta)
        assert CASES[name].angle_per_strain == pytest.approx(expected, rel=1e-8)
    for miscut in (0.5, 0.1):
        for azimuth in (0.0, 60.0, 90.0, 180.0):
            tilted = of((4, 4, 4), miscut=miscut, azimuth=azimuth)
            lean, way = np.radians(miscut), np.cos(np.radians(azimuth))
            factor = np.cos(lean) ** 2 + way * np.sin(lean) * np.cos(lean) / np.tan(tilted.theta_bragg)
            assert tilted.angle_per_strain / GGG_444.angle_per_strain == pytest.approx(factor, rel=1e-8)


def test_a_surface_along_the_planes_is_the_symmetric_one(demonstration):
    plain = xrdsim.simulate(demonstration, experiment=Experiment(of((4, 4, 4)))).intensity
    np.testing.assert_array_equal(plain, xrdsim.simulate(demonstration).intensity)
    inclined = Experiment(of((4, 4, 4), miscut=1e-7), Convention.EXACT)
    nearly = xrdsim.simulate(demonstration, experiment=inclined).intensity
    np.testing.assert_allclose(nearly, plain, rtol=1e-6)


def test_the_second_order_differs_little_where_the_first_is_good(prior):
    first, second = (
        np.log10(xrdsim.simulate(prior, experiment=Experiment(convention=each), fwhm=0.0).reflectivity)
        for each in (Convention.EXACT, Convention.SECOND_ORDER)
    )
    assert np.sqrt(np.mean((first - second) ** 2, axis=1)).max() <= 2.5e-4


def test_nothing_is_reflected_beyond_what_comes_in():
    for name in INCLINED:
        clear = replace(CASES[name], crystal=replace(CASES[name].crystal, chi0=-3.7e-5 + 1e-15j, chih=-1.3e-5 + 0j))
        scan = Scan(-40.0, 0.05, 1601)
        one = np.ones(1)
        found = sublayers(clear, Convention.SECOND_ORDER, scan, 0.0 * one, 100.0 * one, one, 0.0)
        assert 0.9999 < found.max() <= 1.0 + 1e-9
        wide = scan.step * np.sum(found > 0.5)
        incident = abs(np.sin(clear.theta_bragg - clear.psi)), abs(np.sin(clear.theta_bragg + clear.psi))
        at, out = incident if name == "880in" else incident[::-1]
        expected = 1.06 * 2.0 * 1.3e-5 * np.sqrt(out / at) / np.sin(2.0 * clear.theta_bragg) / ARCSEC
        assert wide == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("name", INCLINED)
def test_instrument_and_continuum(name, demonstration):
    reflection, convention = CASES[name], Convention.SECOND_ORDER
    scan, experiment = scan_of(reflection, 60), Experiment(reflection, convention)
    found = xrdsim.simulate(demonstration, fwhm=25.0, scan=scan, experiment=experiment).intensity[0]
    layers = naive.midpoints(demonstration, 1500)
    given = {"reflection": reflection, "psi": reflection.psi, "exit": name == "880out"}

    def curve(angle):
        omega = omega_of(reflection, convention, angle)
        sigma, pi = (naive.inclined(*layers, omega, pi=pi, **given) for pi in (False, True))
        return (sigma + experiment.monochromator * pi) / (1.0 + experiment.monochromator)

    slow = naive.convolve(curve, scan.angle, 25.0, step=0.25)
    assert naive.rms_dex(found, slow) < 1.5e-4


@pytest.mark.parametrize("name", INCLINED)
def test_derivatives(name, demonstration):
    reflection = CASES[name]
    row = np.append(demonstration, [0.3, 1.4])
    chosen = {"scan": scan_of(reflection, 90), "fwhm": 30.0, "rtol_dex": 1e-8}
    experiment = Experiment(reflection, Convention.SECOND_ORDER, rtol_dex=1e-8)
    chosen = {name: value for name, value in chosen.items() if name != "rtol_dex"} | {"experiment": experiment}
    slope = linearize(row, **chosen).slope[0]
    for j in range(len(row)):
        ends = []
        for size in (1e-3, 5e-4):
            step = np.zeros(len(row))
            step[j] = size * row[j]
            pair = xrdsim.simulate([row + step, row - step], **chosen).intensity
            ends.append((pair[0] - pair[1]) / (2.0 * step[j]))
        expected = (4.0 * ends[1] - ends[0]) / 3.0
        assert np.linalg.norm(slope[:, j] - expected) <= 1e-5 * np.linalg.norm(expected)


def test_a_film_on_an_inclined_surface(demonstration):
    """Of the substrate itself it is none."""
    film = replace(YIG_ON_GGG_444.film, crystal=CASES["880in"].crystal)
    made = {"scan": scan_of(CASES["880in"], 120), "fwhm": 0.0}
    for convention in ORDERS.values():
        bare, covered = (
            xrdsim.simulate(demonstration, experiment=Experiment(reflection, convention), **made).reflectivity
            for reflection in (CASES["880in"], replace(CASES["880in"], film=film))
        )
        np.testing.assert_allclose(covered, bare, rtol=1e-6)


def test_records_come_back(tmp_path):
    tilted = of((8, 8, 0), "grazing-exit", miscut=0.3, azimuth=90.0)
    assert Reflection.from_dict(json.loads(json.dumps(tilted.to_dict()))) == tilted
    assert not {"surface", "geometry", "miscut"} & set(GGG_444.to_dict())
    path = tmp_path / "880.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in tilted.to_dict().items() if value is not None]
    path.write_text("[reflection]\n" + "\n".join(lines))
    assert Reflection.from_toml(path) == tilted


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"geometry": "sideways"}, "geometry 'sideways' is unknown; choose symmetric, grazing-incidence, grazing-exit"),
        ({"geometry": "symmetric"}, "GGG 880 is inclined to the surface 111 by 35.26°; say grazing-incidence"),
        ({"surface": None}, "geometry grazing-incidence needs a surface that is not parallel to GGG 880"),
        ({"surface": (1, -1, 0)}, "perpendicular to the surface 1-10.*Laue case"),
        ({"surface": (1, 0, -1)}, "below the surface 10-1"),
        ({"miscut": 20.0}, "miscut = 20° and azimuth = 0° must be at most 10°"),
        ({"miscut": 9.2}, "enters at 0.2.°, less than 3 times the critical angle of 0.35°"),
        ({"surface": (0, 0, 0)}, r"surface \(0, 0, 0\) is no plane"),
    ],
)
def test_what_a_surface_cannot_be(changes, words):
    with pytest.raises(ParameterError, match=words):
        replace(CASES["880in"], **changes)


def test_the_linear_convention_is_for_planes_along_the_surface():
    with pytest.raises(ParameterError, match="needs the convention exact or second-order"):
        Experiment(CASES["880in"], Convention.LINEAR)


def test_layers_that_leave_below_the_surface_are_dark(demonstration):
    """At grazing exit a strained layer's wave goes into the crystal."""
    scan = Scan(-80.0, 40.0, 260)
    found = xrdsim.simulate(demonstration, experiment=Experiment(CASES["880out"]), scan=scan, fwhm=0.0).reflectivity[0]
    assert np.isfinite(found).all()
    assert found[-1] == 0.0
    assert found[:20].min() > 0.0
