"""Several curves of one sample: files that list them, the problem they make, and curves that are only foretold."""

import json
from dataclasses import replace

import numpy as np
import pytest
from command_line import refused, xrd
from noisy import PROFILES

import xrdsim
from xrdsim.curves.curve import Curve, read_curve, write_curve
from xrdsim.errors import ParameterError
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.scan import Scan
from xrdsim.experiment.setup import Convention, Experiment
from xrdsim.fit.sample import Entry, Sample, joint_problem, read_sample_toml
from xrdsim.fit.series import fit_sample
from xrdsim.profiles.space import ParameterSpace
from xrdsim.units import ARCSEC

pytestmark = pytest.mark.usefixtures("one_thread")

COUNTS, BACKGROUND = 1e6, 2e-4
DAMAGED = np.append(PROFILES[0], [0.3, 1.5])
FWHM = {"444": 38.0, "888": 110.0, "880": 80.0}
SPACE = ParameterSpace().with_damage()


def reflections():
    table = {"crystal": "GGG", "surface": [1, 1, 1]}
    return {
        "444": GGG_444,
        "888": Reflection.from_dict({**table, "hkl": [8, 8, 8]}),
        "880": Reflection.from_dict({**table, "hkl": [8, 8, 0], "geometry": "grazing-incidence"}),
    }


