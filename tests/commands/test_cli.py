"""The command line: every command on a small size, and every refusal in one line."""

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from command_line import refused, xrd
from typer.main import get_command

import xrdml
import xrdsim
from xrdml.commands import generate, invert, learn
from xrdml.commands.app import app
from xrdml.commands.options import Together
from xrdml.evaluation.evaluation import evaluate
from xrdsim import simulate
from xrdsim.benchmark import throughput as bench
from xrdsim.benchmark.throughput import measure_throughput
from xrdsim.commands import dataset, installation
from xrdsim.commands import simulate as simulation
from xrdsim.commands.options import MeasuredReflection, ReflectionOptions
from xrdsim.curves.curve import read_curve
from xrdsim.dataset.fresh import profiles_of
from xrdsim.dataset.samplers import make_plan
from xrdsim.fit.freeform.before import Freeform
from xrdsim.forward.sublayers import simulate_sublayers
from xrdsim.observation.noise import add_noise
from xrdsim.profiles.two_gaussians import NAMES

SAMPLE = dict(zip(NAMES, (0.0113, 0.0016, 5400.0, 3300.0, 0.0042, 3600.0, -300.0), strict=True))
PARAM = [part for name, value in SAMPLE.items() for part in ("--param", f"{name}={value}")]
# Ctrl-C raises also where these tests run in the background of a shell, whose children ignore it
START = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from cli import app; app()"
XRD = [sys.executable, "-c", START]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_of_every_command_has_examples():
    listed = xrd("--help").output
    data = ("gen", "append", "sample", "verify", "export-data", "info")
    for command in ("simulate", *data, "sensitivity", "train", "predict", "bench"):
        assert command in listed
        text = xrd(command, "--help").output
        assert f"xrd {command}" in text
        assert "Example" in text


def test_help_takes_no_word_in_brackets_for_markup():
    """Rich swallows [app] unless it is escaped: what the source says in brackets is shown."""
    shown = 0
    for name, command in get_command(app).commands.items():
        written = " ".join([command.help or "", *(getattr(each, "help", None) or "" for each in command.params)])
        text = "".join(xrd(name, "--help").output.split())
        for word in re.findall(r"\[[a-z]+\]", written.replace("\\[", "[")):
            assert word in text, f"xrd {name} --help lacks {word}"
            shown += 1
    assert shown > 10


def files_of(command):
    """What a command has and a function has not: files instead of records, outputs, and how it prints."""
    written = {"output", "plot", "text", "html", "figures", "strict"}
    return written | {"reflection", "scan", "space", "around", "width", "defects"}


TOGETHER = {each.name for each in fields(Together)}  # make a sample

COMMANDS = {
    "simulate": (
        simulation.simulate,
        (xrdsim.simulate, add_noise, simulate_sublayers),
        {"param", "counts", "seed", "polarisation", "damage_power"},
    ),
    "sensitivity": (
        simulation.sensitivity,
        (xrdsim.measure_sensitivity, xrdsim.fisher, profiles_of),
        {"prior", "fisher"},  # which of the functions
    ),
    "gen": (generate.gen, (xrdsim.generate,), {"adaptive", "around_errors", "scheduler"}),
    "append": (dataset.append, (xrdsim.append,), {"dataset", "scheduler"}),
    "sample": (dataset.sample, (xrdsim.sample, make_plan), {"damage"}),
    "train": (learn.train, (xrdml.train,), {"damage"}),
    "predict": (invert.predict, (xrdml.predict, xrdsim.read_curve), set()),
    "fit": (
        invert.fit,
        (xrdsim.fit.fit, Freeform, xrdsim.read_curve),
        {"curves", "model", "jobs", "convention", *TOGETHER},
    ),
    "refine": (
        invert.refine,
        (xrdsim.fit.fit, xrdsim.fit.fit_curve, xrdsim.read_curve),
        {"start", "convention"},
    ),
    "evaluate": (learn.evaluate, (evaluate,), set()),
    "bench": (installation.bench, (measure_throughput,), set()),
}


