"""Opening a database by its URL: what is the same for every kind of it, and which module knows the rest."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import StaticPool

from state.errors import DatabaseUnavailable

Durability = Literal["NORMAL", "FULL"]
"""What a power cut may take: NORMAL the last moments (fine for a rate), FULL nothing (evidence)."""

_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")
_SPELLED = re.compile("([?&;][^=&]*(?:passw|secret|scram)[^=&]*=)[^&]*", re.IGNORECASE)


def parse_url(url: str) -> URL:
    """A database URL of a kind this program can use; PostgreSQL's without the name of a driver.

    Raises:
        DatabaseUnavailable: It is not a URL, or not of a known kind.

    Example:
        >>> str(parse_url("postgres://ann:s3cret@db.example/aimd"))
        'postgresql://ann:***@db.example/aimd'
    """
    try:
        parsed = make_url(url)
        if parsed.drivername in _POSTGRES:
            return parsed.set(drivername="postgresql")
        # No other driver, and no file: URIs, of which the path cannot be told.
        if parsed.drivername not in _SQLITE or "uri" in parsed.query:
            raise ValueError(parsed.drivername)
    except (ArgumentError, ValueError) as error:
        raise DatabaseUnavailable(
            f"AIMD_DATABASE_URL {_shown(url)!r} is not a database this program can use: give sqlite:///PATH "
            "(four slashes for an absolute path), postgresql://USER:PASSWORD@HOST/DATABASE where several machines "
            "share it, or memory:// to forget everything at the end.",
            url=_shown(url),
        ) from error
    return parsed


def shown(url: URL) -> str:
    """A URL for people: without its password, and without what its query spells, the driver's `sslpassword` for one.

    Example:
        >>> shown(parse_url("postgresql://ann:s3cret@db.example/aimd?sslmode=require&sslpassword=s3cret"))
        'postgresql://ann:***@db.example/aimd?sslmode=require&sslpassword=***'
    """
    return _without_spelled(url.render_as_string(hide_password=True))


def _without_spelled(url: str) -> str:
    return _SPELLED.sub(r"\1***", url)


def is_postgres(url: URL) -> bool:
    """Whether a URL from `parse_url` is one of PostgreSQL."""
    return url.drivername == "postgresql"


def connect(url: URL, durability: Durability) -> Engine:
    """An engine with this project's settings. Nothing is opened yet.

    Args:
        url: From `parse_url`.
        durability: What a power cut may take.

    Raises:
        DatabaseUnavailable: Its driver is not installed.
    """
    if is_postgres(url):
        from state import postgres

        return postgres.engine(url, durability, shown=shown(url))
    from state import sqlite

    return sqlite.engine(url, durability, in_memory=file_of(url) is None)


def as_found(url: URL) -> Engine:
    """An engine for a look from outside: it makes no file and changes no setting of one.

    Args:
        url: From `parse_url`; not of a database in memory.

    Raises:
        DatabaseUnavailable: Its driver is not installed.
    """
    path = file_of(url)
    if path is None:
        return connect(url, "NORMAL")
    from state import sqlite

    return sqlite.as_found(path)


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
        try:
            yield connection
        except Exception as error:
            notice(connection, error)
            raise


def notice(connection: Connection, error: Exception) -> None:
    """Tell SQLAlchemy of an error that the driver's own cursor gave: a connection that was lost has no rollback."""
    dialect = connection.dialect
    if connection.invalidated or not isinstance(error, dialect.loaded_dbapi.Error):
        return
    if dialect.is_disconnect(error, connection.connection.dbapi_connection, None):
        connection.invalidate(error)


def time_of(connection: Connection, clock: Callable[[], float] | None) -> float:
    """The time now, epoch seconds: of the clock, if one is given, of the database's where it has one."""
    if clock is not None:
        return clock()
    if connection.dialect.name == "postgresql":
        from state import postgres

        return postgres.moment(connection)
    return time.time()


def queue(connection: Connection, what: str) -> None:
    """Let one transaction after the other work on `what`. SQLite's write lock does that for all of them."""
    if connection.dialect.name == "postgresql":
        from state import postgres

        postgres.queue(connection, what)


def take_time(connection: Connection) -> None:
    """Let this transaction, the last of its connection, take as long as it needs. On SQLite every one may."""
    if connection.dialect.name == "postgresql":
        from state import postgres

        postgres.take_time(connection)


def file_of(url: URL) -> Path | None:
    """The file of a SQLite database, or None for one in memory or on a server."""
    if is_postgres(url) or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)


def anchored(url: URL) -> URL:
    """A URL that goes on meaning the same file when the process changes its folder."""
    path = file_of(url)
    return url if path is None else url.set(database=str(path.absolute()))


def _shown(url: str) -> str:
    """A URL that may be none, without what may be a password."""
    user, at, rest = _without_spelled(url).rpartition("@")
    scheme, there, _ = user.partition("://")
    return (f"{scheme}://***@{rest}" if there else f"***@{rest}") if at else rest
