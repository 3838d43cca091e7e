"""Opening the database for commands that only look, and finding APIs by name in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
    from state.engine import parse_url

    parsed = parse_url(url)
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:")
    return is_file and not Path(str(parsed.database)).exists()
