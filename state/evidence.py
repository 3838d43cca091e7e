"""Evidence, cursors and runs: an append-only record of what a vendor said, and of how far we have read.

A page's evidence and the cursor behind it are one transaction, so a killed sync goes on where it was, with nothing
lost and nothing doubled.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from state import engine as engines
from state import fork, rows, tables
from state.errors import ListingTaken, translated
from state.plan import plan
from state.records import Body, Collection, Counts, Cursor, EvidenceVersion, Listing, Provenance, SyncRun

_evidence, _run = tables.evidence, tables.sync_run


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
        fork.tell_in_child(self)

    def in_child(self) -> None:
        """See `state.fork`."""
        self._lock = threading.Lock()
        self._inherited = engines.renew(self._engine)

    def now(self) -> float:
        """The store's time, epoch seconds."""
        return self._clock()

    def cursor(self, collection: Collection) -> Cursor:
        """Where a collection stands; an empty cursor if it was never listed."""
        with self._reading() as connection:
            return rows.read_cursor(connection, collection)

    def cursors(self, collection: Collection) -> dict[str, Cursor]:
        """Where every partition of a stream stands, by partition.

        Args:
            collection: Any partition of the stream.
        """
        with self._reading() as connection:
            return rows.read_cursors(connection, collection)

    def current(self, collection: Collection) -> list[EvidenceVersion]:
        """What there is now in every partition of a stream, with its content: the newest version of each thing.

        Args:
            collection: Any partition of the stream.
        """
        with self._reading() as connection:
            return rows.read_current(connection, collection)

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
            cursor = rows.read_cursor(connection, collection)
            if cursor.listing is not None and (cursor.listing.full or not full):
                return cursor
            fresh = replace(cursor, listing=Listing(began_at=self._clock(), full=full))
            rows.write_cursor(connection, collection, fresh)
            return fresh

    def restart_listing(self, collection: Collection, expected: Listing) -> Cursor:
        """Begin the listing anew, since the vendor no longer accepts its page cursor. Evidence stays.

        Raises:
            ListingTaken: Another process has moved the cursor meanwhile.
        """
        with self._writing() as connection:
            cursor = self._expect(connection, collection, expected)
            fresh = replace(cursor, listing=Listing(began_at=self._clock(), full=expected.full))
            rows.write_cursor(connection, collection, fresh)
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
            planned = plan(rows.heads(connection, collection, ids), bodies)
            rows.append(connection, collection, planned.versions, provenance, now, deleted=False)
            rows.mark_seen(connection, collection, ids, before.began_at)
            counts = replace(planned.counts, pages=1)
            if not ends:
                cursor = replace(cursor, listing=after)
            else:
                if buries:
                    counts = replace(counts, deleted=rows.bury(connection, collection, before, provenance, now))
                cursor = Cursor(
                    watermark=after.candidate or cursor.watermark,
                    completed_at=now,
                    expected=after.records if before.full else cursor.expected,
                )
            rows.write_cursor(connection, collection, cursor)
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
            found = connection.execute(statement).all()
        return (rows.version(row) for row in reversed(found))

    def text(self, version: EvidenceVersion) -> str:
        """The content of one version, as it was hashed.

        Args:
            version: From `versions`.

        Raises:
            LookupError: This database does not hold it.
        """
        statement = select(_evidence.c.body).where(
            rows.within(_evidence, version.collection),
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
            found = connection.execute(select(_run).order_by(_run.c.started_at.desc()).limit(limit)).all()
        return [SyncRun(**row._mapping) for row in found]

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
        cursor = rows.read_cursor(connection, collection)
        if cursor.listing != expected:
            raise ListingTaken(
                f"Another sync is collecting {collection.source} {collection.stream} of tenant {collection.tenant} and "
                "has moved its cursor; this one stopped and nothing was stored twice. Let the other finish.",
                url=self._url,
            )
        return cursor
