"""What is on the page as a command line and as a Python script, which fit the same."""

import shlex
from collections.abc import Mapping
from typing import Any

from xrdml.app.model.document import Document, MeasuredFile, Quantities
from xrdml.app.model.posing import priors_of
from xrdsim.experiment.reflection import GGG_444
from xrdsim.fit.unknowns import LINEAR
from xrdsim.limits import Json
from xrdsim.observation.shapes import KALPHA2_RATIO, shapes_of
from xrdsim.profiles.space import ParameterSpace

_RANGES = "ranges.toml"
_SAMPLE = "sample.toml"
_OF_SCALE = (*LINEAR, "background_end")


def command_line(document: Document) -> str:
    """A shell script that does with ``xrd`` what Fit does on the page; files of curves lie beside it."""
    parts, options = [], []
    ranges = _ranges(document)
    if ranges:
        parts.append(_here(_RANGES, ranges))
        options += ["--space", _RANGES]
    for name, (mean, std) in priors_of(document).items():
        options += ["--prior", f"{name}={mean!r}:{std!r}"]
    options += _shape_options(document)
    options += ["--effort", repr(document.effort)] if document.effort != 1.0 else []
    options += ["--seed", str(document.seed)] if document.seed else []
    if len(document.curves) > 1:
        parts.append(_here(_SAMPLE, _sample(document)))
        words = ["xrd", "fit", _SAMPLE]
    else:
        words = ["xrd", "fit", document.curves[0].name]
        options = [*(["--damage"] if document.damage else []), *_curve_options(document.curves[0]), *options]
    parts.append(_wrapped([*words, *options, "-o", "result"]))
    return "\n".join(parts) + "\n"


def _here(name: str, content: str) -> str:
    return f"cat > {name} <<'END'\n{content}END"


def _wrapped(words: list[str]) -> str:
    lines, line = [], ""
    for word in map(shlex.quote, words):
        if line and len(line) + len(word) > 84 and word.startswith("-"):
            lines.append(line)
            line = f"  {word}"
        else:
            line = f"{line} {word}".lstrip(" ") if not line.startswith("  ") else f"{line} {word}"
    return " \\\n".join([*lines, line])


def _held(quantities: Quantities) -> dict[str, tuple[float, float]]:
    """Limits as the fit has them: one value of what is held."""
    ends = {}
    for name, each in quantities.items():
        ends[name] = (each.low, each.high) if each.fit else (each.value, each.value)
    return ends


def _ranges(document: Document) -> str:
    """The table of ranges that are not the default ones, of two Gaussians."""
    usual = ParameterSpace().with_damage()
    default = {name: (low, high) for name, low, high in zip(usual.names, usual.low, usual.high, strict=True)}
    lines = []
    for name, (low, high) in _held(_two_gaussians(document)).items():
        if (low, high) != default[name]:
            lines.append(f"{name} = [{low!r}, {high!r}]" if low < high else f"{name} = {low!r}")
    return "".join(f"{line}\n" for line in ["[ranges]", *lines]) if lines else ""


def _shape_options(document: Document) -> list[str]:
    if document.shape != "spline":
        return []
    depth = document.profile["L"]
    options = ["--profile", "spline", "--end", document.end, *(["--signed"] if document.signed else [])]
    return options + ([] if depth.fit else ["--depth", repr(depth.value)])


def _curve_options(curve: MeasuredFile) -> list[str]:
    """Options of one curve, without those that have the default."""
    options: list[str] = []
    for name, value in (curve.reflection or {}).items():
        given = _joined(value) if isinstance(value, list) else str(value)
        options.append(f"--{name}={given}")
    if curve.despite:
        options.append("--despite-file")
    for name, value in curve.reading.items():
        given = _joined(value) if isinstance(value, list) else str(value)
        options += [f"--{name.replace('_', '-')}", given]
    if "convention" in curve.described:
        options += ["--convention", str(curve.described["convention"])]
    if curve.instrument != "auto":
        options += ["--instrument", curve.instrument]
    if curve.kalpha2:
        options.append("--kalpha2")
    if curve.mask:
        options += ["--mask", repr(curve.mask)]
    if not curve.both_sides:
        options.append("--expanded-side")
    for low, high in curve.exclude:
        options.append(f"--exclude={low!r}:{high!r}")
    for name, (low, high) in _limits(curve).items():
        text = f"{low!r}:{high!r}" if low < high else repr(low)
        options += [f"--{name}={text}"] if name in ("fwhm", "zero") else ["--shape", f"{name}={text}"]
    for name, at in _linear(curve).items():
        options.append(f"--{name}={at if isinstance(at, str) else repr(at)}")
    return options


def _joined(values: list[Any]) -> str:
    return ",".join(map(str, values))


def _limits(curve: MeasuredFile) -> dict[str, tuple[float, float]]:
    """Limits of zero and instrument, without those that are the default ones."""
    usual: dict[str, tuple[float, float]] = {}
    if curve.reflection is None:
        usual = {each.name: each.limits for each in shapes_of(curve.instrument, GGG_444)[0].parameters}
    ends = {name: each for name, each in _held(curve.quantities).items() if name not in _OF_SCALE}
    return {name: each for name, each in ends.items() if each != usual.get(name)}


def _linear(curve: MeasuredFile) -> dict[str, float | str]:
    """Scale and background: values at which they are held, or the shape of the latter where one was chosen."""
    found: dict[str, float | str] = {
        name: each.value for name, each in curve.quantities.items() if name in LINEAR and not each.fit
    }
    if "background" not in found and curve.background != "auto":
        found["background"] = curve.background
    return found


