"""Hostile input: options out of range, damaged and monstrous files, odd names, terminals and disks, as real processes.

    python benchmarks/hostile.py [words …]        only the lines of hostile.txt that hold one of the words

Every line is a run of `xrd` in a folder of its own, two at a time. It fails if the exit code is not the expected one,
the output holds a traceback or the words of an unexpected error, it runs longer than 30 s or takes more than 2 GB of
memory, or a refused command leaves a file behind. Failures are listed; the exit code is 1 if there are any.
"""

import gzip
import io
import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

SECONDS, MEMORY = 30.0, 2e9
FULL = os.open("/dev/full", os.O_WRONLY)
NAMES = ("Dmax1", "D01", "L1", "Rp1", "D02", "L2", "Rp2")
SAMPLE = dict(zip(NAMES, (0.0113, 0.0016, 5400.0, 3300.0, 0.0042, 3600.0, -300.0), strict=True))
P = [part for name, value in SAMPLE.items() for part in ("--param", f"{name}={value}")]
S = ["simulate", *P]
REFLECTION = {
    "crystal": '"GGG"',
    "lattice": "12.383",
    "hkl": "[4, 4, 4]",
    "wavelength": "1.54056",
    "source": '"test"',
    "chi0": "[-3.68946e-5, 3.595136e-6]",
    "chih": "[-12.66065e-6, 3.26115e-6]",
}
CODES = {"refused": (1, 2), "done": (0,), "either": (0, 1, 2)}


def toml(table, **changes):
    return f"[{table}]\n" + "\n".join(f"{key} = {value}" for key, value in (REFLECTION | changes).items())


def film(**changes):
    values = {"crystal": '"YIG"', "lattice": "12.376", "thickness": "31500.0", "chi0": "[-3.03e-5, 2e-6]"}
    values |= {"chih": "[-8.9e-6, 8e-7]", "source": '"test"'} | changes
    return toml("reflection") + "\n[reflection.film]\n" + "\n".join(f"{key} = {value}" for key, value in values.items())


