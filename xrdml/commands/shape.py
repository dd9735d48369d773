"""The option group of what shape a profile has."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import typer

from xrdsim.commands.options import belongs


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The shape of the profile."""

    panel: ClassVar[str] = "Shape of the profile"
    profile: Annotated[
        Literal["two-gaussians", "spline", "auto"],
        typer.Option(help="Two Gaussians; then a spline of any shape; 'auto': that where the curve asks for it."),
    ] = "two-gaussians"
    coefficients: Annotated[
        int | None, typer.Option(help="For a spline: number of its coefficients; default: what the curve says.")
    ] = None
    end: Annotated[
        Literal["smooth", "abrupt"], typer.Option(help="For a spline: strain falls to 0 at its end, or jumps there.")
    ] = "smooth"
    signed: Annotated[
        bool, typer.Option("--signed", help="For a spline: the lattice may be compressed at some depths.")
    ] = False
    depth: Annotated[float | None, typer.Option(help="For a spline: depth [Å] at which it ends; default: fitted.")] = (
        None
    )
    free_damage: Annotated[
        bool,
        typer.Option(
            "--free-damage",
            help="For a spline: --damage with E a spline of its own, which does not follow the strain; mirrored "
            "profiles may then describe a curve equally well.",
        ),
    ] = False
    begin: Annotated[
        Path | None,
        typer.Option(
            help="For a spline: a profile to begin with, too, as of xrd simulate --profile; its strain is taken."
        ),
    ] = None

    def chosen(self) -> dict[str, Any]:
        """Arguments of ``fit_profile``."""
        from xrdsim.fit.freeform.before import FREE_DAMAGE, Freeform
        from xrdsim.forward.radmax import Radmax, read_profile

        wanted = self.profile != "two-gaussians"
        for given, name in (
            (self.coefficients is not None, "--coefficients"),
            (self.end != "smooth", "--end"),
            (self.signed, "--signed"),
            (self.depth is not None, "--depth"),
            (self.free_damage, "--free-damage"),
            (self.begin is not None, "--begin"),
        ):
            belongs(given, name, wanted, "--profile spline or auto")
        if not wanted:
            return {}
        layer = None if self.begin is None else read_profile(self.begin)
        made = Freeform(
            coefficients=self.coefficients,
            end=self.end,
            signed=self.signed,
            depth=self.depth,
            free_damage=FREE_DAMAGE if self.free_damage else 0,
            begin=layer.sublayers() if isinstance(layer, Radmax) else layer,
        )
        return {"profile": self.profile, "spline": made}
