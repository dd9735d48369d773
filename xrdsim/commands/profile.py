"""The command that writes the profile of a fit for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from xrdsim.commands.options import command, outputs


@command()
def export_profile(
    result: Annotated[Path, typer.Argument(help="result.json of `xrd fit`, of a spline or of two Gaussians.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files.")] = Path("radmax"),
) -> None:
    """Write the best profile of a fit as RaDMaX reads it: coefficients of strain and Debye–Waller factor.

    The model is 'abrupt'. Depth and number of slices are in the project, which `xrd simulate --profile` reads.

    Examples:

        xrd export-profile result/result.json -o radmax

        xrd simulate --profile radmax/radmax.ini
    """
    from xrdsim.commands.terminal import say
    from xrdsim.fit.settings import read_fitted_profile
    from xrdsim.forward.radmax import radmax_of

    outputs(folder=output)
    made, strain, factor = radmax_of(*read_fitted_profile(result))
    files = made.write(output)
    say(
        f"{len(made.strain)} coefficients each, model 1 (abrupt), damaged_depth {made.depth:.1f} Å, number_slices "
        f"{made.slices}. They differ from the fit by at most {100.0 * strain:.1g} % of strain and {factor:.1g} of E."
    )
    say(f"→ {', '.join(map(str, files))}")
