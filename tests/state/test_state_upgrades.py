"""Databases of every released schema, brought to the newest: every row still there, whoever else starts or is killed.

The databases stand in `schemas/`, as `schemas/make.py` wrote them down when each was released.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import real_postgres
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, event
from state_listing import sync

from flows.cli import run
from state import Bucket, open_store, patience, postgres, schema
from state import engine as engines
from state.records import Collection
from state.tables import evidence, evidence_current
from state.tokens import TokenKey, VendorToken

SCHEMAS = Path(__file__).with_name("schemas")
OLD = sorted(path.name.partition(".")[0] for path in SCHEMAS.glob("*.sqlite.sql"))
ROWS = {"cursor": 3, "evidence": 6, "evidence_current": 4, "limiter": 2, "limiter_history": 10, "sync_run": 1}
TOKENS = {"0001": {}, "0002": {"vendor_token": 1}}
"""What `schemas/make.py` fills a database with, and what a later schema has beside it."""


def rows_of(url: str) -> dict[str, set[str]]:
    """Everything in every table but Alembic's, whatever the tables are; without the numbers that records are given."""
    engine = engines.as_found(engines.parse_url(url))
    found = MetaData()
    with engine.connect() as connection:
        found.reflect(connection)
        rows = {name: connection.execute(table.select()).mappings().all() for name, table in found.tables.items()}
    engine.dispose()
    return {
        name: {repr({column: value for column, value in row.items() if column != "record_id"}) for row in some}
        for name, some in rows.items()
        if name != schema.VERSION_TABLE
    }


def shape_of(url: str) -> dict[str, list[str]]:
    """The columns of every table."""
    engine = engines.as_found(engines.parse_url(url))
    found = MetaData()
    with engine.connect() as connection:
        found.reflect(connection)
    engine.dispose()
    return {name: table.c.keys() for name, table in found.tables.items()}


