"""Evidence, cursors and runs: an append-only record of what a vendor said, and of how far we have read.

A page's evidence and the cursor behind it are one transaction, so a killed sync goes on where it was, with nothing
lost and nothing doubled.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Table,
    and_,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from state import engine as engines
from state import tables
from state.canonical import FORM, body
from state.errors import ListingTaken, translated
from state.records import Body, Collection, Counts, Cursor, EvidenceVersion, Listing, Provenance, SyncRun

_evidence, _current, _cursor, _run = tables.evidence, tables.evidence_current, tables.cursor, tables.sync_run


@dataclass(frozen=True, slots=True)
class Head:
    """The current version of one thing."""

    version: int
    sha256: str
    deleted: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a page adds: the new versions, and how to count them."""

    versions: tuple[tuple[Body, Head], ...]
    counts: Counts


def plan(heads: Mapping[str, Head], bodies: Iterable[Body]) -> Plan:
    """Decide, without any I/O, which of a page's records are new versions.

    Args:
        heads: The current versions of the things on the page, by external id.
        bodies: The page, in its order; a thing may stand in it twice.

    Example:
        >>> first = body("a", {"id": "a"})
        >>> plan({}, [first, first]).counts
        Counts(records=2, new=1, changed=0, unchanged=1, deleted=0, pages=0)
    """
    known = dict(heads)
    versions: list[tuple[Body, Head]] = []
    new = changed = unchanged = 0
    for item in bodies:
        head = known.get(item.external_id)
        if head is not None and head.sha256 == item.sha256 and not head.deleted:
            unchanged += 1
            continue
        if head is None or head.deleted:
            new += 1
        else:
            changed += 1
        known[item.external_id] = Head(head.version + 1 if head else 1, item.sha256, deleted=False)
        versions.append((item, known[item.external_id]))
    return Plan(tuple(versions), Counts(new + changed + unchanged, new, changed, unchanged))


