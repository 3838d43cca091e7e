"""Rates, times and names as people read them, on a page and on a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

SPARKS = "▁▂▃▄▅▆▇█"
_LAST_TIME = 253_402_300_799.0  # 9999-12-31T23:59:59Z, where the calendar ends


def shown_rate(rate: float) -> str:
    """A rate with three significant digits, never an exponent.

    Args:
        rate: Requests per second.

    Example:
        >>> [shown_rate(rate) for rate in (2.9712, 12.0, 0.05, 9.999, 1234.5)]
        ['2.97', '12.0', '0.0500', '10.0', '1230']
    """
    return format(Decimal(f"{rate:#.3g}"), "f")


def utc(at: float) -> datetime:
    """An epoch time in UTC, moved to where the calendar begins or ends if it lies outside."""
    return datetime.fromtimestamp(min(max(at, 0.0), _LAST_TIME), UTC)


def moment(at: float) -> str:
    """An epoch time with its date, to the second.

    Example:
        >>> moment(1_800_000_000.7)
        '2027-01-15 08:00:00'
    """
    return f"{utc(at):%Y-%m-%d %H:%M:%S}"


def until(at: float, since: float) -> str:
    """The time, without the date if it is the day of `since`.

    Example:
        >>> until(1_800_000_060.0, 1_800_000_000.0)
        '08:01:00'
    """
    return f"{utc(at):%H:%M:%S}" if utc(at).date() == utc(since).date() else moment(at)


def duration(seconds: float) -> str:
    """A time span, of two units at most.

    Example:
        >>> [duration(seconds) for seconds in (2.5, 45, 3540, 3900, 183_600)]
        ['2.5 s', '45 s', '59 min', '1 h 5 min', '2 d 3 h']
    """
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f}".removesuffix(".0") + " s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def sparkline(rates: Sequence[float], longest: int = 16) -> str:
    """The last changes of a rate, between the lowest and the highest of them; nothing if there were none.

    Args:
        rates: Requests per second, oldest first.
        longest: How many changes to show.

    Example:
        >>> sparkline([2.0, 2.0, 3.0, 2.5])
        '▁█▅'
    """
    changes = [rate for i, rate in enumerate(rates) if i == 0 or rate != rates[i - 1]][-longest:]
    low, high = min(changes, default=0.0), max(changes, default=0.0)
    if low == high:
        return ""
    return "".join(SPARKS[round((rate - low) / (high - low) * (len(SPARKS) - 1))] for rate in changes)


def escaped(text: str) -> str:
    """Text that markdown shows as it is, on one line, also in a table's cell."""
    one_line = "".join(character if character.isprintable() else " " for character in text)
    return re.sub(r"([\\`*_\[\]<>|~&#!])", r"\\\1", one_line)