def restored_sqlite(path: Path, revision: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((SCHEMAS / f"{revision}.sqlite.sql").read_text())
    return f"sqlite:///{path}"


def restored_postgres(url: str, revision: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((SCHEMAS / f"{revision}.postgresql.sql").read_text())
    return url


@pytest.fixture(params=["sqlite-file", "postgres"])
def restored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Gives the URL of a database of an old schema; a new one at each call."""
    if request.param == "sqlite-file":
        made = 0

        def restore(revision: str) -> str:
            nonlocal made
            made += 1
            return restored_sqlite(tmp_path / f"{made}.db", revision)

        yield restore
        return
    from contextlib import ExitStack

    server = request.getfixturevalue("server_url")
    with ExitStack() as stack:
        yield lambda revision: restored_postgres(stack.enter_context(real_postgres.own_schema(server)), revision)


def test_every_schema_but_the_newest_is_kept() -> None:
    """One that is missing was released without a run of `schemas/make.py`."""
    revisions = {script.revision for script in ScriptDirectory.from_config(schema.migrations()).walk_revisions()}
    assert set(OLD) == revisions - {schema.HEAD}
    assert {path.name.partition(".")[0] for path in SCHEMAS.glob("*.postgresql.sql")} == set(OLD)


@pytest.mark.parametrize("revision", OLD)
def test_an_upgrade_keeps_every_row(restored: Callable[[str], str], revision: str) -> None:
    url = restored(revision)
    before = rows_of(url)
    assert {name: len(rows) for name, rows in before.items()} == ROWS | TOKENS[revision]
    assert schema.status(url).revision == revision
    assert schema.upgrade_url(url).revision == schema.HEAD
    after = rows_of(url)
    assert {name: after[name] for name in before} == before
    assert all(not after[name] for name in after if name not in before)


@pytest.mark.parametrize("revision", OLD)
def test_an_upgrade_gives_each_record_a_number_of_its_own(restored: Callable[[str], str], revision: str) -> None:
    url = restored(revision)
    schema.upgrade_url(url)
    engine = engines.as_found(engines.parse_url(url))
    with engine.connect() as connection:
        current, versions = (connection.execute(table.select()).all() for table in (evidence_current, evidence))
    engine.dispose()
    named = {(each.stream, each.partition, each.external_id): each.record_id for each in current}
    assert len(set(named.values())) == len(named) == ROWS["evidence_current"]
    assert [named[each.stream, each.partition, each.external_id] for each in versions] == [
        each.record_id for each in versions
    ]


@pytest.mark.parametrize("revision", OLD)
def test_what_was_learned_and_collected_before_is_read_as_it_was_written(
    restored: Callable[[str], str], revision: str
) -> None:
    url = restored(revision)
    with open_store(url) as store:
        assert [(bucket, state.rate) for bucket, state in store.buckets()] == [
            (Bucket("notion"), 3.5),
            (Bucket("vanta", quota_key="acme"), 7.0),
        ]
        told = store.history(Bucket("notion"))
        assert [event.kind for event in told] == ["start", "increase", "backoff", "cooldown", "recovered"]
        assert {event.run_id for event in told} == {"run-1"}
        pages = Collection("notion", "pages", "acme")
        assert store.evidence.cursor(pages).watermark == "2023-11-14T22:13:20Z"
        versions = [(each.external_id, each.version, each.deleted) for each in store.evidence.versions(stream="pages")]
        assert sorted(versions) == [("a", 1, False), ("a", 2, False), ("b", 1, False), ("b", 2, True), ("c", 1, False)]
        assert [store.evidence.text(each) for each in store.evidence.versions(external_id="a")] == [
            '{"id":"a","value":1}',
            '{"id":"a","value":2}',
        ]
        assert [each.external_id for each in store.evidence.current(pages)] == ["a", "c"]
        assert store.evidence.cursor(Collection("vanta", "people", "acme")).listing.full
        assert [(each.state, each.outcome) for each in store.evidence.runs()] == [("complete", {"requests": 4})]
        assert store.tokens.transact(TokenKey("i", "c"), lambda row, now: (row, row)) == VendorToken()


@pytest.mark.parametrize("revision", OLD)
def test_a_row_can_be_added_where_numbers_were_given_out_before(restored: Callable[[str], str], revision: str) -> None:
    """PostgreSQL's come from a sequence, which is kept apart from its table."""
    from state_worker import added

    pages = Collection("notion", "pages", "acme")
    with open_store(restored(revision)) as store:
        assert store.transact(Bucket("github"), added) == 1
        assert len(list(store.buckets())) == 3
        sync(store.evidence, pages, [[("a", 3), ("d", 1)], [("c", None)]])
        assert [(each.external_id, each.version) for each in store.evidence.versions(limit=2)] == [("a", 3), ("d", 1)]


def test_an_upgrade_takes_as_long_as_it_needs_and_waits_for_locks_no_longer_than_others(
    new_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large database, a statement that moves its rows takes longer than anything else may."""
    url = restored_postgres(new_postgres_url, "0002")
    monkeypatch.setattr(patience, "BUSY_TIMEOUT", 0.3)
    waits: list[str] = []

    def slow(connection: Connection, cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith("ALTER TABLE evidence RENAME"):
            monkeypatch.setattr(postgres, "SLACK", 0.0)
            waits.extend(cursor.execute("SHOW lock_timeout").fetchone())
            cursor.execute("SELECT pg_sleep(0.6)")

    event.listen(Engine, "before_cursor_execute", slow)
    try:
        assert schema.upgrade_url(url).revision == schema.HEAD
    finally:
        event.remove(Engine, "before_cursor_execute", slow)
    assert waits == ["300ms"]


def test_the_command_line_upgrades_when_told(
    restored: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIMD_DATABASE_URL", restored("0001"))

    def aimd(*arguments: str) -> dict[str, Any]:
        assert run(list(arguments)) == 0
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    found = aimd("db", "current", "--json")
    assert (found["revision"], found["head"]) == ("0001", schema.HEAD)
    assert aimd("db", "upgrade", "--json")["revision"] == schema.HEAD
    assert aimd("db", "current", "--json")["revision"] == schema.HEAD


@pytest.mark.parametrize("revision", OLD)
def test_several_that_upgrade_at_once_do_it_once(restored: Callable[[str], str], start, revision: str) -> None:
    url = restored(revision)
    before = rows_of(url)
    workers = [start("open", url) for _ in range(4)]
    for worker in workers:
        worker.go()
    assert [worker.end() for worker in workers] == [0] * 4
    assert schema.status(url).revision == schema.HEAD
    after = rows_of(url)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("revision", OLD)
def test_a_kill_at_any_statement_leaves_the_old_schema_or_the_new_one(
    restored: Callable[[str], str], start, revision: str
) -> None:
    last = statements_of_an_upgrade(restored(revision))
    urls = {point: restored(revision) for point in range(1, last + 1)}
    before, shapes = rows_of(urls[1]), {revision: shape_of(urls[1])}
    whole = restored(revision)
    schema.upgrade_url(whole)
    shapes[schema.HEAD] = shape_of(whole)
    workers = {point: start("upgrade", url, point) for point, url in urls.items()}
    for worker in workers.values():
        worker.go()
    for point, worker in workers.items():
        assert worker.end() == -9, f"{point} of {last}"
        found = rows_of(urls[point])
        assert {name: found[name] for name in before} == before, f"{point} of {last}"
        assert shape_of(urls[point]) == shapes[schema.status(urls[point]).revision], f"{point} of {last}"
        assert schema.upgrade_url(urls[point]).revision == schema.HEAD
        assert {name: rows_of(urls[point])[name] for name in before} == before


def statements_of_an_upgrade(url: str) -> int:
    count = 0

    def counted(*_: object) -> None:
        nonlocal count
        count += 1

    event.listen(Engine, "before_cursor_execute", counted)
    try:
        open_store(url).close()
    finally:
        event.remove(Engine, "before_cursor_execute", counted)
    return count
