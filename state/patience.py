"""How long to wait for a database that somebody else holds, or that is away, and how."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from state.errors import DatabaseUnreachable

T = TypeVar("T")

BUSY_TIMEOUT = 30.0
"""Seconds to wait for a lock, or for a server that was lost, before it is an error."""

_deadline: ContextVar[float] = ContextVar("aimd_deadline", default=math.inf)
"""Until when this caller has time, seconds of the monotonic clock."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between two tries to reach a server."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is asked of a database here has so many seconds: a caller in a hurry does not wait for `BUSY_TIMEOUT`."""
    before = _deadline.set(min(_deadline.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _deadline.reset(before)


@contextmanager
def anew() -> Iterator[None]:
    """What is asked of a database here has `BUSY_TIMEOUT` from now on, whatever its caller has left."""
    before = _deadline.set(time.monotonic() + BUSY_TIMEOUT)
    try:
        yield
    finally:
        _deadline.reset(before)


def left() -> float:
    """Seconds that the caller has for what it begins now; not above `BUSY_TIMEOUT`, and negative if it is late."""
    return min(BUSY_TIMEOUT, _deadline.get() - time.monotonic())


def persistently(work: Callable[[], T], *, sleep: Callable[[float], None] = time.sleep) -> T:
    """Try again while the server is away, as long as there is time.

    Args:
        work: May be done twice: a connection that is lost during a commit does not tell whether it was one.
        sleep: Waits for so many seconds; for tests.

    Raises:
        DatabaseUnreachable: It stayed away.
    """
    until = time.monotonic() + left()
    pause = FIRST_PAUSE
    while True:
        try:
            return work()
        except DatabaseUnreachable:
            if time.monotonic() + pause > until:
                raise
        # Not all at the same moment: a server that starts has enough to do.
        sleep(random.uniform(pause / 2, pause))  # noqa: S311
        pause = min(LONGEST_PAUSE, pause * 2)
