"""A PostgreSQL server that stops, crashes, freezes or comes back: waited for within a bound, then told."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import real_postgres
from sqlalchemy import Connection, event
from state_listing import WHERE_FROM, bodies, step, stored, sync
from state_worker import added

from state import Bucket, open_store, patience, postgres
from state.errors import DatabaseUnreachable
from state.records import Collection, Counts, SyncRun
from state.store import Store

NOTION = Bucket("notion")
PAGES = Collection("notion", "pages")


@pytest.fixture
def server(postgres_server: real_postgres.Server) -> Iterator[real_postgres.Server]:
    """Always our own: nobody else's may be stopped."""
    yield postgres_server
    postgres_server.restart()


@pytest.fixture
def store(server: real_postgres.Server) -> Iterator[Store]:
    with real_postgres.own_schema(server.url) as url, open_store(url) as opened:
        yield opened


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_a_server_that_was_restarted_is_gone_on_with(store: Store, server: real_postgres.Server, mode: str) -> None:
    store.transact(NOTION, added)
    sync(store.evidence, PAGES, [[("a", 1)]])
    cursor = store.evidence.begin_listing(PAGES, full=True)
    server.restart(mode)
    assert store.read(NOTION)[0].delivered == 1
    server.restart(mode)
    assert store.transact(NOTION, added) == 2
    counts, _ = step(store.evidence, PAGES, cursor, [[("a", 2), ("b", 1)]])
    assert counts == Counts(2, new=1, changed=1, pages=1)
    server.restart(mode)
    assert [key for key, *_ in stored(store.evidence)] == ["a", "a", "b"]
    assert store.history_length(NOTION) == 2


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_a_restart_in_the_middle_of_much_work_loses_and_doubles_no_evidence(
    store: Store, server: real_postgres.Server, mode: str
) -> None:
    """Of limiters a crash may take the last moment, a restart nothing.

    A commit during which the connection was lost may have been one, and is then tried again.
    """
    done, stop = threading.Event(), threading.Event()
    pages = [[(f"{page}-{n}", n) for n in range(5)] for page in range(200)]

    def count(_: int) -> int:
        times = 0
        while not stop.is_set():
            store.transact(NOTION, added)
            times += 1
            done.set()
        return times

    def collect() -> int:
        cursor = store.evidence.begin_listing(PAGES, full=True)
        while not stop.is_set() and cursor.listing.pages < len(pages) - 1:
            _, cursor = step(store.evidence, PAGES, cursor, pages)
        return cursor.listing.pages

    with ThreadPoolExecutor(4) as pool:
        counting, collecting = [pool.submit(count, n) for n in range(3)], pool.submit(collect)
        for _ in range(3):
            done.clear()
            server.restart(mode)
            assert done.wait(30)
        stop.set()
        acknowledged = sum(each.result(timeout=60) for each in counting)
        collected = collecting.result(timeout=60)
    reached = store.read(NOTION)[0].delivered
    assert reached <= acknowledged + 3 * 3
    assert mode == "immediate" or acknowledged <= reached
    assert store.history_length(NOTION) == reached
    assert [key for key, *_ in stored(store.evidence)] == [key for page in pages[:collected] for key, _ in page]


@pytest.fixture
def lose_next_commit(store: Store) -> Callable[[], None]:
    """Arms: the next commit of evidence is one, but the connection is lost before that is told."""
    armed = threading.Event()

    @event.listens_for(store.evidence._engine, "commit")
    def commit(connection: Connection) -> None:
        if armed.is_set():
            armed.clear()
            driver = connection.connection.driver_connection
            driver.commit()
            driver.close()  # so that SQLAlchemy's own commit fails

    return armed.set


def test_a_commit_that_nobody_heard_of_is_found_and_not_repeated(store: Store, lose_next_commit) -> None:
    lose_next_commit()
    cursor = store.evidence.begin_listing(PAGES, full=True)
    lose_next_commit()
    counts, cursor = step(store.evidence, PAGES, cursor, [[("a", 1)], [("b", 1)], []])
    assert counts == Counts(1, new=1, pages=1)
    lose_next_commit()
    cursor = store.evidence.restart_listing(PAGES, cursor.listing)
    lose_next_commit()
    counts, cursor = step(store.evidence, PAGES, cursor, [[("a", 1), ("c", 1)]])
    assert counts == Counts(2, new=1, unchanged=1, pages=1)
    assert cursor == store.evidence.cursor(PAGES)
    assert [key for key, *_ in stored(store.evidence)] == ["a", "c"]
    run = SyncRun("r", None, "notion", "acme", 1.0, None, "running", {}, {})
    lose_next_commit()
    store.evidence.begin_run(run)
    lose_next_commit()
    store.evidence.end_run("r", state="complete", outcome={})
    [ended] = store.evidence.runs()
    assert replace(ended, ended_at=None) == replace(run, state="complete")


def test_some_of_a_page_is_stored_though_the_connection_is_lost_before_its_commit(store: Store) -> None:
    """The cursor does not move with it, so it does not tell whether there was a commit."""

    listing = store.evidence.begin_listing(PAGES, full=True).listing

    @event.listens_for(store.evidence._engine, "commit", once=True)
    def lose(connection: Connection) -> None:
        connection.connection.driver_connection.close()

    store.evidence.commit_page(PAGES, bodies([("a", 1)]), WHERE_FROM, before=listing, after=listing, ends=False)
    assert [key for key, *_ in stored(store.evidence)] == ["a"]


def test_a_server_that_stays_away_is_told_within_a_bound_and_gone_on_with_when_it_is_back(
    store: Store, server: real_postgres.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.transact(NOTION, added)
    sync(store.evidence, PAGES, [[("a", 1)]])
    monkeypatch.setattr(patience, "BUSY_TIMEOUT", 0.3)
    server.stop()
    began = time.monotonic()
    for work in (
        lambda: store.transact(NOTION, added),
        lambda: store.read(NOTION),
        lambda: store.evidence.cursor(PAGES),
        lambda: sync(store.evidence, PAGES, [[]]),
    ):
        with pytest.raises(DatabaseUnreachable, match=r"does not answer .* everything acknowledged before is kept"):
            work()
    assert time.monotonic() - began < 30
    server.start()
    assert store.transact(NOTION, added) == 2
    assert sync(store.evidence, PAGES, [[("a", 1)]]).unchanged == 1


def test_a_server_that_is_there_and_says_nothing_is_told_within_a_bound(
    store: Store, server: real_postgres.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "BUSY_TIMEOUT", 0.2)
    monkeypatch.setattr(postgres, "SLACK", 0.0)
    store.transact(NOTION, added)
    with store.evidence._engine.connect() as connection:
        processes = [connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()]
        connection.exec_driver_sql("SELECT 1")
    processes.append(store._kept.connection.driver_connection.info.backend_pid)
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        for work in (lambda: store.transact(NOTION, added), lambda: sync(store.evidence, PAGES, [[("a", 1)]])):
            with pytest.raises(DatabaseUnreachable, match="it is there and says nothing"):
                work()
        assert store.transact(NOTION, added) == 2  # on another connection
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def test_pauses_between_tries_grow_and_end() -> None:
    slept: list[float] = []
    tries = 0

    def fails_five_times() -> str:
        nonlocal tries
        tries += 1
        if tries <= 5:
            raise DatabaseUnreachable("away")
        return "back"

    assert patience.persistently(fails_five_times, sleep=slept.append) == "back"
    longest = [patience.FIRST_PAUSE * 2**n for n in range(5)]
    assert all(most / 2 <= pause <= most for pause, most in zip(slept, longest, strict=True))
