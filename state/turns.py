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
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold it.

        Raises:
            DatabaseBusy: It did not become free within `state.patience.left`, whatever those before do with it.
        """
        mine: threading.Lock | None = None
        with self._mutex:
            if self._taken:
                mine = threading.Lock()
                mine.acquire()
                self._waiting.append(mine)
            self._taken = True
        if mine is not None:
            self._wait(mine)
        try:
            yield
        finally:
            self._pass_on()

    def _wait(self, mine: threading.Lock) -> None:
        seconds = max(0.0, patience.left())
        try:
            handed = mine.acquire(timeout=seconds)
        except BaseException:  # Ctrl-C
            if not self._leave(mine):
                self._pass_on()
            raise
        if not handed and self._leave(mine):
            raise too_late(self._url, seconds)

    def _leave(self, mine: threading.Lock) -> bool:
        """Wait no longer; False if it was handed over in this very moment."""
        with self._mutex:
            if mine not in self._waiting:
                return False
            self._waiting.remove(mine)
            return True

    def _pass_on(self) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


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
