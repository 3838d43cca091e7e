"""SQLite, set up so that many processes can share one file."""

from __future__ import annotations

import random
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool, StaticPool

from state import patience

LONGEST_PAUSE = 0.0005
"""Seconds between two looks at a lock that another process holds."""
WAL_PAGES = 8_000
"""Pages of 4 KiB in the log after which they are moved into the database. A page of evidence with ids in no order
changes 250, and many of them again and again: moved after every 1,000, SQLite's default, they took half of the time."""
CACHE = 32
"""MiB of the database that a connection which writes evidence keeps at hand."""
GROWS_EAGER = 0.01
"""After so many seconds of waiting the pauses are half as long, after twice as many a third."""


def engine(url: URL, durability: str, *, in_memory: bool) -> Engine:
    """An engine with this project's settings. Nothing is opened yet.

    Args:
        url: Of a SQLite database.
        durability: SQLite's `synchronous`.
        in_memory: Whether there is no file; then all share one connection.
    """
    arguments: dict[str, Any] = {"connect_args": {"check_same_thread": False, "timeout": 0}, "paramstyle": "named"}
    if in_memory:
        arguments["poolclass"] = StaticPool
    made = create_engine(url, **arguments)

    @event.listens_for(made, "connect")
    def settings(connection: sqlite3.Connection, _: object) -> None:
        # The driver must not open transactions of its own: under its default control concurrent
        # read-modify-writes are lost without a word.
        connection.isolation_level = None
        if not in_memory:
            _patiently(connection, "PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {durability}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        if durability == "FULL":
            connection.execute(f"PRAGMA cache_size = -{CACHE * 1024}")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(made, "begin")
    def begin(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        if connection.get_execution_options().get("aimd_reading", False):
            driver.execute("BEGIN")
            _patiently(driver, "SELECT 1 FROM sqlite_master LIMIT 1")  # only now it is a moment that does not move
        else:
            # A deferred BEGIN fails at once where it has to turn from reader to writer while another writes.
            _patiently(driver, "BEGIN IMMEDIATE")

    @event.listens_for(made, "close")
    def close(connection: sqlite3.Connection, _: object) -> None:
        # The lock of a closed connection stays as long as a cursor of it does, in the traceback of an interruption.
        connection.rollback()

    return made


def as_found(path: Path) -> Engine:
    """An engine that neither makes a file nor changes a setting of it, for a look from outside."""
    # Not mode=ro: such a connection makes the -wal and -shm files too, but leaves them behind.
    return create_engine(
        URL.create("sqlite", database=path.absolute().as_uri(), query={"mode": "rw", "uri": "true"}), poolclass=NullPool
    )


def _patiently(connection: sqlite3.Connection, statement: str) -> None:
    """Take a lock that another process may hold.

    SQLite's own way to wait sleeps longer and longer, up to 100 ms: of eight busy processes one came to do a single
    transaction in three seconds. Here whoever has waited longer looks more often, which is nearly as fair as a queue
    (a lock file has one, but no way to give up in time).

    Raises:
        sqlite3.OperationalError: It is still held after `patience.left`, or anything else is wrong.
    """
    begun, bound = time.monotonic(), patience.left()
    while True:
        try:
            connection.execute(statement).close()
            return
        except sqlite3.OperationalError as error:
            waited = time.monotonic() - begun
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or waited > bound:
                raise
        time.sleep(random.uniform(0, LONGEST_PAUSE) / (1 + waited / GROWS_EAGER))  # noqa: S311
