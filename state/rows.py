"""The statements behind `state.evidence`. Each runs within the transaction of the connection it is given.

What runs for every page is compiled once and given to the driver as text: for a page of a hundred records SQLAlchemy
took longer than SQLite.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Dialect,
    Row,
    String,
    Table,
    and_,
    any_,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ClauseElement

from state import tables
from state.canonical import FORM, body
from state.plan import Head
from state.records import Body, Collection, Cursor, EvidenceVersion, Listing, Provenance

_evidence, _current, _cursor = tables.evidence, tables.evidence_current, tables.cursor
_KEY = ("source", "stream", "tenant", "partition")
_THING = (*_KEY, "external_id")
_CURSOR = tuple(column.name for column in _cursor.c if column.name not in _KEY)


@dataclass(frozen=True, slots=True)
class Hot:
    """What runs for every page, in one database's SQL. All of it takes a collection.

    Attributes:
        cursor: Reads the cursor.
        move: Writes it, over the one that is there.
        heads: The current versions of the things in `b_ids`.
        head: Makes a version the current one.
        add: Adds one, of a thing that has a current one.
        seen: Notes that a listing has met the things in `b_ids`.
    """

    cursor: str
    move: str
    heads: str
    head: str
    add: str
    seen: str


@functools.lru_cache(maxsize=16)
def _hot(dialect: Dialect) -> Hot:
    """The statements for a database; a dialect belongs to one engine."""
    on_server = dialect.name == "postgresql"
    insert_or = postgresql.insert if on_server else sqlite.insert
    name = _current.c.external_id
    # As one parameter: an old SQLite takes 999 of them, and the statement stays the same for every page.
    if on_server:
        among: ColumnElement[bool] = name == any_(bindparam("b_ids", type_=ARRAY(String)))
    else:
        among = name.in_(select(func.json_each(bindparam("b_ids")).table_valued("value").c.value))

    def text(statement: ClauseElement) -> str:
        return str(statement.compile(dialect=dialect))

    def of_collection(table: Table) -> ColumnElement[bool]:
        return and_(*(table.c[part] == bindparam(f"b_{part}") for part in _KEY))

    def upsert(table: Table, *keys: str) -> ClauseElement:
        given = [column.name for column in table.c if column.name != "record_id"]
        new = insert_or(table).values({column: bindparam(column) for column in given}).inline()
        rest = {column: new.excluded[column] for column in given if column not in keys}
        return new.on_conflict_do_update(index_elements=keys, set_=rest)

    version: dict[str, Any] = {column.name: bindparam(column.name) for column in _evidence.c if column.name != "id"}
    same = and_(*(_current.c[part] == bindparam(part) for part in _THING))
    version["record_id"] = select(_current.c.record_id).where(same).scalar_subquery()
    of_current = of_collection(_current) & among
    return Hot(
        cursor=text(select(*(_cursor.c[column] for column in _CURSOR)).where(of_collection(_cursor))),
        move=text(upsert(_cursor, *_KEY)),
        heads=text(select(name, _current.c.version, _current.c.sha256, _current.c.deleted).where(of_current)),
        head=text(upsert(_current, *_THING)),
        add=text(insert(_evidence).values(version).inline()),
        seen=text(update(_current).where(of_current).values(seen_at=bindparam("b_seen_at"))),
    )


def _named(connection: Connection, collection: Collection, ids: Sequence[str]) -> dict[str, Any]:
    """The parameters for some things of a collection."""
    some = list(ids) if connection.dialect.name == "postgresql" else json.dumps(ids)
    return {**_bound(collection), "b_ids": some}


def _bound(collection: Collection) -> dict[str, str]:
    return {f"b_{name}": value for name, value in _key(collection).items()}


def matching(table: Table, **wanted: str | None) -> list[ColumnElement[bool]]:
    """That columns have these values; None for any."""
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


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
    found = connection.exec_driver_sql(_hot(connection.dialect).cursor, _bound(collection)).one_or_none()
    return Cursor() if found is None else _cursor_of(found)


def read_cursors(connection: Connection, collection: Collection) -> dict[str, Cursor]:
    """The cursors of all partitions of a stream, by partition."""
    columns = (_cursor.c.partition, *(_cursor.c[name] for name in _CURSOR))
    found = connection.execute(select(*columns).where(_of_stream(_cursor, collection)))
    return {partition: _cursor_of(row) for partition, *row in found}


def _cursor_of(row: Sequence[Any]) -> Cursor:
    watermark, completed_at, expected, began_at, full, *rest = row
    listing = None if began_at is None else Listing(began_at, bool(full), *rest)
    return Cursor(watermark, completed_at, expected, listing)


def write_cursor(connection: Connection, collection: Collection, cursor: Cursor) -> None:
    """Put a cursor in the place of the one that is there."""
    listing = cursor.listing
    connection.exec_driver_sql(
        _hot(connection.dialect).move,
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
    found = connection.exec_driver_sql(_hot(connection.dialect).heads, _named(connection, collection, ids))
    return {name: Head(version, sha256, bool(deleted)) for name, version, sha256, deleted in found}


def read_current(connection: Connection, collection: Collection) -> list[EvidenceVersion]:
    """The current versions of what is not gone, in all partitions of a stream, in the order of their ids."""
    newest = and_(*(_evidence.c[name] == _current.c[name] for name in ("record_id", "version")))
    statement = (
        select(_evidence)
        .join(_current, newest)
        .where(_of_stream(_current, collection), _current.c.deleted.is_(False))
        .order_by(_current.c.partition, _current.c.external_id)
    )
    return [version(row) for row in connection.execute(statement)]


def append(
    connection: Connection,
    collection: Collection,
    versions: Sequence[tuple[Body, Head]],
    provenance: Provenance,
    now: float,
    *,
    deleted: bool,
    listing: float = 0.0,
) -> None:
    """Add versions and make them the current ones.

    Args:
        connection: In a transaction.
        collection: Where they belong.
        versions: The bodies, and what they are now.
        provenance: Where they came from.
        now: Epoch seconds.
        deleted: Whether they are tombstones.
        listing: When the listing that met them began, epoch seconds; 0.0 for none.
    """
    if not versions:
        return
    hot = _hot(connection.dialect)
    same = {
        **_key(collection),
        "base_url": provenance.base_url,
        "credential": provenance.credential,
        "run_id": provenance.run_id,
        "form": FORM,
        "deleted": deleted,
        "collected_at": now,
        "seen_at": listing,
    }
    added = [
        {
            **same,
            "external_id": item.external_id,
            "version": head.version,
            "sha256": item.sha256,
            "body": item.text,
        }
        for item, head in versions
    ]
    # A thing may stand on a page twice: then the last is the current one.
    connection.exec_driver_sql(hot.head, list({each["external_id"]: each for each in added}.values()))
    connection.exec_driver_sql(hot.add, added)


def mark_seen(connection: Connection, collection: Collection, ids: Sequence[str], listing: float) -> None:
    """Note that the listing which began at `listing` has met these things."""
    if ids:
        named = {**_named(connection, collection, ids), "b_seen_at": listing}
        connection.exec_driver_sql(_hot(connection.dialect).seen, named)


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