def archive(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, content in members.items():
            with file.open(name, "w", force_zip64=True) as member:
                for part in content:
                    member.write(part)
    return buffer.getvalue()


def build(folder):
    """All files that the cases read; the folder of a good curve and a small dataset."""
    angle = -80.0 + 4.0 * np.arange(401)
    curve = (
        1e5 * np.exp(-4 * np.log(2) * (angle / 40.0) ** 2) + 60.0 + 300.0 * np.exp(-(((angle - 700.0) / 300.0) ** 2))
    )
    good = "".join(f"{x:.3f} {y:.1f}\n" for x, y in zip(angle, curve, strict=True))

    def put(name, content):
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def changed(row, text):
        lines = good.splitlines()
        lines[row] = text
        return "\n".join(lines)

    put("good.xy", good)
    put("reversed.xy", "\n".join(reversed(good.splitlines())))
    put("empty.xy", "")
    put("binary.xy", bytes(range(256)) * 40)
    put("nuls.xy", b"\0" * 5_000_000)
    put("controls.xy", "\x1b[31mred\x07\x00\n" + good)
    put("controls_line.xy", changed(30, "0.5 \x1b[2Jx\x07"))
    put("huge_value.xy", changed(100, f"{angle[100]} 1e308"))
    put("huge_angle.xy", changed(400, "1e300 5"))
    put("nan.xy", changed(50, f"{angle[50]} nan"))
    put("negative.xy", changed(50, f"{angle[50]} -5"))
    put("fine.xy", "".join(f"{i * 1e-7:.7f} {y:.1f}\n" for i, y in enumerate(curve)))
    put("one_column.xy", "".join(f"{y:.1f}\n" for y in curve))
    put("long_line.xy", "1 " * 2_000_000)
    put("many_columns.xy", ("1 2 3 4 5 6 7 8 9\n") * 100)
    put("flat.xy", "".join(f"{x} 5\n" for x in angle))
    put("latin.xy", b"# \xe9\xe8\n" + good.encode())
    put("zeros.xy", "".join(f"{x} 0\n" for x in angle))
    with (folder / "sparse.xy").open("wb") as file:  # a gigabyte of NULs
        file.truncate(10**9)
    put("half.xrdml", "<xrdMeasurements><xrdMeasurement>")
    put(
        "entities.xrdml",
        '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
        + "".join(f'<!ENTITY a{i} "{f"&a{i - 1 if i else str()};" * 10}">' for i in range(9))
        + "]><xrdMeasurements>&a8;</xrdMeasurements>",
    )
    put("deep.xrdml", "<a>" * 100_000)
    put("half.ras", "*RAS_DATA_START\n*RAS_HEADER_START\n")
    zeros = (b"0" * 1_000_000 for _ in range(3000))
    put("bomb.brml", archive({"Experiment0/RawData0.xml": zeros}))
    xml = '<RawData><DataRoutes><DataRoute RouteFlag="Measured"><DataViews><RawDataView Start="1e12" Length="1" '
    xml += 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="RecordedRawDataView"/>'
    xml += '<RawDataView Start="0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="VaryingRawDataView">'
    xml += '<Varying><FieldDefinitions AxisId="Theta"/></Varying></RawDataView>'
    xml += "</DataViews></DataRoute></DataRoutes></RawData>"
    put("start.brml", archive({"Experiment0/RawData0.xml": [xml.encode()]}))
    put("not.brml", good)
    put("gzip.brml", gzip.compress(good.encode()))
    for name, text in {
        "binary": bytes(range(256)),
        "lattice_inf": toml("reflection", lattice="inf"),
        "lattice_0": toml("reflection", lattice="0"),
        "chi_nan": toml("reflection", chi0="[nan, 1.0]"),
        "chi_one": toml("reflection", chi0="[1.0]"),
        "chih_inf": toml("reflection", chih="[inf, 1.0]"),
        "hkl_text": toml("reflection", hkl='"444"'),
        "hkl_two": toml("reflection", hkl="[4, 4]"),
        "hkl_half": toml("reflection", hkl="[4.5, 4, 4]"),
        "hkl_huge": toml("reflection", hkl="[1000000000000, 0, 0]"),
        "hkl_0": toml("reflection", hkl="[0, 0, 0]"),
        "wavelength": toml("reflection", wavelength="-1.5"),
        "wavelength_text": toml("reflection", wavelength='"1.5"'),
        "unknown": toml("reflection", colour='"red"'),
        "film_thick": film(thickness="1e12"),
        "film_nan": film(lattice="nan"),
        "film_lattice": film(lattice="2.376", thickness="1e4"),
        "film_text": film(thickness='"thick"'),
        "no_table": "x = 1",
        "deep": "x = " + "[" * 5000,
        "film_thin": film(thickness="10.0"),
    }.items():
        put(f"r_{name}.toml", text)
    for name, text in {
        "points_1e8": "points = 100000000",
        "points_1e20": "points = 100000000000000000000",
        "points_0": "points = 0",
        "points_half": "points = 7.5",
        "points_text": 'points = "7"',
        "step_small": "points = 701\nstep = 1e-12",
        "step_large": "points = 701\nstep = 1e12",
        "step_nan": "points = 701\nstep = nan",
        "start_inf": "start = inf\npoints = 5",
    }.items():
        lines = {"start": "start = -80.0", "step": "step = 4.0"}
        body = [line for key, line in lines.items() if f"{key} =" not in text]
        put(f"s_{name}.toml", "[scan]\n" + "\n".join([*body, text]))
    for name, text in {
        "long": "[ranges]\nL1 = [500.0, 1e9]",
        "order": "[ranges]\nL1 = [5.0, 1.0]",
        "unknown": "[ranges]\nx = 1.0",
        "nan": "[ranges]\nDmax1 = nan",
        "deep": "x = " + "[" * 5000,
        "strain": "[ranges]\nDmax1 = [0.001, 1e6]",
        "tie": '[ties]\nL2 = "Rp2"',
        "self": '[ties]\nL2 = "L2"',
        "sum": "[constraints]\nstrain_sum = -1.0",
        "text": '[ranges]\nL1 = "long"',
        "binary": bytes(range(256)),
        "list": "[ranges]\nL1 = [1.0, 2.0, 3.0]",
    }.items():
        put(f"space_{name}.toml", text)
    for name, values in {
        "rp2": SAMPLE | {"Rp2": 5.0},
        "negative": SAMPLE | {"Dmax1": -1.0},
        "huge": SAMPLE | {"L1": 1e308},
        "unknown": SAMPLE | {"colour": 1.0},
        "text": SAMPLE | {"L1": "x"},
        "missing": {"Dmax1": 0.01},
        "list": [1, 2],
        "null": SAMPLE | {"L1": None},
        "good": SAMPLE,
    }.items():
        put(f"j_{name}.json", json.dumps(values))
    put("j_deep.json", "[" * 100_000)
    put("j_binary.json", bytes(range(256)))
    put("params_header.csv", "a,b\n1,2\n")
    put("params_words.csv", ",".join(NAMES) + "\n" + ",".join(["x"] * 7) + "\n")
    put("params_short.csv", ",".join(NAMES) + "\n1,2\n")
    put("params_nan.csv", ",".join(NAMES) + "\n" + ",".join(["nan"] * 7) + "\n")
    put("params_binary.csv", bytes(range(256)))
    put("weights_short.npy", np.ones(3).tobytes())
    np.save(folder / "weights_nan.npy", np.full(7, np.nan))
    np.save(folder / "weights_pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    (folder / "card").mkdir()
    put("card/model.json", "[" * 100_000)
    (folder / "file").write_text("a file where a folder should be")
    os.makedirs(folder / "directory.npz")
    for command in (
        ["gen", "-n", "64", "--test-rows", "16", "--sampler", "sobol", "-o", "d.zarr", "--rtol-dex", "1e-2"],
    ):
        subprocess.run([sys.executable, "-m", "xrdml", *command], cwd=folder, check=True, capture_output=True)


def cases(folder):
    """Line, arguments, expected exit codes, environment, whether the disk is full and whether files may be left."""
    odd, accented = folder / os.fsdecode(b"odd\xff\xfename.xy"), folder / "Мессung é.xy"
    for path in (odd, accented):
        path.write_bytes((folder / "good.xy").read_bytes())
    codes = CODES["refused"]
    for line in (Path(__file__).parent / "hostile.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            codes = CODES[line.strip("[]")]
        if not line or line[0] in "#[":
            continue
        words = shlex.split(line.removeprefix("+ "))
        number = next(i for i, word in enumerate(words) if not re.match("[A-Z_0-9]+=", word))
        environment = dict(word.split("=", 1) for word in words[:number])
        arguments = []
        for word in words[number:]:
            if word == "{S}":
                arguments += S
            elif word != ">full":
                replaced = word.replace("{f}", str(folder)).replace("{accented}", str(accented))
                arguments.append(replaced.replace("{odd}", str(odd)))
        yield line, arguments, codes, environment, ">full" in words, line.startswith("+ ")


def attempt(case, root):
    """What is wrong with a case, nothing if all is well; seconds and bytes."""
    _, arguments, codes, environment, disk_full, may_leave = case
    folder = Path(tempfile.mkdtemp(dir=root))
    output = tempfile.TemporaryFile(dir=root)  # noqa: SIM115

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (16 * 2**30, 16 * 2**30))

    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "xrdml", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=FULL if disk_full else output,
        stderr=output,
        env=os.environ | environment,
        start_new_session=True,
        preexec_fn=limit,
    )
    timer = threading.Timer(SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    seconds, memory = time.perf_counter() - begun, usage.ru_maxrss * 1024
    with output:
        output.seek(0)
        text = output.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    wrong = []
    if seconds >= SECONDS:
        wrong.append("hangs")
    elif code not in codes:
        wrong.append(f"exit code {code}")
    if "Traceback" in text or "unexpected" in text or "Exception ignored" in text:
        wrong.append("traceback")
    if memory > MEMORY:
        wrong.append(f"{memory / 1e9:.1f} GB")
    left = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    if code in CODES["refused"] and left and not may_leave:
        wrong.append(f"leaves {', '.join(left[:3])}")
    if any(ord(c) < 32 and c not in "\n\r\t" for c in text):
        wrong.append("control characters")
    last = text.strip().splitlines()[-1][:150] if text.strip() else "no word"
    if code in CODES["refused"] and not text.strip():
        wrong.append("no word")
    return ", ".join(wrong), seconds, memory, last


def main(words):
    with tempfile.TemporaryDirectory() as root:
        inputs = Path(root) / "inputs"
        inputs.mkdir()
        build(inputs)
        chosen = [case for case in cases(inputs) if not words or any(word in case[0] for word in words)]
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda case: attempt(case, root), chosen))
    failed = [(case[0], *result) for case, result in zip(chosen, results, strict=True) if result[0]]
    for name, wrong, seconds, _, last in failed:
        print(f"{name:70s} {wrong:28s} {seconds:5.1f} s  {last}")
    if words and not failed:
        for case, result in zip(chosen, results, strict=True):
            print(f"{case[0]:70s} {result[1]:5.1f} s  {result[3]}")
    most, longest = max(result[2] for result in results) / 1e9, max(result[1] for result in results)
    print(f"{len(chosen)} cases, {len(failed)} failed; at most {longest:.1f} s and {most:.2f} GB")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
