"""The schema: as the tables say, whole or not there, and looked at without a trace."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event

from state import engine as engines
from state import open_store, schema, tables
from state.errors import DatabaseCorrupt, DatabaseFull, DatabaseUnavailable, SchemaTooNew
from state.schema import SchemaStatus

OF_0001 = {"cursor", "evidence", "evidence_current", "limiter", "limiter_history", "sync_run", "aimd_version"}
TABLES = {*OF_0001, "vendor_token"}


def tables_of(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return names


def test_the_migrations_lead_to_what_the_tables_say(url: str) -> None:
    schema.upgrade_url(url)
    engine = engines.connect(engines.parse_url(url), "FULL")
    with engine.connect() as connection:
        opts = {"compare_type": True, "compare_server_default": True, "version_table": schema.VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, tables.metadata) == []
    engine.dispose()


def test_the_migrations_and_the_tables_agree_on_what_alembic_does_not_compare(path: Path, url: str) -> None:
    """Primary keys, unique constraints, tables without a rowid: by the words of the two schemas."""

    def schemas(file: Path) -> dict[str, set[str]]:
        connection = sqlite3.connect(file)
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL").fetchall()
        connection.close()
        return {name: {line.strip(" ,\t") for line in sql.splitlines()} for name, sql in rows}

    schema.upgrade_url(url)
    other = path.with_name("other.db")
    engine = engines.connect(engines.parse_url(f"sqlite:///{other}"), "FULL")
    tables.metadata.create_all(engine)
    engine.dispose()
    migrated = schemas(path)
    migrated.pop("aimd_version")
    assert migrated == schemas(other)


def test_the_head_is_the_head_of_the_migrations() -> None:
    assert ScriptDirectory.from_config(schema.migrations()).get_heads() == [schema.HEAD]


def test_an_upgrade_at_the_head_changes_nothing(path: Path, url: str) -> None:
    schema.upgrade_url(url)
    before = path.read_bytes()
    assert schema.upgrade_url(url) == schema.status(url) == SchemaStatus(url, schema.HEAD, schema.HEAD, exists=True)
    assert path.read_bytes() == before


def test_the_status_of_a_database_that_is_not_there_makes_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'no' / 'such' / 'aimd.db'}"
    assert schema.status(url) == SchemaStatus(url, None, schema.HEAD, exists=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["memory://", "sqlite://"])
def test_a_database_in_memory_is_not_there_before_the_program_that_uses_it(url: str) -> None:
    nothing = SchemaStatus("memory://", None, schema.HEAD, exists=False)
    assert schema.status(url) == schema.upgrade_url(url) == nothing


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("known", [True, False])
def test_a_look_at_the_status_leaves_no_trace(tmp_path: Path, journal: str, known: bool) -> None:
    path = tmp_path / "with space, ? and %.db"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute("CREATE TABLE aimd_version (version_num)" if known else "CREATE TABLE theirs (x)")
    if known:
        connection.execute("INSERT INTO aimd_version VALUES ('0000')")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    url = f"sqlite:///{path}".replace("?", "%3F").replace(" %.", " %25.")
    status = schema.status(url)
    assert (status.revision, status.exists) == ("0000" if known else None, True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_status_of_an_empty_file_and_of_no_database(path: Path, url: str) -> None:
    path.touch()
    assert schema.status(url) == SchemaStatus(url, None, schema.HEAD, exists=True)
    assert path.read_bytes() == b""
    path.write_bytes(b"hello, world" * 100)
    with pytest.raises(DatabaseCorrupt):
        schema.status(url)
    path.unlink()
    path.mkdir()
    with pytest.raises(DatabaseUnavailable, match="is a folder"):
        schema.status(url)


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_schema_of_a_newer_program_is_refused_and_left_as_it_is(path: Path, url: str, journal: str) -> None:
    schema.upgrade_url(url)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE aimd_version SET version_num = '9999'")
    connection.commit()
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.close()
    before = path.read_bytes()
    for use in (open_store, schema.upgrade_url):
        with pytest.raises(SchemaTooNew, match=f"has schema 9999, which is newer than this program's {schema.HEAD}"):
            use(url)
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]
    assert schema.status(url).revision == "9999"


def test_an_upgrade_that_fails_leaves_nothing(path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(connection, record: object) -> None:
        connection.execute("PRAGMA max_page_count = 9")

    real = engines.connect

    def connect(*arguments):
        engine = real(*arguments)
        event.listen(engine, "connect", full)
        return engine

    monkeypatch.setattr(engines, "connect", connect)
    with pytest.raises(DatabaseFull, match="no space left"):
        schema.upgrade_url(url)
    monkeypatch.undo()
    assert tables_of(path) == set()
    assert open_store(url).url == url
    assert tables_of(path) == TABLES


def test_several_that_start_at_once_on_a_new_file_make_one_schema(path: Path, url: str, start) -> None:
    workers = [start("open", url) for _ in range(4)]
    for worker in workers:
        worker.go()
    assert [worker.end() for worker in workers] == [0] * 4
    assert tables_of(path) == TABLES
    assert schema.status(url).revision == schema.HEAD


def statements_of_an_upgrade(folder: Path) -> int:
    count = 0

    def counted(*_: object) -> None:
        nonlocal count
        count += 1

    event.listen(Engine, "before_cursor_execute", counted)
    try:
        open_store(f"sqlite:///{folder / 'count.db'}").close()
    finally:
        event.remove(Engine, "before_cursor_execute", counted)
    return count


def test_a_kill_during_the_upgrade_leaves_the_old_schema_or_the_new_one(
    tmp_path: Path, path: Path, url: str, start
) -> None:
    last = statements_of_an_upgrade(tmp_path)
    points = sorted({1, 2, 3, *range(4, last, max(1, last // 10)), last})
    workers = {point: start("upgrade", url.replace("aimd.db", f"{point}.db"), point) for point in points}
    for worker in workers.values():
        worker.go()
    for point, worker in workers.items():
        assert worker.end() == -9, f"{point} of {last}"
        file = tmp_path / f"{point}.db"
        assert tables_of(file) in (set(), TABLES), f"{point} of {last}"
        here = f"sqlite:///{file}"
        open_store(here).close()
        assert tables_of(file) == TABLES
        assert schema.status(here).revision == schema.HEAD
