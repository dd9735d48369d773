"""Text of every shape: encodings, quotes, headers, footers, columns, units, several scans."""

import numpy as np
import pytest
from diffractometers import ANGLE, OMEGA, POINTS, ROW, Y, check, put

from xrdsim.curves.angles import UNITS, position_of, unit_named
from xrdsim.curves.curve import list_scans, read_curve
from xrdsim.errors import CurveError, ParameterError

NOISY = np.random.default_rng(3).poisson(Y).astype(float)


def table(*columns, sep=" ", number="{:g}".format):
    return "".join(sep.join(number(v) for v in row) + "\n" for row in zip(*columns, strict=True))


def read(tmp_path, content, **more):
    return read_curve(put(tmp_path, ".txt", content), **more)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings(tmp_path, encoding, end):
    content = f"Winkel (°)\tImpulse{end}".replace("(°)", "(arcsec)") + table(ANGLE, NOISY, sep="\t").replace("\n", end)
    check(read(tmp_path, content.encode(encoding)), intensity=NOISY)


@pytest.mark.parametrize(
    "content",
    [
        "Wavelength = 1.5406\n" + table(ANGLE, NOISY),
        "Sample: GGG 444, run 17\nangle intensity\n" + table(ANGLE, NOISY),
        "701\n" + table(ANGLE, NOISY),
        "-80 4 120\n" + table(ANGLE, NOISY),
        '"Angle","Counts"\n' + table(ANGLE, NOISY, sep=",", number='"{:g}"'.format),
        table(ANGLE, NOISY) + "\nTotal counts 12345\nend of scan\n",
        "Angle;Intensity;\n" + table(ANGLE, NOISY, sep=";").replace("\n", ";\n"),
    ],
)
def test_headers_quotes_and_footers(tmp_path, content):
    check(read(tmp_path, content), intensity=NOISY)


@pytest.mark.parametrize(
    ("header", "columns", "names"),
    [
        ("", (ANGLE, NOISY, np.sqrt(NOISY), np.ones(POINTS)), "4-column"),
        ("", (ANGLE, NOISY, np.sqrt(NOISY), 1.0 / np.sqrt(NOISY)), "4-column"),
        ("", (ROW, ANGLE, NOISY), "3-column"),
        ("", (ROW + 1, ANGLE, NOISY, np.sqrt(NOISY)), "4-column"),
        ("", (OMEGA, 2.0 * OMEGA, NOISY), "3-column"),
        ("", (ANGLE, np.full(POINTS, 2.0), NOISY, NOISY / 2.0), "4-column"),
        ("counts omega\n", (NOISY, OMEGA), "2-column"),
        ("No. omega monitor detector\n", (ROW, OMEGA, 1e4 + ROW % 7, NOISY), "4-column"),
        ("# time\tmonitor\ttheta\tintensity\terror\n", (ROW % 3, ROW % 5, OMEGA, NOISY, ROW % 7), "5-column"),
    ],
)
def test_columns_are_found(tmp_path, header, columns, names):
    curve = read(tmp_path, header + table(*columns, number="{:.9g}".format))
    check(curve, intensity=NOISY)
    assert names in curve.note


def test_columns_are_chosen(tmp_path):
    content = table(NOISY + ROW % 3, ANGLE, NOISY, NOISY + ROW % 5)
    with pytest.raises(CurveError, match=r"line 1: columns 3, 4 may all be the intensity; choose with --columns 2,3"):
        read(tmp_path, content)
    for column, expected in ((1, NOISY + ROW % 3), (3, NOISY), (4, NOISY + ROW % 5)):
        check(read(tmp_path, content, columns=(2, column)), intensity=expected)
    check(read(tmp_path, content, columns=[3], step=4.0), intensity=NOISY)
    with pytest.raises(CurveError, match="there is no column 5; give --columns as ANGLE,INTENSITY among 1 … 4"):
        read(tmp_path, content, columns=(2, 5))
    for columns in ((), (1, 1), (0, 1), (1, 2, 3)):
        with pytest.raises(ParameterError, match="must be two different numbers from 1"):
            read(tmp_path, content, columns=columns)


