"""A time as people read it, in what an error says."""

from __future__ import annotations

import math
import time


def clock_time(until: float, now: float | None = None) -> str:
    """A time in UTC for people, never earlier than it is: with seconds if it is near, with the date if it is far.

    Args:
        until: Epoch seconds.
        now: Epoch seconds; by default what this machine's clock says.

    Example:
        >>> clock_time(1_764_079_375.2, now=1_764_079_300), clock_time(1_764_079_375.2, now=1_764_075_000)
        ('14:02:56 UTC', '14:03 UTC')
        >>> clock_time(1_764_079_375.2, now=1_764_000_000)
        '25 Nov 14:03 UTC'
    """
    left = until - (time.time() if now is None else now)
    near = left < 600
    shown = time.gmtime(math.ceil(until) if near else math.ceil(until / 60) * 60)
    return time.strftime("%H:%M:%S UTC" if near else "%H:%M UTC" if left < 12 * 3600 else "%-d %b %H:%M UTC", shown)
