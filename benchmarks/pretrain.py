"""Train the network that ships with the package within a given time, and pack it.

    python benchmarks/pretrain.py all --minutes 7 --device cuda -o OUT    both rounds, then pack; everything in OUT
    python benchmarks/pretrain.py speed --device cuda                      curves a second, by network and batch
    python benchmarks/pretrain.py install -o OUT                           OUT/pretrained into xrdml/pretrained

Of the minutes, which count from the start of the program, each round gets its share. How many curves that is follows
from the speed of a short trial, and the learning rate falls to its end within it. What is finished is on disk after
every epoch: a round that is cut off by the clock is packed as far as it came.

Both compute in full precision (TF32 on a card): a posterior takes rounding for noise, and bfloat16 is no faster, since
a card waits for the launches of its kernels. Dmax1, to which curves are by far the most sensitive, has four times the
weight in the estimate. Fresh curves in every epoch, half of them without damage; the ranges of three in ten are
narrowed, so that the network learns to use what is known. The measurement model is that of whole curves. Everything is
drawn from the seeds.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch

from xrdml.networks.checkpoint import PRETRAINED, load_model, save_model
from xrdml.training.train import train
from xrdsim.profiles.space import ParameterSpace

UNDAMAGED = 0.5
WEIGHTS = (4.0, *[1.0] * 8)
EPOCH_SECONDS = 8.0
TRIAL_SECONDS = 4.0
RESERVE = 20.0  # seconds at the end of a round for its test, and for packing
SAFETY = 0.9  # of the speed of the trial: validation and files take time, too
SHOWN = 10.0  # seconds between two lines


class Round(NamedTuple):
    """Settings of a round of training; ``share`` is of the time."""

    seed: int
    share: float
    rate: float
    full_precision: bool = False


ROUNDS = {"first": Round(11, 0.78, 4e-3, full_precision=True), "last": Round(12, 0.22, 8e-4, full_precision=True)}

ABOUT = {
    "purpose": "where a fit of a rocking curve of ion-implanted GGG 444, Cu Ka1, begins; posterior of its parameters",
    "script": "benchmarks/pretrain.py",
    "curves": "simulated, none measured; every epoch has its own",
    "rounds": {name: settings._asdict() for name, settings in ROUNDS.items()},
    "limits": "knows its definition only: this reflection, two Gaussians and their damage, the ranges and the "
    "measurement model below; its estimate is a start and not a fit",
}


class Shown:
    """Prints where a training is, keeps its speed, and ends it at a time."""

    def __init__(self, name: str, until: float = float("inf")) -> None:
        self.name, self.until, self.last, self.rate = name, until, 0.0, 0.0

    def __call__(self, now):
        clock = time.monotonic()
        if clock - self.last > SHOWN or now.validation is not None:
            self.last = clock
            end = "" if now.validation is None else f"  validation {now.validation:.4f}"
            line = f"{self.name} {now.epoch}/{now.epochs} batch {now.batch}/{now.batches}  loss {now.loss:.4f}{end}"
            print(f"{clock - BEGUN:6.0f} s  {line}  {now.samples_per_second:,.0f} curves/s", flush=True)
        if now.validation is not None:
            self.rate = now.samples_per_second
        if clock > self.until:
            raise KeyboardInterrupt


def learn(settings, options, rows, epochs, folder, show, after=None):
    """One training."""
    return train(
        None,
        simulate=rows,
        space=ParameterSpace().with_damage(),
        undamaged=UNDAMAGED,
        model="flow",
        weights=list(WEIGHTS),
        full_precision=settings.full_precision,
        epochs=epochs,
        batch_size=options.batch,
        lr=settings.rate * options.rate,
        seed=settings.seed,
        device=options.device,
        finetune=after,
        patience=epochs,
        output=folder,
        progress=show,
    )


def trial(name, settings, options, after=None):
    """Curves a second of the second epoch of a short training, and the seconds around its epochs."""
    rows = 4 * (options.batch or (2048 if options.device == "cuda" else 128))
    with tempfile.TemporaryDirectory() as place:
        show = Shown(f"trial of {name}")
        learn(settings, options, rows, 2, Path(place) / "warm", show, after)
        rows = min(max(int(TRIAL_SECONDS * show.rate), rows), 2**18)
        begun = time.monotonic()
        learn(settings, options, rows, 2, Path(place) / "timed", show, after)
        around = time.monotonic() - begun - 2.0 * rows / show.rate
    return show.rate, max(around, 0.0)


def everything(options):
    """All rounds within the time, then the packed model."""
    until, after = BEGUN + 60.0 * options.minutes - RESERVE, None
    left = sum(settings.share for settings in ROUNDS.values())
    for name, settings in ROUNDS.items():
        end = time.monotonic() + (until - time.monotonic()) * settings.share / left
        left -= settings.share
        rate, around = trial(name, settings, options, after)
        seconds = max(end - time.monotonic() - around, 2.0)
        curves = SAFETY * rate * seconds
        epochs = max(round(seconds / EPOCH_SECONDS), 1)
        rows = max(int(curves / epochs), 256)
        print(f"{name}: {rate:,.0f} curves/s, {epochs} epochs of {rows:,} curves in {seconds:.0f} s", flush=True)
        folder = options.output / name
        shutil.rmtree(folder, ignore_errors=True)
        try:
            run = learn(settings, options, rows, epochs, folder, Shown(name, end + RESERVE / 2.0), after)
            print(json.dumps(run.metrics["test"]["model"], indent=1), flush=True)
        except KeyboardInterrupt:
            print(f"{name}: cut off by the clock", flush=True)
            if not (folder / "model.json").exists():
                break
        (folder / "state.pt").unlink(missing_ok=True)  # large, and nothing will be resumed
        after = folder
    if after is None:
        raise SystemExit("not even one epoch was finished: give it more minutes")
    pack(after, options.output / "pretrained")


def pack(of, target):
    """Write the network of a folder into another: two bytes a number, four for those of the norms."""
    trained = load_model(of)
    tensors = {}
    for name, tensor in trained.net.state_dict().items():
        halved = tensor.dtype == torch.float32 and "running" not in name
        tensors[name] = tensor.half() if halved else tensor
    target.mkdir(parents=True, exist_ok=True)
    save_model(target, tensors, trained.card | {"about": ABOUT})
    size = sum(path.stat().st_size for path in target.iterdir())
    print(f"{size / 1e6:.1f} MB -> {target}")


def speed(options):
    """Curves a second of the second epoch, simulation included, by network, precision and batch."""
    batches = (512, 1024, 2048, 4096) if options.device == "cuda" else (128,)
    cases = [("flow", False, batch) for batch in batches] + [("flow", True, batches[-1])]
    cases += [("weighted", False, batch) for batch in batches]
    for model, full, batch in cases:
        show = Shown(f"{model}, {'full precision' if full else 'mixed'}, batches of {batch}")
        with tempfile.TemporaryDirectory() as place:
            train(
                None,
                simulate=batch * (64 if options.device == "cuda" else 4),
                space=ParameterSpace().with_damage(),
                undamaged=UNDAMAGED,
                model=model,
                full_precision=full,
                epochs=2,
                batch_size=batch,
                device=options.device,
                output=Path(place) / "run",
                progress=show,
            )
        print(f"-> {show.name}: {show.rate:,.0f} curves/s", flush=True)


def install(options):
    """Copy the packed model to where the package looks for it."""
    PRETRAINED.mkdir(exist_ok=True)
    for path in (options.output / "pretrained").iterdir():
        shutil.copy(path, PRETRAINED / path.name)
    load_model()
    print(f"{options.output / 'pretrained'} -> {PRETRAINED}")


BEGUN = time.monotonic()

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("all", "speed", "install"))
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batch", type=int, help="curves of a step; default: 128, on a card 2048")
    parser.add_argument("--rate", type=float, default=1.0, help="factor of all learning rates")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/pretrained"))
    chosen = parser.parse_args()
    {"all": everything, "speed": speed, "install": install}[chosen.what](chosen)
