"""Evidence, cursors and runs: an append-only record of what a vendor said, and of how far we have read.

A page's evidence and the cursor behind it are one transaction, so a killed sync goes on where it was, with nothing
lost and nothing doubled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from state import engine as engines
from state import rows, tables
from state.errors import ListingTaken, not_held
from state.plan import plan
from state.records import Body, Collection, Counts, Cursor, EvidenceVersion, Listing, Provenance, SyncRun
from state.transactions import Transactions

_evidence, _current, _run = tables.evidence, tables.evidence_current, tables.sync_run


class EvidenceStore(Transactions):
    """The evidence, cursors and runs of one database; made from an engine with durability FULL."""

    def cursor(self, collection: Collection) -> Cursor:
        """Where a collection stands; an empty cursor if it was never listed."""
        return self._read(lambda connection: rows.read_cursor(connection, collection))

    def cursors(self, collection: Collection) -> dict[str, Cursor]:
        """Where every partition of a stream stands, by partition.

        Args:
            collection: Any partition of the stream.
        """
        return self._read(lambda connection: rows.read_cursors(connection, collection))

    def current(self, collection: Collection) -> list[EvidenceVersion]:
        """What there is now in every partition of a stream, with its content: the newest version of each thing.

        Args:
            collection: Any partition of the stream.
        """
        return self._read(lambda connection: rows.read_current(connection, collection))

    def begin_listing(self, collection: Collection, *, full: bool) -> Cursor:
        """Go on with the listing in progress, or begin one.

        Args:
            collection: What to list.
            full: Whether to list everything. A full listing in progress serves either wish; one of only what is new
                is given up for a full one.

        Returns:
            The cursor, with `listing` set.
        """

        def work(connection: Connection) -> Cursor:
            cursor = rows.read_cursor(connection, collection)
            if cursor.listing is not None and (cursor.listing.full or not full):
                return cursor
            return self._begin_anew(connection, collection, cursor, full=full)

        return self._write(work, collection)

    def restart_listing(self, collection: Collection, expected: Listing) -> Cursor:
        """Begin the listing anew, since the vendor no longer accepts its page cursor. Evidence stays.

        Raises:
            ListingTaken: Another process has moved the cursor meanwhile.
        """
        attempted: Cursor | None = None

        def work(connection: Connection) -> Cursor:
            nonlocal attempted
            cursor = rows.read_cursor(connection, collection)
            if cursor != attempted:
                self._expect(collection, cursor, expected)
                attempted = self._begin_anew(connection, collection, cursor, full=expected.full)
            assert attempted is not None
            return attempted

        return self._write(work, collection)

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
            after: The listing with the page; `before` where this is some of a page whose rest follows.
            ends: Whether the listing ends complete with it. Then the watermark moves.
            buries: Whether what the listing did not meet is gone and gets a tombstone; only where a full listing ends,
                and never for a search, which may leave things out.

        Returns:
            What the page brought, and the cursor as it is now.

        Raises:
            ListingTaken: Another process has moved the cursor meanwhile; nothing of the page was stored.
            StateError: An id cannot be held; nothing of the page was stored.
            ValueError: `buries` where no full listing ends; a mistake of the caller's, and nothing was stored.
        """
        if buries and not (ends and before.full):
            raise ValueError("only a full listing that ends complete buries")
        for item in bodies:
            if "\0" in item.external_id:  # where SQLite's JSON functions, which look ids up, end a text
                raise not_held(self._url, f"the id {item.external_id[:60]!r}, since it has a NUL")
        attempted: tuple[Counts, Cursor] | None = None

        def work(connection: Connection) -> tuple[Counts, Cursor]:
            nonlocal attempted
            cursor = rows.read_cursor(connection, collection)
            if attempted is None or cursor != attempted[1] or after == before:
                self._expect(collection, cursor, before)
                attempted = self._store_page(
                    connection, collection, cursor, bodies, provenance, before, after, ends=ends, buries=buries
                )
            # Else the connection was lost at the end of the first try, and the commit was one.
            return attempted

        return self._write(work, collection)

    def _store_page(
        self,
        connection: Connection,
        collection: Collection,
        cursor: Cursor,
        bodies: Sequence[Body],
        provenance: Provenance,
        before: Listing,
        after: Listing,
        *,
        ends: bool,
        buries: bool,
    ) -> tuple[Counts, Cursor]:
        now = engines.time_of(connection, self._clock)
        ids = [item.external_id for item in bodies]
        planned = plan(rows.heads(connection, collection, ids), bodies)
        rows.append(connection, collection, planned.versions, provenance, now, deleted=False, listing=before.began_at)
        fresh = {item.external_id for item, _ in planned.versions}
        rows.mark_seen(connection, collection, [name for name in ids if name not in fresh], before.began_at)
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
        of = {"source": source, "stream": stream, "tenant": tenant, "partition": partition}
        if external_id is None:
            statement = statement.where(*rows.matching(_evidence, **of))
        else:  # by the index of things
            things = select(_current.c.record_id).where(*rows.matching(_current, **of, external_id=external_id))
            statement = statement.where(_evidence.c.record_id.in_(things))
        found = self._read(lambda connection: connection.execute(statement).all())
        return (rows.version(row) for row in reversed(found))

    def text(self, version: EvidenceVersion) -> str:
        """The content of one version, as it was hashed.

        Args:
            version: From `versions`.

        Raises:
            LookupError: This database does not hold it.
        """
        statement = (
            select(_evidence.c.body)
            .join(_current)
            .where(
                rows.within(_current, version.collection),
                _current.c.external_id == version.external_id,
                _evidence.c.version == version.version,
            )
        )
        found: str | None = self._read(lambda connection: connection.execute(statement).scalar())
        if found is None:
            raise LookupError(f"there is no version {version.version} of {version.external_id}")
        return found

    def begin_run(self, run: SyncRun) -> None:
        """Record that a run began."""
        values = {c.name: getattr(run, c.name) for c in _run.c}
        values |= {"asked": dict(run.asked), "outcome": dict(run.outcome)}

        def work(connection: Connection) -> None:
            connection.execute(delete(_run).where(_run.c.id == run.id))  # of a first try
            connection.execute(insert(_run), values)

        self._write(work)

    def end_run(self, run_id: str, *, state: str, outcome: Mapping[str, Any]) -> None:
        """Record how a run ended.

        Args:
            run_id: As given to `begin_run`.
            state: As in `SyncRun`.
            outcome: What came, by stream.
        """

        def work(connection: Connection) -> None:
            values = {"state": state, "outcome": dict(outcome), "ended_at": engines.time_of(connection, self._clock)}
            connection.execute(update(_run).where(_run.c.id == run_id).values(**values))

        self._write(work)

    def runs(
        self,
        limit: int = 50,
        *,
        source: str | None = None,
        tenant: str | None = None,
        flow_run_id: str | None = None,
    ) -> list[SyncRun]:
        """The newest runs of what matches, newest first.

        Args:
            limit: At most so many.
            source: Only of this vendor.
            tenant: Only for this tenant.
            flow_run_id: Only of this Prefect flow run.
        """
        matching = rows.matching(_run, source=source, tenant=tenant, flow_run_id=flow_run_id)
        statement = select(_run).where(*matching).order_by(_run.c.started_at.desc()).limit(limit)
        found = self._read(lambda connection: connection.execute(statement).all())
        return [SyncRun(**row._mapping) for row in found]

    def _begin_anew(self, connection: Connection, collection: Collection, cursor: Cursor, *, full: bool) -> Cursor:
        fresh = replace(cursor, listing=Listing(began_at=engines.time_of(connection, self._clock), full=full))
        rows.write_cursor(connection, collection, fresh)
        return fresh

    def _expect(self, collection: Collection, cursor: Cursor, expected: Listing) -> None:
        if cursor.listing != expected:
            raise ListingTaken(
                f"Another sync is collecting {collection.source} {collection.stream} of tenant {collection.tenant} and "
                "has moved its cursor; this one stopped and nothing was stored twice. Let the other finish.",
                url=self._url,
            )
