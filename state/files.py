"""The file of a SQLite database: made for its owner alone, and refused in a sentence where that cannot be."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from state.errors import DatabaseReadOnly, DatabaseUnavailable


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
