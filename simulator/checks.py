"""Checks shared by the constructors and the spec parsers; each names the value it refuses."""

import math


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
    """Return `value` as a float if it is finite and above 0, else raise `ValueError`."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a finite number above 0, not {value!r}")
    return float(value)


def at_least_one(name: str, value: float) -> float:
    """Return `value` as a float if it is finite and not below 1, else raise `ValueError`."""
    if not (math.isfinite(value) and value >= 1):
        raise ValueError(f"{name} must be a finite number of at least 1, not {value!r}")
    return float(value)


def whole(name: str, value: float, least: int = 1) -> int:
    """Return `value` as an int if it is a whole number of at least `least`, else raise `ValueError`."""
    if not (math.isfinite(value) and value >= least and value == int(value)):
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return int(value)


def plain(value: float) -> str:
    """Write a number so that `number` reads the same one back: 5.0 as "5", 0.37 as "0.37"."""
    return repr(value).removesuffix(".0")
