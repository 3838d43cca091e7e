"""The shared row behind one small interface, and how to open it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from state.once import Once
from state.records import Bucket, Decision, HistoryEvent, LimiterState

if TYPE_CHECKING:
    from state.evidence import EvidenceStore
    from state.tokens import TokenStore

T = TypeVar("T")
Clock = Callable[[], float]
"""Gives the time in epoch seconds."""
Decide = Callable[[LimiterState | None, float], Decision[T]]
"""A pure function of the stored state (None before the first) and the store's time."""


class Store(AbstractContextManager["Store"], Protocol):
    """Where limiters live. Every store passes one contract suite (`tests/state/test_contract_*.py`)."""

    url: str
    """Where it is, without a password."""
    in_process: bool
    """Whether a transaction is pure computation, so that an event loop may run it without a thread."""

    def transact(self, bucket: Bucket, decide: Decide[T]) -> T:
        """Lock the row, apply a pure function, write the new row and its history together.

        Args:
            bucket: Which row.
            decide: Gets the state (None if there is no row yet) and the time now, in epoch seconds. Must be quick and
                free of side effects. Returning the state it was given writes nothing.

        Returns:
            The decision's result.

        Raises:
            StateError: The database failed; then nothing of this transaction was kept.
        """
        ...

    def read(self, bucket: Bucket) -> tuple[LimiterState | None, float]:
        """The row as it is and the time now, without a lock."""
        ...

    def buckets(self) -> Iterator[tuple[Bucket, LimiterState]]:
        """All limiters, by bucket."""
        ...

    def history(self, bucket: Bucket, limit: int = 500) -> list[HistoryEvent]:
        """The newest events of a bucket, oldest of them first."""
        ...

    def history_length(self, bucket: Bucket) -> int:
        """How many events of a bucket are kept."""
        ...

    def reset(self, bucket: Bucket) -> bool:
        """Forget what a limiter learned, with its history; True if there was anything to forget."""
        ...

    def prune(self, *, days: float | None = None, rows: int | None = None) -> int:
        """Let old history go; the newest event of each bucket stays. The same happens by itself as history grows.

        Args:
            days: Events older than this go; by default `state.retention.DAYS`.
            rows: Only the newest so many of each bucket stay; by default `state.retention.ROWS`.

        Returns:
            How many events went.
        """
        ...

    @property
    def evidence(self) -> EvidenceStore:
        """The evidence, cursors and runs of the same database."""
        ...

    @property
    def tokens(self) -> TokenStore:
        """The shared tokens of the same database."""
        ...

    def close(self) -> None:
        """Release what is open. A closed store opens itself again when it is used."""
        ...


def default_url() -> str:
    """`AIMD_DATABASE_URL`, or else a SQLite file in the user's data directory."""
    if url := os.environ.get("AIMD_DATABASE_URL", "").strip():
        return url
    from platformdirs import user_data_dir

    path = str(Path(user_data_dir("prefect-aimd", appauthor=False)) / "aimd.db")
    return "sqlite:///" + path.replace("%", "%25").replace("?", "%3F")


def open_store(url: str | None = None, *, clock: Clock | None = None) -> Store:
    """Open a store, making the database and bringing its schema up to date if need be.

    Args:
        url: `sqlite:///PATH`, `postgresql://USER:PASSWORD@HOST/DATABASE` or `memory://` (`sqlite://` is the same); by
            default what `default_url` gives.
        clock: Gives the time in epoch seconds; for tests. By default the machine's on SQLite and in memory, the
            database's on PostgreSQL.

    Returns:
        The store. Several processes may open the same database; they then share its limiters.

    Raises:
        StateError: The database cannot be used. It is left as it was.

    Example:
        >>> with open_store("memory://") as store:
        ...     store.url
        'memory://'
    """
    url = url or default_url()
    if is_forgetful(url):
        from state.memory import MemoryStore

        return MemoryStore(clock=clock or time.time)
    from state.sql import SqlStore

    return SqlStore(url, clock=clock)


def is_forgetful(url: str) -> bool:
    """Whether a URL means a store that ends with the process: `memory://`, or SQLite without a file.

    Raises:
        DatabaseUnavailable: It is not a URL, or not of a known kind.
    """
    if url.partition(":")[0] == "memory":
        return True
    from state.engine import file_of, is_postgres, parse_url

    address = parse_url(url)
    return not is_postgres(address) and file_of(address) is None


_shared: Once[str, Store] = Once({})


def shared_store(url: str | None = None) -> Store:
    """The store of this process for a URL: its clients, in whatever threads they are made, share one connection.

    Raises:
        StateError: As `open_store`.
    """
    url = url or default_url()
    return _shared.get(url, partial(open_store, url))
