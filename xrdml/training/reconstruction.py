"""Noise-free curves as what a network shall reproduce: through the simulator, or by a decoder of its own.

Both compare log10(R + BACKGROUND) seen with the instrument of the stored curves. The background is a usual one, so that
the tail beneath it, which no measurement shows, does not dominate. Deviations are in units of DEX, as the network input
is. Their mean over angles is then as large as the loss on parameters where the deviations of these add up to half a
range, and 1.5 times as large at 0.15 of a range: docs/training.md.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from xrdml.data.measurement import DEX
from xrdml.networks.losses import BETA
from xrdml.training.metrics import BACKGROUND
from xrdml.training.physics import log_intensity
from xrdsim.dataset.simulation import Simulation
from xrdsim.dataset.store import Floats

_RTOL = 1e-3  # accuracy of the simulated curves in dex


def curve_loss(params: Tensor, reflectivity: Floats, simulation: Simulation) -> Tensor:
    """Mean over angles of ℓ(Δlog10(R + BACKGROUND)/DEX), (n,), ℓ the smooth L1 function; differentiable in params.

    Parameters
    ----------
    params : (n, p) within ``simulation.space``, in double precision, which keeps them there.
    reflectivity : (n, simulation.stored_scan.points) the true curves, as stored.
    simulation : what they were simulated with.

    Raises
    ------
    ParameterError
        Parameters outside the space or not finite.
    """
    made = log_intensity(
        params,
        fwhm=simulation.base_fwhm,
        background=BACKGROUND,
        experiment=simulation.experiment.continuous().within(_RTOL),
        scan=simulation.stored_scan,
        space=simulation.space,
    )
    true = torch.from_numpy(np.log10(np.asarray(reflectivity, np.float64) + BACKGROUND)).to(made)
    return functional.smooth_l1_loss(made / DEX, true / DEX, beta=BETA, reduction="none").mean(dim=1)


def clean_window(reflectivity: Tensor, valid: Tensor, simulation: Simulation) -> Tensor:
    """What a decoder shall give, (n, simulation.scan.points): log10(R + BACKGROUND) on the window in units of DEX.

    As in the network input, its mean over the valid places (n, points) is taken off.
    """
    margin = (simulation.stored_scan.points - simulation.scan.points) // 2
    level = torch.log10(reflectivity[:, margin : margin + simulation.scan.points] + BACKGROUND)
    mean = (level * valid).sum(dim=1, keepdim=True) / valid.sum(dim=1, keepdim=True).clamp(min=1.0)
    return (level - mean) / DEX
