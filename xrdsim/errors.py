"""One family of errors; each names the offending value and the remedy.

Every error is an ``XrdError`` and the built-in error a Python user would expect.
"""


def shown(text: str) -> str:
    """A text as it can be printed and stored: characters that no terminal shows, and bytes that are no UTF-8, escaped.

    Line ends stay.
    """
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


class XrdError(Exception):
    """Base of all errors raised on purpose by xrdsim and xrdml."""


class ParameterError(XrdError, ValueError):
    """Parameters of a profile or of a call that have no meaning: not finite, out of range, wrong shape."""


def unreadable(path: object, form: str, error: Exception) -> ParameterError:
    """What to raise where a file cannot be opened, or is not of this form."""
    if isinstance(error, OSError) and error.strerror:
        return ParameterError(f"{path} cannot be read: {error.strerror}; check the path and its permissions")
    return ParameterError(f"{path} cannot be read as {form}: {error}")


class CurveError(XrdError, ValueError):
    """A measured curve that cannot be read or used."""


class StoreError(XrdError, ValueError):
    """A dataset that is not one, is incomplete, or belongs to another configuration."""


class StoreExistsError(StoreError, FileExistsError):
    """A dataset would be overwritten."""


class CheckpointError(XrdError, ValueError):
    """A trained model that cannot be loaded or does not belong to the data."""


class OutputError(XrdError, OSError):
    """A result cannot be written (disk full, no permission)."""


class DeviceError(XrdError, RuntimeError):
    """A device was asked for that this machine or installation does not have."""


class ClusterError(XrdError, RuntimeError):
    """A Dask cluster that cannot be reached or used."""


class TrainingError(XrdError, ArithmeticError):
    """A training that went wrong: the loss is not finite."""
