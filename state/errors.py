"""What can go wrong with the database, grouped by what the operator does next.

    StateError
    |-- DatabaseUnavailable     make it reachable: not there, no permission, read-only, unknown address
    |   `-- DatabaseReadOnly
    |-- DatabaseBusy            wait, or find who holds it
    |-- DatabaseFull            free space; what was acknowledged is kept
    |-- DatabaseCorrupt         move the file aside; it is never overwritten
    |-- SchemaTooNew            install the newer program
    `-- ListingTaken            let the other sync of this collection finish

Every message is one sentence or two: what happened, what was kept, what to do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


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


class DatabaseBusy(StateError):
    """Somebody else has held the write lock for longer than the busy timeout."""


class DatabaseFull(StateError):
    """There is no space left to write to."""


class DatabaseCorrupt(StateError):
    """The file is not a database, or a damaged one."""


class SchemaTooNew(StateError):
    """A newer version of the program has upgraded the database."""


class ListingTaken(StateError):
    """Another process moved the cursor of this collection while we fetched a page of it."""


# Substrings of the drivers' messages (sqlite.org/rescode.html), most specific first.
_CAUSES: tuple[tuple[tuple[str, ...], type[StateError], str], ...] = (
    (
        ("not a database", "malformed", "unsupported file format"),
        DatabaseCorrupt,
        "The database {url} is damaged or not a database; it was left as it is. Move it aside "
        "(with its -wal and -shm files) and restore a backup, or start anew with another AIMD_DATABASE_URL.",
    ),
    (
        ("readonly", "read-only"),
        DatabaseReadOnly,
        "The database {url} cannot be written; nothing was changed. Make the file and its folder writable, or set "
        "AIMD_DATABASE_URL to one that is.",
    ),
    (
        ("disk is full", "disk i/o error", "no space left"),
        DatabaseFull,
        "There is no space left for the database {url}, or its disk fails; everything acknowledged before is kept. "
        "Free some space and run again.",
    ),
    (
        ("locked", "busy"),
        DatabaseBusy,
        "Another process holds the database {url} for too long; everything acknowledged before is kept. Run again "
        "when it is done.",
    ),
)
_OTHERWISE = (
    "The database {url} cannot be used ({cause}); everything acknowledged before is kept. Check AIMD_DATABASE_URL, "
    "the folder and its permissions."
)


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn a driver's error into ours.

    Args:
        url: The database, without its password, for the message.

    Raises:
        StateError: In place of SQLAlchemy's and the driver's errors. Errors of the caller's own pass unchanged.
    """
    import sqlite3

    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except UnicodeEncodeError as error:  # bytes that a command line could not read, half a surrogate pair
        raise StateError(
            f"The database {url} cannot hold the text {error.object[:60]!r}, since it is not valid Unicode; nothing of "
            "it was stored.",
            url=url,
        ) from error
    except (DBAPIError, sqlite3.Error) as error:  # exec_driver_sql in an event lets the driver's own through
        cause = str(getattr(error, "orig", None) or error)
        for marks, kind, sentence in _CAUSES:
            if any(mark in cause.lower() for mark in marks):
                raise kind(sentence.format(url=url), url=url) from error
        raise DatabaseUnavailable(_OTHERWISE.format(url=url, cause=cause.splitlines()[0]), url=url) from error