def test_numbers_of_points_are_no_angles(tmp_path):
    content = table(ROW, NOISY)
    with pytest.raises(CurveError, match="the first column numbers the points; if these are angles, say their --unit"):
        read(tmp_path, content)
    check(read(tmp_path, content, unit="arcsec"), ROW - 20.0, NOISY)
    check(read(tmp_path, content, columns=(2,), step=4.0), intensity=NOISY)
    check(read(tmp_path, "point counts\n" + content, step=4.0), intensity=NOISY)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("header", ["dOmega({})\tcounts\n", "angle [{}] intensity\n", "# angle/{}, cts\n", "x_{} y\n"])
def test_units_of_headers(tmp_path, unit, header):
    x = ANGLE / UNITS[unit]
    content = header.format(unit) + table(x, NOISY, sep="\t", number="{:.12g}".format)
    curve = read(tmp_path, content)
    check(curve, intensity=NOISY)
    assert f"relative in {unit}" in curve.note
    check(read(tmp_path, table(x, NOISY, number="{:.12g}".format), axis="relative", unit=unit), intensity=NOISY)


def test_names_of_units():
    for word, unit in (
        *(
            ("µrad", "urad"),
            ("μrad", "urad"),
            ("(deg)", "deg"),
            ("Degrees", "deg"),
            ("°", "deg"),
            ("seconds", "arcsec"),
        ),
        *(("″", "arcsec"), ("arcmin", "arcmin"), ("millidegrees", "mdeg"), ("mm", None), ("", None)),
    ):
        assert unit_named(word) == unit
    assert position_of("25.4731deg") == (25.4731, "deg")
    assert position_of("-120 arcsec") == (-120.0, "arcsec")
    assert position_of("12") is None


def test_decimal_commas_below_whole_numbers(tmp_path):
    content = table(np.r_[-80, ANGLE[1:] + 0.125], NOISY, sep="\t").replace(".", ",")
    check(read(tmp_path, content), np.r_[-80.125, ANGLE[1:]], NOISY)


def test_differences_of_2theta_are_halved(tmp_path):
    for name in ("Delta 2theta (arcsec)", "d2θ [arcsec]"):
        curve = read(tmp_path, f"{name}\tcounts\n" + table(2.0 * ANGLE, NOISY, sep="\t"))
        check(curve, intensity=NOISY)
        assert "the angles are halved, as those of the detector" in curve.note
    curve = read(tmp_path, "2theta (arcsec)\tcounts\n" + table(ANGLE, NOISY, sep="\t"))
    check(curve, intensity=NOISY)
    assert "say --axis 2theta if they are angles of the detector" in curve.note


def test_names_tell_absolute_angles(tmp_path):
    for name, x in (
        ("omega", 33.0 - ANGLE / 3600.0),
        ("2theta", 66.0 - ANGLE / 1800.0),
        ("tth", 66.0 - ANGLE / 1800.0),
    ):
        check(read(tmp_path, f"{name} counts\n" + table(x, NOISY, number="{:.10g}".format)), intensity=NOISY)


@pytest.mark.parametrize(
    ("header", "step"),
    [
        ("Step = 5 arcsec\n", 5.0),
        ("# step size: 0.002 deg\n", 7.2),
        ("Scan step size [deg],0.001\nTime per step [s],2\n", 3.6),
        ("stepwidth=2.5mdeg\nwavelength=1.54056\n", 9.0),
    ],
)
def test_the_step_of_a_header(tmp_path, header, step):
    curve = read(tmp_path, header + table(NOISY))
    check(curve, (ROW - 20) * step, NOISY)
    assert "the step is that of the header" in curve.note
    check(read(tmp_path, header + table(NOISY), step=4.0), intensity=NOISY)


def test_no_step_is_assumed_where_a_header_has_numbers(tmp_path):
    for header in ("Step = 0.002\n", "start 25.5 end 26\n", "from 25.5\n"):
        with pytest.raises(CurveError, match=r"of the header was not understood, and no step .* give --step in arcsec"):
            read(tmp_path, header + table(NOISY))
    assert read(tmp_path, "wavelength: 0.154056 nm\ncounts\n" + table(NOISY)).stated.wavelength == pytest.approx(
        1.54056
    )


