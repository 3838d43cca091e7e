"""The data behind an API: records of the kinds that a vendor has, made from a seed, and changed while it runs.

Items are frozen; an edit puts a new one in the old one's place. So a listing works on a snapshot and the
lock is held only for a dictionary operation.
"""

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from simulator.checks import whole
from simulator.draw import EPOCH, Draw
from simulator.item import Item, Kind


class Dataset:
    """Records of several kinds. Every method may be called from any thread.

    Args:
        kinds: The kinds; a parent's before its children's.
        counts: How many of each; of children, how many for each parent.
        seed: Decides ids, fields and times.

    Raises:
        ValueError: If a count is not a whole number of at least 0, or of no kind.
    """

    def __init__(self, kinds: Sequence[Kind], counts: Mapping[str, int], seed: int = 0) -> None:
        self.kinds = {kind.name: kind for kind in kinds}
        for name, count in counts.items():
            if name not in self.kinds:
                raise ValueError(f"there is no kind {name!r}; known: {', '.join(self.kinds)}")
            whole(name, count, least=0)
        self._random = random.Random(seed)
        self._lock = threading.RLock()
        self._items: dict[str, dict[str, Item]] = {name: {} for name in self.kinds}
        self._kind_of: dict[str, Kind] = {}
        self.version = 0
        """Grows with every change; what was computed at an older version may be outdated."""
        known: dict[str, Sequence[str]] = {}  # grows in place: to list all ids for each record would be quadratic
        for kind in kinds:
            mine: list[str] = []
            known[kind.name] = mine
            for parent in known[kind.parent] if kind.parent else [""]:
                for _ in range(counts.get(kind.name, 0)):
                    at = float(self._random.randrange(EPOCH - kind.age, EPOCH))
                    mine.append(self._make(kind, parent, at, len(mine), known).id)

    def records(self, kind: str, parent: str | None = None, *, deleted: bool = False) -> list[Item]:
        """Return a snapshot of a kind in the order of addition.

        Args:
            kind: Its name.
            parent: Only what belongs to this; None for all.
            deleted: Also the tombstones.
        """
        with self._lock:
            items = list(self._items[kind].values())
        return [item for item in items if parent in (None, item.parent) and (deleted or not item.deleted)]

    def ids(self, kind: str) -> list[str]:
        """Return the ids of a kind, without tombstones."""
        return [item.id for item in self.records(kind)]

    def get(self, kind: str, id: str) -> Item:
        """Return a record that is not deleted; `KeyError` if there is none."""
        with self._lock:
            item = self._items[kind][id]
        if item.deleted:
            raise KeyError(id)
        return item

    def named(self, kind: str, field: str, value: object) -> Item:
        """Return the first record with that value in a field; `KeyError` if there is none."""
        for item in self.records(kind):
            if item.fields.get(field) == value:
                return item
        raise KeyError(value)

    def overview(self) -> dict[str, Any]:
        """Return counts and ids by kind, children by kind and parent, links by kind, field and id.

        What was removed but is still listed, with a tombstone, is under `deleted` and nowhere else.
        """
        items = {name: self.records(name) for name in self.kinds}
        children: dict[str, dict[str, list[str]]] = {}
        links: dict[str, dict[str, dict[str, list[str]]]] = {}
        for name, kind in self.kinds.items():
            if kind.parent:
                children[name] = {parent.id: [] for parent in items[kind.parent]}
                for item in items[name]:
                    children[name].setdefault(item.parent, []).append(item.id)
            for item in items[name]:
                for field, value in item.fields.items():
                    if field.startswith("_") and isinstance(value, list):
                        links.setdefault(name, {}).setdefault(field[1:], {})[item.id] = value
        ids = {name: [item.id for item in of_kind] for name, of_kind in items.items()}
        counts = {name: len(of_kind) for name, of_kind in ids.items()}
        deleted = {
            name: [item.id for item in self.records(name, deleted=True) if item.deleted]
            for name, kind in self.kinds.items()
            if kind.tombstone
        }
        return {"counts": counts, "ids": ids, "children": children, "links": links, "deleted": deleted}

    def change(self, id: str, fields: Mapping[str, Any], now: float) -> str:
        """Set fields of a record, or give it a new text if there are none; return its text.

        Args:
            id: Which.
            fields: By name; only those that the record has.
            now: Epoch seconds.

        Raises:
            KeyError: If there is no such record.
            ValueError: If it has no such field.
        """
        with self._lock:
            old = self.get(self._kind_of[id].name, id)
            text = old.kind.text
            for name in fields:
                if name not in old.fields:
                    raise ValueError(f"a record of {old.kind.name} has no field {name!r}")
            revision = old.revision + 1
            base = str(old.fields[text]).partition(" (revision ")[0]
            changed = dict(fields) or {text: f"{base} (revision {revision})"}
            if old.kind.modified:
                changed.setdefault(old.kind.modified, old.kind.clock(now))
            new = replace(old, fields={**old.fields, **changed}, revision=revision, edited=now)
            self._put(new)
            return str(new.fields[text])

    def remove(self, id: str, now: float | None = None) -> None:
        """Remove a record and what belongs to it.

        Args:
            id: Which.
            now: Epoch seconds, for the tombstone of those kinds that leave one; None for the time of its last edit.

        Raises:
            KeyError: If there is no such record.
        """
        with self._lock:
            item = self.get(self._kind_of[id].name, id)
            for kind in self.kinds.values():
                if kind.parent == item.kind.name:
                    for child in self.records(kind.name, id):
                        self.remove(child.id, now)
            if not item.kind.tombstone:
                del self._items[item.kind.name][id], self._kind_of[id]
                self.version += 1
                return
            at = item.edited if now is None else now
            stamp = {item.kind.tombstone: item.kind.clock(at) if item.kind.mark is None else item.kind.mark}
            if item.kind.modified:
                stamp[item.kind.modified] = item.kind.clock(at)
            self._put(replace(item, fields={**item.fields, **stamp}, edited=at, deleted=True))

    def add(self, kind: str, fields: Mapping[str, Any], now: float) -> str:
        """Add a record and return its id.

        Args:
            kind: Its name.
            fields: `parent` if the kind has one, and `set` for values that are not to be drawn.
            now: Epoch seconds.

        Raises:
            KeyError: If there is no such parent.
            ValueError: If there is no such kind or field.
        """
        if kind not in self.kinds:
            raise ValueError(f"kind must be one of {', '.join(self.kinds)}, not {kind!r}")
        of, parent, chosen = self.kinds[kind], fields.get("parent", ""), fields.get("set", {})
        if (of.parent and not isinstance(parent, str)) or not isinstance(chosen, dict):
            raise ValueError('"parent" must be a string and "set" an object')
        with self._lock:
            if of.parent:
                self.get(of.parent, parent)
            known: dict[str, Sequence[str]] = {name: self.ids(name) for name in self.kinds}
            item = self._make(of, parent if of.parent else "", now, len(self._items[kind]), known)
            if chosen:
                self._put(replace(item, fields={**item.fields, **chosen}))
            return item.id

    def _make(self, kind: Kind, parent: str, at: float, number: int, known: dict[str, Sequence[str]]) -> Item:
        draw = Draw(self._random, at, number, parent, known)
        id = kind.id(draw)
        while id in self._kind_of:  # a readable or short id may come up twice
            draw.number += 1
            id = kind.id(draw)
        item = Item(kind, id, parent, self.version, at, at, kind.make(draw))
        self._put(item)
        return item

    def _put(self, item: Item) -> None:
        self._items[item.kind.name][item.id] = item
        self._kind_of[item.id] = item.kind
        self.version += 1  # after the change: who reads this version has seen it