def seen(name, exponent=1.5, points=240, seed=0):
    """The curve of the damaged profile in a reflection, over the same strains."""
    reflection = reflections()[name]
    low, high = (strain * reflection.angle_per_strain / ARCSEC for strain in (-0.0008, 0.012))
    scan = Scan(low, (high - low) / (points - 1), points)
    power = (reflection.h0 / GGG_444.h0) ** exponent
    experiment = replace(Experiment(reflection), rtol_dex=1e-5, damage_power=power)
    mean = xrdsim.simulate(
        DAMAGED, experiment=experiment, scan=scan, space=SPACE, background=BACKGROUND, fwhm=FWHM[name]
    ).intensity[0]
    counts = np.random.default_rng(seed).poisson(COUNTS * mean)
    return Curve(scan.angle, counts.astype(float), int(np.argmin(np.abs(scan.angle))), name, per_count=1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    for i, name in enumerate(FWHM):
        made = seen(name, seed=i)
        write_curve(folder / f"{name}.xy", made.angle, made.intensity)
    return folder


def listed(folder, text, name="sample.toml"):
    (folder / name).write_text(text)
    return folder / name


TRIO = """
damage = true
[reflection]
crystal = "GGG"
surface = [1, 1, 1]
[[curves]]
file = "444.xy"
hkl = [4, 4, 4]
per_count = 1.0
[[curves]]
file = "888.xy"
hkl = [8, 8, 8]
fwhm = [60, 200]
per_count = 1.0
[[curves]]
file = "880.xy"
hkl = [8, 8, 0]
geometry = "grazing-incidence"
per_count = 1.0
fit = false
"""


def test_a_file_lists_the_curves(folder):
    sample = read_sample_toml(listed(folder, TRIO))
    assert [each.experiment.reflection.title for each in sample.entries] == [
        "GGG 444",
        "GGG 888",
        "GGG 880, grazing-incidence",
    ]
    assert [each.fitted for each in sample.entries] == [True, True, False]
    assert sample.entries[1].preparing["limits"] == {"fwhm": (60.0, 200.0)}
    assert sample.damage
    assert sample.exponents == (1.5, 1.5)
    assert [each.experiment.convention for each in sample.entries] == [
        Convention.EXACT,
        Convention.EXACT,
        Convention.SECOND_ORDER,
    ]


def test_damage_follows_the_order_of_the_reflection(folder):
    sample = read_sample_toml(listed(folder, TRIO))
    given = joint_problem(sample.entries, SPACE, damage_exponent=1.5)
    powers = [each.experiment.damage_power for each in given.measurements]
    np.testing.assert_allclose(powers, [1.0, 2.0**1.5])
    flat = joint_problem(sample.entries, SPACE, damage_exponent=0.0)
    assert [each.experiment.damage_power for each in flat.measurements] == [1.0, 1.0]
    lattices = [each.experiment.reflection.h0 for each in given.measurements]
    assert lattices[1] == pytest.approx(2.0 * lattices[0])


@pytest.fixture(scope="module")
def fitted(folder):
    """Two curves fitted and one foretold, from a start beside the truth."""
    sample = read_sample_toml(listed(folder, TRIO))
    start = joint_problem(sample.entries, SPACE).coordinates(
        DAMAGED[None] * [1.02, 0.95, 0.99, 1.01, 1.0, 1.0, 1.0, 0.9, 1.0]
    )
    return fit_sample(sample, SPACE, starts=lambda given: start, only_refine=True)


def test_a_curve_that_was_not_fitted_is_foretold(fitted):
    assert fitted.verdict == "solved"
    assert [each.fitted for each in fitted.curves] == [True, True, False]
    for each in fitted.curves[:2]:
        assert (each.reduced_chi2 < 1.15, each.verdict) == (True, "solved")
    assert fitted.curves[2].reduced_chi2 < 2.0  # the others do not tell it to within its noise
    assert fitted.curves[2].mean_abs_log10 < 0.05
    assert f"reduced χ² is {fitted.curves[2].reduced_chi2:.3g}" in fitted.curves[2].reason
    names = [each.name for each in fitted.curves[2].measurement]
    assert names == ["scale", "background", "zero", "fwhm"]
    assert fitted.curves[2].measurement[3].value == pytest.approx(FWHM["880"], rel=0.05)
    assert fitted["kappa"].value == pytest.approx(0.3, abs=4.0 * fitted["kappa"].std)
    assert (fitted["damage_exponent"].value, fitted["damage_exponent"].fixed) == (1.5, True)


def test_results_list_the_curves(fitted, tmp_path):
    assert [path.name for path in fitted.save(tmp_path, html=True)] == [
        "result.json", "fit.png", "profile.csv", "curve_444.csv", "curve_888.csv", "curve_880.csv", "fit.html",
    ]  # fmt: skip
    result = json.loads((tmp_path / "result.json").read_text())
    assert {"verdict", "parameters", "measurement", "misfit", "minima", "profile", "curve"} <= set(result)
    assert [each["reflection"] for each in result["curves"]] == ["GGG 444", "GGG 888", "GGG 880, grazing-incidence"]
    assert [each["fitted"] for each in result["curves"]] == [True, True, False]
    assert len(result["curves"][2]["curve"]["model"]) == 240
    assert result["curve"] == result["curves"][0]["curve"]
    page = (tmp_path / "fit.html").read_text()
    assert "GGG 880, grazing-incidence" in page


def test_the_exponent_is_fitted(folder):
    entries = [
        Entry(curve=seen(name, exponent=2.2, seed=i), experiment=Experiment(reflections()[name]))
        for i, name in enumerate(("444", "880"))
    ]
    sample = Sample(entries=tuple(entries), damage=True, damage_exponent=(0.5, 3.0))
    start = joint_problem(entries, SPACE).coordinates(DAMAGED[None])
    fit = fit_sample(sample, SPACE, starts=lambda given: start, only_refine=True)
    found = fit["damage_exponent"]
    assert 0.02 < found.std < 0.4
    assert abs(found.value - 2.2) < 4.0 * found.std
    assert found.low < found.value < found.high
    assert fit.settings["damage_exponent"] == found.value


def test_the_worst_curve_decides(folder):
    """A curve of another profile is named, though the other is described."""
    strange = seen("888")
    strange = replace(strange, intensity=strange.intensity * np.linspace(1.0, 3.0, len(strange.angle)) ** 2)
    entries = [Entry(curve=seen("444")), Entry(curve=strange, experiment=Experiment(reflections()["888"]))]
    given = joint_problem(entries, SPACE)
    start = given.coordinates(DAMAGED[None])
    fit = fit_sample(Sample(entries=tuple(entries), damage=True), SPACE, starts=lambda g: start, only_refine=True)
    assert fit.verdict == "not described"
    assert "curves are not described well" in fit.reason


def test_curves_are_of_one_sample():
    other = Reflection.from_dict({"crystal": "Si", "hkl": [0, 0, 4]})
    entries = (Entry(curve=seen("444")), Entry(curve=seen("444"), experiment=Experiment(other)))
    with pytest.raises(ParameterError, match="are of one sample: GGG 444 and Si 004 have another substrate"):
        Sample(entries=entries)


def test_a_sample_has_one_surface():
    symmetric = Reflection.from_dict({"crystal": "GGG", "hkl": [8, 8, 0]})
    entries = (Entry(curve=seen("444")), Entry(curve=seen("444"), experiment=Experiment(symmetric)))
    with pytest.raises(ParameterError, match="would have different surfaces, 444 and 880; say which surface"):
        Sample(entries=entries)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("damage = true", "lists no curves; each needs"),
        ("[[curves]]\nhkl = [4, 4, 4]", "curve 1 has no file"),
        ('[[curves]]\nfile = "444.xy"', "incomplete or malformed"),
        ('[[curves]]\nfile = "none.xy"\ncrystal = "GGG"\nhkl = [4, 4, 4]', "none.xy"),
        ('[[curves]]\nfile = "444.xy"\ncrystal = "GGG"\nhkl = [4, 4, 4]\nfwhm = 3', "is malformed"),
        ('[[curves]]\nfile = "444.xy"\ncrystal = "GGG"\nhkl = [4, 4, 4]\ncolour = 3', "has no entry 'colour'"),
        ('[[curves]]\nfile = "444.xy"\ncrystal = "GGG"\nhkl = [4, 4, 4]\nfit = false', "none of the curves is fitted"),
        ("curves = 3", "lists no curves"),
        ('damage_exponent = [2, 1]\n[[curves]]\nfile = "444.xy"\ncrystal = "GGG"\nhkl = [4, 4, 4]', "in order, within"),
    ],
)
def test_files_that_list_nothing_useful(folder, text, message):
    path = listed(folder, text, "bad.toml")
    assert message in refused("fit", str(path), "-o", str(folder / "bad"))
    assert not (folder / "bad").exists()


