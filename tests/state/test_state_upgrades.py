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
from sqlalchemy import Engine, MetaData, event

from flows.cli import run
from state import Bucket, open_store, schema
from state import engine as engines
from state.records import Collection
from state.tokens import TokenKey, VendorToken

SCHEMAS = Path(__file__).with_name("schemas")
OLD = sorted(path.name.partition(".")[0] for path in SCHEMAS.glob("*.sqlite.sql"))
ROWS_OF_0001 = {
    "cursor": 3,
    "evidence": 6,
    "evidence_current": 4,
    "limiter": 2,
    "limiter_history": 10,
    "sync_run": 1,
}


def rows_of(url: str) -> dict[str, set[str]]:
    """Everything in every table but Alembic's, whatever the tables are."""
    engine = engines.as_found(engines.parse_url(url))
    found = MetaData()
    with engine.connect() as connection:
        found.reflect(connection)
        rows = {name: connection.execute(table.select()).mappings().all() for name, table in found.tables.items()}
    engine.dispose()
    return {name: {repr(dict(row)) for row in some} for name, some in rows.items() if name != schema.VERSION_TABLE}


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
    assert {name: len(rows) for name, rows in before.items()} == ROWS_OF_0001
    assert schema.status(url).revision == revision
    assert schema.upgrade_url(url).revision == schema.HEAD
    after = rows_of(url)
    assert {name: after[name] for name in before} == before
    assert {name: after[name] for name in after if name not in before} == {"vendor_token": set()}


def test_what_was_learned_and_collected_under_0001_is_read_as_it_was_written(restored: Callable[[str], str]) -> None:
    url = restored("0001")
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
        assert store.evidence.cursor(Collection("vanta", "people", "acme")).listing.full
        assert [(each.state, each.outcome) for each in store.evidence.runs()] == [("complete", {"requests": 4})]
        assert store.tokens.transact(TokenKey("i", "c"), lambda row, now: (row, row)) == VendorToken()


def test_a_row_can_be_added_where_numbers_were_given_out_before(restored: Callable[[str], str]) -> None:
    """PostgreSQL's come from a sequence, which is kept apart from its table."""
    from state_worker import added

    with open_store(restored("0001")) as store:
        assert store.transact(Bucket("github"), added) == 1
        assert len(list(store.buckets())) == 3


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


def test_several_that_upgrade_at_once_do_it_once(restored: Callable[[str], str], start) -> None:
    url = restored("0001")
    before = rows_of(url)
    workers = [start("open", url) for _ in range(4)]
    for worker in workers:
        worker.go()
    assert [worker.end() for worker in workers] == [0] * 4
    assert schema.status(url).revision == schema.HEAD
    after = rows_of(url)
    assert {name: after[name] for name in before} == before


def test_a_kill_at_any_statement_leaves_the_old_schema_or_the_new_one(restored: Callable[[str], str], start) -> None:
    last = statements_of_an_upgrade(restored("0001"))
    urls = {point: restored("0001") for point in range(1, last + 1)}
    before = rows_of(urls[1])
    workers = {point: start("upgrade", url, point) for point, url in urls.items()}
    for worker in workers.values():
        worker.go()
    for point, worker in workers.items():
        assert worker.end() == -9, f"{point} of {last}"
        found = rows_of(urls[point])
        assert {name: found[name] for name in before} == before, f"{point} of {last}"
        assert schema.status(urls[point]).revision == (schema.HEAD if "vendor_token" in found else "0001")
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