REFLECTION = {each.name for each in fields(MeasuredReflection)}  # all of them make one record


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_the_arguments_of_the_functions(name):
    command, functions, own = COMMANDS[name]
    theirs = {}
    for function in functions:
        theirs = dict(inspect.signature(function).parameters) | theirs  # the first one counts
    for option, parameter in inspect.signature(command).parameters.items():
        if option in own | files_of(command) | REFLECTION:
            continue
        assert option in theirs, f"--{option} is no argument of {', '.join(each.__name__ for each in functions)}"
        default = theirs[option].default
        if parameter.default is not None and default is not inspect.Parameter.empty:  # None: the function's
            assert parameter.default == default or (parameter.default is False and not default), option


def test_the_default_sampler_is_the_same():
    for function in (xrdsim.generate, xrdsim.sample):
        assert inspect.signature(function).parameters["sampler"].default == "grid"


def test_simulate_writes_the_promised_file(here):
    result = xrd("simulate", *PARAM, "-o", "curve.npz", "--plot", "curve.png")
    assert result.exit_code == 0, result.output
    with np.load("curve.npz") as file:
        assert set(file) == {"params", "angle_arcsec", "reflectivity", "intensity"}
        assert all(file[name].dtype == np.float64 for name in file)
        expected = simulate(list(SAMPLE.values()))
        np.testing.assert_array_equal(file["params"], expected.params)
        np.testing.assert_array_equal(file["intensity"], expected.intensity)
        np.testing.assert_array_equal(file["angle_arcsec"], expected.angle)
    assert Path("curve.png").read_bytes().startswith(b"\x89PNG")


INCLINED = ("--crystal", "GGG", "--hkl", "880", "--surface", "111", "--geometry", "grazing-incidence")


@pytest.mark.parametrize("command", ["simulate", "gen"])
def test_inclined_surfaces_are_described_to_second_order(here, command):
    if command == "gen":
        result = xrd("gen", "-n", 1000, "--test-rows", 10, "--seed", 0, "--rtol-dex", 1e-2, *INCLINED)
        assert result.exit_code == 0, result.output
        assert xrdsim.open_dataset("dataset.zarr").config.experiment.convention == "second-order"
        return
    reflection = ReflectionOptions(crystal="GGG", hkl="880", surface="111", geometry="grazing-incidence").one()
    for given, convention in (((), "second-order"), (("--convention", "exact"), "exact")):
        result = xrd("simulate", *PARAM, *INCLINED, *given, "-o", "curve.npz")
        assert result.exit_code == 0, result.output
        expected = simulate(list(SAMPLE.values()), reflection=reflection, convention=convention)
        with np.load("curve.npz") as file:
            np.testing.assert_array_equal(file["intensity"], expected.intensity)


def test_simulate_damages_another_order_of_the_same_sample(here):
    damaged = (*PARAM, "--param", "kappa=0.3", "--param", "p=1.0")
    result = xrd("simulate", *damaged, "--damage-power", 2.0, "-o", "curve.npz")
    assert result.exit_code == 0, result.output
    expected = simulate([*SAMPLE.values(), 0.3, 1.0], experiment=xrdsim.Experiment(damage_power=2.0))
    with np.load("curve.npz") as file:
        np.testing.assert_array_equal(file["intensity"], expected.intensity)


@pytest.mark.parametrize(("text", "angstrom"), [("1.8", 1.8), ("CuKa1", 1.540593), ("10keV", 1.2398)])
def test_wavelengths(text, angstrom):
    chosen = ReflectionOptions(crystal="Si", hkl="004", wavelength=text).one()
    assert chosen.wavelength == pytest.approx(angstrom, rel=1e-4)