def test_the_command(folder, monkeypatch):
    monkeypatch.chdir(folder)
    common = ["--per-count", "1", "--damage", "--budget", "3s", "-o", "both"]
    files = ["444.xy", "888.xy", "--predict-only", "880.xy", "--joint", "--hkl", "444,888,880", "--surface", "111"]
    done = xrd("fit", *files, "--geometry", "grazing-incidence", *common)
    assert done.exit_code == 0, done.output
    result = json.loads((folder / "both" / "result.json").read_text())
    assert [each["reflection"] for each in result["curves"]][2] == "GGG 880, grazing-incidence"
    words = " ".join(done.output.split())
    for each, before in zip(result["curves"], ("444.xy", "888.xy", "880.xy (not fitted)"), strict=True):
        assert f"{before}: Assumed: {each['assumed']}." in words
        assert f"{each['reflection']}, 1.54056 Å (Cu Kα₁), a " in each["assumed"]
        assert each["assumed"] in result["assumed"]
    assert f"880.xy: not fitted, but compared with what the others say of it. {result['curves'][2]['reason']}" in words
    assert "from 120.5, 429.1″ on" in done.output


def test_options_that_do_not_fit(folder, monkeypatch):
    monkeypatch.chdir(folder)
    both = ["fit", "444.xy", "888.xy", "--joint"]
    assert "has 3 values for 2 curves" in refused(*both, "--hkl", "444,888,880")
    assert "one curve; give one, or fit several curves of one sample with --joint" in refused(
        "fit", "444.xy", "888.xy", "--hkl", "444,888"
    )
    assert "nowhere.toml cannot be read: No such file or directory; check the path" in refused("fit", "nowhere.toml")
    assert "give Miller indices with --hkl" in refused(*both, "--crystal", "GGG")
    assert "would have different surfaces" in refused(*both, "--crystal", "GGG", "--hkl", "444,880")
    assert "error: GGG 880 is inclined" in refused(*both, "--hkl", "444,880", "--surface", "111")
    assert "--damage-exponent belongs to --joint" in refused("fit", "444.xy", "--damage-exponent", "2")
    assert "lists no such curve" in refused("fit", str(listed(folder, TRIO)), "--predict-only", "other.xy")
    assert "give it alone" in refused("fit", str(listed(folder, TRIO)), "444.xy")
    said = refused("fit", str(listed(folder, TRIO)), "--per-count", "1", "--hkl", "444")
    assert "describes its curves; write there what --per-count, --hkl says" in said
    assert read_curve("444.xy").angle.shape == (240,)