class EvidenceStore:
    """The evidence, cursors and runs of one database.

    Args:
        engine: From `state.engine.connect`, with durability FULL.
        url: The database, without its password, for messages.
        clock: Gives the time in epoch seconds.
    """

    def __init__(self, engine: Engine, *, url: str, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._url = url
        self._clock = clock
        # SQLite has one writer; queueing here is fair, its busy handler is not. An in-memory database has one
        # connection, which readers and writers must not share at a time.
        self._lock = threading.Lock()

    def now(self) -> float:
        """The store's time, epoch seconds."""
        return self._clock()

    def cursor(self, collection: Collection) -> Cursor:
        """Where a collection stands; an empty cursor if it was never listed."""
        with self._reading() as connection:
            return _read_cursor(connection, collection)

    def begin_listing(self, collection: Collection, *, full: bool) -> Cursor:
        """Go on with the listing in progress, or begin one.

        Args:
            collection: What to list.
            full: Whether to list everything. A full listing in progress serves either wish; one of only what is new
                is given up for a full one.

        Returns:
            The cursor, with `listing` set.
        """
        with self._writing() as connection:
            cursor = _read_cursor(connection, collection)
            if cursor.listing is not None and (cursor.listing.full or not full):
                return cursor
            fresh = replace(cursor, listing=Listing(began_at=self._clock(), full=full))
            _write_cursor(connection, collection, fresh)
            return fresh

    def restart_listing(self, collection: Collection, expected: Listing) -> Cursor:
        """Begin the listing anew, since the vendor no longer accepts its page cursor. Evidence stays.

        Raises:
            ListingTaken: Another process has moved the cursor meanwhile.
        """
        with self._writing() as connection:
            cursor = self._expect(connection, collection, expected)
            fresh = replace(cursor, listing=Listing(began_at=self._clock(), full=expected.full))
            _write_cursor(connection, collection, fresh)
            return fresh

    def commit_page(
        self,
        collection: Collection,
        bodies: Sequence[Body],
        provenance: Provenance,
        *,
        before: Listing,
        after: Listing,
        ends: bool,
        buries: bool = False,
    ) -> tuple[Counts, Cursor]:
        """Store a page and move the cursor behind it, in one transaction.

        Args:
            collection: What is being listed.
            bodies: The page's records, prepared before, since SQLite has one writer.
            provenance: Where they came from.
            before: The listing as it was when the page was fetched.
            after: The listing with the page.
            ends: Whether the listing ends complete with it. Then the watermark moves.
            buries: Whether what the listing did not meet is gone and gets a tombstone; only where a full listing ends,
                and never for a search, which may leave things out.

        Returns:
            What the page brought, and the cursor as it is now.

        Raises:
            ListingTaken: Another process has moved the cursor meanwhile; nothing of the page was stored.
            ValueError: `buries` where no full listing ends; a mistake of the caller's, and nothing was stored.
        """
        if buries and not (ends and before.full):
            raise ValueError("only a full listing that ends complete buries")
        with self._writing() as connection:
            cursor = self._expect(connection, collection, before)
            now = self._clock()
            ids = [item.external_id for item in bodies]
            planned = plan(_heads(connection, collection, ids), bodies)
            _append(connection, collection, planned.versions, provenance, now, deleted=False)
            _mark_seen(connection, collection, ids, before.began_at)
            counts = replace(planned.counts, pages=1)
            if not ends:
                cursor = replace(cursor, listing=after)
            else:
                if buries:
                    counts = replace(counts, deleted=_bury(connection, collection, before, provenance, now))
                cursor = Cursor(
                    watermark=after.candidate or cursor.watermark,
                    completed_at=now,
                    expected=after.records if before.full else cursor.expected,
                )
            _write_cursor(connection, collection, cursor)
            return counts, cursor

    def versions(
        self,
        *,
        source: str | None = None,
        stream: str | None = None,
        tenant: str | None = None,
        partition: str | None = None,
        external_id: str | None = None,
        limit: int | None = None,
        with_text: bool = False,
    ) -> Iterator[EvidenceVersion]:
        """All versions of what matches, in the order in which they were stored.

        Args:
            source: Only this vendor.
            stream: Only this stream.
            tenant: Only this tenant.
            partition: Only this partition; `""` is that of a stream which has none.
            external_id: Only this thing.
            limit: Only so many, the newest.
            with_text: Whether to load the content too.
        """
        columns = [c for c in _evidence.c if with_text or c.name != "body"]
        statement = select(*columns).order_by(_evidence.c.id.desc()).limit(limit)
        wanted = {
            "source": source,
            "stream": stream,
            "tenant": tenant,
            "partition": partition,
            "external_id": external_id,
        }
        for name, value in wanted.items():
            if value is not None:
                statement = statement.where(_evidence.c[name] == value)
        with self._reading() as connection:
            rows = connection.execute(statement).all()
        return (_version(row) for row in reversed(rows))

    def text(self, version: EvidenceVersion) -> str:
        """The content of one version, as it was hashed.

        Args:
            version: From `versions`.

        Raises:
            LookupError: This database does not hold it.
        """
        statement = select(_evidence.c.body).where(
            _within(_evidence, version.collection),
            _evidence.c.external_id == version.external_id,
            _evidence.c.version == version.version,
        )
        with self._reading() as connection:
            found: str | None = connection.execute(statement).scalar()
        if found is None:
            raise LookupError(f"there is no version {version.version} of {version.external_id}")
        return found

    def begin_run(self, run: SyncRun) -> None:
        """Record that a run began."""
        with self._writing() as connection:
            values = {c.name: getattr(run, c.name) for c in _run.c}
            connection.execute(insert(_run), {**values, "asked": dict(run.asked), "outcome": dict(run.outcome)})

    def end_run(self, run_id: str, *, state: str, outcome: Mapping[str, Any]) -> None:
        """Record how a run ended.

        Args:
            run_id: As given to `begin_run`.
            state: `complete`, `incomplete` or `failed`.
            outcome: What came, by stream.
        """
        with self._writing() as connection:
            values = {"state": state, "outcome": dict(outcome), "ended_at": self._clock()}
            connection.execute(update(_run).where(_run.c.id == run_id).values(**values))

    def runs(self, limit: int = 50) -> list[SyncRun]:
        """The newest runs, newest first."""
        with self._reading() as connection:
            rows = connection.execute(select(_run).order_by(_run.c.started_at.desc()).limit(limit)).all()
        return [SyncRun(**row._mapping) for row in rows]

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._lock, translated(self._url), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._lock, translated(self._url), engines.reading(self._engine) as connection:
            yield connection

    def _expect(self, connection: Connection, collection: Collection, expected: Listing) -> Cursor:
        cursor = _read_cursor(connection, collection)
        if cursor.listing != expected:
            raise ListingTaken(
                f"Another sync is collecting {collection.source} {collection.stream} of tenant {collection.tenant} and "
                "has moved its cursor; this one stopped and nothing was stored twice. Let the other finish.",
                url=self._url,
            )
        return cursor


def _within(table: Table, collection: Collection) -> ColumnElement[bool]:
    return and_(
        table.c.source == collection.source,
        table.c.stream == collection.stream,
        table.c.tenant == collection.tenant,
        table.c.partition == collection.partition,
    )


def _key(collection: Collection) -> dict[str, str]:
    return {
        "source": collection.source,
        "stream": collection.stream,
        "tenant": collection.tenant,
        "partition": collection.partition,
    }


def _read_cursor(connection: Connection, collection: Collection) -> Cursor:
    row = connection.execute(select(_cursor).where(_within(_cursor, collection))).one_or_none()
    if row is None:
        return Cursor()
    listing = None
    if row.listing_began_at is not None:
        listing = Listing(
            began_at=row.listing_began_at,
            full=row.listing_full,
            page_cursor=row.listing_page_cursor,
            candidate=row.listing_candidate,
            pages=row.listing_pages,
            records=row.listing_records,
        )
    return Cursor(row.watermark, row.completed_at, row.expected, listing)


def _write_cursor(connection: Connection, collection: Collection, cursor: Cursor) -> None:
    listing = cursor.listing
    connection.execute(delete(_cursor).where(_within(_cursor, collection)))
    connection.execute(
        insert(_cursor),
        {
            **_key(collection),
            "watermark": cursor.watermark,
            "completed_at": cursor.completed_at,
            "expected": cursor.expected,
            "listing_began_at": listing and listing.began_at,
            "listing_full": listing and listing.full,
            "listing_page_cursor": listing and listing.page_cursor,
            "listing_candidate": listing and listing.candidate,
            "listing_pages": listing and listing.pages,
            "listing_records": listing and listing.records,
        },
    )


def _heads(connection: Connection, collection: Collection, ids: Sequence[str]) -> dict[str, Head]:
    statement = select(_current.c.external_id, _current.c.version, _current.c.sha256, _current.c.deleted)
    return {
        row.external_id: Head(row.version, row.sha256, row.deleted)
        for some in _batches(ids)
        for row in connection.execute(
            statement.where(_within(_current, collection), _current.c.external_id.in_(some)),
        )
    }


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    # A statement takes a bounded number of variables: 999 on an old SQLite.
    return (ids[start : start + 500] for start in range(0, len(ids), 500))


def _append(
    connection: Connection,
    collection: Collection,
    versions: Sequence[tuple[Body, Head]],
    provenance: Provenance,
    now: float,
    *,
    deleted: bool,
) -> None:
    if not versions:
        return
    key = _key(collection)
    origin = {
        "base_url": provenance.base_url,
        "credential": provenance.credential,
        "run_id": provenance.run_id,
    }
    connection.execute(
        insert(_evidence),
        [
            {
                **key,
                **origin,
                "external_id": item.external_id,
                "version": head.version,
                "sha256": item.sha256,
                "body": item.text,
                "form": FORM,
                "deleted": deleted,
                "collected_at": now,
            }
            for item, head in versions
        ],
    )
    last = {item.external_id: (item, head) for item, head in versions}  # a thing may stand on a page twice
    connection.execute(
        delete(_current).where(_within(_current, collection), _current.c.external_id == bindparam("b_id")),
        [{"b_id": name} for name in last],
    )
    connection.execute(
        insert(_current),
        [
            {
                **key,
                "external_id": name,
                "version": head.version,
                "sha256": item.sha256,
                "deleted": deleted,
                "seen_at": 0.0,
            }
            for name, (item, head) in last.items()
        ],
    )


def _mark_seen(connection: Connection, collection: Collection, ids: Sequence[str], listing: float) -> None:
    for some in _batches(ids):
        seen = update(_current).where(_within(_current, collection), _current.c.external_id.in_(some))
        connection.execute(seen.values(seen_at=listing))


def _bury(connection: Connection, collection: Collection, listing: Listing, provenance: Provenance, now: float) -> int:
    """Add a tombstone for everything that a full, complete listing did not meet."""
    missing = connection.execute(
        select(_current.c.external_id, _current.c.version).where(
            _within(_current, collection),
            _current.c.seen_at != listing.began_at,
            _current.c.deleted.is_(False),
        )
    ).all()
    graves = [
        (stone, Head(row.version + 1, stone.sha256, deleted=True))
        for row in missing
        for stone in [body(row.external_id, None)]
    ]
    _append(connection, collection, graves, provenance, now, deleted=True)
    return len(graves)


def _version(row: Row[Any]) -> EvidenceVersion:
    return EvidenceVersion(
        collection=Collection(row.source, row.stream, row.tenant, row.partition),
        external_id=row.external_id,
        version=row.version,
        sha256=row.sha256,
        collected_at=row.collected_at,
        deleted=row.deleted,
        form=row.form,
        provenance=Provenance(row.base_url, row.credential, row.run_id),
        text=row._mapping.get("body"),
    )
