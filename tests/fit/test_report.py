"""What a fit shows: figures, tables, the page and the series."""

import csv
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from xrdsim.curves.curve import Curve, read_curve
from xrdsim.curves.record import LeftOut
from xrdsim.errors import OutputError
from xrdsim.experiment.scan import Scan
from xrdsim.fit import fitting
from xrdsim.fit.fitting import fit_curve
from xrdsim.fit.judgement.estimate import Estimate
from xrdsim.fit.problem import Unknowns, problem
from xrdsim.fit.report.columns import curve_files, write_curve, write_profile
from xrdsim.fit.report.figures import draw, draw_series
from xrdsim.fit.report.page import figure, page, series_figure, series_rows, table, write_series
from xrdsim.fit.report.tables import curve_rows, minima_table, rounded
from xrdsim.fit.result import Minimum
from xrdsim.forward.model import simulate
from xrdsim.plotting import LEFT_OUT, MEASURED
from xrdsim.profiles.space import ParameterSpace

NASTY = """<script>alert("1")</script> & $x_1^2$ 'e'\n曲.xy"""
GREY = (MEASURED, LEFT_OUT)
VOID = {"meta", "img", "br"}


@pytest.fixture(scope="module")
def fit(demonstration):
    """Refinement of a curve of 200 points from the parameters that made it."""
    scan = Scan(-80.0, 12.0, 200)
    counts = 2e5
    seen = simulate(demonstration, scan=scan, background=1e-4).intensity[0]
    intensity = np.random.default_rng(1).poisson(seen * counts) / counts
    curve = Curve(scan.angle, intensity, int(np.argmax(intensity)), "folder/sample_2e15.xy", "text", 1.0 / counts)
    return fit_curve(problem(curve), starts=demonstration[None], only_refine=True)


@pytest.fixture(scope="module")
def second(fit):
    """The same with damage and two other minima, as good as the best; one of them alike."""
    low_high = fit.settings["ranges"] | {"kappa": [0.0, 0.6], "p": [0.25, 4.0]}
    damage = (
        Estimate("kappa", "1", 0.1, 0.02, 0.07, 0.13, True),
        Estimate("p", "1", 1.0, 1.2, 0.25, 3.9, False, open_low=True, open_high=True),
    )
    best = fit.minima[0]
    values = (*best.values, 0.1, 1.0)
    other = (*np.multiply(best.values, [0.9, 1, 1, 1, 1, 1, 1]), 0.1, 1.0)
    correlation = np.full((11, 11), np.nan)
    correlation[:9, :9] = fit.correlation
    return replace(
        fit,
        source=NASTY,
        verdict="not described",
        parameters=(*fit.parameters, *damage),
        minima=tuple(Minimum(row, best.instrument, 1.0, 0.03, True) for row in (values, other, values)),
        settings=fit.settings | {"ranges": low_high, "command": "xrd fit '<a>'"},
        correlation=correlation,
        reduced_chi2=None,
        mean_abs_log10=math.nan,
    )


