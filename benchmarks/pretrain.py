"""Train the network that ships with the package, in slices, and pack it.

    python benchmarks/pretrain.py [minutes]    train so long (default: to the end); the next call goes on
    python benchmarks/pretrain.py pack         write it into xrdml/pretrained, in half precision

Fresh curves in every epoch, half of them without damage; the ranges of three in ten are narrowed, so that the network
learns to use what is known. The measurement model is the default one. Everything is drawn from SEED.
"""

import sys
import time
from pathlib import Path

from xrdml.training import train
from xrdsim.parameters import ParameterSpace
from xrdsim.terminal import training

SEED = 1
ROWS, EPOCHS, BATCH, RATE = 65536, 40, 256, 1.5e-3
UNDAMAGED = 0.5
RUN = Path("runs/pretrained")


def slice_of(minutes):
    """Train until the first epoch that ends later than so many minutes from now."""
    begun = time.monotonic()
    with training() as show:

        def watch(now):
            show(now)
            if now.validation is not None and now.epoch < now.epochs and time.monotonic() - begun > 60.0 * minutes:
                raise KeyboardInterrupt

        try:
            train(
                None,
                simulate=ROWS,
                space=ParameterSpace().with_damage(),
                undamaged=UNDAMAGED,
                model="flow",
                epochs=EPOCHS,
                batch_size=BATCH,
                lr=RATE,
                seed=SEED,
                patience=EPOCHS,
                output=RUN,
                resume=(RUN / "state.pt").exists(),
                progress=watch,
            )
        except KeyboardInterrupt:
            print("to be continued: call it again")


if __name__ == "__main__":
    slice_of(float(sys.argv[1]) if len(sys.argv) > 1 else 1e9)
