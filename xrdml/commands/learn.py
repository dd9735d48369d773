"""Commands that train, evaluate, compare and export networks."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from xrdsim.commands.options import FormatOption, SpaceOption, VerifyOption, command, names_of, outputs, space_of


@command(
    "continue with the same command and --resume",
    {
        "Curves": ("simulate", "damage", "undamaged", "space", "undo_sampler", "memory", "verify"),
        "Network and loss": ("model", "fine", "finetune", "weights", "loss", "alpha", "curve_share"),
        "Optimisation": ("epochs", "batch_size", "lr", "seed", "device", "full_precision", "resume"),
    },
)
def train(
    dataset: Annotated[
        str | None, typer.Argument(help="Made by `xrd gen`; default: dataset.zarr, or none with --simulate.")
    ] = None,
    simulate: Annotated[int | None, typer.Option(help="Learn from so many fresh curves in every epoch.")] = None,
    damage: Annotated[bool, typer.Option("--damage", help="With --simulate: with the damage kappa, p.")] = False,
    undamaged: Annotated[float, typer.Option(help="With --damage: share of the curves without any.")] = 0.0,
    space: SpaceOption = None,
    model: Annotated[
        Literal["weighted", "hierarchical", "flow", "multitask", "attention"],
        typer.Option(
            help="'hierarchical': a coarse estimate, then a correction of the most sensitive parameters; 'flow': also "
            "samples of the posterior; 'multitask': also the noise-free curve; 'attention': self-attention and heads "
            "for depths and strains."
        ),
    ] = "weighted",
    weights: Annotated[
        str | None,
        typer.Option(
            help="Loss weights, made by `xrd sensitivity`; 'fisher': the metric JᵀJ of each sample; default: 1.",
            metavar="FILE|fisher",
        ),
    ] = None,
    loss: Annotated[
        Literal["parameters", "curve"], typer.Option(help="'curve': also the error of the simulated estimate.")
    ] = "parameters",
    alpha: Annotated[
        float | None, typer.Option(help="With --loss curve: weight of the curves, within 0 … 1; default: 0.5.")
    ] = None,
    curve_share: Annotated[
        float | None, typer.Option(help="With --loss curve: part of a batch that is simulated; default: 0.125.")
    ] = None,
    finetune: Annotated[Path | None, typer.Option(help="Begin with this trained model of the same kind.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the trained model; default: runs/MODEL.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training rows.")] = 16,
    batch_size: Annotated[int | None, typer.Option(help="Curves in one step; default: 128, on a card 2048.")] = None,
    lr: Annotated[float | None, typer.Option(help="Largest learning rate; default: 2e-3, tuning 3e-4.")] = None,
    fine: Annotated[
        str | None, typer.Option(help="Parameters that the hierarchical model corrects; default: the most sensitive.")
    ] = None,
    undo_sampler: Annotated[
        bool, typer.Option("--undo-sampler", help="Weight every row by 1/density, as if the rows came from the prior.")
    ] = False,
    memory: Annotated[
        float, typer.Option(help="Bytes of curves held in memory; of more, some blocks at a time are read.", min=0.0)
    ] = 4e9,
    verify: VerifyOption = True,
    seed: Annotated[int, typer.Option(help="Seed of the split, the initial weights and the noise.")] = 0,
    device: Annotated[str, typer.Option(help="'cpu' or 'cuda'.")] = "cpu",
    full_precision: Annotated[
        bool,
        typer.Option("--full-precision", help="No bfloat16 in the network; for the end of a flow's training."),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    figures: FormatOption = "png",
) -> None:
    """Train a network that reads the parameters off a measured curve.

    Examples:

        xrd train --weights sensitivity.npy

        xrd train big.zarr --model hierarchical --weights sensitivity.npy --fine Dmax1,Rp1,L1 -o runs/fine

        xrd train --simulate 65536 --damage --undamaged 0.5 --model flow

        xrd train --weights fisher --model attention

        xrd train --finetune runs/weighted --loss curve --alpha 0.5 --epochs 4 -o runs/tuned
    """
    from xrdml.training.figures import accuracy_table, training_figure
    from xrdml.training.train import train as run
    from xrdsim.commands.terminal import say, show_table, training
    from xrdsim.errors import ParameterError
    from xrdsim.plotting import save_figure
    from xrdsim.profiles.space import ParameterSpace

    if simulate is not None and dataset is not None:
        raise ParameterError(f"--simulate {simulate} makes its own curves; leave out {dataset}")
    ranges = space_of(space)
    outputs(folder=output)
    with training() as progress:
        result = run(
            None if simulate is not None else dataset or "dataset.zarr",
            simulate=simulate,
            space=(ranges or ParameterSpace()).with_damage() if damage else ranges,
            undamaged=undamaged,
            model=model,
            weights=weights,
            loss=loss,
            alpha=alpha,
            curve_share=curve_share,
            finetune=finetune,
            output=output,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            seed=seed,
            device=device,
            full_precision=full_precision,
            resume=resume,
            fine=None if fine is None else names_of(fine),
            undo_sampler=undo_sampler,
            memory=memory,
            verify=verify,
            progress=progress,
        )
    figure = save_figure(training_figure(result.metrics["history"]), result.path / f"loss.{figures}")
    show_table(*accuracy_table(result.metrics["test"]))
    say(f"model → {result.path}, loss curve → {figure}")


@command()
def evaluate(
    model: Annotated[
        Path | None, typer.Argument(help="Folder of a trained model; default: the pretrained one.")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Dataset whose test rows are evaluated; default: fresh rows of the prior.")
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(help="Dataset that the model was trained on; none of its rows may be among the test rows."),
    ] = None,
    rows: Annotated[int, typer.Option(help="Largest number of curves.")] = 1000,
    refined: Annotated[
        int, typer.Option(help="How many of these are also refined and compared with the Cramér–Rao limit.")
    ] = 100,
    verify: VerifyOption = True,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the results; default: MODEL/evaluation, or evaluation."),
    ] = None,
    figures: FormatOption = "png",
) -> None:
    """Try a trained model on curves that it has not seen: errors, calibration, solved curves, foreign curves, speed.

    Examples:

        xrd evaluate

        xrd evaluate runs/weighted --test test.zarr --train dataset.zarr -o evaluation/
    """
    from xrdml.evaluation.evaluation import evaluate as run
    from xrdml.evaluation.report import tables, write
    from xrdsim.commands.terminal import counting, say, show_table

    where = output or (model or Path()) / "evaluation"
    outputs(folder=where)
    with counting("evaluating", "curves") as progress:
        found = run(
            model, test=test, train=train, rows=rows, refined=refined, verify=verify, seed=seed, progress=progress
        )
    for title, header, lines in tables(found):
        say(title)
        show_table(header, lines)
    say(f"→ {', '.join(map(str, write(found, where, figures)))}")


@command("continue with the same command")
def compare(
    only: Annotated[list[str] | None, typer.Option(help="Run only this method (repeatable).", metavar="NAME")] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each method, with different seeds.")] = 3,
    budget: Annotated[
        float, typer.Option(help="Computing time of a run in seconds; epochs follow from the measured cost of one.")
    ] = 150.0,
    rows: Annotated[int, typer.Option("-n", "--rows", help="Training rows, drawn from the prior.")] = 20000,
    test_rows: Annotated[int, typer.Option(help="Rows of each test set.")] = 1000,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so long, at the end of an epoch; 0: only write the report.")
    ] = None,
    study: Annotated[Path, typer.Option(help="Folder of data and runs; what is finished is not made again.")] = Path(
        "runs/comparison"
    ),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the report; default: STUDY/report.")
    ] = None,
    figures: FormatOption = "png",
) -> None:
    """Compare the methods of training on the same data, time and test curves: what helps, and how sure that is.

    Examples:

        xrd compare --minutes 60

        xrd compare --only weighted --only fisher --seeds 5
    """
    from xrdml.study.methods import BASELINE
    from xrdml.study.report import collect, verdict_rows, write
    from xrdml.study.study import Settings, run_study
    from xrdsim.commands.terminal import say, show_table, warn

    output = output or study / "report"
    outputs(folder=output)
    settings = Settings(rows=rows, budget=budget, tests=test_rows, curves=min(200, test_rows))
    found, complete = run_study(study, only=only, seeds=seeds, minutes=minutes, settings=settings, report=warn)
    if not found.finished(BASELINE, seeds):
        return warn(f"no report: no run of {BASELINE}, with which the others are compared, is finished")
    comparison = collect(found, seeds)
    show_table(*verdict_rows(comparison))
    for line in (*comparison.failures, *comparison.exclusions):
        say(line)
    files = ", ".join(map(str, write(comparison, found, output, figures)))
    say(f"→ {files}" + ("" if complete else "; not all runs are finished"))


@command()
def export_model(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="As an ONNX file, the only format so far.")] = True,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; default: model.onnx beside it.")
    ] = None,
) -> None:
    """Write the network of a trained model for other programs, checked against PyTorch.

    Examples:

        xrd export-model runs/weighted --onnx
    """
    from xrdml.networks.checkpoint import load_model
    from xrdml.networks.onnx import export_onnx
    from xrdsim.commands.terminal import say

    target = output or model / "model.onnx"
    outputs(target)
    worst = export_onnx(load_model(model), target)
    say(f"{target.stat().st_size / 1e6:.1f} MB, within {worst:.1g} of PyTorch → {target}")
