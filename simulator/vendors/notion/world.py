"""The data behind the API: users, pages and their blocks, data sources and their rows.

Records are frozen; an edit puts a new one in the old one's place. So a listing works on a snapshot and
the lock is held only for a dictionary operation.
"""

import random
import threading
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from simulator.checks import whole
from simulator.vendors.notion.record import KINDS, Kind, Record, minute

EPOCH = 1_767_225_600
"""2026-01-01T00:00Z: generated records are older than this, so that a world depends on its seed alone."""
AGE = 2 * 365 * 24 * 3600
"""Seconds over which the generated records were created."""

_NESTED = 4
"""One block in so many has others in it."""

_SUBJECTS = ("Access control", "Backup", "Change management", "Encryption", "Incident response", "Onboarding",
             "Physical security", "Risk assessment", "Vendor review", "Vulnerability management")  # fmt: skip
_FORMS = ("policy", "procedure", "checklist", "review", "register", "minutes")
_NAMES = ("Ada", "Barbara", "Claude", "Donald", "Edsger", "Frances", "Grace", "Hedy", "Ivan", "Jean")


class World:
    """A workspace, the same for the same seed and counts. Every method may be called from any thread.

    Args:
        seed: Decides ids, titles and times.
        users: How many people and bots.
        pages: How many pages outside of data sources.
        data_sources: How many data sources.
        rows: How many rows in each data source.
        blocks: How many blocks directly in each page. Every fourth has two blocks in it, the first of which has one.

    Raises:
        ValueError: If a count is not a whole number of at least 0.
    """

    def __init__(
        self, seed: int = 0, *, users: int = 20, pages: int = 60, data_sources: int = 3, rows: int = 50, blocks: int = 0
    ) -> None:
        counts = {"users": users, "pages": pages, "data_sources": data_sources, "rows": rows, "blocks": blocks}
        for name, count in counts.items():
            whole(name, count, least=0)
        self._random = random.Random(seed)
        self._lock = threading.RLock()
        self._records: dict[str, Record] = {}
        self.version = 0
        """Grows with every change; what was computed at an older version may be outdated."""
        self.bot_id = self._new_id()
        """Id of the integration itself, for `users/me`."""
        for _ in range(users):
            self.add_user(now=self._moment())
        authors = self.ids("user") or [self.bot_id]
        for _ in range(pages):
            self._generate("page", self._random.choice(authors))
        for _ in range(data_sources):
            parent = self._generate("data_source", self._random.choice(authors), self._new_id())
            for _ in range(rows):
                self._generate("row", self._random.choice(authors), parent)
        for page in self.ids("page") if blocks else ():
            self._fill(page, blocks)

    def records(self, kind: str | None = None, parent: str | None = None) -> list[Record]:
        """Return a snapshot of what is not in the trash, oldest insertion first."""
        with self._lock:
            records = list(self._records.values())
        return [
            record
            for record in records
            if not record.in_trash and kind in (None, record.kind) and parent in (None, record.parent)
        ]

    def ids(self, kind: str) -> list[str]:
        """Return the ids of what is not in the trash."""
        return [record.id for record in self.records(kind)]

    def get(self, id: str) -> Record:
        """Return a record, also from the trash; `KeyError` if there never was one."""
        with self._lock:
            return self._records[id]

    def edit(self, id: str, now: float) -> Record:
        """Give a record a new title.

        Args:
            id: Which.
            now: Epoch seconds; `last_edited_time` becomes its minute.

        Raises:
            KeyError: If there is no such record.
        """
        with self._lock:
            old = self._records[id]
            base = old.title.partition(" (revision ")[0]
            revision = old.revision + 1
            new = replace(old, title=f"{base} (revision {revision})", revision=revision, edited=minute(now))
            self._put(new)
            if old.kind == "block":
                self._touch(old.parent, now)
            return new

    def remove(self, id: str, now: float | None = None) -> None:
        """Put a page, row, block or data source with what is in it into the trash; take a user away for good.

        The page that a block is taken from is edited by that, if the time is given.

        Raises:
            KeyError: If there is no such record.
        """
        with self._lock:
            record = self._records[id]
            if record.kind == "user":
                del self._records[id]
                self.version += 1
                return
            for each in [record, *self.below(id)]:
                self._put(replace(each, in_trash=True))
            if record.kind == "block" and now is not None:
                self._touch(record.parent, now)

    def below(self, id: str) -> list[Record]:
        """Return what is in a data source, page or block, at any depth, each before what is in it."""
        found: list[Record] = []
        for record in self.records(parent=id):
            found += [record, *self.below(record.id)]
        return found

    def add_user(self, name: str | None = None, *, now: float) -> str:
        """Add a user and return the id; `now` is in epoch seconds."""
        with self._lock:
            name = name or f"{self._random.choice(_NAMES)} {self._random.randrange(1000):03}"
            return self._add("user", name, now)

    def add_page(self, title: str | None = None, *, now: float) -> str:
        """Add a page outside of data sources and return the id; `now` is in epoch seconds."""
        with self._lock:
            return self._add("page", title or self._title(), now, self.bot_id)

    def add_row(self, data_source_id: str, title: str | None = None, *, now: float) -> str:
        """Add a row to a data source and return the id; `now` is in epoch seconds.

        Raises:
            KeyError: If there is no such data source.
        """
        with self._lock:
            source = self._records[data_source_id]
            if source.kind != "data_source" or source.in_trash:
                raise KeyError(data_source_id)
            return self._add("row", title or self._title(), now, self.bot_id, data_source_id)

    def add_block(self, parent: str, text: str | None = None, *, now: float) -> str:
        """Add a block at the end of a page, row or block and return the id; `now` is in epoch seconds.

        Raises:
            KeyError: If there is nothing that it could be in.
        """
        with self._lock:
            holder = self._records[parent]
            if holder.kind not in ("page", "row", "block") or holder.in_trash:
                raise KeyError(parent)
            id = self._add("block", text or self._title(), now, self.bot_id, parent)
            self._touch(parent, now)
            return id

    def overview(self) -> dict[str, Any]:
        """See `Data.overview`; `rows` are the ids of the rows of each data source, `blocks` those of each page."""
        ids = {kind: self.ids(kind) for kind in KINDS}
        rows: dict[str, list[str]] = {id: [] for id in ids["data_source"]}
        for row in self.records("row"):
            rows[row.parent].append(row.id)
        blocks = {page: [block.id for block in self.below(page)] for page in ids["page"]} if ids["block"] else {}
        counts = {kind: len(of_kind) for kind, of_kind in ids.items()}
        return {"counts": counts, "ids": ids, "rows": rows, "blocks": blocks}

    def change(self, id: str, fields: Mapping[str, Any], now: float) -> str:
        """See `Data.change`; only the title can be changed, and it makes its own."""
        if fields:
            raise ValueError('a record of Notion is edited without a "set"')
        return self.edit(id, now).title

    def add(self, kind: str, fields: Mapping[str, Any], now: float) -> str:
        """See `Data.add`: a page, a user, a row of the `data_source` or a block in the `parent` in the fields."""
        match kind:
            case "page":
                return self.add_page(now=now)
            case "user":
                return self.add_user(now=now)
            case "row":
                source = fields.get("data_source")
                if not isinstance(source, str):
                    raise ValueError('the body must be a JSON object with a string "data_source"')
                return self.add_row(source, now=now)
            case "block":
                parent = fields.get("parent")
                if not isinstance(parent, str):
                    raise ValueError('the body must be a JSON object with a string "parent"')
                return self.add_block(parent, now=now)
        raise ValueError(f"kind must be page, user, row or block, not {kind!r}")

    def _add(self, kind: Kind, title: str, now: float, author: str = "", parent: str = "") -> str:
        at = minute(now)
        record = Record(kind, self._new_id(), title, at, at, author, parent)
        self._put(record)
        return record.id

    def _put(self, record: Record) -> None:
        self._records[record.id] = record
        self.version += 1  # after the change: who reads this version has seen it

    def _generate(self, kind: Kind, author: str, parent: str = "") -> str:
        """Add a record of the past that may have been edited since."""
        id = self._add(kind, self._title(), self._moment(), author, parent)
        record = self._records[id]
        self._put(replace(record, edited=minute(self._random.randint(record.created, EPOCH))))
        return id

    def _fill(self, page: str, count: int) -> None:
        """Give a page blocks, a minute apart: they have no other order than that of their creation."""
        holder = self._records[page]

        def add(parent: str, place: int) -> str:
            at = holder.created + 60 * place
            return self._add("block", f"{self._title()}, paragraph {place}", at, holder.author, parent)

        for place in range(count):
            id = add(page, place)
            if place % _NESTED == 0:
                inner = [add(id, place) for place in range(2)]
                add(inner[0], 0)

    def _touch(self, id: str, now: float) -> None:
        """Note that something in it was changed: a page, row or block is edited when a block in it is."""
        while (record := self._records.get(id)) is not None and record.kind in ("page", "row", "block"):
            self._put(replace(record, edited=minute(now)))
            id = record.parent

    def _moment(self) -> int:
        return self._random.randrange(EPOCH - AGE, EPOCH)

    def _title(self) -> str:
        return f"{self._random.choice(_SUBJECTS)} {self._random.choice(_FORMS)}"

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
