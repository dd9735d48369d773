"""What curves are simulated, and how: those that a dataset holds, or that a network learns from without one."""

import json
from dataclasses import dataclass, field

from xrdsim.experiment.scan import DEFAULT_SCAN, Scan
from xrdsim.experiment.setup import Experiment
from xrdsim.forward.prepare import prepare
from xrdsim.limits import Json
from xrdsim.profiles.space import ParameterSpace

BASE_FWHM = 20.0
"""Width [arcsec] of the instrument that the stored curves are convolved with; a wider one is one more Gaussian."""

MARGIN = 150.0
"""Angle [arcsec] by which the stored curves continue the scan at both ends."""

FRESH = Experiment(rtol_dex=1e-3)
"""Of curves that are simulated when they are needed."""


@dataclass(frozen=True)
class Simulation:
    """Curves of profiles of a space, seen by a narrow instrument.

    Parameters
    ----------
    space : of the profiles.
    scan : the window, without the margin.
    experiment : what is simulated, and how accurately.
    margin, base_fwhm : continuation of the scan and width of the instrument [arcsec].
    mantissa_bits : of the stored curves, of the 23 of float32.
    device : ``cpu`` or ``cuda``, whose curves differ in the last digits.

    Raises
    ------
    ParameterError
        Angles beyond a right angle.
    """

    space: ParameterSpace = field(default_factory=ParameterSpace)
    scan: Scan = DEFAULT_SCAN
    experiment: Experiment = FRESH
    margin: float = MARGIN
    base_fwhm: float = BASE_FWHM
    mantissa_bits: int = 23
    device: str = "cpu"

    def __post_init__(self) -> None:
        prepare(self.scan, self.experiment)

    @property
    def stored_scan(self) -> Scan:
        """The scan of the stored curves."""
        return self.scan.extended(self.margin)

    def to_dict(self) -> Json:
        """Plain values for JSON."""
        values = {
            "space": self.space.to_dict(),
            "scan": self.scan.to_dict(),
            **self.experiment.to_dict(),
            "rtol_dex": self.experiment.rtol_dex,
            "margin": self.margin,
            "base_fwhm": self.base_fwhm,
            "mantissa_bits": self.mantissa_bits,
            "device": self.device,
        }
        plain: Json = json.loads(json.dumps(values))
        return plain
