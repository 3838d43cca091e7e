"""How long to wait for a database that somebody else holds, or that is away, and how."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from state.errors import DatabaseUnreachable

T = TypeVar("T")

BUSY_TIMEOUT = 30.0
"""Seconds to wait for a lock, or for a server that was lost, before it is an error."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between two tries to reach a server."""


def persistently(work: Callable[[], T], *, sleep: Callable[[float], None] = time.sleep) -> T:
    """Try again while the server is away, up to `BUSY_TIMEOUT`.

    Args:
        work: May be done twice: a connection that is lost during a commit does not tell whether it was one.
        sleep: Waits for so many seconds; for tests.

    Raises:
        DatabaseUnreachable: It stayed away.
    """
    until = time.monotonic() + BUSY_TIMEOUT
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
