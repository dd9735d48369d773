"""Reading in a process of its own, for formats whose library may crash or never end on a damaged file.

The process gets the bytes of the file and answers with JSON; nothing that it says is run.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import numpy as np

from xrdsim.curves.columns import Columns, Floats, Scans, Unreadable, refuse
from xrdsim.curves.stated import Stated
from xrdsim.errors import CurveError

_MOST_SECONDS = 20.0
_ARRAYS = ("angle", "intensity", "line", "per_count")


def isolated(module: str, function: str, data: bytes, source: str, damaged: str) -> Scans:
    """Scans that a function of a module reads from the bytes of a file.

    Parameters
    ----------
    module, function : of bytes and source; it returns scans or raises ``CurveError``.
    data, source : content of the file, and how it is named in messages.
    damaged : what is said where the process crashes or does not end.
    """
    code = f"from xrdsim.curves.isolated import answer; from {module} import {function}; answer({function})"
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONUTF8": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, source],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_MOST_SECONDS,
            env=environment,
            check=True,
        )
        told = json.loads(done.stdout)
    except (subprocess.SubprocessError, OSError, ValueError):
        refuse(source, damaged)
    if "error" in told:
        raise CurveError(told["error"])
    return [_scan(each) for each in told["scans"]]


def answer(read: Any) -> None:
    """Read what comes on the standard input, and say on the standard output what it holds."""
    try:
        told: Any = {"scans": [_plain(scan) for scan in read(sys.stdin.buffer.read(), sys.argv[1])]}
    except CurveError as error:
        told = {"error": str(error)}
    sys.stdout.write(json.dumps(told))


def _plain(scan: Columns | Unreadable) -> dict[str, Any]:
    if isinstance(scan, Unreadable):
        return {"number": scan.number, "error": str(scan.error)}
    told = {name: value for name, value in vars(scan).items() if name not in ("stated", "drives")}
    for name in _ARRAYS:
        told[name] = None if told[name] is None else told[name].tolist()
    drives = {name: values.tolist() for name, values in scan.drives.items()}
    return told | {"stated": asdict(scan.stated), "drives": drives}


def _scan(told: dict[str, Any]) -> Columns | Unreadable:
    if "error" in told:
        return Unreadable(told["number"], CurveError(told["error"]))
    stated = told.pop("stated")
    stated["hkl"] = None if stated["hkl"] is None else tuple(stated["hkl"])
    drives: dict[str, Floats] = {name: np.array(values, np.float64) for name, values in told.pop("drives").items()}
    for name in _ARRAYS:
        kind = np.int64 if name == "line" else np.float64
        told[name] = None if told[name] is None else np.array(told[name], kind)
    told["remarks"] = tuple(told["remarks"])
    return Columns(**told, stated=Stated(**stated), drives=drives)
