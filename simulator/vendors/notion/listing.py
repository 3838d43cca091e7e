"""One page of a listing, and the cursor that leads to the next.

A cursor is the sort key of the last record of its page, not an offset: editing, adding or removing
*other* records neither repeats nor skips any. (A record that is itself edited may still move across the
cursor when the listing is sorted by that time. So it does at Notion.)
"""

import base64
import binascii
import json
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from simulator.vendors.notion.record import Record
from simulator.vendors.notion.shapes import invalid
from simulator.vendors.notion.world import World

MAX_PAGE_SIZE = 100
KEPT = 32
"""How many sorted listings are kept; a client reads a few at a time."""

Field = Literal["created_time", "last_edited_time"]
Key = tuple[tuple[int, ...], str]


@dataclass(frozen=True, slots=True)
class Order:
    """By which times a listing is sorted; ties are broken by id.

    Attributes:
        terms: Pairs of time and whether it is descending.
    """

    terms: tuple[tuple[Field, bool], ...] = (("created_time", False),)

    def key(self, record: Record) -> Key:
        """Return what records are compared by."""
        times = (
            (record.created if field == "created_time" else record.edited, descending)
            for field, descending in self.terms
        )
        return tuple(-time if descending else time for time, descending in times), record.id


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing.

    Attributes:
        records: At most `page_size` of them.
        next_cursor: Where the next page begins; None on the last.
        complete: False if the listing ends here only because of the row cap.
    """

    records: list[Record]
    next_cursor: str | None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class _Position:
    key: Key
    served: int  # records up to and including this one: the row cap counts over all pages


class Listings:
    """Sorted listings, kept until the world changes: sorting 10,000 records for each page takes too long.

    Belongs to one event loop; not locked.

    Args:
        world: Whose records they are.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._version = world.version
        self._sorted: dict[Hashable, list[Record]] = {}

    def sorted(self, key: Hashable, order: Order, select: Callable[[], Iterable[Record]]) -> Sequence[Record]:
        """Return a listing in its order.

        Args:
            key: Names the selection.
            order: How to sort it.
            select: Gives the records; called only if the listing is not at hand.
        """
        version = self._world.version  # before the selection, so that an edit meanwhile makes it outdated
        if version != self._version or len(self._sorted) >= KEPT:
            self._sorted.clear()
            self._version = version
        found = self._sorted.get((key, order))
        if found is None:
            found = self._sorted[key, order] = sorted(select(), key=order.key)
        return found


def paginate(
    records: Sequence[Record],
    order: Order,
    listing: str,
    start_cursor: object = None,
    page_size: object = None,
    cap: int | None = None,
) -> Page:
    """Cut one page out of a listing.

    Args:
        records: All records that match, sorted by `order.key`.
        order: How they are sorted.
        listing: Name of the listing; a cursor of another one, or of another order, is refused.
        start_cursor: As it came in the request; None for the first page.
        page_size: As it came in the request; None for the most.
        cap: How many records one listing may return over all its pages; None for all.

    Raises:
        NotionError: 400 if the cursor or the page size is not valid.
    """
    size = _size(page_size)
    name = f"{listing} {order.terms}"
    start = None if start_cursor is None else _decode(start_cursor, name)
    served = start.served if start else 0
    begin = bisect_right(records, start.key, key=order.key) if start else 0
    room = size if cap is None else max(0, min(size, cap - served))
    page = list(records[begin : begin + room])
    served += len(page)
    if begin + room >= len(records):
        return Page(page, None)
    if served == cap:
        return Page(page, None, complete=False)
    return Page(page, _encode(_Position(order.key(page[-1]), served), name))


def _size(value: object) -> int:
    if value is None:
        return MAX_PAGE_SIZE
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_PAGE_SIZE:
        raise invalid(f"page_size should be a whole number from 1 to {MAX_PAGE_SIZE}, instead was {value!r}.")
    return value


def _encode(position: _Position, name: str) -> str:
    (times, id), served = position.key, position.served
    return base64.urlsafe_b64encode(json.dumps([name, times, id, served]).encode()).decode()


def _decode(cursor: object, name: str) -> _Position:
    refused = invalid(f"The start_cursor provided is invalid: {cursor!r}")
    if not isinstance(cursor, str):
        raise refused
    try:
        payload = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise refused from None
    match payload:
        case [str(of), [*times], str(id), int(served)] if of == name and all(type(t) is int for t in times):
            return _Position((tuple(times), id), served)
    raise refused
