"""The command line as tests call it, within their process."""

from typer.testing import CliRunner

from cli import app


def xrd(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(*arguments, code=1):
    """Standard error of a call that must end with this code and one line, without traceback."""
    result = xrd(*arguments)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())
