"""What can go wrong with the database, grouped by what the operator does next.

    StateError
    |-- DatabaseUnavailable     make it reachable: not there, no permission, read-only, unknown address
    |   |-- DatabaseReadOnly
    |   `-- DatabaseUnreachable start the server, or wait until it is back
    |-- DatabaseBusy            wait, or find who holds it
    |-- DatabaseFull            free space; what was acknowledged is kept
    |-- DatabaseCorrupt         move the file aside; it is never overwritten
    |-- SchemaTooNew            install the newer program
    `-- ListingTaken            let the other sync of this collection finish

Every message is one sentence or two: what happened, what was kept, what to do.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any


class StateError(Exception):
    """Anything the state package raises.

    Attributes:
        url: The database, without its password.
    """

    def __init__(self, message: str, *, url: str = "") -> None:
        super().__init__(message)
        self.url = url


class DatabaseUnavailable(StateError):
    """The database cannot be opened at all."""


class DatabaseReadOnly(DatabaseUnavailable):
    """The database can be read but not written; the limiter cannot work without writing."""


class DatabaseUnreachable(DatabaseUnavailable):
    """The database's server does not answer, or the connection to it was lost."""


class DatabaseBusy(StateError):
    """Somebody else has held the lock for longer than the busy timeout."""


class DatabaseFull(StateError):
    """There is no space left to write to."""


class DatabaseCorrupt(StateError):
    """The file is not a database, or a damaged one."""


class SchemaTooNew(StateError):
    """A newer version of the program has upgraded the database."""


class ListingTaken(StateError):
    """Another process moved the cursor of this collection while we fetched a page of it."""


_SENTENCES: dict[type[StateError], str] = {
    DatabaseCorrupt: "The database {url} is damaged or not a database; it was left as it is. Move it aside "
    "(with its -wal and -shm files) and restore a backup, or start anew with another AIMD_DATABASE_URL.",
    DatabaseReadOnly: "The database {url} cannot be written; nothing was changed. Make the file and its folder "
    "writable, or set AIMD_DATABASE_URL to one that is.",
    DatabaseFull: "There is no space left for the database {url}, or its disk fails; everything acknowledged before is "
    "kept. Free some space and run again.",
    DatabaseBusy: "Another process holds the database {url} for too long; everything acknowledged before is kept. Run "
    "again when it is done.",
    DatabaseUnreachable: "The server of the database {url} does not answer ({cause}); everything acknowledged before "
    "is kept. Check AIMD_DATABASE_URL, or run again when the server is back.",
    DatabaseUnavailable: "The database {url} cannot be used ({cause}); everything acknowledged before is kept. Check "
    "AIMD_DATABASE_URL and the permissions it needs.",
}

# Substrings of SQLite's messages (sqlite.org/rescode.html), most specific first.
_MARKS: tuple[tuple[tuple[str, ...], type[StateError]], ...] = (
    (("not a database", "malformed", "unsupported file format"), DatabaseCorrupt),
    (("readonly", "read-only"), DatabaseReadOnly),
    (("disk is full", "disk i/o error", "no space left"), DatabaseFull),
    (("locked", "busy"), DatabaseBusy),
)

# PostgreSQL's SQLSTATE, or its first two letters (postgresql.org/docs/current/errcodes-appendix.html).
_STATES: dict[str, type[StateError]] = {
    "25006": DatabaseReadOnly,  # a replica
    "53100": DatabaseFull,
    "53300": DatabaseUnreachable,  # too many connections
    "55P03": DatabaseBusy,  # lock_timeout
    "57014": DatabaseBusy,  # statement_timeout
    "40": DatabaseBusy,
    "25P03": DatabaseBusy,  # this process was stopped for too long with a transaction open
    "57P": DatabaseUnreachable,  # shuts down, crashed, is starting
    "08": DatabaseUnreachable,
}

# A server refuses a connection without a SQLSTATE. Of its reasons these pass; a wrong password or name does not.
_PASSING = ("starting up", "shutting down", "recovery", "not yet accepting", "too many", "connection slots")


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn a driver's error into ours.

    Args:
        url: The database, without its password, for the message.

    Raises:
        StateError: In place of SQLAlchemy's and the driver's errors. Errors of the caller's own pass unchanged.
    """
    try:
        yield
    except StateError:
        raise
    except Exception as error:
        translation = _translation(error, url)
        if translation is None:
            raise
        raise translation from error


def _translation(error: Exception, url: str) -> StateError | None:
    import sqlite3

    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    if isinstance(error, UnicodeEncodeError):  # bytes that a command line could not read, half a surrogate pair
        return not_held(url, f"the text {error.object[:60]!r}, since it is not valid Unicode")
    if isinstance(error, PoolTimeout):
        return DatabaseBusy(_SENTENCES[DatabaseBusy].format(url=url), url=url)
    # The driver's own errors come too: statements that run for every request do without SQLAlchemy's wrapping.
    original = error.orig if isinstance(error, DBAPIError) else error
    postgres = sys.modules.get("psycopg")  # not there, no error of it
    if isinstance(original, sqlite3.Error):
        kind = _of_sqlite(original)
    elif postgres is not None and isinstance(original, postgres.Error):
        if isinstance(original, postgres.DataError):
            return not_held(url, f"what it was given ({_line(original)})")
        kind = _of_postgres(original, lost=isinstance(original, postgres.OperationalError))
    elif isinstance(error, DBAPIError):
        kind = DatabaseUnavailable
    else:
        return None
    return kind(_SENTENCES[kind].format(url=url, cause=_line(original)), url=url)


def not_held(url: str, what: str) -> StateError:
    """The error of something that no database can hold.

    Args:
        url: The database, without its password.
        what: With the reason.
    """
    return StateError(f"The database {url} cannot hold {what}; nothing of it was stored.", url=url)


def _of_sqlite(error: Exception) -> type[StateError]:
    message = str(error).lower()
    return next((kind for marks, kind in _MARKS if any(mark in message for mark in marks)), DatabaseUnavailable)


def _of_postgres(error: Any, *, lost: bool) -> type[StateError]:
    state = error.sqlstate
    if state is None:  # a connection was not made, or was lost
        refused = "FATAL" in str(error) and not any(mark in str(error) for mark in _PASSING)
        return DatabaseUnreachable if lost and not refused else DatabaseUnavailable
    return next((kind for length in (5, 3, 2) if (kind := _STATES.get(state[:length]))), DatabaseUnavailable)


def _line(error: object) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
