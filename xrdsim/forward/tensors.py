"""Curves and derivatives as tensors of torch, which stay where they were computed.

On the card the kernels write them into memory of torch: no way leads through the host. What torch had begun when it
gave this memory away is waited for first, and the results are complete when they are returned, so that any stream may
read them. ``torch`` is imported only when tensors are asked for.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import DeviceError, ParameterError
from xrdsim.forward import card
from xrdsim.forward import cuda as cards
from xrdsim.forward.simulator import NUISANCES, Seen, Simulator
from xrdsim.units import FWHM_TO_SIGMA

if TYPE_CHECKING:
    from torch import Tensor as Tensor

Array = NDArray[np.float64]

OUTPUTS = ("numpy", "torch")


def check_output(output: str, device: str) -> None:
    """Check that results can be had as ``numpy`` or ``torch`` has them.

    Raises
    ------
    ParameterError
        Another output.
    DeviceError
        PyTorch does not see the card.
    """
    if output not in OUTPUTS:
        raise ParameterError(f"output {output!r} is unknown; choose {' or '.join(OUTPUTS)}")
    if output == "torch" and device == "cuda" and not card.simulated():
        import torch

        if not torch.cuda.is_available():
            raise DeviceError("output 'torch' on device 'cuda' needs a PyTorch that sees the card; use output 'numpy'")


def curves(simulator: Simulator, rows: Array, seen: Seen) -> tuple["Tensor", "Tensor"]:
    """Reflectivity and measured intensity, (n, angle) each, in double precision, of rows (n, p)."""
    if simulator.device != "cuda":
        reflectivity, intensity = simulator.curves(rows, seen)
        return tensor(reflectivity, "cpu"), tensor(intensity, "cpu")
    at_nodes, measured = _room(len(rows), simulator.scan.points), _room(len(rows), simulator.scan.points)
    simulator.fill(rows, seen, at_nodes, measured)
    return at_nodes, measured


def intensity(simulator: Simulator, rows: Array, seen: Seen, precision: str = "float32") -> "Tensor":
    """Measured intensity (n, angle) alone, of a precision of torch: what a network learns from."""
    import torch

    if simulator.device != "cuda":
        return tensor(simulator.curves(rows, seen)[1], "cpu").to(getattr(torch, precision))
    measured = _room(len(rows), simulator.scan.points, precision=precision)
    simulator.fill(rows, seen, None, measured)
    return measured


def linearize(
    simulator: Simulator, rows: Array, seen: Seen, nuisances: tuple[str, ...]
) -> tuple["Tensor", "Tensor", "Tensor"]:
    """Reflectivity and intensity (n, angle), and derivatives (n, k, angle), as of ``Simulator.linearize``."""
    if simulator.device != "cuda":
        found = simulator.linearize(rows, seen, nuisances)
        return tensor(found[0], "cpu"), tensor(found[1], "cpu"), tensor(found[2], "cpu")
    (n, size), points = rows.shape, simulator.scan.points
    reflectivity, unscaled, slope = _room(n, points), _room(n, points), _room(n, size + len(nuisances), points)
    codes = np.array([NUISANCES[name] for name in nuisances], dtype=np.int64)
    cards.linearize(list(simulator.tasks(rows, seen, derivatives=True)), codes, reflectivity, unscaled, slope)
    if "fwhm" in nuisances:
        slope[:, size + nuisances.index("fwhm")] *= FWHM_TO_SIGMA
    scale, background = (tensor(each[:, None], "cuda") for each in (seen.scale, seen.background))
    return reflectivity, scale * unscaled + background, slope


def rounded(curves: "Tensor", bits: int) -> "Tensor":
    """Curves of single precision with these bits of the mantissa, 1 to 23, in their place."""
    import torch

    if dropped := 23 - bits:
        words = curves.view(torch.int32)
        words += ((1 << (dropped - 1)) - 1) + ((words >> dropped) & 1)  # to even
        words &= ~((1 << dropped) - 1)
    return curves


def tensor(values: NDArray[Any], device: str) -> "Tensor":
    """An array as a tensor where the results of a device are; on the processor without a copy."""
    import torch

    return torch.from_numpy(values).to(place(device))


def place(device: str) -> str:
    """Where torch has the results of a device: the simulator's are on the processor."""
    if device != "cuda" or card.simulated():
        return "cpu"
    return f"cuda:{card.number()}"


def _room(*shape: int, precision: str = "float64") -> "Tensor":
    """Memory of torch on the card, that nothing uses which torch has begun."""
    import torch

    where = place("cuda")
    room = torch.empty(shape, dtype=getattr(torch, precision), device=where)
    if where != "cpu":
        torch.cuda.current_stream(where).synchronize()
    return room
