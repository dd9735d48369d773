"""The exported command line and script pose the problem of the page; what the command refuses."""

import shlex
import socket
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import xrdml.commands.invert
import xrdsim.fit.series
from xrdml.app.model.export import command_line, python_script
from xrdml.app.model.outcome import outcome, taken, with_state
from xrdml.app.model.posing import posed
from xrdml.commands.app import app
from xrdsim.fit.fitting import fit_curve
from xrdsim.fit.problem import problem
from xrdsim.fit.sample import foretold, joint_problem

runner = CliRunner()


@pytest.fixture
def changed(session):
    """With something of everything set."""
    session.set_damage(True)
    session.set_fit("Rp2", False)
    session.set_limits("L1", 4000.0, 6000.0)
    session.set_limits("fwhm", 30.0, 50.0)
    session.set_prior("L2", (3000.0, 250.5))
    session.exclude(100.0, 150.0)
    session.change_curve(mask=12.0, background="constant")
    session.set_fit("zero", False)
    session.set_search(2.0, 7)
    return session


class StoppedError(Exception):
    """The fit itself is not wanted."""


def same(one, other):
    assert one.layout.unknowns == other.layout.unknowns
    assert one.priors == other.priors
    for mine, its in zip(one.measurements, other.measurements, strict=True):
        assert np.array_equal(mine.used, its.used)
        assert np.array_equal(mine.data, its.data)
        assert mine.experiment.reflection.alike(its.experiment.reflection)
        assert mine.experiment.convention == its.experiment.convention
        assert (mine.scale, mine.background, mine.ground) == (its.scale, its.background, its.ground)


def run_in(folder, text):
    """The words of the command of a script, whose here-documents are written."""
    lines = iter(text.splitlines())
    words = ""
    for line in lines:
        if line.startswith("cat > "):
            name = line.split()[2]
            content = []
            while (line := next(lines)) != "END":
                content.append(line)
            (folder / name).write_text("\n".join(content) + "\n")
        else:
            words += line.removesuffix("\\")
    return shlex.split(words)[1:]


def test_the_command_line_poses_the_problem_of_the_page(changed, measured, tmp_path, monkeypatch):
    seen = []

    def stop(path, choices, **_):
        assert (choices.fitting["effort"], choices.fitting["seed"]) == (2.0, 7)
        curve, experiment = choices.claim.read(path, **choices.reading)
        seen.append(problem(curve, **choices.posing, experiment=experiment))
        raise StoppedError

    monkeypatch.setattr(xrdsim.fit.series, "fit_file", stop)
    monkeypatch.setattr(xrdml.commands.invert, "_starts_of", lambda model: None)
    (tmp_path / "measured.xy").write_bytes(measured.read_bytes())
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, run_in(tmp_path, command_line(changed.document)))
    assert isinstance(result.exception, StoppedError), result.output
    same(seen[0], posed(changed.document, changed.folder, exact=True).given)


def test_several_curves_are_posed_alike(changed, measured, tmp_path, monkeypatch):
    changed.add("second.xy", measured.read_bytes(), reflection={"crystal": "GGG", "hkl": [8, 8, 8]})
    seen = []

    def stop(sample, space, *, priors, **fitting):
        assert (fitting["effort"], fitting["seed"]) == (2.0, 7)
        ranges = space.with_damage() if sample.damage else space  # as fit_sample does
        seen.append(joint_problem(sample.entries, ranges, priors=priors))
        raise StoppedError

    monkeypatch.setattr(xrdsim.fit.series, "fit_sample", stop)
    monkeypatch.setattr(xrdml.commands.invert, "_starts_of", lambda model: None)
    for name in ("measured.xy", "second.xy"):
        (tmp_path / name).write_bytes(measured.read_bytes())
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, run_in(tmp_path, command_line(changed.document)))
    assert isinstance(result.exception, StoppedError), result.output
    same(seen[0], posed(changed.document, changed.folder, exact=True).given)


