"""Error against time per curve: midpoint layers, the steps, and the same steps by the Magnus method.

    python benchmarks/steps.py docs/steps.png

The fourth-order Magnus method has sin φ/φ where the step has 3 j₁(φ)/φ. It runs in another process, on a copy of the
package with that one factor replaced; it does the same operations, and is drawn at the same times.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import xrdsim
from xrdsim.benchmark.figures import step_figure
from xrdsim.benchmark.throughput import StepCost, measure_steps
from xrdsim.plotting import save_figure

STEP = ("n_re = d_re * s_re - d_im * s_im", "n_im = d_re * s_im + d_im * s_re")
MAGNUS = ("n_re = (q_re * s_re - q_im * s_im) / -six", "n_im = (q_re * s_im + q_im * s_re) / -six")
ROUNDS = 8
MEASURE = (
    "import json; from dataclasses import asdict; from xrdsim.benchmark.throughput import measure_steps; "
    "print(json.dumps([asdict(cost) for cost in measure_steps(seconds=0.0)]))"
)


def with_magnus(folder):
    """Copy the package into a folder and replace the factor."""
    copy = Path(folder) / "xrdsim"
    shutil.copytree(Path(xrdsim.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    source = copy / "kernels" / "step.py"
    text = source.read_text(encoding="utf-8")
    for ours, other in zip(STEP, MAGNUS, strict=True):
        assert text.count(ours) == 1, f"{ours!r} is not in step.py"
        text = text.replace(ours, other)
    source.write_text(text, encoding="utf-8")


def magnus_costs():
    """Costs of the continuum's steps by the Magnus method."""
    with tempfile.TemporaryDirectory() as folder:
        with_magnus(folder)
        done = subprocess.run([sys.executable, "-c", MEASURE], cwd=folder, capture_output=True, text=True, check=True)
    costs = [StepCost(**cost) for cost in json.loads(done.stdout)]
    return [cost for cost in costs if cost.layers is None]


def main(path):
    rounds = [measure_steps() for _ in range(ROUNDS)]
    costs = [replace(same[0], ms_per_curve=min(c.ms_per_curve for c in same)) for same in zip(*rounds, strict=True)]
    ours = [cost for cost in costs if cost.layers is None]
    magnus = [replace(m, ms_per_curve=cost.ms_per_curve) for m, cost in zip(magnus_costs(), ours, strict=True)]
    figure = step_figure(costs)
    axes = figure.axes[0]
    time = [cost.ms_per_curve for cost in magnus]
    error = [cost.error for cost in magnus]
    axes.plot(time, error, "s--", ms=4, lw=1.2, color="#047857", label="the same steps by Magnus")
    axes.vlines(time, error, [cost.worst_error for cost in magnus], color="#047857", lw=1.0)
    axes.legend(frameon=False)
    save_figure(figure, path)
    for name, row in [("", cost) for cost in costs] + [("Magnus", cost) for cost in magnus]:
        what = f"{row.rtol_dex:.0e}" if row.layers is None else f"{row.layers:g} Å"
        print(f"{name:6s} {what:>8s} {row.ms_per_curve:7.3f} ms {row.error:8.1e} {row.worst_error:8.1e}")


if __name__ == "__main__":
    main(sys.argv[1])