class Page(HTMLParser):
    """Text, attributes and balance of the tags of a page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.attributes, self.tags = [], [], [], set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_figure_is_written(fit, second, tmp_path, suffix):
    for number, each in enumerate((fit, second)):
        path = tmp_path / "new" / f"{number}{suffix}"
        assert figure(each, path) == path
        assert path.stat().st_size > 5000
    assert series_figure([fit, second], tmp_path / f"series{suffix}").stat().st_size > 5000


def test_an_estimate_without_uncertainty_has_no_bands(fit):
    labels = [text.get_text() for text in draw(fit).axes[-1].get_legend().texts]
    assert labels[:2] == ["95 %", "68 %"]
    sure = replace(fit, band=np.tile(fit.strain, (4, 1)))
    assert [text.get_text() for text in draw(sure).axes[-1].get_legend().texts] == labels[2:]


def test_a_figure_has_three_panels_and_only_what_differs(fit, second):
    curve, residual, profile = draw(second).axes
    assert [text.get_text() for text in curve.get_legend().texts].count("no. 2 of the minima, as good") == 1
    labels = [text.get_text() for text in profile.get_legend().texts]
    assert "no. 2 of the minima, as good" in labels
    assert "no. 3 of the minima, as good" not in labels
    drawn = {
        color: sum(len(line.get_xdata()) for line in residual.lines if line.get_color() == color) for color in GREY
    }
    assert drawn == {MEASURED: fit.used.sum(), LEFT_OUT: (~fit.used).sum()}
    title = draw(fit).get_suptitle()
    assert "sample_2e15.xy" in title
    assert fit.verdict in title
    assert f"{fit.reduced_chi2:.3g}" in title


def legend_of(axes):
    return [text.get_text() for text in axes.get_legend().texts]


def test_residuals_are_those_of_chi2_and_in_dex_where_the_noise_is_unknown(fit, demonstration):
    shown = fit.curve
    free = fit.used.sum() - np.sum(shown.residual[fit.used] ** 2) / fit.reduced_chi2
    assert free == pytest.approx(sum(not each.fixed for each in (*fit.parameters, *fit.measurement)), abs=1e-3)
    many = fit.measured > 300.0 * fit.measured[fit.measured > 0.0].min()
    away = (shown.measured - shown.model) / shown.sigma
    np.testing.assert_allclose(shown.residual[many], away[many], atol=0.2)
    axes = draw(fit).axes[1]
    assert axes.get_ylabel() == "residual\n[σ]"
    assert [text.get_text() for text in axes.texts] == ["±2σ"]
    unknown = Curve(shown.angle, shown.measured, fit.curve.measured.argmax())
    other = fit_curve(problem(unknown), starts=demonstration[None], only_refine=True)
    assert np.isnan(other.curve.sigma).all()
    axes = draw(other).axes[1]
    assert "log" in axes.get_ylabel()
    assert not axes.texts


def test_why_points_are_left_out_is_shown(demonstration, tmp_path):
    """Saturated, masked, excluded; a single point that stands out; what no strain reaches."""
    scan = Scan(-400.0, 12.0, 260)
    counts = np.random.default_rng(1).poisson(1e4 * simulate(demonstration, scan=scan, background=1e-3).intensity[0])
    counts = np.minimum(counts, counts.max() // 4)
    counts[200] = 900
    path = tmp_path / "all.xy"
    path.write_text("".join(f"{x:g} {y}\n" for x, y in zip(scan.angle, counts, strict=True)))
    curve = read_curve(path, axis="relative")
    ((angle, intensity, why),) = curve.aside
    assert (angle, intensity, why) == (pytest.approx(2000.0, abs=12.0), 900.0, LeftOut.OUTLIER)
    given = problem(curve, mask=48.0, both_sides=False, exclude=((100.0, 140.0),))
    fit = fit_curve(given, starts=demonstration[None], only_refine=True, max_iter=1)
    shown = fit.curve
    assert (shown.left_out == "").tolist() == shown.used.tolist()
    at = dict(zip(np.round(shown.angle).tolist(), shown.left_out.tolist(), strict=True))
    assert [at[round(curve.angle[curve.peak_index]) + x] for x in (0, 36, 120, -60, 60)] == [
        "saturated", "mask", "excluded", "compressed side", "",
    ]  # fmt: skip
    words = legend_of(draw(fit).axes[0])
    assert words[:2] == ["measured", "model"]
    assert {each.removeprefix("left out: ") for each in words[2:]} == {
        "saturated", "mask", "excluded", "compressed side", "single point that stands out",
    }  # fmt: skip


def test_columns_are_read_by_names(fit, tmp_path):
    aside = ((1e5, 0.25, LeftOut.REACH), (-1e5, -1.0, LeftOut.NEGATIVE))
    path = write_curve(replace(fit.curves[0], aside=aside), tmp_path / "curve.csv")
    assert path.read_text().splitlines()[1].startswith("# arcsec,intensity,intensity,")
    table = np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="utf-8")
    assert table.dtype.names == (
        "angle", "measured", "model", "sigma", "residual", "log10_ratio", "used", "left_out",
    )  # fmt: skip
    assert table["left_out"][[0, 1, -1]].tolist() == ["negative", "compressed side", "beyond the reach of strain"]
    assert np.isnan(table["model"][[0, -1]]).all()
    inside = table[1:-1]
    for name in ("angle", "measured", "model", "sigma", "residual", "used"):
        np.testing.assert_allclose(inside[name], getattr(fit.curve, name), rtol=1e-9)
    np.testing.assert_allclose(10.0 ** inside["log10_ratio"], inside["measured"] / inside["model"])
    profile = np.genfromtxt(write_profile(fit, tmp_path / "profile.csv"), delimiter=",", names=True)
    np.testing.assert_allclose(profile["depth"], fit.depth, rtol=1e-9)
    for name, row in zip(("strain_low95", "strain_low68", "strain_high68", "strain_high95"), fit.band, strict=True):
        np.testing.assert_allclose(profile[name], row, rtol=1e-9)
    np.testing.assert_array_equal(profile["E"], 1.0)


def test_curves_that_are_called_alike_have_files_of_their_own(fit):
    sources = ("a/one.xy", "b/one.xy", NASTY, "c/two.xy")
    several = replace(fit, curves=tuple(replace(fit.curves[0], source=each) for each in sources))
    names = curve_files(several)
    assert (names[0], names[1], names[3]) == ("curve_1_one.csv", "curve_2_one.csv", "curve_two.csv")
    assert re.fullmatch(r"curve_[\w.+-]+\.csv", names[2])
    assert curve_files(fit) == ["curve.csv"]


def test_a_damaged_profile_has_a_panel_of_its_own(demonstration, fit):
    curve = Curve(fit.angle, fit.measured, int(fit.measured.argmax()), per_count=1.0 / 2e5)
    given = problem(curve, unknowns=Unknowns(ParameterSpace().with_damage()))
    damaged = fit_curve(given, starts=np.array([[*demonstration, 0.2, 1.5]]), only_refine=True, max_iter=1)
    e = 1.0 - damaged["kappa"].value * (damaged.strain / damaged["largest_strain"].value) ** damaged["p"].value
    np.testing.assert_allclose(damaged.damage, e, atol=1e-6)
    assert damaged.damage_band.shape == (4, len(damaged.depth))
    assert np.all(np.diff(damaged.damage_band, axis=0) >= 0.0)
    assert damaged.to_dict()["profile"]["damage"] == damaged.damage.tolist()
    assert [axes.get_ylabel() for axes in draw(damaged).axes][-1] == "Debye–Waller\nfactor E"
    assert fit.damage is None


def test_curves_behind_different_instruments_have_a_column_for_each_parameter(fit):
    own = fit.curves[0].measurement
    other = replace(
        fit.curves[0],
        measurement=(
            *(replace(each, name=f"{each.name}_2") for each in own[:3]),
            Estimate("lorentz_2", "arcsec", 7.0, 1.0, 5.0, 9.0, True),
        ),
        fitted=False,
    )
    columns, (first, second) = curve_rows(replace(fit, curves=(fit.curves[0], other)))
    assert len(columns) == len(set(columns)) == len(first) == len(second)
    at = dict(zip(columns, zip(first, second, strict=True), strict=True))
    assert at["Lorentzian FWHM [″]"] == ("—", "7.0(1.0)")
    assert at["FWHM [″]"][1] == "—"
    assert at["verdict"] == ("solved", "not fitted: as the others foretell")
    assert at["reduced χ²"] == (f"{fit.reduced_chi2:.3g}",) * 2


def test_a_fit_has_time_for_each_of_its_curves(fit, monkeypatch):
    given = problem(Curve(fit.angle, fit.measured, int(fit.measured.argmax()), per_count=1.0 / 2e5))
    two = replace(given, measurements=given.measurements * 2)
    begun = {}

    def stopped(given, *, until, **_):
        begun["until"] = until
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "search", stopped)
    for each, seconds in ((given, 180.0), (two, 360.0)):
        with pytest.raises(KeyboardInterrupt):
            fit_curve(each, begun=1000.0)
        assert begun["until"] == pytest.approx(1000.0 + fitting._SHARES[0] * seconds)


def test_points_without_counts_are_shown(fit):
    measured = fit.measured.copy()
    measured[-3:] = 0.0
    shown = replace(fit.curves[0], shown=fit.curve._replace(measured=measured))
    curve = draw(replace(fit, curves=(shown,))).axes[0]
    assert [len(line.get_xdata()) for line in curve.lines if line.get_label() == "no counts"] == [3]


def test_a_series_is_ordered_and_labelled(fit, second):
    left, right = draw_series([fit, second, fit]).axes
    assert left.texts[0].get_text() == "sample_2e15"
    ends = [text.xy[1] for text in left.texts]
    assert ends == sorted(ends, reverse=True)
    assert len(right.collections) == 3


def test_a_file_name_is_no_formula(fit, tmp_path):
    names = ["_$\\frac$.xy", "a_$.txt"]
    series_figure([replace(fit, source=name) for name in names], tmp_path / "series.png")
    figure(replace(fit, source=names[0]), tmp_path / "one.png")
    left, right = draw_series([replace(fit, source=name) for name in names]).axes
    assert [text.get_text() for text in left.texts] == ["_$\\frac$", "a_$"]
    assert [text.get_text().strip() for text in right.get_legend().texts] == ["_$\\frac$", "a_$"]


def test_a_page_is_whole_and_needs_nothing_else(fit, second, tmp_path):
    for each in (fit, second):
        text = page(each, tmp_path / "page.html").read_text(encoding="utf-8")
        read = Page(text)
        assert not read.open
        assert "script" not in read.tags
        assert "link" not in read.tags
        sources = [value for name, value in read.attributes if name in ("src", "href")]
        assert len(sources) == 1
        assert sources[0].startswith("data:image/png;base64,")
        assert not re.search(r"https?:|url\(|@import", text)
        words = "".join(read.words)
        assert each.reason in words
        assert "0.001 … 0.031" in words
        assert "null" not in words
        for name in ("Dmax1 [%]", "FWHM [″]", "reduced χ²", "effective sample size", "convention"):
            assert name in words


def test_a_page_escapes(second, tmp_path):
    text = page(replace(second, note="<b>&"), tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script" not in text
    words = "".join(Page(text).words)
    assert """$x_1^2$ 'e' 曲.xy""" in words
    assert "<b>&" in words
    assert "xrd fit '<a>'" in words


@pytest.mark.parametrize(
    ("value", "std", "shown"),
    [
        (0.013054321, 0.0001234, ("0.01305", "0.00012")),
        (5123.4, 214.0, ("5120", "210")),
        (5123.4, 21.4, ("5123", "21")),
        (-1372.0, 1877.0, ("-1400", "1900")),
        (43.987, 2.34, ("44.0", "2.3")),
        (1.5, 0.0996, ("1.50", "0.10")),
        (1234567.0, 1200.0, ("1.2346e+06", "1.2e+03")),
        (3.2187e-5, 1.1e-6, ("3.22e-05", "1.1e-06")),
        (0.0, 0.012, ("0.000", "0.012")),
        (1.0, 0.0, ("1", "—")),
        (1.0, math.nan, ("1", "—")),
    ],
)
def test_digits(value, std, shown):
    assert rounded(value, std) == shown


@pytest.mark.parametrize(("value", "std", "shown"), [(-0.0, 0.0, "0"), (-0.3, 12.0, "0"), (-1e-9, 0.1, "0.00")])
def test_no_value_is_written_as_minus_zero(value, std, shown):
    assert rounded(value, std)[0] == shown
    at = Estimate("Rp2", "Å", -0.0, 1.0, -40.0, 0.0, True, open_high=True, at_limit=True)
    assert "at its limit 0;" in at.remark


def test_the_table_of_a_fit(fit, second):
    columns, rows = table(second)
    assert columns == ("parameter", "value", "± std", "90 % interval", "remark")
    assert {len(row) for row in rows} == {5}
    found = {row[0]: row[1:] for row in rows}
    assert list(found)[9:13] == ["largest strain [%]", "its depth [Å]", "∫ε dz [Å]", "depth of the layer [Å]"]
    assert list(found)[13:] == ["scale [intensity]", "background [intensity]", "zero [″]", "FWHM [″]"]
    best = fit.parameters[0]
    assert float(found["Dmax1 [%]"][0]) == pytest.approx(100.0 * best.value, abs=100.0 * best.std)
    assert found["kappa"] == ("0.100", "0.020", "0.070 … 0.130", "")
    assert found["p"][3].startswith("not determined")
    columns, rows = minima_table(second)
    assert columns == ("", "1", "2", "3")
    assert [row[0] for row in rows][3:] == [*list(found)[:9], "zero [″]", "FWHM [″]"]
    assert {len(row) for row in rows} == {4}


def test_remarks_speak_the_unit_of_the_table(fit):
    strain = Estimate("D01", "1", 0.012, 0.004, 0.0001, 0.01834, False, open_low=True, kind="strain")
    fixed = Estimate("L1", "Å", 5000.0, 0.0, 5000.0, 5000.0, True, fixed=True)
    rows = table(replace(fit, parameters=(strain, fixed), measurement=()))[1]
    assert rows[0] == ("D01 [%]", "1.20", "0.40", "0.01 … 1.83", "not determined: any value below 1.834 % fits")
    assert rows[1] == ("L1 [Å]", "5000", "—", "—", "fixed")


def test_a_series_in_a_table_and_a_csv(fit, second, tmp_path):
    columns, rows = series_rows([fit, second])
    assert columns[:5] == ("file", "verdict", "reduced χ²", "mean |log₁₀|", "Dmax1 [%]")
    assert columns[-3:] == ("kappa", "p", "seconds")
    assert {len(row) for row in rows} == {len(columns)}
    assert rows[0][-3:-1] == ("—", "—")
    assert rows[1][-3:-1] == ("0.100(20)", "undetermined")
    assert rows[1][2:4] == ("—", "—")
    with write_series([fit, second], tmp_path / "series.csv").open(newline="", encoding="utf-8") as file:
        first, other = csv.DictReader(file)
    for each in fit.parameters:
        unit = " [Å]" if each.unit == "Å" else ""
        for what, value in (("", each.value), ("_std", each.std), ("_low", each.low), ("_high", each.high)):
            assert float(first[f"{each.name}{what}{unit}"]) == value
    assert float(first["largest_strain"]) == fit.derived[0].value
    assert float(first["integrated_strain_low [Å]"]) == fit.derived[2].low
    assert float(first["fwhm [arcsec]"]) == fit.measurement[-1].value
    assert first["kappa"] == ""
    assert float(other["kappa_std"]) == 0.02
    assert other["file"] == NASTY
    assert other["not_determined"].split()[-1] == "p"
    assert other["reduced_chi2"] == other["mean_abs_log10"] == ""
    assert float(first["reduced_chi2"]) == fit.reduced_chi2


@pytest.mark.parametrize("write", [figure, page, lambda fit, path: series_figure([fit], path)])
def test_a_place_that_cannot_be_written(fit, tmp_path, write):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write(fit, tmp_path / "file" / "result.png")
    with pytest.raises(OutputError, match="cannot be written"):
        write_series([fit], tmp_path / "file" / "result.csv")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_an_unknown_suffix(fit, tmp_path):
    with pytest.raises(OutputError, match="suffix"):
        figure(fit, tmp_path / "curve.xyz")


def test_other_minima_of_a_curve_denser_than_the_fit_are_drawn(fit, tmp_path):
    angle = np.linspace(fit.angle[0], fit.angle[-1], 32 * len(fit.angle))  # of which a fit sums several
    dense = {name: np.interp(angle, fit.angle, getattr(fit, name)) for name in ("measured", "model")}
    best = fit.minima[0]
    other = replace(best, values=(0.9 * best.values[0], *best.values[1:]), acceptable=True)
    unknown = np.full(len(angle), np.nan)
    rest = {"used": np.isnan(unknown), "sigma": unknown, "residual": unknown, "left_out": np.full(len(angle), "mask")}
    shown = fit.curve._replace(angle=angle, **rest, **dense)
    drawn = replace(fit, curves=(replace(fit.curves[0], shown=shown),), minima=(best, other))
    assert [path.name for path in drawn.save(tmp_path)] == ["result.json", "fit.png", "profile.csv", "curve.csv"]
