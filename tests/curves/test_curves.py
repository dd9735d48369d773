"""Reading of measured curves: every accepted layout gives the same curve, every bad file a usable message."""

import os
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrdsim.curves.curve import DEFAULT_STEP, Curve, read_curve, write_curve
from xrdsim.errors import CurveError, OutputError, ParameterError

PEAK, POINTS = 20, 120


def counts(points=POINTS, peak=PEAK, fwhm=10.0, height=1e5):
    """Integer counts: a substrate peak some points wide, a strained layer's hump and a background."""
    i = np.arange(points)
    y = height * np.exp(-4.0 * np.log(2.0) * ((i - peak) / fwhm) ** 2) + 20.0
    y += 0.003 * height * np.exp(-(((i - 0.6 * points) / 9.0) ** 2))
    return np.random.default_rng(7).poisson(y).astype(float) + np.where(i == peak, 2000.0, 0.0)


Y = counts()
ANGLE = (np.arange(POINTS) - PEAK) * 4.0


def text(*columns, sep=" ", end="\n", head="", number=repr):
    rows = [sep.join(number(float(v)) for v in row) for row in zip(*columns, strict=True)]
    return head + end.join(rows) + end


def put(path, content, encoding="utf-8"):
    file = path / "curve.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return file


def check(curve, angle=ANGLE, intensity=Y, peak=PEAK):
    np.testing.assert_allclose(curve.angle, angle, rtol=0.0, atol=1e-6)
    np.testing.assert_array_equal(curve.intensity, intensity)
    assert curve.peak_index == peak
    assert curve.angle[peak] == 0.0


def test_one_column_rises_with_the_default_step(tmp_path):
    file = put(tmp_path, text(Y))
    curve = read_curve(file)
    check(curve, (np.arange(POINTS) - PEAK) * 4.018235972)
    assert curve.step == pytest.approx(DEFAULT_STEP)
    assert curve.source == str(file)
    for part in (
        "1-column",
        "step is not in the file",
        "relative in arcsec",
        "4.01824",
        f"row {PEAK} (line {PEAK + 1})",
    ):
        assert part in curve.note
    assert curve.note.count("\n") == 0


def test_step_of_one_column(tmp_path):
    curve = read_curve(put(tmp_path, text(Y)), step=2.5)
    check(curve, (np.arange(POINTS) - PEAK) * 2.5)
    assert "not in the file" not in curve.note


def test_one_column_in_rising_omega(tmp_path):
    curve = read_curve(put(tmp_path, text(Y[::-1])), axis="omega", step=4.0)
    check(curve)


def test_the_record_is_read_only_and_copies():
    angle = ANGLE.astype(np.float32)
    curve = Curve(angle, list(Y), PEAK)
    assert curve.angle.dtype == curve.intensity.dtype == np.float64
    assert angle.flags.writeable
    for array in (curve.angle, curve.intensity):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_the_record_knows_its_counts():
    assert Curve(ANGLE, Y, PEAK).counts is None
    np.testing.assert_array_equal(Curve(ANGLE, 0.5 * (Y + 3.0), PEAK, per_count=0.5, offset=3.0).counts, Y)
    unit = np.linspace(1.0, 2.0, POINTS)
    curve = Curve(ANGLE, unit * Y, PEAK, per_count=unit)
    np.testing.assert_allclose(curve.counts, Y)
    assert not curve.per_count.flags.writeable
    assert Curve(ANGLE, Y, PEAK, per_count=np.full(POINTS, 0.1)).per_count == 0.1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"per_count": 0.0}, "per_count is 0.0; the intensity of one count must be positive and finite"),
        ({"per_count": [1.0, np.nan]}, "must be positive and finite"),
        ({"per_count": np.ones(3)}, "3 values of per_count do not belong to 120 points"),
        ({"offset": np.inf}, "the offset is inf counts; it must be finite"),
    ],
)
def test_the_record_refuses_counts_without_meaning(more, message):
    with pytest.raises(ParameterError, match=message):
        Curve(ANGLE, Y, PEAK, **more)