def test_simulate_reads_a_table(here):
    Path("samples.csv").write_text(",".join(NAMES) + "\n" + 2 * (",".join(map(str, SAMPLE.values())) + "\n"))
    result = xrd(
        "simulate", "--params", "samples.csv", "-o", "x.npz", "--convention", "linear", "--layers", 100, "--fwhm", 0
    )
    assert result.exit_code == 0, result.output
    with np.load("x.npz") as file:
        expected = simulate(list(SAMPLE.values()), convention="linear", layers=100, fwhm=0).reflectivity[0]
        np.testing.assert_array_equal(file["reflectivity"], [expected, expected])


def test_a_simulated_measurement_can_be_read(here):
    assert xrd("simulate", *PARAM, "--counts", 3e5, "--background", 1e-4, "--text", "measured.xy").exit_code == 0
    curve = read_curve("measured.xy")
    assert len(curve.angle) == 701
    assert curve.angle[curve.peak_index] == 0.0
    counts = curve.intensity * 3e5
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-3)


def test_other_experiments_come_from_files(here):
    Path("other.toml").write_text(
        '[reflection]\ncrystal = "GGG"\nlattice = 12.383\nhkl = [8, 8, 8]\nwavelength = 1.54056\n'
        'chi0 = [-3.68946e-5, 3.595136e-6]\nchih = [-9e-6, 2.5e-6]\nsource = "a test"\n'
        "[scan]\nstart = -100\nstep = 5\npoints = 300\n"
    )
    result = xrd("simulate", *PARAM, "--reflection", "other.toml", "--scan", "other.toml", "-o", "x.npz")
    assert result.exit_code == 0, result.output
    with np.load("x.npz") as file:
        assert file["intensity"].shape == (1, 300)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "parameters with --param NAME=VALUE or --params"),
        (("--param", "Dmx1=1"), "unknown parameter 'Dmx1'; did you mean Dmax1?"),
        (PARAM[:-2], "Rp2 missing"),
        ((*PARAM[:-2], "--param", "Rp2=300"), "Rp2 = 300 (row 0)"),
        ((*PARAM[:-2], "--param", "Rp2=nan"), "Rp2 = nan"),
        (("--params", "nowhere.csv"), "nowhere.csv cannot be read"),
        ((*PARAM, "--fwhm", "-3"), "fwhm = -3"),
        ((*PARAM, "--counts", "0"), "counts = 0"),
        ((*PARAM, "--plot", "curve.gif"), "curve.gif has the suffix '.gif'"),
        ((*PARAM, "-o", "/dev/null/x.npz"), "cannot be written"),
        ((*PARAM, "--scan", "nowhere.toml"), "nowhere.toml cannot be read"),
    ],
)
def test_simulate_refuses_in_one_line(here, arguments, words):
    assert words in refused("simulate", *arguments)
    assert not list(here.glob(".*"))


