"""A session as one JSON file: the curves themselves, all that is on the page, and the last fit.

The text depends on the session alone, so that saving what was opened gives the same bytes.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from xrdml.app.model.document import SHAPES, Document, MeasuredFile, Quantity, frozen
from xrdsim.errors import ParameterError, shown
from xrdsim.limits import LARGEST_FILE, Json
from xrdsim.profiles.spline import spline
from xrdsim.profiles.two_gaussians import TWO_GAUSSIANS

FORMAT = "xrd session"
VERSION = 1
MOST_CURVES = 12
LONGEST_NAME = 120

_TYPES: dict[str, tuple[type, ...]] = {
    "instrument": (str,),
    "background": (str,),
    "despite": (bool,),
    "kalpha2": (bool,),
    "both_sides": (bool,),
    "fitted": (bool,),
    "sloping": (bool,),
    "mask": (int, float),
    "tolerance": (int, float, type(None)),
}


def safe_name(name: str, fallback: str = "curve") -> str:
    """The last part of a path as the name of a file that may be written: no folders, no control characters."""
    last = re.split(r"[/\\]", str(name))[-1]
    plain = re.sub(r'[\x00-\x1f\x7f<>:"|?*\\]', "_", shown(last)).strip(" .")
    return plain[-LONGEST_NAME:].lstrip(" .") or fallback


def without_folders(text: str, folder: Path) -> str:
    """A message that names files of the temporary folder by their names alone."""
    return re.sub(re.escape(str(folder)) + r"/(?:[^\s/:]+/)*", "", text)


def to_text(document: Document) -> str:
    """The JSON of a document."""
    table: Json = {"format": FORMAT, "version": VERSION}
    for each in fields(Document):
        table[each.name] = getattr(document, each.name)
    table["curves"] = [_curve_to(curve) for curve in document.curves]
    table["profiles"] = {shape: _quantities_to(some) for shape, some in document.profiles.items()}
    table["cifs"] = dict(document.cifs)
    return json.dumps(table, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n"


def from_text(text: str, where: str = "session") -> Document:
    """The document of a JSON.

    Raises
    ------
    ParameterError
        It is no session, or an entry has no meaning.
    """
    try:
        table = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"{where} is no JSON of a session: {error}") from None
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise ParameterError(f"{where} is no session of this program")
    if table.get("version") != VERSION:
        raise ParameterError(f"{where} is a session of version {table.get('version')!r}; this program reads {VERSION}")
    try:
        return _document(table)
    except ParameterError as error:
        raise ParameterError(f"{where}: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ParameterError(f"{where} is incomplete or malformed: {error}") from None


def _document(table: Json) -> Document:
    curves = tuple(_curve_of(each) for each in table["curves"])
    if len(curves) > MOST_CURVES:
        raise ParameterError(f"{len(curves)} curves are more than {MOST_CURVES}")
    active = _integer(table["active"])
    if not 0 <= active < max(len(curves), 1):
        raise ParameterError(f"active = {active} is none of {len(curves)} curves")
    shape, end = table["shape"], table["end"]
    if shape not in SHAPES:
        raise ParameterError(f"shape = {shape!r} is unknown")
    coefficients = _integer(table["coefficients"])
    family = spline(coefficients, end)
    profiles = {name: frozen(_quantities_of(some)) for name, some in table["profiles"].items() if name in SHAPES}
    expected = {"two-gaussians": TWO_GAUSSIANS.all_names, "spline": family.all_names}
    for name, some in profiles.items():
        if tuple(some) != tuple(expected[name]):
            raise ParameterError(f"the unknowns of {name} must be {', '.join(expected[name])}")
    if curves and set(profiles) != set(SHAPES):
        raise ParameterError("the unknowns of the profile are missing")
    cifs = {safe_name(name): str(content) for name, content in table["cifs"].items()}
    result = table["result"]
    if result is not None and not (isinstance(result, dict) and {"shape", "profile", "verdict", "rows"} <= set(result)):
        raise ParameterError("the result has no meaning")
    return Document(
        curves=curves,
        active=active,
        shape=shape,
        coefficients=coefficients,
        end=end,
        signed=_boolean(table["signed"]),
        damage=_boolean(table["damage"]),
        profiles=frozen(profiles),
        cifs=frozen(cifs),
        result=result,
        moved=_boolean(table["moved"]),
        effort=_number(table["effort"]),
        seed=_integer(table["seed"]),
    )


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ParameterError(f"{value!r} must be a whole number")
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ParameterError(f"{value!r} must be true or false")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ParameterError(f"{value!r} must be a finite number")
    return float(value)


def _curve_to(curve: MeasuredFile) -> Json:
    table: Json = {each.name: getattr(curve, each.name) for each in fields(MeasuredFile)}
    del table["content"]
    try:
        text = curve.content.decode("utf-8")
        table["text"] = text
    except UnicodeDecodeError:
        table["base64"] = base64.b64encode(curve.content).decode("ascii")
    table["reading"], table["described"] = dict(curve.reading), dict(curve.described)
    table["reflection"] = None if curve.reflection is None else dict(curve.reflection)
    table["exclude"] = [list(pair) for pair in curve.exclude]
    table["quantities"] = _quantities_to(curve.quantities)
    return table


def _curve_of(table: Json) -> MeasuredFile:
    content = table["text"].encode() if "text" in table else base64.b64decode(table["base64"], validate=True)
    if len(content) > LARGEST_FILE:
        raise ParameterError(f"a curve of {len(content) / 1e6:.0f} MB is larger than {LARGEST_FILE / 1e6:.0f} MB")
    chosen: dict[str, Any] = {}
    for name, kinds in _TYPES.items():
        value = table[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise ParameterError(f"{name} = {value!r} has no meaning")
        chosen[name] = value
    reflection = table["reflection"]
    return MeasuredFile(
        name=safe_name(table["name"]),
        content=content,
        reading=frozen(table["reading"]),
        described=frozen(table["described"]),
        reflection=None if reflection is None else frozen(reflection),
        exclude=tuple((_number(low), _number(high)) for low, high in table["exclude"]),
        quantities=frozen(_quantities_of(table["quantities"])),
        **chosen,
    )


def _quantities_to(quantities: Mapping[str, Quantity]) -> list[Json]:
    """A list, since their order is that of the columns."""
    return [
        {"name": name, "value": each.value, "low": each.low, "high": each.high, "fit": each.fit}
        | {"prior": None if each.prior is None else list(each.prior)}
        for name, each in quantities.items()
    ]


def _quantities_of(rows: list[Json]) -> dict[str, Quantity]:
    found = {}
    for row in rows:
        prior = row["prior"]
        found[str(row["name"])] = Quantity(
            value=_number(row["value"]),
            low=_number(row["low"]),
            high=_number(row["high"]),
            fit=_boolean(row["fit"]),
            prior=None if prior is None else (_number(prior[0]), _number(prior[1])),
        )
    return found
