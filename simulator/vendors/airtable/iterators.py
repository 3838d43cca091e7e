"""Airtable's offsets: an iterator over a listing as it was when it began, which expires after a few minutes."""

import secrets
import string
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulator.item import Item

KEPT = 1000
_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class _Iterator:
    listing: str
    items: Sequence[Item]
    places: dict[str, int]
    until: float


class Iterators:
    """Belongs to one event loop; not locked.

    Args:
        lifetime: Seconds for which an iterator can be used.
        clock: Seconds, on any clock that does not run backwards.
    """

    def __init__(self, lifetime: float, clock: Callable[[], float]) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._kept: OrderedDict[str, _Iterator] = OrderedDict()

    def begin(self, listing: str, items: Sequence[Item], size: int) -> tuple[Sequence[Item], str | None]:
        """Return the first page of a listing and the offset of the next; None on the last."""
        if len(items) <= size:
            return items, None
        id = "itr" + "".join(secrets.choice(_LETTERS) for _ in range(14))
        places = {item.id: place for place, item in enumerate(items)}
        self._kept[id] = _Iterator(listing, items, places, self._clock() + self._lifetime)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return items[:size], f"{id}/{items[size - 1].id}"

    def resume(self, listing: str, offset: str, size: int) -> tuple[Sequence[Item], str | None]:
        """Return the page that an offset leads to, and the offset of the next.

        Raises:
            KeyError: If the iterator has expired, or is another listing's.
        """
        id, _, last = offset.partition("/")
        iterator = self._kept[id]
        if iterator.listing != listing or self._clock() > iterator.until:
            raise KeyError(offset)
        begin = iterator.places[last] + 1
        page = iterator.items[begin : begin + size]
        more = begin + size < len(iterator.items)
        return page, f"{id}/{page[-1].id}" if more else None
