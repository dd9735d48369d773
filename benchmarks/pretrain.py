"""Train the network that ships with the package, in slices, and pack it.

    python benchmarks/pretrain.py [minutes]    train so long (default: to the end); the next call goes on
    python benchmarks/pretrain.py pack         write it into xrdml/pretrained, in half precision

Fresh curves in every epoch, half of them without damage; the ranges of three in ten are narrowed, so that the network
learns to use what is known. The measurement model is the default one. Everything is drawn from SEED.
"""

import sys
import time
from pathlib import Path

import torch

from xrdml.checkpoint import PRETRAINED, load_model, save_model
from xrdml.training import train
from xrdsim.parameters import ParameterSpace
from xrdsim.terminal import training

SEED = 1
ROWS, EPOCHS, BATCH, RATE = 65536, 56, 256, 4e-3
UNDAMAGED = 0.5
RUN = Path("runs/pretrained")

ABOUT = {
    "purpose": "where a fit of a rocking curve of ion-implanted GGG 444, Cu Ka1, begins; posterior of its parameters",
    "script": "benchmarks/pretrain.py",
    "curves": "simulated, none measured; every epoch has its own",
    "limits": "knows its definition only: this reflection, two Gaussians and their damage, a Gaussian instrument, the "
    "ranges and the measurement model below; its estimate is a start and not a fit",
}


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


def pack():
    """Write the trained network where the package looks for it; a number takes two bytes, those of the norms four."""
    trained = load_model(RUN)
    tensors = {}
    for name, tensor in trained.net.state_dict().items():
        halved = tensor.dtype == torch.float32 and "running" not in name
        tensors[name] = tensor.half() if halved else tensor
    PRETRAINED.mkdir(exist_ok=True)
    save_model(PRETRAINED, tensors, trained.card | {"about": ABOUT})
    size = sum(path.stat().st_size for path in PRETRAINED.iterdir())
    print(f"{size / 1e6:.1f} MB -> {PRETRAINED}")


if __name__ == "__main__":
    if sys.argv[1:] == ["pack"]:
        pack()
    else:
        slice_of(float(sys.argv[1]) if len(sys.argv) > 1 else 1e9)