def _preparing(curve: MeasuredFile) -> Json:
    """Instrument and points of one curve by the names that the fit has for them, without those that are the default."""
    found: Json = {}
    if curve.instrument != "auto":
        found["instrument"] = curve.instrument
    if curve.kalpha2:
        found["kalpha2"] = KALPHA2_RATIO
    if curve.mask:
        found["mask"] = curve.mask
    if not curve.both_sides:
        found["both_sides"] = False
    return found


def _sample(document: Document) -> str:
    """The list of several curves."""
    lines = [f"damage = {_toml(document.damage)}", ""]
    for curve in document.curves:
        table: Json = {"file": curve.name}
        table |= dict(curve.reflection or {"crystal": "GGG", "hkl": [4, 4, 4]})
        table |= dict(curve.reading) | dict(curve.described)
        if curve.despite:
            table["despite_file"] = True
        table |= _preparing(curve)
        if curve.exclude:
            table["exclude"] = [list(pair) for pair in curve.exclude]
        if not curve.fitted:
            table["fit"] = False
        table |= {name: list(ends) for name, ends in _limits(curve).items()} | _linear(curve)
        lines += ["[[curves]]", *(f"{name} = {_toml(value)}" for name, value in table.items()), ""]
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"'
    return repr(value)


def python_script(document: Document, linear: Mapping[str, float]) -> str:
    """A script that fits as the page does, and has the values on the page, scales and backgrounds as they are drawn."""
    several = len(document.curves) > 1
    lines = ['"""A fit that was set up on the page of `xrd app`; the files of the curves lie beside this one."""', ""]
    lines += ["import xrdml", "import xrdsim"]
    lines += (
        ["from xrdsim.fit.sample import read_sample_toml", "from xrdsim.fit.series import fit_sample"]
        if several
        else []
    )
    lines += ["from xrdsim.fit.judgement.stated import Claim"] if not several and document.curves[0].reflection else []
    lines += ["from xrdsim.profiles.space import ParameterSpace", ""]
    low, high = zip(*_held(_two_gaussians(document)).values(), strict=True)
    lines += [f"space = ParameterSpace({_tuple(low)}, {_tuple(high)})"]
    keywords = {"space": "space", "starts": "xrdml.NetworkStarts()"}
    if document.shape == "spline":
        depth = document.profile["L"]
        chosen = f"end={document.end!r}, signed={document.signed}"
        chosen += "" if depth.fit else f", depth={depth.value!r}"
        keywords |= {"profile": '"spline"', "spline": f"xrdsim.fit.Freeform({chosen})"}
    keywords |= {"effort": repr(document.effort)} if document.effort != 1.0 else {}
    keywords |= {"seed": str(document.seed)} if document.seed else {}
    priors = priors_of(document)
    if several:
        lines += [
            f"sample = {_SAMPLE!r}",
            "with open(sample, 'w', encoding='utf-8') as file:",
            f"    file.write({_sample(document)!r})",
        ]
        keywords |= {"priors": repr(priors)} if priors else {}
        call, first = "fit_sample", "read_sample_toml(sample)"
    else:
        keywords |= {"prior": repr(priors)} if priors else {}
        keywords |= _python_curve(document)
        call, first = "xrdsim.fit.fit", repr(document.curves[0].name)
        if document.curves[0].reflection:
            claim = f"Claim(table={dict(document.curves[0].reflection)!r}, despite={document.curves[0].despite})"
            lines += [f"curve, experiment = {claim}.read({', '.join([first, *_reading(document.curves[0])])})"]
            first, keywords["experiment"] = "curve", "experiment"
    lines += [f"fit = {call}(", f"    {first},", *(f"    {name}={value}," for name, value in keywords.items()), ")"]
    lines += ["fit.save('result', html=True)", "print(fit.verdict, fit.reason)", ""]
    table = {name: document[name].value for name in document.names()} | dict(linear)
    lines += [
        "# the values on the page",
        "on_page = {",
        *(f"    {name!r}: {value!r}," for name, value in table.items()),
        "}",
    ]
    if document.shape == "two-gaussians" and not any(each.reflection for each in document.curves):
        values = _tuple(each.value for each in document.profile.values())
        lines += [f"curves = xrdsim.simulate([{values[1:-1]}], space=space)  # reflectivity of GGG 444"]
    return "\n".join(lines) + "\n"


def _two_gaussians(document: Document) -> Quantities:
    rows = document.profiles["two-gaussians"]
    return {name: each for name, each in rows.items() if document.damage or name not in ("kappa", "p")}


def _tuple(values: Any) -> str:
    return f"({', '.join(map(repr, values))})"


def _reading(curve: MeasuredFile) -> list[str]:
    return [f"{name}={value!r}" for name, value in curve.reading.items()]


def _python_curve(document: Document) -> dict[str, str]:
    """Arguments of ``xrdsim.fit.fit`` for the only curve."""
    curve = document.curves[0]
    found: dict[str, object] = {}
    limits = _limits(curve)
    found |= {name: limits.pop(name) for name in ("fwhm", "zero") if name in limits}
    found |= {"shape": limits} if limits else {}
    found |= _linear(curve)
    found |= _preparing(curve)
    if curve.exclude:
        found["exclude"] = curve.exclude
    if not curve.reflection:
        found |= dict(curve.reading)
    if document.damage:
        found["damage"] = True
    return {name: repr(value) for name, value in found.items()}
