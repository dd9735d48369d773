"""xrd fit and xrd refine: what they write, and one clear line for every input that cannot be fitted."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import refused, xrd
from noisy import PROFILES, noisy

from xrdml import train
from xrdsim.curves.curve import read_curve, write_curve
from xrdsim.dataset.generation import generate
from xrdsim.experiment.reflection import YIG_ON_GGG_444
from xrdsim.experiment.scan import Scan
from xrdsim.fit.fitting import fit_curve
from xrdsim.profiles.two_gaussians import NAMES

COUNTS = 3e5
PER_COUNT = ("--per-count", 1.0 / COUNTS)
START = dict(zip(NAMES, PROFILES[0].tolist(), strict=True))


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("start.json").write_text(json.dumps(START))
    return tmp_path


@pytest.fixture(scope="module")
def curve():
    return noisy(PROFILES[0])


def fitted(*arguments, code=0):
    """The result of a call that must end with this code."""
    result = xrd(*arguments)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return json.loads(Path("result/result.json").read_text())


def text(name, angle, intensity):
    lines = (f"{a!r} {b!r}\n" for a, b in zip(np.asarray(angle).tolist(), np.asarray(intensity).tolist(), strict=True))
    Path(name).write_text("".join(lines))
    return name


def written(curve, name="curve.xy"):
    write_curve(name, curve.angle, curve.intensity)
    return name


def test_help_has_examples():
    for command in ("fit", "refine"):
        shown = xrd(command, "--help").output
        assert f"xrd {command} curve.xy" in shown
        assert "Example" in shown


def test_fit_of_one_curve_ends_with_the_best_so_far(here, curve):
    record = fitted("fit", written(curve), *PER_COUNT, "--budget", "0.01s", "--html")
    assert record["ended"] == "budget"
    assert np.isfinite(record["misfit"]["reduced_chi2"])
    assert record["settings"]["budget"] == 0.01
    assert record["settings"]["per_count"] == pytest.approx(1.0 / COUNTS)
    assert Path("result/fit.png").read_bytes().startswith(b"\x89PNG")
    assert Path("result/fit.html").read_text().lstrip().lower().startswith("<!doctype html")
    assert sorted(path.name for path in Path("result").iterdir()) == [
        "curve.csv",
        "fit.html",
        "fit.png",
        "profile.csv",
        "result.json",
    ]


def test_fit_of_a_curve_without_its_dark_counts(here, curve):
    """Noise leaves many of its points below 0, and the model near it: what is said of them are numbers nevertheless."""
    dark = np.random.default_rng(3).poisson(900.0, len(curve.angle))
    text("dark.xy", curve.angle, np.round(0.5 * (curve.intensity * COUNTS + dark - 900.0), 2))
    record = fitted("fit", "dark.xy", "--budget", "0.01s", "--html", "--axis", "relative", "--unit", "arcsec")
    assert 0.0 < record["misfit"]["mean_abs_log10"] < 1.0
    assert all(np.isfinite(each["rms_dex"]) for each in record["minima"])


def test_fits_of_two_curves_of_which_one_is_broken(here, curve):
    written(curve, "good.xy")
    Path("broken.xy").write_text("nothing here\n")
    result = xrd("fit", "good.xy", "broken.xy", *PER_COUNT, "--budget", "0.01s", "-o", "out")
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert "broken.xy" in result.stderr
    assert sorted(path.name for path in Path("out/good").iterdir()) == [
        "curve.csv",
        "fit.png",
        "profile.csv",
        "result.json",
    ]
    assert not Path("out/broken").exists()
    with Path("out/series.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["good.xy"]
    assert float(rows[0]["Dmax1"]) > 0.0
    assert Path("out/series.png").exists()
    assert "good.xy: Assumed: GGG 444, 1.54056 Å (Cu Kα₁), " in result.stdout


def test_refine_from_known_parameters(here, curve):
    record = fitted("refine", written(curve), *PER_COUNT, "--start", "start.json", "--html")
    assert record["verdict"] == "solved"
    assert record["ended"] == "refined"
    assert record["settings"]["budget"] is None
    assert Path("result/fit.html").exists()
    assert not Path("result/fit.svg").exists()
    arguments = ("--start", "result/result.json", "--damage", "--method", "trf", "--format", "svg")
    again = fitted("refine", "curve.xy", *PER_COUNT, *arguments)
    assert "<svg" in Path("result/fit.svg").read_text()
    assert tuple(again["parameters"]) == (*NAMES, "kappa", "p")
    assert again["misfit"]["reduced_chi2"] < 1.15


def test_strict_tells_by_the_exit_code(here, curve):
    written(curve)
    fitted("refine", "curve.xy", *PER_COUNT, "--start", "start.json", "--strict")
    Path("start.json").write_text(json.dumps(START | {"Dmax1": 0.02}))
    record = fitted("refine", "curve.xy", *PER_COUNT, "--start", "start.json", "--strict", "--max-iter", 1, code=2)
    assert record["verdict"] in {"not described", "described only roughly"}


def test_a_prior_that_excludes_the_data(here, curve):
    arguments = ("--start", "start.json", "--prior", "L1=1000:1", "--prior", "fwhm=100:0.1")
    record = fitted("refine", written(curve), *PER_COUNT, *arguments)
    assert record["verdict"] in {"not described", "described only roughly"}


SHOULD_FAIL = {
    "flat": lambda c: (c.angle, np.full(len(c.angle), 5.0)),
    "only noise": lambda c: (c.angle, np.random.default_rng(0).poisson(30.0, len(c.angle))),
    "NaN": lambda c: (c.angle, np.where(c.angle == 400.0, np.nan, c.intensity)),
    "gap": lambda c: (np.delete(c.angle, range(60, 90)), np.delete(c.intensity, range(60, 90))),
    "an angle twice": lambda c: (np.append(c.angle, 400.0), np.append(c.intensity, 1e-3)),
    "negative": lambda c: (c.angle, np.where(c.angle == 400.0, -1e-3, c.intensity)),
    "few points": lambda c: (c.angle[:45], c.intensity[:45]),
    "no peak": lambda c: (c.angle[30:], c.intensity[30:]),
    "short scan": lambda c: (c.angle[:55], c.intensity[:55]),
}
WORDS = {
    "flat": "no substrate peak",
    "only noise": "no substrate peak",
    "NaN": "nan",
    "gap": "no points between 392 and 640",
    "an angle twice": "the angle 400 comes again",
    "negative": "the intensity -0.001 is negative",
    "few points": "45 points are too few",
    "no peak": "no substrate peak",
    "short scan": "are left to fit, 50 are needed",
}


@pytest.mark.parametrize("name", SHOULD_FAIL)
def test_curves_that_are_refused(here, curve, name):
    text("curve.xy", *SHOULD_FAIL[name](curve))
    assert WORDS[name] in refused(
        "fit", "curve.xy", "--axis", "relative", "--unit", "arcsec", "--budget", "1s", "--mask", "48", "--expanded-side"
    )
    assert not Path("result").exists()


def saturated(c):
    return c.angle, np.minimum(c.intensity, 0.05)


def edited(c):
    near = np.abs(c.angle) < 20.0
    return c.angle, np.where(near, 30.0 * c.intensity, c.intensity)


def unsorted(c):
    order = np.random.default_rng(1).permutation(len(c.angle))
    return c.angle[order], c.intensity[order]


def lost(c):
    kept = np.random.default_rng(1).random(len(c.angle)) < 0.8
    kept[c.peak_index] = True
    return c.angle[kept], c.intensity[kept]


def irregular(c):
    moved = noisy(PROFILES[0], scan=Scan(-80.0, 1.0, 1281))
    at = np.unique(np.cumsum(np.random.default_rng(1).integers(3, 12, 300)))
    kept = np.union1d(at[at < 1281], [80])
    return moved.angle[kept], moved.intensity[kept]


def fine(c):
    wide = noisy(PROFILES[0], scan=Scan(-80.0, 2.0, 641))
    return wide.angle, wide.intensity


def coarse(c):
    wide = noisy(PROFILES[0], scan=Scan(-80.0, 10.0, 129))
    return wide.angle, wide.intensity


def truncated(c):
    return c.angle[c.angle <= 1000.0], c.intensity[c.angle <= 1000.0]


@pytest.mark.parametrize("change", [saturated, edited, unsorted, lost, irregular, fine, coarse, truncated])
def test_curves_that_are_not_ideal(here, curve, change):
    name = text("curve.xy", *change(curve))
    read = read_curve(name, axis="relative", unit="arcsec", per_count=1.0 / COUNTS)
    fit = fit_curve(read, starts=PROFILES[:1], only_refine=True)
    if change is edited:  # nobody knows the scale
        assert fit.verdict == "described only roughly"
        assert "the model's substrate peak" in fit.reason.lower()
    else:
        assert fit.verdict == "solved"
    for each in fit.parameters[2:4]:
        assert abs(each.value - START[each.name]) < 5.0 * each.std


BARE = np.array([0.001, 0.0001, 500.0, 0.0, 0.0005, 500.0, 0.0])


def test_a_curve_without_fringes_is_no_confident_answer():
    assert fit_curve(noisy(BARE), budget=0.2).verdict != "solved"


def test_a_curve_without_fringes_and_counts_is_no_confident_answer():
    assert fit_curve(replace(noisy(BARE), per_count=None), budget=0.2).verdict != "solved"


def test_too_few_counts_for_the_scatter_are_said(curve):
    wrong = replace(curve, per_count=1000.0 * curve.per_count)
    fit = fit_curve(wrong, starts=PROFILES[:1], only_refine=True)
    assert fit.reduced_chi2 < 0.01
    assert fit.verdict != "solved" or "per_count" in fit.reason


def test_a_film_of_another_garnet_is_not_described():
    """The implanted film of YIG on GGG, fitted as GGG: with few counts it can pass for one, with many it cannot."""
    film = noisy(PROFILES[0], counts=1e8, scan=Scan(-80.0, 4.0, 321), reflection=YIG_ON_GGG_444)
    fit = fit_curve(film, budget=2.0)
    assert fit.verdict == "described only roughly"
    assert fit.reduced_chi2 > 10.0


def test_a_curve_of_another_angle_scale_is_not_described(here):
    strained = noisy(np.array([0.0095, 0.004, 3600.0, 1800.0, 0.0015, 2000.0, -800.0]))
    angle = -80.0 + 3.0 * (strained.angle + 80.0) - 160.0
    name = text("curve.xy", angle, strained.intensity)
    record = fitted("fit", name, *PER_COUNT, "--budget", "0.1s", "--axis", "relative", "--unit", "arcsec")
    assert record["verdict"] in {"not described", "described only roughly"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--prior", "L1"), "--prior 'L1' must be NAME=MEAN:STD"),
        (("--prior", "L1=5000"), "--prior 'L1=5000' must be NAME=MEAN:STD"),
        (("--prior", "L3=1:1"), "no prior of L3"),
        (("--prior", "L1=5000:-1"), "the prior of L1"),
        (("--fwhm", "wide"), "--fwhm 'wide' must be LOW:HIGH or one number"),
        (("--fwhm", "80:20"), "the limits of fwhm, 80 … 20"),
        (("--fwhm", "0:20"), "the limits of fwhm"),
        (("--zero", "1:2:3"), "--zero '1:2:3' must be LOW:HIGH"),
        (("--zero", "nan"), "the limits of zero"),
        (("--exclude", "a:b"), "--exclude 'a:b' must be LOW:HIGH"),
        (("--exclude", "0:5000"), "0 of 161 points are left"),
        (("--mask", "-1"), "mask = -1"),
        (("--mask", "3000"), "0 of 161 points are left"),
        (("--per-count", "0"), "per_count"),
        (("--per-count", "nan"), "per_count"),
        (("--offset", "1000", "--per-count", "1e-5"), "correct per_count"),
        (("--scale", "-1"), "scale = -1"),
        (("--background", "nan"), "background = nan"),
        (("--background", "high"), "background 'high' is unknown; choose constant, linear, auto"),
        (("--number", "3"), "there is no scan 3"),
        (("--space", "nowhere.toml"), "nowhere.toml"),
        (("--reflection", "nowhere.toml"), "nowhere.toml"),
        (("--step", "4"), "angle column"),
    ],
)
def test_settings_that_are_refused(here, curve, arguments, words):
    written(curve)
    assert words in refused("fit", "curve.xy", "--budget", "1s", *arguments)
    assert words in refused("refine", "curve.xy", "--start", "start.json", *arguments)


@pytest.mark.parametrize("budget", ["soon", "", "-3s", "0", "5 hours", "nan", "inf", "1e"])
def test_budgets_that_are_refused(here, curve, budget):
    assert "budget" in refused("fit", written(curve), "--budget", budget)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (json.dumps({name: value for name, value in START.items() if name != "L2"}), "L2"),
        (json.dumps(START | {"L1": "deep"}), "L1"),
        (json.dumps(START | {"L1": float("nan")}), "L1"),
        ("{", "start.json"),
        ("[1, 2]", "start.json"),
    ],
)
def test_starts_that_are_refused(here, curve, content, words):
    written(curve)
    Path("start.json").write_text(content)
    assert words in refused("refine", "curve.xy", "--start", "start.json")


def test_fit_from_a_network(here, curve):
    """A barely trained one: its starts are beside those of the search, and no harm."""
    generate("data.zarr", n=60, test_rows=10, rtol_dex=1e-2)
    train("data.zarr", output="run", epochs=1, batch_size=16)
    record = fitted("fit", written(curve), *PER_COUNT, "--model", "run", "--budget", "0.1s")
    assert np.isfinite(record["misfit"]["reduced_chi2"])
    assert "nowhere" in refused("fit", "curve.xy", "--model", "nowhere")


def test_files_and_models_that_are_refused(here, curve):
    written(curve)
    assert "nowhere.xy" in refused("fit", "nowhere.xy")
    assert "nowhere.json" in refused("refine", "curve.xy", "--start", "nowhere.json")
    assert "nowhere holds no trained model" in refused("fit", "curve.xy", "start.json", "--model", "nowhere")
    assert "the same name" in refused("fit", "curve.xy", "other/curve.xy")
    assert "jobs = 0" in refused("fit", "curve.xy", "start.json", "--jobs", "0")
    refused("fit", code=2)
    refused("refine", "curve.xy", code=2)
    refused("refine", "curve.xy", "--start", "start.json", "--method", "simplex", code=2)


def test_likelihood_of_a_parameter(here, curve):
    start = ("--start", "start.json", "--mask", "48")
    record = fitted("refine", written(curve), *PER_COUNT, *start, "--likelihood", "zero", "--html")
    found = record["profile_likelihood"]["zero"]
    assert found["low"] < record["measurement"]["zero_arcsec"] < found["high"]
    assert Path("result/likelihood.png").stat().st_size > 0
    assert "profile likelihood" in Path("result/fit.html").read_text().lower()
    message = refused("refine", "curve.xy", *PER_COUNT, *start, "--likelihood", "depth")
    assert "'depth' is fixed or unknown" in message


def test_intervals_by_chains(here, curve):
    record = fitted("refine", written(curve), *PER_COUNT, "--start", "start.json", "--chains")
    assert record["uncertainty"]["method"] == "chains"
    assert record["settings"]["chains"]


def test_splines(here, curve):
    write_curve("curve.xy", curve.angle, curve.intensity)
    shape = ("--profile", "spline", "--coefficients", 10, "--depth", 6000.0)
    xrd("fit", "curve.xy", *PER_COUNT, *shape, "--model", "none", "--effort", 0.05, "-o", "free")
    told = json.loads(Path("free/result.json").read_text())
    assert told["settings"]["spline"]["coefficients"] == 10
    assert told["parameters"]["L"]["value"] == 6000.0
    assert Path("free/fit.png").exists()
    for options, message in (
        (("--signed",), "--signed"),
        (("--coefficients", 12), "--coefficients"),
        (("--profile", "spline", "--coefficients", 3), "5 … 100"),
        (("--profile", "spline", "--chains"), "leave them out"),
    ):
        assert message in refused("fit", "curve.xy", *options, "--model", "none")
