"""Stopping a sync: whoever waits for a slot or a cooldown wakes at once, since a thread cannot be interrupted."""

from __future__ import annotations

import threading
from contextvars import ContextVar

from flows.errors import CollectError


class Stopped(CollectError):
    """The sync was asked to stop."""


class Stop:
    """A request to stop that sleepers hear."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask to stop."""
        self._event.set()

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds.

        Raises:
            Stopped: It was asked to stop, before or meanwhile.
        """
        if self._event.wait(seconds):
            raise Stopped("The sync was stopped")


stop: ContextVar[Stop | None] = ContextVar("aimd_stop", default=None)
"""Of the sync that runs in this context; None in a process that none was started in."""
