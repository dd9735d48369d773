"""The same curves from code compiled for this processor and for others: how far they differ.

    python benchmarks/processors.py [LLVM name of a processor] …

Compiling for another processor takes half a minute; one that lacks instructions of its code cannot run it.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from xrdsim import draw_prior, simulate
from xrdsim.dataset.integrity import processor
from xrdsim.dataset.store import MANTISSA_BITS, round_curves

FEATURES = "+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2"
CODE = "import sys; from processors import curves; import numpy; numpy.save(sys.argv[1], curves())"


def curves() -> np.ndarray:
    """Curves of 512 profiles of the prior."""
    return simulate(draw_prior(512, rng=np.random.default_rng(5)), fwhm=20.0).intensity


def main(names: list[str]) -> None:
    """Compare with each of the processors."""
    here = curves()
    print(f"this processor: {processor()}; {here.size} values")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "curves.npy"
            changes = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": FEATURES, "NUMBA_CACHE_DIR": folder}
            subprocess.run(
                [sys.executable, "-c", CODE, str(file)], check=True, env=os.environ | changes, cwd=Path(__file__).parent
            )
            there = np.load(file)
        rounded = np.sum(round_curves(here, MANTISSA_BITS) != round_curves(there, MANTISSA_BITS))
        largest = np.abs(there / here - 1).max()
        print(f"{name}: relative difference at most {largest:.1e}; {rounded} stored values differ")


if __name__ == "__main__":
    main(sys.argv[1:] or ["x86-64-v3", "haswell", "znver2"])
