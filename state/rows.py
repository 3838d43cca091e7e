"""The statements behind `state.evidence`. Each runs within the transaction of the connection it is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, bindparam, delete, insert, select, update

from state import tables
from state.canonical import FORM, body
from state.plan import Head
from state.records import Body, Collection, Cursor, EvidenceVersion, Listing, Provenance

_evidence, _current, _cursor = tables.evidence, tables.evidence_current, tables.cursor


def within(table: Table, collection: Collection) -> ColumnElement[bool]:
    """That a row belongs to a collection."""
    return and_(_of_stream(table, collection), table.c.partition == collection.partition)


def _of_stream(table: Table, collection: Collection) -> ColumnElement[bool]:
    return and_(
        table.c.source == collection.source,
        table.c.stream == collection.stream,
        table.c.tenant == collection.tenant,
    )


def _key(collection: Collection) -> dict[str, str]:
    return {
        "source": collection.source,
        "stream": collection.stream,
        "tenant": collection.tenant,
        "partition": collection.partition,
    }


def read_cursor(connection: Connection, collection: Collection) -> Cursor:
    """The cursor of a collection; an empty one if it was never listed."""
    row = connection.execute(select(_cursor).where(within(_cursor, collection))).one_or_none()
    return Cursor() if row is None else _cursor_of(row)


def read_cursors(connection: Connection, collection: Collection) -> dict[str, Cursor]:
    """The cursors of all partitions of a stream, by partition."""
    found = connection.execute(select(_cursor).where(_of_stream(_cursor, collection)))
    return {row.partition: _cursor_of(row) for row in found}


def _cursor_of(row: Row[Any]) -> Cursor:
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


def write_cursor(connection: Connection, collection: Collection, cursor: Cursor) -> None:
    """Put a cursor in the place of the one that is there."""
    listing = cursor.listing
    connection.execute(delete(_cursor).where(within(_cursor, collection)))
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


def heads(connection: Connection, collection: Collection, ids: Sequence[str]) -> dict[str, Head]:
    """The current versions of some things, by external id; nothing for those never seen."""
    statement = select(_current.c.external_id, _current.c.version, _current.c.sha256, _current.c.deleted)
    return {
        row.external_id: Head(row.version, row.sha256, row.deleted)
        for some in _batches(ids)
        for row in connection.execute(
            statement.where(within(_current, collection), _current.c.external_id.in_(some)),
        )
    }


def read_current(connection: Connection, collection: Collection) -> list[EvidenceVersion]:
    """The current versions of what is not gone, in all partitions of a stream, in the order of their ids."""
    same = ("source", "stream", "tenant", "partition", "external_id", "version")
    newest = and_(*(_evidence.c[name] == _current.c[name] for name in same))
    statement = (
        select(_evidence)
        .join(_current, newest)
        .where(_of_stream(_current, collection), _current.c.deleted.is_(False))
        .order_by(_current.c.partition, _current.c.external_id)
    )
    return [version(row) for row in connection.execute(statement)]


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    # A statement takes a bounded number of variables: 999 on an old SQLite.
    return (ids[start : start + 500] for start in range(0, len(ids), 500))


def append(
    connection: Connection,
    collection: Collection,
    versions: Sequence[tuple[Body, Head]],
    provenance: Provenance,
    now: float,
    *,
    deleted: bool,
) -> None:
    """Add versions and make them the current ones."""
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
        delete(_current).where(within(_current, collection), _current.c.external_id == bindparam("b_id")),
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


def mark_seen(connection: Connection, collection: Collection, ids: Sequence[str], listing: float) -> None:
    """Note that the listing which began at `listing` has met these things."""
    for some in _batches(ids):
        seen = update(_current).where(within(_current, collection), _current.c.external_id.in_(some))
        connection.execute(seen.values(seen_at=listing))


def bury(connection: Connection, collection: Collection, listing: Listing, provenance: Provenance, now: float) -> int:
    """Add a tombstone for everything that a full, complete listing did not meet."""
    missing = connection.execute(
        select(_current.c.external_id, _current.c.version).where(
            within(_current, collection),
            _current.c.seen_at != listing.began_at,
            _current.c.deleted.is_(False),
        )
    ).all()
    graves = [
        (stone, Head(row.version + 1, stone.sha256, deleted=True))
        for row in missing
        for stone in [body(row.external_id, None)]
    ]
    append(connection, collection, graves, provenance, now, deleted=True)
    return len(graves)


def version(row: Row[Any]) -> EvidenceVersion:
    """A version, with its content if that was selected."""
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
