"""Checks shared by the constructors and the spec parsers; each names the value it refuses."""

LEAST, MOST = 1e-9, 1e9
"""Bounds of every number: beyond them a wait would overflow, and no vendor has such a limit."""


def number(name: str, text: str) -> float:
    """Read a number from a spec.

    Args:
        name: What the number is, for the message.
        text: What was written.

    Raises:
        ValueError: If it is not a number.
    """
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number, not {text!r}") from None


def positive(name: str, value: float) -> float:
    """Return `value` as a float if it is above 0 and within the bounds, else raise `ValueError`."""
    if not LEAST <= value <= MOST:
        raise ValueError(f"{name} must be a number above 0, from {LEAST:g} to {MOST:g}, not {value!r}")
    return float(value)


def at_least_one(name: str, value: float) -> float:
    """Return `value` as a float if it is from 1 to the upper bound, else raise `ValueError`."""
    if not 1 <= value <= MOST:
        raise ValueError(f"{name} must be a number from 1 to {MOST:g}, not {value!r}")
    return float(value)


def whole(name: str, value: float, least: int = 1) -> int:
    """Return `value` as an int if it is a whole number from `least` to the upper bound, else raise `ValueError`."""
    if not (least <= value <= MOST and value == int(value)):
        raise ValueError(f"{name} must be a whole number of at least {least} and at most {MOST:g}, not {value!r}")
    return int(value)


def plain(value: float) -> str:
    """Write a number so that `number` reads the same one back: 5.0 as "5", 0.37 as "0.37"."""
    return repr(value).removesuffix(".0")