def test_a_wrong_choice_is_a_usage_error(here):
    assert "exact" in refused("simulate", *PARAM, "--convention", "wrong", code=2)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A folder with a small dataset, its sensitivities and a trained model."""
    folder = tmp_path_factory.mktemp("workshop")
    data, weights = folder / "dataset.zarr", folder / "sensitivity.npy"
    result = xrd("gen", "--adaptive", "-n", 600, "--test-rows", 80, "--rtol-dex", 1e-3, "-o", data)
    assert result.exit_code == 0, result.output
    assert "grid values: Dmax1" in result.output
    result = xrd("sensitivity", data, "--samples", 60, "-o", weights)
    assert result.exit_code == 0, result.output
    result = xrd("train", data, "--weights", weights, "--epochs", 1, "--batch-size", 64, "-o", folder / "run")
    assert result.exit_code == 0, result.output
    assert "predicting the mean" in result.output
    return folder


def test_sensitivity_writes_weights_twin_and_chart(workshop):
    weights = np.load(workshop / "sensitivity.npy")
    assert weights.shape == (7,)
    assert weights.mean() == pytest.approx(1.0)
    assert json.loads((workshop / "sensitivity.json").read_text())["how"]["profiles"] == 60
    assert (workshop / "sensitivity.png").stat().st_size > 5000


def test_verify(workshop):
    result = xrd("verify", workshop / "dataset.zarr")
    assert result.exit_code == 0
    assert "dataset.zarr: 2 blocks, all as they were written" in result.output


def test_export_and_info_of_a_dataset(workshop, here):
    data = workshop / "dataset.zarr"
    result = xrd("export-data", data, "-o", "d.npz")
    assert result.exit_code == 0, result.output
    assert "MB → d.npz" in result.output
    assert "suffix" in refused("export-data", data, "-o", "d.xml")
    result = xrd("info", data, "--plot", "d.png")
    assert result.exit_code == 0, result.output
    assert "600 to learn from" in result.output
    assert Path("d.png").stat().st_size > 20_000
    assert json.loads(xrd("info", data, "--json").output)["complete"]
    assert "nowhere.zarr does not exist" in refused("info", "nowhere.zarr")
    assert "give its path" in refused("info", "--plot", "d.png")


def test_gen_takes_measured_sensitivities(workshop):
    arguments = ("gen", "--adaptive", "-n", 64, "--test-rows", 16, "--rtol-dex", 1e-2)
    result = xrd(*arguments, "--sensitivity", workshop / "sensitivity.json", "-o", workshop / "again.zarr")
    assert result.exit_code == 0, result.output


def test_train_leaves_a_loss_plot_and_metrics(workshop):
    assert (workshop / "run" / "loss.png").stat().st_size > 5000
    assert "test" in json.loads((workshop / "run" / "metrics.json").read_text())


def test_train_undoes_the_sampler(workshop):
    folder = workshop / "undone"
    result = xrd("train", workshop / "dataset.zarr", "--undo-sampler", "--epochs", 1, "-o", folder)
    assert result.exit_code == 0, result.output
    assert json.loads((folder / "model.json").read_text())["training"]["undo_sampler"]
    assert "undo_sampler = True" in refused("train", workshop / "dataset.zarr", "--epochs", 1, "-o", folder, "--resume")


def test_predict_writes_results(workshop):
    xrd(
        "simulate", *PARAM, "--counts", 3e5, "--background", 1e-4, "--text", workshop / "m.xy", "-o", workshop / "m.npz"
    )
    result = xrd("predict", workshop / "m.xy", "--model", workshop / "run", "-o", workshop / "result")
    assert result.exit_code == 0, result.output
    assert "Misfit" in result.output
    assert "Dmax1" in result.output
    content = json.loads((workshop / "result" / "result.json").read_text())
    assert set(content["parameters"]) == set(NAMES)
    assert content["verdict"] == "estimate"
    assert (workshop / "result" / "fit.png").stat().st_size > 5000


def test_the_hierarchical_model_trains(workshop):
    folder = workshop / "hierarchical"
    result = xrd(
        "train", workshop / "dataset.zarr", "--model", "hierarchical", "--epochs", 1, "--fine", "L2,Rp1", "-o", folder
    )
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gen", "-n", "10", "-o", "{}/dataset.zarr"), "--resume"),
        (("gen", "-n", "0"), "0"),
        (("gen", "--adaptive", "--sampler", "grid"), "exclude each other"),
        (("gen", "--adaptive", "--sensitivity", "{}/sensitivity.npy"), "no sensitivity table"),
        (("sensitivity", "nowhere.zarr"), "nowhere.zarr"),
        (("train", "nowhere.zarr"), "nowhere.zarr"),
        (("train", "{}/dataset.zarr", "--weights", "{}/sensitivity.json", "-o", "r"), "sensitivity.json"),
        (("train", "{}/dataset.zarr", "-o", "{}/run"), "--resume"),
        (("train", "{}/dataset.zarr", "--model", "hierarchical", "--fine", "L3", "-o", "r"), "L3"),
        (("train", "{}/dataset.zarr", "--device", "cuda", "-o", "r"), "cuda"),
        (("predict", "nowhere.xy", "--model", "{}/run"), "nowhere.xy"),
        (("predict", "{}/sensitivity.json", "--model", "{}/run"), "sensitivity.json"),
        (("predict", "{}/sensitivity.json", "--model", "{}/nothing"), "nothing"),
    ],
)
def test_refusals(workshop, here, arguments, words):
    assert words in refused(*(argument.format(workshop) for argument in arguments))


def test_info(here):
    machine = json.loads(xrd("info", "--json").output)
    assert {"versions", "threads", "threading_layer", "vector_bits", "cuda"} <= set(machine)
    assert "threading layer" in xrd("info").output


def test_bench(here, monkeypatch):
    monkeypatch.setattr(bench, "REPEATS", 2)
    monkeypatch.setattr(bench, "ROWS", 4)
    result = xrd("bench", "--seconds", 0.002, "--json", "bench.json", "--plot", "steps.png")
    assert result.exit_code == 0, result.output
    assert "times the curve alone" in result.output
    found = json.loads(Path("bench.json").read_text())
    assert {row["threads"] for row in found["timings"]} >= {1}
    for row in found["timings"]:
        assert row["ms_per_curve"] > 0.0
        assert row["curves_per_second"] > 0.0
        assert 0.0 < row["share_of_peak"] < 2.0
        assert row["error"] <= row["worst_error"] < (1e-4 if "continuum" in row["name"] else 1.0)
    assert all(ratio > 1.0 for ratio in found["derivatives_against_curve"].values())
    layers = [row["error"] for row in found["steps"] if row["layers"] is not None]
    asked = [row["error"] for row in found["steps"] if row["layers"] is None]
    assert layers == sorted(layers, reverse=True)
    assert asked == sorted(asked, reverse=True)
    assert Path("steps.png").stat().st_size > 10_000


def interrupt(command, ready, folder):
    """Start a command, send Ctrl-C once ``ready()`` holds; its exit code and standard error."""
    process = subprocess.Popen(
        [*XRD, *command],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=os.environ,
    )
    limit = time.monotonic() + 120
    while not ready() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    return process.returncode, error


def test_an_interrupted_gen_says_how_to_continue(tmp_path):
    command = ["gen", "-n", "40000", "--test-rows", "64", "--rtol-dex", "1e-2", "-o", "d.zarr"]
    code, error = interrupt(command, lambda: any((tmp_path / "d.zarr" / "test_block_checksum").glob("c/*")), tmp_path)
    assert code == 130
    assert "--resume" in error
    assert "Traceback" not in error
    assert "--resume" in refused("sensitivity", tmp_path / "d.zarr")


def test_an_interrupted_train_says_how_to_continue(workshop, tmp_path):
    command = ["train", str(workshop / "dataset.zarr"), "--epochs", "400", "-o", "run"]
    code, error = interrupt(command, (tmp_path / "run" / "state.pt").exists, tmp_path)
    assert code == 130
    assert "--resume" in error
    assert "Traceback" not in error


def test_quiet_prints_errors_only_and_verbose_where_they_arose(here):
    result = xrd("--quiet", "simulate", *PARAM, "-o", "q.npz")
    assert (result.exit_code, result.output) == (0, "")
    assert Path("q.npz").exists()
    assert "Dmax9" in xrd("--quiet", "simulate", "--param", "Dmax9=1").stderr
    shown = xrd("--verbose", "simulate", "--param", "Dmax9=1")
    assert shown.exit_code == 1
    assert "parse_assignments" in shown.stderr  # the function
    assert xrd("simulate", "--param", "Dmax9=1").stderr.count("\n") == 1


def test_long_commands_have_their_options_in_panels():
    text = xrd("fit", "--help").output
    panels = ("File", "Points", "Instrument", "Crystal and reflection", "Unknowns")
    panels += ("Several curves of one sample", "Search", "Output")
    assert [panel for panel in panels if f"─ {panel} ─" in text] == list(panels)
    listed = xrd("--help").output
    assert listed.index("A measured curve") < listed.index("Simulation") < listed.index("Datasets")
