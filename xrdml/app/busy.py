"""What the process that fits is doing, and the best that it has found so far."""

import time
from dataclasses import dataclass, field

from xrdml.app.model.document import Document


@dataclass
class Busy:
    """A job.

    Attributes
    ----------
    kind : fit, refine, series or predict.
    since : time at which it began.
    chi2 : the best reduced χ² of which it told; the RMS in dex where the noise is unknown.
    best : the best state that was shown, which is kept where the job is ended early.
    cancelled : whether it was ended.
    """

    kind: str
    since: float = field(default_factory=time.monotonic)
    chi2: float | None = None
    best: Document | None = None
    cancelled: bool = False
    _shown: float = float("inf")

    @property
    def locks(self) -> bool:
        """Whether nothing may be changed meanwhile."""
        return self.kind in ("fit", "refine", "series")

    def told(self, chi2: float | None) -> None:
        """Hear of a value of the search, which may be that of another state than it shows."""
        if chi2:
            self.chi2 = min(chi2, self.chi2 or chi2)

    def improves(self, live: Document, chi2: float) -> bool:
        """Whether a state is the best so far; it is remembered then."""
        if chi2 >= self._shown:
            return False
        self._shown, self.best = chi2, live
        self.told(chi2)
        return True


def no_better(before: Document, after: Document) -> bool:
    """Whether a search of more than the usual effort ends where the last fit did."""
    old, new = before.result, after.result
    if after.effort <= 1.0 or old is None or new is None or before.moved or old["shape"] != new["shape"]:
        return False
    (first, *_), (second, *_) = old["minima"], new["minima"]
    return bool(abs(second["rms_dex"] - first["rms_dex"]) <= 1e-3 * first["rms_dex"])