@pytest.mark.parametrize("sep", [" ", "\t", ",", ";", ", ", " ; ", "   "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(tmp_path, sep, end):
    check(read_curve(put(tmp_path, text(ANGLE, Y, sep=sep, end=end))))


@pytest.mark.parametrize("sep", [" ", "\t", ";", "; "])
def test_decimal_comma(tmp_path, sep):
    content = text(ANGLE + 0.25, Y, sep=sep, number=lambda v: repr(v).replace(".", ","))
    check(read_curve(put(tmp_path, content)))


def test_decimal_comma_in_one_column(tmp_path):
    y = Y / 1e6
    content = text(y, number=lambda v: f"{v:.17g}".replace(".", ","))
    check(read_curve(put(tmp_path, content), step=4.0), intensity=y)


@pytest.mark.parametrize("order", [1, -1])
def test_integers_between_commas_are_two_columns(tmp_path, order):
    content = text(ANGLE[::order], Y[::order], sep=",", number="{:.0f}".format)
    check(read_curve(put(tmp_path, content)))


def test_thousands_separators_are_refused(tmp_path):
    content = text(ANGLE, Y, sep=";", number="{:,.1f}".format)
    with pytest.raises(CurveError, match=r"line \d+: '[\d,.]+' is no finite number"):
        read_curve(put(tmp_path, content))


def test_comments_headers_and_blank_lines(tmp_path):
    rows = text(ANGLE, Y, sep=",").splitlines()
    rows[5:5] = ["", "# a note", "; another", "! third", "% fourth", "// fifth", "   "]
    for head in ("", "angle,counts\n", "2theta,counts\narcsec,cps\n", "# 1, 2\n\nx,y\n"):
        check(read_curve(put(tmp_path, head + "\n".join(rows))))


def test_trailing_separators(tmp_path):
    check(read_curve(put(tmp_path, text(ANGLE, Y, sep=";", end=";\n"))))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_encodings(tmp_path, encoding):
    check(read_curve(put(tmp_path, text(ANGLE, Y, head="# 25 °C, 5 µA\n"), encoding)))


def test_third_column_is_ignored(tmp_path):
    curve = read_curve(put(tmp_path, text(ANGLE, Y, np.sqrt(Y))))
    check(curve)
    assert "3-column" in curve.note
    content = "\n".join(f"{a} {y} nan" for a, y in zip(ANGLE.tolist(), Y.tolist(), strict=True))
    check(read_curve(put(tmp_path, content)))


@pytest.mark.parametrize("suffix", [".txt", ".xy", ".dat", ".csv"])
def test_suffixes(tmp_path, suffix):
    file = tmp_path / f"curve{suffix}"
    file.write_text(text(ANGLE, Y), encoding="utf-8")
    check(read_curve(str(file)))


AXIS_COLUMNS = {
    ("relative", "arcsec"): ANGLE,
    ("relative", "deg"): ANGLE / 3600.0,
    ("omega", "deg"): 25.53 - ANGLE / 3600.0,
    ("2theta", "deg"): 51.06 - 2.0 * ANGLE / 3600.0,
}


@pytest.mark.parametrize(("axis", "unit"), AXIS_COLUMNS)
def test_axis_is_guessed(tmp_path, axis, unit):
    file = put(tmp_path, text(AXIS_COLUMNS[axis, unit], Y))
    for given_axis in (None, axis):
        for given_unit in (None, unit):
            curve = read_curve(file, axis=given_axis, unit=given_unit)
            check(curve)
            assert f"{axis} in {unit}" in curve.note


def test_relative_angles_are_shifted_to_the_peak(tmp_path):
    check(read_curve(put(tmp_path, text(ANGLE + 80.0, Y))))
    check(read_curve(put(tmp_path, text((ANGLE + 80.0) / 3600.0, Y))))


def test_axis_and_unit_override_the_guess(tmp_path):
    omega = 91900.0 - ANGLE
    check(read_curve(put(tmp_path, text(omega, Y)), axis="omega"))
    check(read_curve(put(tmp_path, text(-ANGLE, Y)), axis="omega", unit="arcsec"))
    check(read_curve(put(tmp_path, text(33.0 - 2.0 * ANGLE / 3600.0, Y)), axis="2theta"))


@pytest.mark.parametrize(
    "column",
    [
        33.0 - ANGLE / 3600.0,  # a reflection other than 444
        ANGLE / 60.0,  # arcmin
        ANGLE * np.pi / 648000.0,  # radians
        25.53 * np.pi / 180.0 - ANGLE * np.pi / 648000.0,
        10.0 + np.arange(POINTS) * 0.775,  # a survey in degrees
    ],
)
def test_open_axis_is_asked_for(tmp_path, column):
    with pytest.raises(CurveError, match=r"curve.txt: .*--axis relative\|omega\|2theta and --unit arcsec\|deg"):
        read_curve(put(tmp_path, text(column, Y)))


def test_any_order_of_the_angles(tmp_path):
    order = np.random.default_rng(3).permutation(POINTS)
    for rows in (slice(None, None, -1), order):
        check(read_curve(put(tmp_path, text(ANGLE[rows], Y[rows]))))


def test_repeated_angle(tmp_path):
    angle = ANGLE.copy()
    angle[41] = angle[40]
    with pytest.raises(CurveError, match=r"curve.txt, line 43: the angle 80 comes again; delete"):
        read_curve(put(tmp_path, text(angle, Y, head="# head\n")))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize("row", [0, 30])
def test_non_finite_values(tmp_path, value, row):
    one, two = text(Y).splitlines(), text(ANGLE, Y).splitlines()
    one[row], two[row] = value, f"{value} 7.0"
    for rows in (one, two):
        with pytest.raises(CurveError, match=rf"curve.txt, line {row + 1}: '{value}' is no finite number"):
            read_curve(put(tmp_path, "\n".join(rows)))


def test_negative_intensity(tmp_path):
    y = Y.copy()
    y[[3, 90]] = -2.0
    kept = y >= 0.0
    for columns in ((y,), (ANGLE, y)):
        file = put(tmp_path, text(*columns))
        with pytest.raises(CurveError, match=r"line 4: the intensity -2 is negative; .*--drop-negative"):
            read_curve(file)
        curve = read_curve(file, drop_negative=True, step=4.0 if len(columns) == 1 else None)
        check(curve, ANGLE[kept], y[kept], PEAK - 1)
        assert "2 negative points left out" in curve.note


def test_a_dropped_row_cannot_be_the_peak(tmp_path):
    y = Y.copy()
    y[3] = -2.0
    file = put(tmp_path, text(y))
    assert read_curve(file, drop_negative=True, peak=10).peak_index == 9
    with pytest.raises(CurveError, match="there is no row 3; give --peak"):
        read_curve(file, drop_negative=True, peak=3)


def test_zero_counts_are_legal(tmp_path):
    y = np.maximum(Y - 1000.0, 0.0)
    assert np.median(y) == 0.0
    check(read_curve(put(tmp_path, text(ANGLE, y))), intensity=y)


def test_hot_pixel_is_no_peak(tmp_path):
    for at in (0, 60, POINTS - 1):
        y = Y.copy()
        y[at] = 1e9
        curve = read_curve(put(tmp_path, text(ANGLE, y)))
        check(curve, np.delete(ANGLE, at), np.delete(y, at), PEAK - (at < PEAK))
        assert f"1 single points that stand out left out, at {ANGLE[at]:.6g}" in curve.note
    y = np.full(POINTS, 20.0)
    y[40] = 1e9
    with pytest.raises(CurveError, match="no substrate peak"):
        read_curve(put(tmp_path, text(ANGLE, y)))


@pytest.mark.parametrize("half", [1, 2, 4])
def test_flat_top_gives_its_centre(tmp_path, half):
    i = np.arange(POINTS)
    y = np.minimum(1e5 * np.exp(-(((i - PEAK) / 8.0) ** 2)), 1e5 * np.exp(-((half / 8.0) ** 2))) + 20.0
    assert np.sum(y == y.max()) == 2 * half + 1
    check(read_curve(put(tmp_path, text(ANGLE, y))), intensity=y)


def test_peak_is_the_highest_sample_of_an_asymmetric_top(tmp_path):
    y = np.full(POINTS, 10.0)
    y[17:25] = [300.0, 900.0, 2000.0, 4000.0, 3900.0, 3700.0, 1500.0, 400.0]
    check(read_curve(put(tmp_path, text(ANGLE, y))), intensity=y)


RNG = np.random.default_rng(11)


@pytest.mark.parametrize(
    "y",
    [
        np.zeros(POINTS),
        np.full(POINTS, 5.0),
        np.arange(POINTS) + 1.0,
        1e5 * np.exp(-np.arange(POINTS) / 5.0) + 1.0,
        1e5 * np.exp(-np.arange(POINTS)[::-1] / 5.0) + 1.0,
        *(RNG.poisson(mean, 700).astype(float) for mean in (0.05, 0.5, 3.0, 1000.0)),
        RNG.exponential(size=700),
    ],
)
def test_no_substrate_peak(tmp_path, y):
    with pytest.raises(CurveError, match=r"curve.txt: no substrate peak, .*--peak"):
        read_curve(put(tmp_path, text(y)))


def test_peak_overrides_the_search(tmp_path):
    curve = read_curve(put(tmp_path, text(Y)), peak=30, step=4.0)
    check(curve, ANGLE - 40.0, peak=30)
    omega = 25.53 - ANGLE / 3600.0
    check(read_curve(put(tmp_path, text(omega, Y)), peak=30), ANGLE - 40.0, peak=30)
    reverse = read_curve(put(tmp_path, text(omega[::-1], Y[::-1])), peak=POINTS - 1 - 30)
    check(reverse, ANGLE - 40.0, peak=30)
    flat = np.full(POINTS, 5.0)
    check(read_curve(put(tmp_path, text(ANGLE, flat)), peak=PEAK), intensity=flat)


@pytest.mark.parametrize("peak", [-1, POINTS])
def test_peak_outside_the_file(tmp_path, peak):
    with pytest.raises(CurveError, match=rf"there is no row {peak}; give --peak .* 0 … {POINTS - 1}"):
        read_curve(put(tmp_path, text(Y)), peak=peak)


def test_too_short(tmp_path):
    with pytest.raises(CurveError, match="49 points are too few, at least 50 are needed"):
        read_curve(put(tmp_path, text(Y[:49])))
    assert read_curve(put(tmp_path, text(Y[:51]))).angle.size == 51
    with pytest.raises(CurveError, match=r"29 points beyond .* row 20 \(line 21\) are too few, at least 30"):
        read_curve(put(tmp_path, text(Y[:50])))
    with pytest.raises(CurveError, match="--axis"):  # the long side points the other way
        read_curve(put(tmp_path, text(ANGLE, Y)), axis="omega")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: the file is empty; give columns"),
        ("\n# only a comment\n", "line 1: the file is empty; give columns"),
        ("# head\nsome prose\nmore prose\n", "line 2: 'some prose' and no numbers; give columns"),
        ("1 2\n2 3\nxy\n4 5\n", r"line 3: 1 columns; all lines need the same number of them \(the first has 2\)"),
        ("1 2\n2 3\n3 4 5\n", r"line 3: 3 columns; .*the first has 2"),
        ("1 2\n2 x3\n", "line 2: 'x3' is no finite number; correct it, or put #"),
        ("1_0 2\n", "line 1: '1_0' is no finite number"),
        ("1,,2\n3.5,4,5\n", "line 1: '' is no finite number"),
        ("2.38E-O4\n2.4\n", "line 1: '2.38E-O4' is no finite number"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00", "line 1: .* and no numbers; .* as plain text"),
        ("1 2\n\x00\x00 3\n", r"line 2: '\\x00\\x00' is no finite number"),
    ],
)
def test_files_that_are_no_tables(tmp_path, content, message):
    with pytest.raises(CurveError, match=rf"curve.txt, {message}"):
        read_curve(put(tmp_path, content))


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=60) | st.text("0123456789.,;-+eEnaif \t\r\n#", max_size=60).map(str.encode))
def test_no_file_ends_in_another_error(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("any") / "curve.txt"
    for times in (1, 60):
        file.write_bytes(content * times)
        with pytest.raises(CurveError, match=r"curve\.txt"):
            read_curve(file)


def test_unreadable_paths(tmp_path):
    for path in (tmp_path / "missing.txt", tmp_path):
        with pytest.raises(CurveError, match=rf"{path.name}: .*; check the path and its permissions"):
            read_curve(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind this user")
def test_no_permission(tmp_path):
    file = put(tmp_path, text(Y))
    file.chmod(0)
    with pytest.raises(CurveError, match="check the path and its permissions"):
        read_curve(file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 0.0}, "the step is 0 arcsec; it must be positive"),
        ({"step": float("nan")}, "the step is nan arcsec"),
        ({"step": float("inf")}, "the step is inf arcsec"),
        ({"axis": "theta"}, "the axis is 'theta'; choose one of relative, omega, 2theta"),
        ({"unit": "gon"}, "the unit is 'gon'; choose one of arcsec, deg, arcmin, mdeg, rad, mrad, urad"),
    ],
)
def test_options_without_meaning(tmp_path, options, message):
    with pytest.raises(ParameterError, match=message):
        read_curve(put(tmp_path, text(Y)), **options)


