"""One page of a listing, whatever the vendor calls its cursors and pages.

`after` cuts by the sort key of the last record served, not by an offset: editing, adding or removing *other*
records neither repeats nor skips any. `numbered` cuts by page number, as some vendors do, with what that costs: a
record removed while someone is listing shifts the rest by one place.
"""

import base64
import binascii
import json
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.dataset import Dataset
from simulator.item import Item

KEPT = 32
"""How many sorted listings are kept; a client reads a few at a time."""

Key = tuple[Any, ...]


def by_order(item: Item) -> Key:
    """Sort key: the order of addition."""
    return (item.order,)


def newest_first(item: Item) -> Key:
    """Sort key: the last created first; ties by the order of addition."""
    return (-item.created, -item.order)


def oldest_first(item: Item) -> Key:
    """Sort key: the first created first; ties by the order of addition."""
    return (item.created, item.order)


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        items: Its records.
        first: Whether there is none before it.
        more: Whether there are further ones.
    """

    items: Sequence[Item]
    first: bool
    more: bool


class Shelf:
    """Sorted listings, kept until the data change. Belongs to one event loop; not locked.

    Args:
        data: Whose records they are.
    """

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._version = data.version
        self._sorted: dict[Hashable, Sequence[Item]] = {}

    def listing(
        self, name: Hashable, select: Callable[[], Iterable[Item]], key: Callable[[Item], Key] = by_order
    ) -> Sequence[Item]:
        """Return a listing in its order.

        Args:
            name: Names the selection and its order.
            select: Gives the records; called only if the listing is not at hand.
            key: What to sort by.
        """
        version = self._data.version  # before the selection, so that an edit meanwhile makes it outdated
        if version != self._version or len(self._sorted) >= KEPT:
            self._sorted.clear()
            self._version = version
        if (found := self._sorted.get(name)) is None:
            found = self._sorted[name] = sorted(select(), key=key)
        return found


def after(items: Sequence[Item], size: int, last: Key | None, key: Callable[[Item], Key] = by_order) -> Page:
    """Cut the page that follows a record.

    Args:
        items: The listing, sorted by `key`.
        size: Records a page.
        last: Sort key of the record before the page, which need not exist any more; None for the first page.
        key: What it is sorted by.
    """
    begin = 0 if last is None else bisect_right(items, last, key=key)
    return Page(items[begin : begin + size], begin == 0, begin + size < len(items))


def numbered(items: Sequence[Item], size: int, number: int) -> Page:
    """Cut a page by its number, from 1."""
    begin = (number - 1) * size
    return Page(items[begin : begin + size], number == 1, begin + size < len(items))


def write_cursor(listing: str, key: Key) -> str:
    """Write an opaque cursor that leads to what follows `key` in a listing."""
    return base64.urlsafe_b64encode(json.dumps([listing, list(key)]).encode()).decode()


def read_cursor(listing: str, cursor: str) -> Key:
    """Read a cursor that `write_cursor` wrote.

    Raises:
        ValueError: If it is none, or another listing's.
    """
    try:
        payload = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise ValueError("no cursor") from None
    match payload:
        case [str(of), [*key]] if of == listing and all(type(part) in (int, float) for part in key):
            return tuple(key)
    raise ValueError("another listing's cursor")


def whole_number(text: str | None, default: int, least: int, most: int) -> int:
    """Read a number from a query.

    Args:
        text: As it came; None for the default.
        default: What to take without one.
        least: The least that is valid.
        most: The most that is valid.

    Raises:
        ValueError: If it is not a whole number from the least to the most.
    """
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 16 and least <= int(text) <= most):
        raise ValueError(f"{text!r} is no whole number from {least} to {most}")
    return int(text)
