"""The same sample in xrayutilities (GPL, optional), for comparison of results and speed.

Its layers are tetragonal crystals with the spacing of the reflection, strained along the surface normal; their
susceptibilities are set to those of the ``Reflection``, because databases differ by more than the methods do.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdsim.errors import XrdError
from xrdsim.experiment.reflection import GGG_444, Reflection
from xrdsim.experiment.setup import Experiment
from xrdsim.units import ARCSEC

Array = NDArray[np.float64]

ORDER = 4


def xrayutilities_model(name: str, thickness: Array, strain: Array, reflection: Reflection = GGG_444) -> Any:
    """Model ``DynamicalModel`` or ``SimpleDynamicalCoplanarModel`` of sublayers given from the surface down.

    Raises
    ------
    XrdError
        xrayutilities is not installed.
    """
    try:
        import xrayutilities as xu
    except ImportError:
        raise XrdError("xrayutilities is not installed; pip install 'xrdsim[test]' brings it") from None
    spacing = 2.0 * np.pi / reflection.h0 * ORDER
    strained = 2.0 * np.pi / reflection.h0_strained * ORDER

    def layer(normal: float, height: float) -> Any:
        lattice = xu.materials.SGLattice(123, spacing, normal, atoms=["Ga"], pos=["1a"])
        return xu.simpack.Layer(xu.materials.Crystal(f"c = {normal:.6f} Å", lattice), height)

    layers = [layer(spacing, np.inf)]
    if reflection.film is not None:
        layers.append(layer(strained, reflection.film.thickness - thickness.sum()))
    layers += [layer(strained * (1.0 + eps), h) for h, eps in zip(thickness[::-1], strain[::-1], strict=True)]
    energy = xu.utilities.lam2en(reflection.wavelength)
    experiment = xu.HXRD((1, 0, 0), (0, 0, 1), en=energy)
    mono = Experiment(reflection).monochromator
    stack = xu.simpack.LayerStack("implanted", *layers)
    model = getattr(xu.simpack, name)(stack, experiment=experiment, polarization="both", Cmono=mono)
    model.set_hkl((0, 0, ORDER))
    count = len(layers)
    cosine = abs(np.cos(2.0 * reflection.theta_bragg))
    chi0, chih = (
        np.array([getattr(reflection.crystal, name)] + [getattr(reflection.strained, name)] * (count - 1))
        for name in ("chi0", "chih")
    )
    if name == "SimpleDynamicalCoplanarModel":  # it absorbs in its layers with the opposite sign
        chi0, chih = chi0.conj(), chih.conj()
    model.chi0 = chi0
    for table in (model.chih, model.chimh):
        table["S"] = chih
        table["P"] = chih * cosine
    return model


def xrayutilities_curve(model: Any, angle: Array, reflection: Reflection = GGG_444) -> Array:
    """Reflectivity at the angles [arcsec] from the substrate peak."""
    return np.asarray(model.simulate(np.degrees(reflection.theta_substrate - angle * ARCSEC)))