def test_options_that_do_not_fit_the_file(tmp_path):
    with pytest.raises(CurveError, match="has an angle column; leave out --step"):
        read_curve(put(tmp_path, text(ANGLE, Y)), step=4.0)
    with pytest.raises(CurveError, match="has no angle column; leave out --unit"):
        read_curve(put(tmp_path, text(Y)), unit="deg")


def assert_same(curve, angle, intensity, peak):
    np.testing.assert_array_equal(curve.angle, angle)
    np.testing.assert_array_equal(curve.intensity, intensity)
    assert curve.peak_index == peak


def test_written_curves_are_read_back_exactly(tmp_path):
    file = tmp_path / "out.txt"
    angle = (np.arange(POINTS) - PEAK) * DEFAULT_STEP
    for scale in (1.0, 0.05, 0.2):  # also where the range alone would leave the axis open
        write_curve(file, scale * angle, Y / 3.0)
        assert_same(read_curve(file), scale * angle, Y / 3.0, PEAK)
    first = read_curve(put(tmp_path, text(25.53 - ANGLE / 3600.0, Y)), peak=25)  # not at the maximum
    write_curve(file, first.angle, first.intensity)
    assert_same(read_curve(file), first.angle, first.intensity, 25)
    write_curve(file, angle - angle[0], Y)  # 0 at an end of the scan: the peak is searched
    assert read_curve(file).peak_index == PEAK


