"""What the page does to a session, without a browser."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrdml.app.busy import Busy
from xrdml.app.model.bounds import moved
from xrdml.app.model.document import MeasuredFile, Quantity
from xrdml.app.model.files import from_text, safe_name, to_text, without_folders
from xrdml.app.model.history import MOST, History
from xrdml.app.model.numbers import number_of, written
from xrdml.app.model.posing import posed
from xrdml.app.model.session import Session
from xrdml.app.model.shaping import abscissae
from xrdml.app.model.table import prior_of, rows_of
from xrdsim.errors import CurveError, ParameterError
from xrdsim.profiles.space import ParameterSpace


@pytest.mark.parametrize(
    ("text", "value"),
    [("12.5", 12.5), ("12,5", 12.5), ("1 234,5", 1234.5), ("1.234,5", 1234.5), ("1,234.5", 1234.5), ("−5", -5.0),
     ("+3e-4", 3e-4), ("5,1E2", 510.0), (7, 7.0), (",5", 0.5)],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(text, value):
    assert number_of(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "five", "1,2,3", "nan", "inf", "1e999", "0x10", "--1", None, True, "1;2"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ParameterError, match="number"):
        number_of(text, "L1")


@given(st.floats(-1e9, 1e9))
def test_numbers_are_shown_so_that_they_can_be_read(value):
    assert number_of(written(value, 12)) == pytest.approx(value, rel=1e-10, abs=1e-300)


@settings(deadline=None)
@given(st.integers(0, 6), st.floats(0.0, 1.0))
def test_a_drag_keeps_the_constraints(column, part):
    space = ParameterSpace()
    row = np.array([0.0081, 0.0009, 5200.0, 3500.0, 0.0026, 3000.0, -50.0])
    wanted = space.low[column] + part * (space.high[column] - space.low[column])
    found = moved(space, row, column, wanted)
    assert space.contains(found[None])[0]
    if not space.contains(np.array([*row[:column], wanted, *row[column + 1 :]])[None])[0]:
        assert abs(found[column] - wanted) <= abs(row[column] - wanted) + 1e-12
    else:
        assert found[column] == pytest.approx(wanted)


def test_a_drag_is_one_step_and_values_come_back(session):
    before = session.document
    for value in (0.004, 0.0005, 0.009):
        session.drag("Dmax1", value)
    session.history.settle()
    assert session.document["D01"].value == before["D01"].value  # which gave way, and came back
    assert session.history.undo()
    assert session.document is before
    assert session.history.redo()
    assert session.document["Dmax1"].value == pytest.approx(0.009)


def test_a_curve_of_another_sample_begins_anew(session, measured):
    session.set_value("L1", 4000.0)
    session.set_damage(True)
    session.add("second.xy", measured.read_bytes())
    session.begin_with(1)
    document = session.document
    assert [each.name for each in document.curves] == ["second.xy"]
    assert not document.damage
    assert document.result is None
    assert document["L1"].value != 4000.0
    assert session.drawn().chi2 > 0.0
    assert session.history.undo()
    assert len(session.document.curves) == 2


def test_what_a_fit_says_holds_for_the_first_of_its_profiles(session):
    """Of another one, and of the first where something else was changed, it is out of date."""
    found = {name: each.value for name, each in session.document.profile.items()}
    minima = [{"values": found}, {"values": found | {"L1": 0.9 * found["L1"]}}]
    result = {"shape": {"name": "two-gaussians"}, "minima": minima, "profile": {"depth": [0.0, 6000.0]}}
    session.commit(replace(session.document, result=result, moved=False))
    session.take_minimum(1)
    assert session.document.moved
    assert session.document["L1"].value == 0.9 * found["L1"]
    session.take_minimum(0)
    assert not session.document.moved
    session.drag("L1", 5000.0)
    session.history.settle()
    session.take_minimum(0)
    assert not session.document.moved
    session.exclude(300.0, 400.0)
    session.take_minimum(0)
    assert session.document.moved
    session.take_minimum(2)  # there is none


def test_the_best_state_of_a_search_is_remembered(session):
    busy, first, second = Busy("fit"), session.document, replace(session.document, moved=True)
    busy.told(None)
    assert busy.chi2 is None
    assert busy.improves(first, 3.0)
    assert not busy.improves(second, 4.0)
    assert (busy.best, busy.chi2) == (first, 3.0)
    busy.told(2.5)
    assert busy.improves(second, 2.7)
    assert (busy.best, busy.chi2) == (second, 2.5)


def test_history_is_bounded():
    history = History()
    for i in range(MOST + 20):
        history.commit(type(history.present)(active=i))
    assert len(history.past) == MOST
    assert not history.redo()


def test_scale_follows_until_it_is_dragged(session):
    first = session.drawn().linear["scale"]
    session.drag("scale", 2.0 * first)
    session.history.settle()
    assert not session.document["scale"].fit
    assert session.drawn().linear["scale"] == pytest.approx(2.0 * first)
    session.set_fit("scale", True)
    assert session.drawn().linear["scale"] == pytest.approx(first)


def test_what_cannot_be_changes_nothing(session):
    before = session.document
    for change in (
        lambda: session.set_value("Dmax1", 5.0),
        lambda: session.set_value("nothing", 1.0),
        lambda: session.set_limits("L1", 7000.0, 500.0),
        lambda: session.set_limits("fwhm", -5.0, 10.0),
        lambda: session.set_prior("L1", (5000.0, -1.0)),
        lambda: session.set_prior("scale", (1.0, 1.0)),
        lambda: session.set_search(-1.0, 0),
        lambda: session.set_search(1.0, -1),
        lambda: session.add("bad.xy", b"no numbers"),
        lambda: session.add("empty.xy", b""),
        lambda: session.change_curve(reflection={"crystal": "unobtainium", "hkl": [1, 1, 1]}),
        lambda: session.exclude(-1e4, 1e4),
        lambda: session.set_shape("spline", coefficients=1000),
        lambda: session.open_text("{}", "x.json"),
        lambda: session.add_cif("x.cif", "data_"),
    ):
        with pytest.raises((ParameterError, CurveError)):
            change()
        assert session.document is before


def test_angles_that_are_left_out_are_joined(session):
    session.exclude(100.0, 200.0)
    session.exclude(300.0, 150.0)
    session.exclude(500.0, 510.0)
    assert session.document.curve.exclude == ((100.0, 300.0), (500.0, 510.0))
    session.include(250.0)
    assert session.document.curve.exclude == ((500.0, 510.0),)
    used = session.posed().given.measurements[0].used
    assert 0 < np.sum(~used) < 10


def test_a_session_is_the_same_bytes_again(session):
    session.set_damage(True)
    session.set_prior("L1", (5200.0, 100.0))
    session.set_fit("zero", False)
    session.exclude(100, 200)
    session.set_search(2, 5)
    session.set_shape("spline", coefficients=12)
    session.add("binär.xy", session.document.curves[0].content)
    text = to_text(session.document)
    again = Session()
    again.open_text(text, "session.json")
    assert to_text(again.document) == text
    assert again.drawn().chi2 == pytest.approx(session.drawn().chi2)
    again.close()


def test_sessions_with_binary_files_and_wrong_entries():
    document = type(History().present)(cifs={})
    text = to_text(document)
    table = json.loads(text)
    table["curves"] = [
        json.loads(to_text(type(document)(curves=(MeasuredFile(name="a", content=b"\xff\x00"),))))["curves"][0]
    ]
    assert "base64" in table["curves"][0]
    for wrong in (
        "[1]",
        "nonsense",
        '{"format": "xrd session", "version": 99}',
        text.replace('"active": 0', '"active": 7'),
        text.replace('"shape": "two-gaussians"', '"shape": "circle"'),
        text.replace('"damage": false', '"damage": NaN'),
        text.replace('"coefficients": 15', '"coefficients": 1e9'),
        json.dumps(table),
        "[" * 100_000,
    ):
        with pytest.raises(ParameterError):
            from_text(wrong)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..\\..\\x", "/abs", "a\x00b", "<b>.xy", "...", "", "x" * 1000, "con\n.xy", ". ."]
)
def test_names_of_files_lead_nowhere(name):
    safe = safe_name(name)
    assert safe
    assert len(safe) <= 120
    assert not set(safe) & set('/\\\x00\n<>"')
    assert safe not in (".", "..")


def test_messages_do_not_show_the_temporary_folder(tmp_path):
    text = f"{tmp_path}/0123abcd/curve.xy, line 3: no number"
    assert without_folders(text, tmp_path) == "curve.xy, line 3: no number"


def test_the_fit_has_the_unknowns_of_the_page(session):
    session.set_fit("Rp2", False)
    session.set_limits("L1", 4000.0, 6000.0)
    session.set_prior("L2", (3000.0, 200.0))
    given = posed(session.document, session.folder, exact=True).given
    unknowns = {each.name: each for each in given.layout.unknowns}
    assert unknowns["Rp2"].fixed
    assert (unknowns["L1"].low, unknowns["L1"].high) == (4000.0, 6000.0)
    assert unknowns["L2"].prior == (3000.0, 200.0)


def test_a_spline_begins_as_the_profile_on_the_page(session):
    before = session.drawn()
    session.set_shape("spline")
    after = session.drawn()
    depth = np.linspace(0.0, 5000.0, 50)
    one, other = (np.interp(depth, each.depth, each.strain) for each in (before, after))
    assert np.abs(one - other).max() < 0.1 * before.strain.max()
    places = abscissae(session.document)
    assert places == sorted(places)
    assert places[0] == 0.0
    session.set_shape("two-gaussians")
    assert session.drawn().chi2 == pytest.approx(before.chi2)


def test_rows_and_priors_of_the_table(session):
    rows = {row["name"]: row for row in rows_of(session.document, session.posed())}
    assert rows["Dmax1"]["unit"] == "%"
    assert rows["scale"]["solved"]
    assert {"zero", "fwhm", "background", "Rp2"} <= set(rows)
    assert prior_of("5200 ± 100", 1.0) == (5200.0, 100.0)
    assert prior_of("0,8 ± 0,1", 100.0) == pytest.approx((0.008, 0.001))
    assert prior_of("", 1.0) is None
    with pytest.raises(ParameterError):
        prior_of("5200", 1.0)


def test_a_quantity_has_limits_in_order():
    with pytest.raises(ParameterError, match="order"):
        Quantity(value=1.0, low=2.0, high=1.0)
