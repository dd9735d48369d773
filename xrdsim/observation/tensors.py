"""Curves as an instrument of any shape shows them, as tensors that stay on the card: ``Observer.curves`` in torch.

The multiplier is made on the processor, which knows its formulas, and applied where the curves are.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrdsim.forward import tensors
from xrdsim.forward.simulator import Seen
from xrdsim.observation.observer import ENDS, Observer, parts
from xrdsim.observation.tails import core_of, multiplier

if TYPE_CHECKING:
    from xrdsim.forward.tensors import Tensor


def curves(observer: Observer, rows: NDArray[np.float64], own: NDArray[np.float64]) -> "Tensor":
    """Unscaled intensity (n, angle), in double precision, of rows (n, p) with zero and the instrument's parameters."""
    core = core_of(observer.instrument, own[:, 1:])
    seen = Seen.unscaled(core, own[:, 0])
    if observer.instrument.plain:
        return tensors.intensity(observer.simulator, rows, seen, "float64")
    import torch

    grid = observer.grid(float(core.min()))
    smooth = tensors.intensity(replace(observer.simulator, scan=grid.scan), rows, seen, "float64")
    out = smooth.new_empty((len(rows), grid.points))
    for some in parts(len(rows)):
        factor, _ = multiplier(observer.instrument, own[some, 1:], grid.scan.step, grid.length)
        values = smooth[some]
        whole = values.new_empty((len(values), grid.length))
        whole[:, : grid.scan.points] = values
        whole[:, grid.scan.points : grid.turn] = values[:, -ENDS:].mean(dim=1, keepdim=True)
        whole[:, grid.turn :] = values[:, :ENDS].mean(dim=1, keepdim=True)
        seen_through = torch.fft.rfft(whole) * tensors.tensor(factor, observer.simulator.device)
        out[some] = torch.fft.irfft(seen_through, grid.length)[:, grid.inside]
    return out