def test_rates_and_times_of_headers(tmp_path):
    content = "# counting time: 2 s\nangle,cps\n" + table(ANGLE, NOISY / 2.0, sep=",")
    check(read(tmp_path, content), intensity=NOISY / 2.0, per_count=0.5)
    assert read(tmp_path, "angle,counts/s\n" + table(ANGLE, NOISY, sep=",")).per_count is None
    x = OMEGA - 25.53
    for header in ("angle counts/sec\n", "# counting time [sec]: 2\n", "angle time(sec) counts\n"):
        columns = (x, np.full(POINTS, 2.0), NOISY) if "time(" in header else (x, NOISY)
        curve = read(tmp_path, header + table(*columns, number="{:.9g}".format), axis="omega")
        assert "omega in deg" in curve.note


def test_whole_numbers_are_counts_if_they_scatter_so(tmp_path):
    for factor in (1.0, 9.0):
        curve = read(tmp_path, table(ANGLE, factor * NOISY))
        check(curve, intensity=factor * NOISY, per_count=factor)
        assert "taken as counts" in curve.note
    smooth = read(tmp_path, table(ANGLE, np.rint(500.0 + Y)))
    assert smooth.per_count is None
    assert "× as much as counts, so they are taken for none" in smooth.note
    assert read(tmp_path, table(ANGLE, NOISY + 0.5)).per_count is None
    assert read(tmp_path, table(ANGLE, NOISY), per_count=0.25).per_count == 0.25


SEPARATORS = ["\n", "\n\n\n", "# second scan\n", "Scan 2\nangle counts\n", ""]


@pytest.mark.parametrize("between", SEPARATORS)
@pytest.mark.parametrize("moved", [0.0, 1.8, -500.0])
def test_several_scans(tmp_path, between, moved):
    file = put(tmp_path, ".txt", table(ANGLE, NOISY) + between + table(ANGLE + moved, 2.0 * NOISY))
    listed = list_scans(file)
    assert [row[:3] for row in listed] == ["1: ", "2: "]
    with pytest.raises(CurveError, match="the file holds 2 scans; choose one with --number N: 1: -80"):
        read_curve(file)
    if moved > -100.0:
        for number in (1, 2):
            check(read_curve(file, number=number), intensity=number * NOISY, per_count=number)


def test_there_and_back_are_two_scans(tmp_path):
    file = put(tmp_path, ".txt", table(np.r_[ANGLE, ANGLE[::-1]], np.r_[NOISY, NOISY[::-1]]))
    for number in (1, 2):
        check(read_curve(file, number=number), intensity=NOISY)


def test_one_column_scans(tmp_path):
    file = put(tmp_path, ".txt", table(NOISY) + "\n" + table(2.0 * NOISY))
    assert len(list_scans(file)) == 2
    check(read_curve(file, number=2, step=4.0), intensity=2.0 * NOISY, per_count=2.0)


def test_a_scan_goes_on_after_a_blank_line(tmp_path):
    rows = table(ANGLE, NOISY).splitlines()
    check(read(tmp_path, "\n".join([*rows[:60], "", "# page 2", *rows[60:]])), intensity=NOISY)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (table(ANGLE, NOISY) + "4o0 7\n", "line 121: '4o0' is no finite number"),
        (table(ANGLE, NOISY) + "400\n", "line 121: 1 columns; all lines need the same number of them"),
        (table(ANGLE, NOISY).replace("-76 ", "-76 x"), r"line 2: 'x\d+' is no finite number"),
        (b"\0" * 200_000, "this is a binary file, not text"),
    ],
)
def test_faults(tmp_path, content, message):
    with pytest.raises(CurveError, match=rf"curve\.txt.*{message}"):
        read(tmp_path, content)


def test_damaged_text_ends_in_a_message(tmp_path):
    rng = np.random.default_rng(8)
    content = ("Angle (arcsec)\tcounts\n" + table(ANGLE, NOISY, np.sqrt(NOISY), sep="\t")).encode()
    for k in range(60):
        damaged = bytearray(content[: int(rng.integers(1, len(content)))] if k % 3 == 0 else content)
        for place in rng.integers(0, len(damaged), int(rng.integers(0, 6))):
            damaged[place] = int(rng.integers(0, 256))
        message = "curve"
        try:
            read(tmp_path, bytes(damaged))
        except CurveError as error:
            message = str(error)
        assert "curve" in message
