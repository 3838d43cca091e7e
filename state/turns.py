"""First come, first served among the threads of a process, and nobody waits for ever."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from state import fork, patience
from state.errors import DatabaseBusy


class Turns:
    """A lock that goes to whoever has waited longest.

    `threading.Lock` goes to whoever asks first after it is free, which is mostly the thread that has just released it:
    of 64 threads some then wait for half a second while others do a hundred transactions.

    Args:
        url: The database behind it, without its password, for the message.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.in_child()
        fork.tell_in_child(self)

    def in_child(self) -> None:
        """See `state.fork`: those who held it or waited for it are not there."""
        self._mutex = threading.Lock()
        self._queue: deque[threading.Lock] = deque()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold it.

        Raises:
            DatabaseBusy: It did not become free within `state.patience.left`, whatever those before do with it.
        """
        mine = threading.Lock()
        mine.acquire()
        try:
            with self._mutex:
                self._queue.append(mine)
                first = self._queue[0] is mine
            if not first:
                seconds = max(0.0, patience.left())
                if not mine.acquire(timeout=seconds):
                    raise too_late(self._url, seconds)
            yield
        finally:
            # Whoever stands first has it, so there is nothing to give back but the place. No call comes before the next
            # is told: the end of one is a moment at which an interruption comes.
            with self._mutex:
                if self._queue and self._queue[0] is mine:
                    del self._queue[0]
                    if self._queue:
                        self._queue[0].release()
                elif mine in self._queue:
                    self._queue.remove(mine)


def too_late(url: str, seconds: float) -> DatabaseBusy:
    """The error of a caller whose turn has not come.

    Args:
        url: The database, without its password.
        seconds: For how long it has waited.
    """
    return DatabaseBusy(
        f"The database {url} does not answer: a transaction before this one has not come to its end for "
        f"{seconds:.3g} s. Everything acknowledged before is kept; run again when it answers.",
        url=url,
    )
