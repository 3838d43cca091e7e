"""Transactions that must last: one at a time where there is one writer, again if the server went away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

from sqlalchemy import Connection, Engine

from state import engine as engines
from state import fork
from state.errors import DatabaseUnreachable, translated
from state.patience import persistently
from state.records import Collection
from state.tokens import TokenKey
from state.turns import Turns

T = TypeVar("T")


class Transactions:
    """What `state.evidence` and `state.tokens_sql` work with.

    Args:
        engine: From `state.engine.connect`.
        url: The database, without its password, for messages.
        clock: Gives the time in epoch seconds; None for the database's, where it has one.
        turns: Of all that this process writes there; None if nobody else does.
    """

    def __init__(
        self, engine: Engine, *, url: str, clock: Callable[[], float] | None = None, turns: Turns | None = None
    ) -> None:
        self._engine = engine
        self._url = url
        self._clock = clock
        # SQLite has one writer: better to queue here than there. An in-memory database has one connection, which
        # readers and writers must not share at a time. A server takes all of them at once.
        self._one_by_one = engine.dialect.name == "sqlite"
        self._writes = turns or Turns(url)
        self._reads = Turns(url) if turns else self._writes
        fork.tell_in_child(self)

    def in_child(self) -> None:
        """See `state.fork`."""
        self._inherited = engines.renew(self._engine)

    def now(self) -> float:
        """The store's time, epoch seconds."""
        if self._clock is not None:
            return self._clock()
        return self._read(lambda connection: engines.time_of(connection, None))

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()

    def _write(self, work: Callable[[Connection], T], on: Collection | TokenKey | None = None) -> T:
        """Do it in a transaction, alone on what it works on.

        Args:
            work: Done again if the server went away meanwhile, even if it was lost during the commit.
            on: What it works on, if anything that others may work on.
        """

        def attempt() -> T:
            with self._working(self._writes), self._engine.begin() as connection:
                if on is not None:
                    engines.queue(connection, repr(on))
                return work(connection)

        return persistently(attempt)

    def _read(self, work: Callable[[Connection], T]) -> T:
        def attempt() -> T:
            with self._working(self._reads), engines.reading(self._engine) as connection:
                return work(connection)

        return persistently(attempt)

    @contextmanager
    def _working(self, turns: Turns) -> Iterator[None]:
        queue: AbstractContextManager[None] = turns.turn() if self._one_by_one else nullcontext()
        try:
            with queue, translated(self._url):
                yield
        except DatabaseUnreachable:
            self._engine.dispose()  # the pool's other connections are lost, too
            raise
