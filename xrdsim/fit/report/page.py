"""What a fit found, to look at: figures, tables, and one page that holds all of it and needs nothing else."""

import html
import json
import math
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from xrdsim.files import save_json
from xrdsim.fit.report.columns import write_columns
from xrdsim.fit.report.figures import draw, figure, likelihood_figure, name, quietly, series_figure
from xrdsim.fit.report.tables import (
    NONE,
    SHOWN,
    Row,
    compared,
    curve_rows,
    likelihood_rows,
    minima_table,
    misfits,
    series_rows,
    table,
    taken_for,
    words,
    write_series,
)
from xrdsim.fit.result import Fit
from xrdsim.html import html_table, section, write_page
from xrdsim.plotting import embedded

__all__ = [
    "figure",
    "likelihood_figure",
    "likelihood_rows",
    "page",
    "series_figure",
    "series_rows",
    "table",
    "write_series",
]

_NOT_SET = {
    "scale": "fitted",
    "background": "fitted",
    "per_count": "unknown",
    "monochromator": "default of the convention",
}
_STYLE = """
:root { color-scheme: light dark; --text: #1f2937; --soft: #6b7280; --line: #d1d5db; --back: #ffffff; --card: #f3f4f6;
  --plus: 29 78 216; --minus: 194 65 12; }
@media (prefers-color-scheme: dark) { :root { --text: #e5e7eb; --soft: #9ca3af; --line: #374151; --back: #111827;
  --card: #1f2937; --plus: 37 99 235; --minus: 194 90 30; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 64rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; break-after: avoid; }
.soft { color: var(--soft); }
.verdict { padding: .75rem 1rem; border-left: .4rem solid; background: var(--card); }
.verdict { border-color: #b45309; } .solved { border-color: #047857; }
.not-described, .not-this-material-or-reflection { border-color: #be185d; }
img { width: 100%; height: auto; background: #ffffff; border-radius: .4rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; break-inside: avoid; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { font-weight: 600; } th:first-child, td:first-child { text-align: left; }
td.words { text-align: left; white-space: normal; }
.map td { text-align: center; padding: .25rem .4rem; min-width: 2.6rem; print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
pre { background: var(--card); padding: .75rem 1rem; overflow-x: auto; font-size: .85rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
@media (max-width: 40rem) { body { margin: 1rem auto; } th, td { padding: .2rem .3rem; font-size: .8rem;
  white-space: normal; } td.words { min-width: 7rem; } .map td { min-width: 0; font-size: .65rem; } }
@media print { :root { --text: #000; --soft: #444; --line: #bbb; --back: #fff; --card: #f3f4f6; --plus: 29 78 216;
  --minus: 194 65 12; } body { margin: 0; max-width: none; font-size: 10pt; } figure { break-inside: avoid; }
  th, td { padding: .15rem .4rem; } .map { font-size: 8pt; } }
@page { margin: 1.5cm; }
"""


def write(fit: Fit, folder: Path, with_page: bool = False, figures: str = "png") -> list[Path]:
    """Write all that a fit says into a folder: ``result.json``, figures, columns and, if asked for, the page.

    Parameters
    ----------
    fit : a result.
    folder : is made where there is none.
    with_page : also write ``fit.html``.
    figures : their format: png, svg or pdf.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    files = [save_json(folder / "result.json", fit.to_dict()), figure(fit, folder / f"fit.{figures}")]
    files += [likelihood_figure(fit, folder / f"likelihood.{figures}")] if fit.likelihoods else []
    files += write_columns(fit, folder)
    return files + ([page(fit, folder / "fit.html")] if with_page else [])


def page(fit: Fit, path: str | Path) -> Path:
    """Write all that a fit says as one HTML file, the figure in it.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    parts = [
        _heading(fit),
        f'<figure style="margin:1.5rem 0"><img alt="Measured curve and model, their difference, and the strain '
        f'profile with its bands" src="{_picture(fit)}"></figure>',
        *([section("Curves", html_table(*curve_rows(fit), words=(1, 2)))] if len(fit.curves) > 1 else []),
        section("Parameters", html_table(*table(fit), words=(4,))),
        f'<p class="soft">{html.escape(_intervals(fit))}</p>',
        *([section("Profile likelihood", html_table(*likelihood_rows(fit)))] if fit.likelihoods else []),
        section("Misfit", html_table(("", ""), [*misfits(fit), *_numbers(fit)])),
        section(_minima(fit), html_table(*minima_table(fit))),
        section("Correlations", _correlations(fit)),
        section("How to repeat it", _repeat(fit)),
    ]
    return write_page(path, name(fit), _STYLE, parts)