def test_the_script_poses_the_problem_of_the_page(changed, measured, tmp_path, monkeypatch):
    seen = []

    def stop(given, **fitting):
        assert (fitting["effort"], fitting["seed"]) == (2.0, 7)
        seen.append(given)
        raise StoppedError

    monkeypatch.setattr(xrdsim.fit.series, "fit_profile", stop)
    (tmp_path / "measured.xy").write_bytes(measured.read_bytes())
    monkeypatch.chdir(tmp_path)
    script = python_script(changed.document, {"scale": 0.5}).replace("xrdml.NetworkStarts()", "None")
    assert "'scale': 0.5," in script  # as it is drawn
    with pytest.raises(StoppedError):
        exec(compile(script, "script.py", "exec"), {})
    same(seen[0], posed(changed.document, changed.folder, exact=True).given)


def test_a_spline_and_a_chosen_reflection_are_exported(session):
    session.change_curve(reflection={"crystal": "GGG", "hkl": [8, 8, 8]})
    session.set_shape("spline", end="abrupt")
    session.set_fit("L", False)
    line, script = command_line(session.document), python_script(session.document, {})
    assert "--profile spline --end abrupt --depth" in line.replace(" \\\n ", "")
    assert "--hkl=8,8,8" in line
    assert "Freeform(end='abrupt'" in script
    compile(script, "script.py", "exec")


def test_what_a_fit_says_returns_to_the_page(session):
    given = posed(session.document, session.folder, exact=True).given
    begin = given.coordinates(np.array([[each.value for each in session.document.profile.values()]]))
    fit = fit_curve(given, begin=begin, only_refine=True)
    told = outcome(fit, session.document)
    session.commit(taken(session.document, told))
    assert session.drawn().chi2 == pytest.approx(fit.reduced_chi2, rel=2e-2)
    assert set(told["rows"]) <= set(session.document.names())
    assert session.document["L1"].value == fit["L1"].value
    session.set_value("L1", 5000.0)
    assert session.document.moved
    state = {"shape": told["shape"], "values": told["minima"][0]["values"]}
    session.commit(with_state(session.document, state))
    assert session.document["L1"].value == pytest.approx(fit["L1"].value)


def test_a_curve_that_is_only_compared_keeps_its_number(session, measured):
    session.add("second.xy", measured.read_bytes())
    session.show(0)
    session.change_curve(fitted=False)
    both = posed(session.document, session.folder, exact=True)
    assert len(both.given.measurements) == 1
    params = np.array([[each.value for each in session.document.profile.values()]])
    fit = fit_curve(both.given, begin=both.given.coordinates(params), only_refine=True)
    told = outcome(foretold(fit, both.given, both.entries), session.document)
    assert {"fwhm", "fwhm_2", "scale", "scale_2"} <= set(told["rows"])
    assert [each["number"] for each in told["curves"]] == [1, 0]
    session.commit(taken(session.document, told))
    assert session.document["fwhm_2"].value == fit["fwhm"].value
    assert session.document["L1"].value == fit["L1"].value


def test_the_command_refuses_what_is_not_safe(measured):
    pytest.importorskip("nicegui")
    for options, words in (
        (["--host", "0.0.0.0"], "--password"),
        (["--host", "0.0.0.0", "--password", "short"], "8 characters"),
        (["nothing.xy"], "no such file"),
    ):
        result = runner.invoke(app, ["app", "--no-browser", *options])
        assert result.exit_code == 1
        assert words in result.output


def test_a_port_that_is_taken_is_said():
    pytest.importorskip("nicegui")
    with socket.socket() as taken_by_another:
        taken_by_another.bind(("127.0.0.1", 0))
        taken_by_another.listen()
        port = taken_by_another.getsockname()[1]
        result = runner.invoke(app, ["app", "--no-browser", "--port", str(port)])
    assert result.exit_code == 1
    assert "choose another --port" in result.output


def test_the_help_does_not_load_the_server():
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys\nfrom xrdml.commands.app import app\ntry: app(['--help'])\n"
         "except SystemExit: pass\nprint(*sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "app" in loaded
    assert not {"nicegui", "fastapi", "uvicorn", "numpy"} & set(loaded.split())
