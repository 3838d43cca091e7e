"""Opening a database: the engine, its transactions, and the settings that let many processes share it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, StaticPool

from state.errors import DatabaseReadOnly, DatabaseUnavailable

BUSY_TIMEOUT = 30.0
"""Seconds to wait for SQLite's write lock. 5 s, the driver's default, gave errors under saturation; 30 s none."""

Durability = Literal["NORMAL", "FULL"]
"""What survives a power cut: NORMAL may forget the last moments (fine for a rate), FULL nothing (evidence)."""


def parse_url(url: str) -> URL:
    """A database URL of a kind this program can use.

    Raises:
        DatabaseUnavailable: It is not a URL, or not of a known kind.
    """
    try:
        parsed = make_url(url)
        # No other driver, and no file: URIs, of which the path cannot be told.
        if parsed.drivername not in ("sqlite", "sqlite+pysqlite") or "uri" in parsed.query:
            raise ValueError(parsed.drivername)
    except (ArgumentError, ValueError) as error:
        raise DatabaseUnavailable(
            f"AIMD_DATABASE_URL {_shown(url)!r} is not a database this program can use: give sqlite:///PATH "
            "(four slashes for an absolute path), or memory:// to forget everything at the end.",
            url=_shown(url),
        ) from error
    return parsed


def connect(url: URL, durability: Durability) -> Engine:
    """An engine with this project's SQLite settings. Nothing is opened yet.

    Args:
        url: From `parse_url`.
        durability: What a power cut may take.
    """
    in_memory = file_of(url) is None
    arguments: dict[str, Any] = {"connect_args": {"check_same_thread": False}}
    if in_memory:
        arguments["poolclass"] = StaticPool
    engine = create_engine(url, **arguments)

    @event.listens_for(engine, "connect")
    def settings(connection: sqlite3.Connection, _: object) -> None:
        # The driver must not open transactions of its own: under its default control concurrent
        # read-modify-writes are lost without a word.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")  # before journal_mode, which can wait
        if not in_memory:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {durability}")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred BEGIN fails at once where it has to turn from reader to writer while another writes.
        reading = connection.get_execution_options().get("aimd_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def connect_as_found(path: Path) -> Engine:
    """An engine that neither makes a file nor changes a setting of it, for a look from outside."""
    # Not mode=ro: such a connection makes the -wal and -shm files too, but leaves them behind.
    return create_engine(
        URL.create("sqlite", database=path.absolute().as_uri(), query={"mode": "rw", "uri": "true"}), poolclass=NullPool
    )


def renew(engine: Engine) -> object:
    """Let an engine open connections of its own in a forked child.

    Returns:
        What it had: to be kept, since SQLite may tell in a close that it was the last, and take the parent's log away.
    """
    inherited = engine.pool
    if not isinstance(inherited, StaticPool):  # a database in memory was copied with it
        engine.dispose(close=False)
    return inherited


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that takes no write lock, for reading several things at one moment."""
    with engine.connect().execution_options(aimd_reading=True) as connection, connection.begin():
        yield connection


def file_of(url: URL) -> Path | None:
    """The file of a SQLite database, or None for one in memory."""
    return Path(url.database) if url.database and url.database != ":memory:" else None


def anchored(url: URL) -> URL:
    """A URL that goes on meaning the same file when the process changes its folder."""
    path = file_of(url)
    return url if path is None else url.set(database=str(path.absolute()))


def is_there(path: Path, shown: str) -> bool:
    """Whether there is a file.

    Args:
        path: The file.
        shown: The database's URL, without its password, for messages.

    Raises:
        DatabaseUnavailable: It cannot be told, or it is something else than a file.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _not_opened(error, shown) from error
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "not a file"
        raise DatabaseUnavailable(f"The database {shown} is {what}; give the path of a file.", url=shown)
    return True


def make_file(path: Path, shown: str) -> None:
    """Make an empty database file that only its owner can read, if there is none yet.

    Args:
        path: The file; its folder is made too.
        shown: The database's URL, without its password, for messages.

    Raises:
        DatabaseUnavailable: It cannot be made, or is not a file.
        DatabaseReadOnly: It, or its folder, cannot be written.
    """
    there = is_there(path, shown)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # SQLite keeps its log beside the file, so the folder has to be writable, too.
        if not (_is_writable(path.parent) and (not there or _is_writable(path))):
            raise DatabaseReadOnly(
                f"The database {shown} is read-only; nothing was changed. Make the file and its folder writable, or "
                "set AIMD_DATABASE_URL to one that is.",
                url=shown,
            )
        if not there:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise _not_opened(error, shown) from error


def _is_writable(path: Path) -> bool:
    # Asked of the mode and not only of the system: for root everything is writable, but whoever took the write
    # bits away meant it.
    return bool(path.stat().st_mode & 0o222) and os.access(path, os.W_OK)


def _not_opened(error: OSError, shown: str) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"The database {shown} cannot be opened ({error.strerror}); nothing was changed. Check AIMD_DATABASE_URL and "
        "the permissions of the folder.",
        url=shown,
    )


def _shown(url: str) -> str:
    """A URL that may be none, without what may be a password."""
    user, at, rest = url.rpartition("@")
    scheme, there, _ = user.partition("://")
    return (f"{scheme}://***@{rest}" if there else f"***@{rest}") if at else url
