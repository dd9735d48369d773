"""Pages of HTML that need nothing else: sections and tables in one file."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from xrdsim.files import replacing

Row = tuple[str, ...]


def write_page(path: str | Path, title: str, style: str, parts: Iterable[str]) -> Path:
    """Write a page of a title, which is escaped, a style sheet and parts that are HTML.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    text = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{style}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")
    return Path(path)


def section(title: str, content: str) -> str:
    """A titled part of a page; the title is escaped, the content is HTML."""
    return f'<section><h2>{html.escape(title)}</h2>\n<div class="wide">{content}</div></section>'


def html_table(columns: Row, rows: Iterable[Row], words: Sequence[int] = ()) -> str:
    """A table; the columns ``words`` hold sentences."""
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in columns) if any(columns) else ""
    lines = [f"<thead><tr>{head}</tr></thead>"] if head else []
    lines.append("<tbody>")
    for row in rows:
        kinds = (' class="words"' if j in words else "" for j in range(len(row)))
        cells = (f"<td{kind}>{html.escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "<table>" + "\n".join(lines) + "</tbody></table>"