def _heading(fit: Fit) -> str:
    kind = fit.verdict.replace(",", "").replace(" ", "-")
    said = html_lines(taken_for(fit))
    return (
        f'<h1>{html.escape(name(fit))}</h1><p class="soft">{said}</p>'
        f'<p class="verdict {html.escape(kind)}"><strong>{html.escape(fit.verdict)}.</strong> '
        f"{html.escape(fit.reason)}</p>" + "".join(f"<p>{html.escape(line)}</p>" for line in compared(fit))
    )


def html_lines(lines: Iterable[str]) -> str:
    """Lines below each other."""
    return "<br>".join(map(html.escape, lines))


def _minima(fit: Fit) -> str:
    count = len(fit.minima)
    return f"Minima: the best {SHOWN} of {count}" if count > SHOWN else "Minima"


def _picture(fit: Fit) -> str:
    """The address of the figure."""
    with quietly():
        return embedded(draw(fit), 200)


def _intervals(fit: Fit) -> str:
    how = {"laplace": "the quadratic form of the misfit about its minima", "chains": "Markov chains"}
    method, samples = fit.uncertainty.get("method", ""), fit.uncertainty.get("effective_samples", math.nan)
    return f"Intervals from {how.get(method, method)}; effective sample size {samples:.0f}."


def _numbers(fit: Fit) -> list[Row]:
    shown = [each.shown for each in fit.curves if each.fitted]
    return [
        ("points fitted", "; ".join(f"{int(each.used.sum())} of {len(each.used)}" for each in shown)),
        ("search", f"{fit.seconds:.1f} s, {fit.evaluations} evaluations, ended: {fit.ended}"),
    ]


def _correlations(fit: Fit) -> str:
    """Correlations of the posterior, blue where positive, orange where negative."""
    names = [*(each.name for each in fit.parameters), *map(words, fit.minima[0].instrument)]
    lines = ["<tr><th></th>" + "".join(f'<th scope="col">{html.escape(each)}</th>' for each in names) + "</tr>"]
    for i, each in enumerate(names):
        cells = [f'<th scope="row">{html.escape(each)}</th>']
        for j, value in enumerate(fit.correlation[i].tolist()):
            if i == j or not math.isfinite(value):
                cells.append(f"<td>{'1' if i == j else NONE}</td>")
                continue
            color = f"rgb(var(--{'plus' if value > 0.0 else 'minus'}) / {0.6 * abs(value):.2f})"
            text = f"{value:.2f}".replace("-", "−")
            cells.append(f'<td style="background:{color}">{text}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return '<table class="map">' + "\n".join(lines) + "</table>"


def _repeat(fit: Fit) -> str:
    """The command, if the settings hold one, and the settings."""
    settings = dict(fit.settings)
    command = settings.pop("command", None)
    parts = [f"<pre>{html.escape(str(command))}</pre>"] if command else []
    rows = [(f"range of {key}", _plain(key, value)) for key, value in settings.pop("ranges", {}).items()]
    rows += [(key, _plain(key, value)) for key, value in settings.items() if value not in ({}, [], ())]
    rows.append(("file", fit.source))
    rows.append(("versions", f"xrdsim {version('xrdsim')}, Python {platform.python_version()}"))
    return "\n".join([*parts, html_table(("", ""), rows, words=(1,))])


def _plain(key: str, value: object) -> str:
    """A setting in words: limits as low … high, what is not set as what this means."""
    if value is None:
        return _NOT_SET.get(key, "not set")
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(end, (int, float)) for end in value):
        low, high = value
        return f"{low:g} … {high:g}" if low < high else f"{low:g}, fixed"
    return json.dumps(value, ensure_ascii=False, default=str)
