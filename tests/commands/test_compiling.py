"""The first use of kernels says that they are compiled; later ones do not, and commands load no more than they need."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import xrdsim

SCRIPT = """
from xrdsim import compiling
compiling.listeners.append(lambda count, seconds: print("compiling", count))
from xrdsim._jit import jit
from xrdsim.profiles.two_gaussians import TwoGaussians
import numpy as np
TwoGaussians().depth_end(np.array([0.0113, 0.0016, 5400.0, 3300.0, 0.0042, 3600.0, -300.0]))
print("done", compiling.count() > 0)
"""
LIGHT = """
import sys
import xrdml.training.train, xrdml.inference.prediction, xrdsim.fit.report.page
print(sorted({"distributed", "scipy.stats"} & set(sys.modules)))
"""


def run(script, folder=None, **environment):
    command, environment = [sys.executable, "-c", script], os.environ | environment
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=folder)
    return told.stdout.splitlines()


def test_only_the_first_use_compiles(tmp_path):
    first, second = (run(SCRIPT, XDG_CACHE_HOME=str(tmp_path), NUMBA_CACHE_DIR="") for _ in range(2))
    assert first[0] == "compiling 1"
    assert first[-1] == "done True"
    assert second == ["done False"]


def test_a_copy_of_the_package_does_not_compile_again(tmp_path):
    kept = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "NUMBA_CACHE_DIR": ""}
    run(SCRIPT, **kept)
    shutil.copytree(Path(xrdsim.__file__).parent, tmp_path / "xrdsim")
    told = run(f"{SCRIPT}import xrdsim; print(xrdsim.__file__)", tmp_path, **kept)
    assert told == ["done False", str(tmp_path / "xrdsim" / "__init__.py")]


def test_training_and_prediction_load_no_cluster():
    assert run(LIGHT) == ["[]"]
