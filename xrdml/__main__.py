"""``python -m xrdml`` is the command ``xrd``."""

from xrdml.commands import app

app()
