"""Processes that share a file: none loses what it was told is done, however it ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from state_listing import sync
from state_worker import added

from state import Bucket, Decision, open_store
from state.memory import MemoryStore
from state.records import Collection
from state.store import Store
from tests.forking import status_of_child

NOTION = Bucket("notion")


def test_processes_that_share_a_bucket_lose_nothing(url: str, start) -> None:
    workers, times = [start("count", url, "notion", 150) for _ in range(4)], 150
    for worker in workers:
        worker.go()
    assert [worker.end() for worker in workers] == [0] * 4
    assert sorted(number for worker in workers for number in worker.told) == list(range(1, 4 * times + 1))
    with open_store(url) as store:
        assert store.read(NOTION)[0].delivered == store.history_length(NOTION) == 4 * times


def test_a_forked_child_has_connections_of_its_own(url: str) -> None:
    pages = Collection("notion", "pages")
    with open_store(url) as store:
        store.transact(NOTION, added)
        sync(store.evidence, pages, [[("a", 1)]])
        inherited = store._kept.connection.dbapi_connection

        def child() -> None:
            assert store.transact(NOTION, added) == 2
            assert store._kept.connection.dbapi_connection is not inherited
            assert sync(store.evidence, pages, [[("a", 2)]]).changed == 1
            store.close()

        assert status_of_child(child) == 0
        assert store._kept.connection.dbapi_connection is inherited
        assert store.transact(NOTION, added) == 3
        assert sync(store.evidence, pages, [[("a", 2)]]).unchanged == 1


def test_a_forked_child_does_not_wait_for_the_threads_of_its_parent(store: Store) -> None:
    """One of them is within a transaction at the fork, and has no counterpart in the child that would end it."""
    sync(store.evidence, Collection("notion", "pages"), [[("a", 1)]])
    store.transact(NOTION, added)
    inside, done = threading.Event(), threading.Event()

    def slow(before, now) -> Decision[None]:
        inside.set()
        assert done.wait(30)
        return Decision(before, None)

    def child() -> None:
        assert store.read(NOTION)[0].delivered == 1
        assert [version.external_id for version in store.evidence.versions()] == ["a"]
        if store.in_process:
            assert store.transact(NOTION, added) == 2

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(store.transact, NOTION, slow)
        assert inside.wait(30)
        with store.evidence._reads.turn():
            assert status_of_child(child) == 0
        done.set()
        held.result(timeout=30)
    assert store.transact(NOTION, added) == 2


def test_threads_that_ask_at_once_get_one_evidence_store() -> None:
    """Each of an in-memory store's would be a database of its own."""
    for _ in range(5):
        store, gate = MemoryStore(), threading.Barrier(4)

        def ask(_: int, store: MemoryStore = store, gate: threading.Barrier = gate) -> object:
            gate.wait(timeout=30)
            return store.evidence

        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(ask, range(4)))) == 1


def modules_after(statements: str) -> set[str]:
    code = f"import sys\n{statements}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_the_dataclasses_come_without_sqlalchemy() -> None:
    heavy = {"sqlalchemy", "alembic", "sqlite3", "platformdirs", "prefect"}
    assert not modules_after("import state; state.Bucket, state.LimiterState") & heavy
    assert not modules_after("import state.records, state.context, state.canonical, state.store, state.errors") & heavy


def test_a_database_at_the_head_is_opened_without_alembic(url: str) -> None:
    open_store(url).close()
    loaded = modules_after(f"import state; state.open_store({url!r}).evidence")
    assert "sqlalchemy" in loaded
    assert not loaded & {"alembic", "prefect"}
