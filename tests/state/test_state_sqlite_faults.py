"""SQLite's own faults, provoked for real: each is an error of ours, in a sentence, and costs nothing acknowledged."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import event
from state_listing import sync
from state_worker import added

from state import Bucket, open_store, patience
from state.errors import DatabaseBusy, DatabaseFull, DatabaseUnavailable, StateError, translated
from state.records import Collection

NOTION = Bucket("notion")
PAGES = Collection("notion", "pages")


def test_a_full_disk_stops_the_limiter_and_goes_on_once_there_is_space(url: str) -> None:
    with open_store(url) as store:
        store.transact(NOTION, added)
        store.close()  # so that all of it is in the file
        pages = 0

        @event.listens_for(store._engine, "connect")
        def no_space(connection: sqlite3.Connection, _: object) -> None:
            [(size,)] = connection.execute("PRAGMA page_count")
            connection.execute(f"PRAGMA max_page_count = {size + pages}")

        acknowledged = [1]
        with pytest.raises(DatabaseFull, match=r"no space left .* everything acknowledged before is kept"):
            acknowledged.extend(store.transact(NOTION, added) for _ in range(10_000))
        assert store.read(NOTION)[0].delivered == acknowledged[-1] == len(acknowledged)
        assert store.history_length(NOTION) == len(acknowledged)
        store.close()
        pages = 100
        assert store.transact(NOTION, added) == len(acknowledged) + 1


def test_a_full_disk_stores_no_part_of_a_page(url: str) -> None:
    with open_store(url) as store:
        sync(store.evidence, PAGES, [[("a", 1)]])
        before = store.evidence.begin_listing(PAGES, full=True)
        store.evidence.close()
        pages = 0

        @event.listens_for(store.evidence._engine, "connect")
        def no_space(connection: sqlite3.Connection, _: object) -> None:
            [(size,)] = connection.execute("PRAGMA page_count")
            connection.execute(f"PRAGMA max_page_count = {size + pages}")

        big = [[(str(n), "x" * 1000) for n in range(100)]]
        with pytest.raises(DatabaseFull):
            sync(store.evidence, PAGES, big)
        assert [version.external_id for version in store.evidence.versions()] == ["a"]
        assert store.evidence.cursor(PAGES) == before
        store.evidence.close()
        pages = 1000
        assert sync(store.evidence, PAGES, big).new == 100


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "BUSY_TIMEOUT", 0.05)


@pytest.mark.usefixtures("impatient")
def test_a_lock_that_another_process_holds_for_too_long_is_told(url: str, start) -> None:
    with open_store(url) as store:
        store.transact(NOTION, added)
        sync(store.evidence, PAGES, [[("a", 1)]])
        holder = start("hold", url)
        holder.go()
        assert holder.hear()
        for work in (
            lambda: store.transact(NOTION, added),
            lambda: store.reset(NOTION),
            lambda: sync(store.evidence, PAGES, [[]]),
        ):
            with pytest.raises(DatabaseBusy, match=r"Another process holds the database .* for too long"):
                work()
        assert store.read(NOTION)[0].delivered == 1  # to read needs no lock
        assert len(list(store.evidence.versions())) == 1
        assert holder.let_go() == 0
        assert store.transact(NOTION, added) == 2


@pytest.mark.usefixtures("impatient")
def test_a_new_file_that_another_process_has_locked_is_told(url: str, start) -> None:
    holder = start("hold", url)
    holder.go()
    assert holder.hear()
    with pytest.raises(DatabaseBusy):
        open_store(url)
    assert holder.let_go() == 0
    assert open_store(url).transact(NOTION, added) == 1


def test_ctrl_c_between_two_statements_undoes_the_transaction_and_spoils_nothing(url: str) -> None:
    with open_store(url) as store:
        store.transact(NOTION, added)

        def interrupt(connection, cursor, statement: str, *_: object) -> None:
            if statement.startswith("INSERT INTO limiter_history"):
                raise KeyboardInterrupt

        event.listen(store._engine, "before_cursor_execute", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.transact(NOTION, added)
        event.remove(store._engine, "before_cursor_execute", interrupt)
        assert store.read(NOTION)[0].delivered == store.history_length(NOTION) == 1
        assert store.transact(NOTION, added) == 2


def test_a_table_that_somebody_has_dropped_is_told(url: str) -> None:
    with open_store(url) as store:
        with store.evidence._engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE limiter_history")
        with pytest.raises(DatabaseUnavailable, match=r"cannot be used .no such table: limiter_history."):
            store.transact(NOTION, added)
        assert store.read(NOTION)[0] is None


def test_text_that_is_no_unicode_is_told(store) -> None:
    """As a command line gives for bytes it cannot read."""
    if store.in_process:
        assert store.transact(Bucket("notion", "default", "\udcff"), added) == 1
    else:
        with pytest.raises(StateError, match=r"cannot hold the text .* since it is not valid Unicode"):
            store.transact(Bucket("notion", "default", "\udcff"), added)
    with pytest.raises(StateError, match="not valid Unicode"):
        sync(store.evidence, PAGES, [[("\ud800", 1)]])
    assert list(store.evidence.versions()) == []
    assert sync(store.evidence, PAGES, [[("a", 1)]]).new == 1


def test_an_error_of_the_caller_passes_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), translated("sqlite:///aimd.db"):
        _ = 1 / 0


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("disk I/O error", DatabaseFull),  # as a file system without space may also have it
        ("unable to open database file", DatabaseUnavailable),
        ("something new\nin two lines", DatabaseUnavailable),
    ],
)
def test_an_error_that_is_hard_to_provoke_is_told_too(message: str, kind: type[StateError]) -> None:
    with pytest.raises(kind) as caught, translated("sqlite:///aimd.db"):
        raise sqlite3.OperationalError(message)
    assert type(caught.value) is kind
    assert "sqlite:///aimd.db" in str(caught.value)
    assert "\n" not in str(caught.value)
