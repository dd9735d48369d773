"""Rows of the table of unknowns: what each is called, its limits, and what the last fit says of it."""

from xrdml.app.model.document import Document, Quantity, suffix
from xrdml.app.model.numbers import number_of, written
from xrdml.app.model.posing import Posed, profile_of
from xrdsim.errors import ParameterError
from xrdsim.fit.report.tables import words
from xrdsim.fit.unknowns import END
from xrdsim.limits import Json

_GROUND = {
    "scale": "intensity at reflectivity 1",
    "background": "intensity without the sample's reflection",
    END: "background at the last angle; that at the first is above",
}


def rows_of(document: Document, posed: Posed) -> list[Json]:
    """Rows of the profile, then of the curve that is shown."""
    table = {each.name: each for each in profile_of(document).table}
    rows = []
    for name, quantity in document.profile.items():
        each = table[name]
        rows.append(_row(document, name, quantity, ("profile", each.unit, each.doc, name), each.kind == "strain"))
    number = document.active
    measured = posed.given.measurements[number]
    docs = {each.name: each for each in measured.instrument.parameters}
    for name, quantity in document.curves[number].quantities.items():
        unit = "intensity" if name in _GROUND else docs[name].unit if name in docs else "arcsec"
        doc = _GROUND.get(name) or (docs[name].doc if name in docs else "angle at which the substrate peak appears")
        about = ("measurement", unit, doc, words(name))
        rows.append(_row(document, name + suffix(number), quantity, about, False))
    return rows


def _row(document: Document, name: str, quantity: Quantity, about: tuple[str, str, str, str], strain: bool) -> Json:
    group, unit, doc, label = about
    factor = 100.0 if strain else 1.0
    told = (document.result or {}).get("rows", {}).get(name)
    prior = "" if quantity.prior is None else " ± ".join(written(factor * each) for each in quantity.prior)
    return {
        "name": name,
        "group": group,
        "label": label,
        "unit": "%" if strain else {"arcsec": "″", "1": "", "intensity": ""}.get(unit, unit),
        "doc": doc,
        "factor": factor,
        "value": quantity.value,
        "low": quantity.low,
        "high": quantity.high,
        "log": unit == "intensity" or (quantity.low > 0.0 and quantity.high / quantity.low > 1e3),
        "fit": quantity.fit,
        "solved": unit == "intensity" and quantity.fit,
        "has_prior": unit != "intensity",
        "prior": prior,
        "interval": "" if told is None else told["interval"],
        "std": "" if told is None else told["std_text"],
        "remark": "" if told is None else told["remark"],
        "determined": True if told is None else told["determined"],
    }


def prior_of(text: str, factor: float) -> tuple[float, float] | None:
    """Mean and standard deviation from ``5200 ± 100``, None from nothing.

    Raises
    ------
    ParameterError
        Another form.
    """
    plain = text.strip()
    if plain in ("", "—", "-"):
        return None
    for sign in ("±", "+-", "+/-", ":", ";"):
        if sign in plain:
            mean, _, std = plain.partition(sign)
            return number_of(mean, "the mean") / factor, number_of(std, "the standard deviation") / factor
    raise ParameterError(f"a prior {plain[:40]!r} must be mean ± standard deviation, such as 5200 ± 100")
