"""Texts of options as values."""


def limits_of(name: str, text: str) -> tuple[float, float]:
    """LOW:HIGH, or one value for both."""
    from xrdsim.errors import ParameterError

    low, _, high = text.partition(":")
    try:
        return float(low), float(high or low)
    except ValueError:
        raise ParameterError(f"--{name} {text!r} must be LOW:HIGH or one number") from None


def shape_of(text: str) -> tuple[str, tuple[float, float]]:
    """NAME=LOW:HIGH."""
    name, _, limits = text.partition("=")
    return name.strip(), limits_of(f"shape {name.strip()}", limits)


def background_of(text: str) -> float | str:
    """A value, or a shape."""
    try:
        return float(text)
    except ValueError:
        return text


def columns_of(text: str) -> tuple[int, ...]:
    """ANGLE,INTENSITY, or the intensity alone."""
    from xrdsim.errors import ParameterError

    try:
        return tuple(int(each) for each in text.split(","))
    except ValueError:
        raise ParameterError(f"--columns {text!r} must be ANGLE,INTENSITY, such as 1,3") from None


def prior_of(text: str) -> tuple[str, tuple[float, float]]:
    """NAME=MEAN:STD."""
    from xrdsim.errors import ParameterError

    name, _, numbers = text.partition("=")
    mean, _, std = numbers.partition(":")
    try:
        return name.strip(), (float(mean), float(std))
    except ValueError:
        raise ParameterError(f"--prior {text!r} must be NAME=MEAN:STD") from None


def seconds_of(text: str | None) -> float | None:
    """``10s``, ``2min`` or a number of seconds."""
    from xrdsim.errors import ParameterError

    if text is None:
        return None
    number, unit = text.strip().rstrip("smin "), text.strip().lstrip("0123456789. ")
    try:
        return float(number) * {"": 1.0, "s": 1.0, "min": 60.0, "m": 60.0}[unit]
    except (ValueError, KeyError):
        raise ParameterError(f"--budget {text!r} must be a time such as 10s or 2min") from None
