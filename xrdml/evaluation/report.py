"""What an evaluation found, to look at: tables, ``evaluation.json``, figures, and one page that holds all of it."""

import html
import math
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from xrdml.evaluation.calibration import LEVELS
from xrdml.evaluation.errors import Accuracy
from xrdml.evaluation.evaluation import Evaluation
from xrdml.evaluation.figures import figures
from xrdml.evaluation.single_curves import BEST_OF
from xrdml.evaluation.unlike import FALSE_ALARMS, SCORES
from xrdml.inference.starts import SOLVED
from xrdsim.files import save_json
from xrdsim.html import html_table, section, write_page
from xrdsim.plotting import embedded, save_figure

Row = tuple[str, ...]
Table = tuple[str, Row, list[Row]]  # title, header, rows

NONE = "—"

_CAPTIONS = {
    "accuracy": "Errors beside their limit",
    "estimates": "Estimates",
    "calibration": "Calibration",
    "ranks": "Ranks",
    "outside": "Curves unlike those that the model was trained for",
}
_STYLE = """
:root { color-scheme: light dark; --text: #1f2937; --soft: #6b7280; --line: #d1d5db; --back: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --text: #e5e7eb; --soft: #9ca3af; --line: #374151; --back: #111827; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 64rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.soft { color: var(--soft); } .wide { overflow-x: auto; } figure { margin: 0; break-inside: avoid; }
img { width: 100%; height: auto; background: #ffffff; border-radius: .4rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; break-inside: avoid; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
"""


def tables(found: Evaluation) -> list[Table]:
    """Title, header and rows of everything."""
    out = [accuracy_table(group, found.names) for group in found.accuracy if group.rows]
    out.append(curve_table(found))
    if found.calibration is not None:
        out.append(calibration_table(found))
    if found.detections:
        out.append(detection_table(found))
    speed = [(name, f"{value:.2f}") for name, value in found.milliseconds.items()]
    return [*out, ("Speed on one thread", ("", "ms per curve"), list(speed))]


def accuracy_table(group: Accuracy, names: tuple[str, ...]) -> Table:
    """Errors of each parameter in % of its range, and their limit with the errors of the same rows."""
    header: Row = ("parameter", "MAE, % of range", "median of the prior", "skill")
    columns = [group.mae, group.median, group.skill]
    if group.limited_rows:
        header += (f"limit, {group.limited_rows} rows", "MAE of these")
        columns += [group.limit, group.limited_mae]
    rows = [(name, *(_number(values[j]) for values in columns)) for j, name in enumerate(names)]
    return f"Errors: {group.group}, {group.rows} rows", header, list(rows)


def curve_table(found: Evaluation) -> Table:
    """Curve and profile errors, and how many curves are described within their noise."""
    rows: list[Row] = [
        (f"mean curve error of the estimate [dex], {len(found.curve)} rows", _number(found.curve.mean())),
        ("mean profile error ∫|Δε| dz / ∫ε dz of the estimate", _number(found.profile.mean())),
    ]
    count = len(found.solved)
    for name, errors in found.solved_curve.items() if count else ():
        label = f"best of {BEST_OF} samples by χ²" if name == "best draw" else name
        rows.append((f"mean curve error [dex], {label}, {count} rows", _number(errors.mean())))
    if found.solve_rate is not None and found.solvable is not None:
        rows.append((f"solved: reduced χ² ≤ {SOLVED} after refinement", f"{100.0 * found.solve_rate:.1f} %"))
        rows.append((f"the truth has χ² ≤ {SOLVED}", f"{100.0 * found.solvable:.1f} %"))
    return "Curves and profiles", ("", ""), rows


def calibration_table(found: Evaluation) -> Table:
    """Coverage of the central intervals, deviation of the ranks and contraction of each parameter."""
    of = found.calibration
    assert of is not None
    header = ("parameter", "rows", *(f"in {100.0 * level:g} %" for level in LEVELS), "rank deviation", "contraction")
    rows: list[Row] = []
    for j, name in enumerate(of.names):
        held = (NONE if math.isnan(value) else f"{100.0 * value:.1f}" for value in of.coverage[:, j].tolist())
        rows.append((name, str(of.rows[j]), *held, _number(of.deviation[j]), _number(of.contraction[j])))
    title = (
        f"Calibration: {of.samples} samples a curve; TARP departs from the diagonal by {of.tarp_deviation:.3f} at most"
    )
    return title, header, rows


def detection_table(found: Evaluation) -> Table:
    """Share of each kind of unlike curves that is recognised, for each score."""
    rows = [
        (each.kind, str(each.rows), *(f"{100.0 * each.rates[name]:.0f} %" for name in SCORES))
        for each in found.detections
    ]
    header = ("curves", "rows", *SCORES.values())
    return f"Unlike curves recognised at {100.0 * FALSE_ALARMS:g} % false alarms", header, list(rows)


def write(found: Evaluation, folder: str | Path, kind: str = "png") -> list[Path]:
    """Write ``evaluation.json``, the figures (png, svg or pdf) and ``evaluation.html`` into a folder.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    target = Path(folder)
    plain = save_json(target / "evaluation.json", found.to_dict())
    drawn = figures(found)
    files = [save_figure(figure, target / f"{name}.{kind}") for name, figure in drawn.items()]
    return [plain, *files, page(found, target / "evaluation.html", drawn)]


def page(found: Evaluation, path: Path, drawn: Mapping[str, Figure]) -> Path:
    """Write tables and figures by their names as one HTML file that needs nothing else.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    how = ", ".join(f"{name} {value}" for name, value in found.how.items())
    title = f"Evaluation of {found.model}"
    parts = [f'<h1>{html.escape(title)}</h1><p class="soft">{html.escape(how)}</p>']
    parts += [section(name, html_table(header, rows)) for name, header, rows in tables(found)]
    for name, figure in drawn.items():
        caption = _CAPTIONS[name]
        picture = f'<img alt="{caption}" src="{embedded(figure)}">'
        parts.append(section(caption, f"<figure>{picture}</figure>"))
    return write_page(path, title, _STYLE, parts)


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else NONE
