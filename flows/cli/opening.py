"""The database of the commands that have use for none but one that is there: opened, and named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from state.store import Store


@contextmanager
def existing_store() -> Iterator[Store]:
    """The store of `AIMD_DATABASE_URL`; an empty one if that is a file which is not there, so that none is made.

    It may be written to, and its schema is brought up to date if need be.

    Raises:
        StateError: The database cannot be used.
    """
    from state import open_store
    from state.store import default_url

    url = default_url()
    with open_store("memory://" if _is_missing(url) else url) as store:
        yield store


def database() -> str:
    """The database of `AIMD_DATABASE_URL`, without its password, whether it is there or not."""
    from state.store import default_url

    url = default_url()
    if url.partition(":")[0] == "memory":
        return url
    from state.engine import parse_url, shown

    return shown(parse_url(url))


def _is_missing(url: str) -> bool:
    if url.partition(":")[0] == "memory":
        return False
    from state.engine import file_of, parse_url

    file = file_of(parse_url(url))
    return file is not None and not file.exists()
