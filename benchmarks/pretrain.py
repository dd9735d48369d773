"""Train the network that ships with the package, in rounds and slices, and pack it.

    python benchmarks/pretrain.py first [minutes]     train so long (default: to the end); the next call goes on
    python benchmarks/pretrain.py second [minutes]    begins with the weights of the first round
    python benchmarks/pretrain.py third [minutes]     with those of the second, and so on
    python benchmarks/pretrain.py fourth [minutes]
    python benchmarks/pretrain.py fifth [minutes]
    python benchmarks/pretrain.py pack [ROUND]        write a round (fifth) into xrdml/pretrained, in half precision

The first round makes a useful network, the second a better one, the third gives Dmax1, to which curves are by far the
most sensitive, four times the weight in the estimate. The fourth and the fifth are in full precision: a posterior takes
the rounding by bfloat16 for noise, and that of Dmax1 was too wide.

Fresh curves in every epoch, half of them without damage; the ranges of three in ten are narrowed, so that the network
learns to use what is known. The measurement model is the default one. Everything is drawn from the seed of the round.
"""

import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch

from xrdml.networks.checkpoint import PRETRAINED, load_model, save_model
from xrdml.training.train import train
from xrdsim.commands.terminal import training
from xrdsim.profiles.space import ParameterSpace

ROWS, BATCH, UNDAMAGED = 65536, 256, 0.5
RUNS = Path("runs")


class Round(NamedTuple):
    """Settings of a round of training."""

    seed: int
    epochs: int
    rate: float
    after: str | None = None
    weights: tuple[float, ...] | None = None
    full_precision: bool = False


WEIGHTS = (4.0, *[1.0] * 8)
ROUNDS = {
    "first": Round(1, 56, 4e-3),
    "second": Round(2, 104, 3e-3, "first"),
    "third": Round(3, 32, 8e-4, "second", WEIGHTS),
    "fourth": Round(4, 9, 4e-4, "third", WEIGHTS, full_precision=True),
    "fifth": Round(5, 20, 5e-4, "fourth", WEIGHTS, full_precision=True),
}

ABOUT = {
    "purpose": "where a fit of a rocking curve of ion-implanted GGG 444, Cu Ka1, begins; posterior of its parameters",
    "script": "benchmarks/pretrain.py",
    "curves": "simulated, none measured; every epoch has its own",
    "rounds": {name: settings._asdict() for name, settings in ROUNDS.items()},
    "limits": "knows its definition only: this reflection, two Gaussians and their damage, a Gaussian instrument, the "
    "ranges and the measurement model below; its estimate is a start and not a fit",
}


def folder(name):
    return RUNS / f"pretrained-{name}"


def slice_of(name, minutes):
    """Train a round until the first epoch that ends later than so many minutes from now."""
    begun, settings = time.monotonic(), ROUNDS[name]
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
                weights=settings.weights,
                full_precision=settings.full_precision,
                epochs=settings.epochs,
                batch_size=BATCH,
                lr=settings.rate,
                seed=settings.seed,
                finetune=settings.after and folder(settings.after),
                patience=settings.epochs,
                output=folder(name),
                resume=(folder(name) / "state.pt").exists(),
                progress=watch,
            )
        except KeyboardInterrupt:
            print("to be continued: call it again")


def pack(of):
    """Write the network of a round where the package looks for it: two bytes a number, four for those of the norms."""
    trained = load_model(folder(of))
    tensors = {}
    for name, tensor in trained.net.state_dict().items():
        halved = tensor.dtype == torch.float32 and "running" not in name
        tensors[name] = tensor.half() if halved else tensor
    PRETRAINED.mkdir(exist_ok=True)
    save_model(PRETRAINED, tensors, trained.card | {"about": ABOUT})
    size = sum(path.stat().st_size for path in PRETRAINED.iterdir())
    print(f"{size / 1e6:.1f} MB -> {PRETRAINED}")


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or [""]
    if what == "pack":
        pack(*(rest or ["fifth"]))
    elif what in ROUNDS:
        slice_of(what, float(rest[0]) if rest else 1e9)
    else:
        raise SystemExit(__doc__)
