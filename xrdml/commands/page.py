"""The command that opens the page in the browser: ``app``."""

from pathlib import Path
from typing import Annotated

import typer

from xrdsim.commands.options import command


@command(panels={"Server": ("host", "port", "password", "browser")})
def app(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Measured curves of one sample, or a session.json that was saved.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at; others than this computer's own need --password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0: any that is free.", min=0, max=65535)] = 0,
    password: Annotated[
        str | None,
        typer.Option(
            help="Opens the page from other computers; better in the variable XRD_PASSWORD.", envvar="XRD_PASSWORD"
        ),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
) -> None:
    """Open the page: drag parameters and see curve and profile move, fit, compare, export. Ctrl-C closes it.

    It needs `pip install 'xrdsim\\[app]'`.

    Examples:

        xrd app curve.xy

        xrd app 444.xy 880.xy

        xrd app session.json
    """
    import importlib.util

    from xrdsim.commands.terminal import say
    from xrdsim.errors import ParameterError

    if importlib.util.find_spec("nicegui") is None:
        raise ParameterError("the page needs NiceGUI; install it with pip install 'xrdsim[app]'")
    given = files or []
    for path in given:
        if not path.is_file():
            raise ParameterError(f"{path} cannot be read: there is no such file")
    from xrdml.app.server import serve

    def tell(address: str) -> None:
        say(f"The page is at {address}")
        say("Ctrl-C closes it.")

    serve(given, host=host, port=port, password=password or None, show=browser, tell=tell)
