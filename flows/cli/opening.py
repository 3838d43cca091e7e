"""Opening the database for commands that only look, and finding APIs by name in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from state.store import Store


@contextmanager
def for_reading() -> Iterator[Store]:
    """The store of `AIMD_DATABASE_URL`; an empty one if that is a file which is not there, so that none is made.

    Raises:
        StateError: The database cannot be used.
    """
    from state import open_store
    from state.store import default_url

    url = default_url()
    with open_store("memory://" if _is_missing(url) else url) as store:
        yield store


def _is_missing(url: str) -> bool:
    if url.partition(":")[0] == "memory":
        return False
    from state.engine import file_of, parse_url

    file = file_of(parse_url(url))
    return file is not None and not file.exists()