@settings(deadline=None, max_examples=40)
@given(
    data=st.data(),
    sep=st.sampled_from([" ", "\t", ",", ";", " , "]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    comma=st.booleans(),
    points=st.integers(55, 90),
    step=st.floats(0.5, 20.0),
)
def test_round_trip(tmp_path_factory, data, sep, end, comma, points, step):
    file = tmp_path_factory.mktemp("curve") / "curve.txt"
    peak = data.draw(st.integers(3, points - 31))
    noise = data.draw(st.lists(st.floats(0.0, 50.0), min_size=points, max_size=points))
    angle, intensity = (np.arange(points) - peak) * step, counts(points, peak) + noise
    write_curve(file, angle, intensity)
    head, body = file.read_text(encoding="utf-8").split("intensity\n")
    if comma and "," not in sep:
        body = body.replace(".", ",")
    head += "intensity\n"
    file.write_bytes((head + body.replace(" ", sep)).replace("\n", end).encode())
    assert_same(read_curve(file), angle, intensity, peak)


@pytest.mark.parametrize(
    ("angle", "intensity"),
    [
        (ANGLE, Y[1:]),
        (ANGLE[None], Y[None]),
        (ANGLE[::-1], Y),
        (np.where(ANGLE == 0.0, np.nan, ANGLE), Y),
        (ANGLE, np.where(ANGLE == 0.0, np.inf, Y)),
        (ANGLE, -Y),
    ],
)
def test_columns_that_are_no_curve_are_not_written(tmp_path, angle, intensity):
    file = tmp_path / "out.txt"
    with pytest.raises(CurveError, match=r"out\.txt: not written; give finite columns"):
        write_curve(file, angle, intensity)
    assert not file.exists()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "none").write_text("a file")
    with pytest.raises(OutputError, match=r"out\.txt cannot be written: .*; choose another place"):
        write_curve(tmp_path / "none" / "out.txt", ANGLE, Y)


@pytest.mark.parametrize(("name", "points", "peak"), [("ggg_he_2e15.txt", 360, 72), ("ggg_he_6e15.txt", 636, 46)])
def test_measured_curves(measured_folder, name, points, peak):
    file = measured_folder / name
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve = read_curve(file)
    assert (curve.angle.size, curve.peak_index) == (points, peak)
    assert curve.intensity.argmax() == peak
    assert curve.angle[-1] == pytest.approx((points - 1 - peak) * 4.018235972)
