"""One client, or one store, across forks, event loops and the end of its process."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import httpx
import pytest

from limiter import ApiRateConfig, AsyncAimdTransport, Limiter, make_client_for
from simulator import Simulator
from state import Bucket, Decision, LimiterState, open_store, patience
from state.canonical import body
from state.errors import DatabaseBusy
from state.records import Collection, Provenance
from state.store import Store
from tests.forking import status_of_child

ACME = Bucket("acme")
PAGES = 40
FAST = ApiRateConfig("acme", "https://acme.test", initial_rate=1000.0, max_rate=1000.0)


@pytest.fixture
def vendor() -> Iterator[Simulator]:
    with Simulator("none", latency=(0.0, 0.01)) as simulator:
        yield simulator


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    with open_store(database) as opened:
        yield opened


def test_a_client_that_was_used_before_a_fork_works_after_it_on_both_sides(store: Store, vendor: Simulator) -> None:
    with make_client_for(
        "notion", store=store, base_url=vendor.base_url, headers={"Authorization": "Bearer secret_simulator"}
    ) as client:
        assert client.get("/users").is_success

        def child() -> None:
            assert client.get("/users").is_success
            assert client.limiter.snapshot()["current_rate"] > 0

        assert status_of_child(child) == 0
        assert client.get("/users").is_success
    assert vendor.stats()["accepted"] == 3


def ask(store: Store, times: int) -> int:
    """Some requests at once, on an event loop of their own; gives how many were answered."""

    async def work() -> int:
        answered = httpx.MockTransport(lambda request: httpx.Response(200))
        transport = AsyncAimdTransport(answered, Limiter(FAST, ACME, store))
        async with httpx.AsyncClient(transport=transport, base_url=FAST.base_url) as client:
            return sum(reply.is_success for reply in await asyncio.gather(*(client.get("/") for _ in range(times))))

    return asyncio.run(work())


def test_two_event_loops_and_a_pool_of_threads_use_one_store_at_once(store: Store) -> None:
    gate = threading.Barrier(4)

    def count(before: LimiterState | None, now: float) -> Decision[None]:
        state = before or LimiterState(1000.0)
        return Decision(LimiterState(state.rate, next_slot=state.next_slot, throttles=state.throttles + 1), None)

    def loop(_: int) -> int:
        gate.wait(timeout=30)
        return ask(store, 40)

    def thread(_: int) -> None:
        gate.wait(timeout=30)
        for _ in range(40):
            store.transact(Bucket("other"), count)

    with ThreadPoolExecutor(4) as pool:
        loops, threads = [pool.submit(loop, n) for n in range(2)], [pool.submit(thread, n) for n in range(2)]
        assert [each.result(timeout=60) for each in loops] == [40, 40]
        for each in threads:
            each.result(timeout=60)
    assert store.read(Bucket("other"))[0].throttles == 80


def test_a_caller_that_waits_for_the_store_does_not_block_its_event_loop(store: Store) -> None:
    """Somebody is in a transaction; meanwhile everything else on the loop goes on."""
    inside, done = threading.Event(), threading.Event()

    def slow(before: LimiterState | None, now: float) -> Decision[None]:
        inside.set()
        assert done.wait(30)
        return Decision(LimiterState(1000.0), None)

    async def work() -> bool:
        answered = httpx.MockTransport(lambda request: httpx.Response(200))
        transport = AsyncAimdTransport(answered, Limiter(FAST, ACME, store))
        async with httpx.AsyncClient(transport=transport, base_url=FAST.base_url) as client:
            request = asyncio.ensure_future(client.get("/"))
            for _ in range(20):
                await asyncio.sleep(0.001)
            waited = not request.done()
            done.set()
            return waited and (await request).is_success

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(store.transact, ACME, slow)
        assert inside.wait(30)
        assert asyncio.run(work())
        holding.result(timeout=30)


def test_a_store_that_hangs_fails_its_callers_in_time_whoever_they_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "BUSY_TIMEOUT", 0.05)
    inside, done = threading.Event(), threading.Event()

    def hangs(before: LimiterState | None, now: float) -> Decision[None]:
        inside.set()
        assert done.wait(60)
        return Decision(LimiterState(1000.0), None)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(store.transact, ACME, hangs)
        assert inside.wait(30)
        began = time.monotonic()
        with pytest.raises(DatabaseBusy):
            store.transact(Bucket("other"), lambda before, now: Decision(LimiterState(1.0), None))
        with pytest.raises(DatabaseBusy):
            ask(store, 3)
        assert time.monotonic() - began < 30
        done.set()
        # PostgreSQL has ended the session that kept everybody else waiting.
        assert isinstance(holding.exception(timeout=30), DatabaseBusy | None)
    monkeypatch.undo()
    assert ask(store, 3) == 3  # nobody's place in the queue was lost


def test_pages_of_evidence_and_reservations_get_their_turns_beside_each_other(store: Store) -> None:
    """One stores pages and four reserve, all as fast as they can, and nobody has to wait for another one's end.

    On SQLite they have one writer between them.
    """
    happened: list[str] = []
    stored = threading.Event()
    collection, where_from = Collection("acme", "pages"), Provenance("https://acme.test", "-", "run")

    def store_pages() -> None:
        try:
            cursor = store.evidence.begin_listing(collection, full=True)
            for page in range(PAGES):
                bodies = [body(f"{page}-{n}", {"text": "x" * 1000}) for n in range(100)]
                before = cursor.listing
                after = replace(before, pages=page + 1, page_cursor=str(page))
                _, cursor = store.evidence.commit_page(
                    collection, bodies, where_from, before=before, after=after, ends=False
                )
                happened.append("page")
        finally:
            stored.set()

    def reserve() -> None:
        while not stored.is_set():
            store.transact(ACME, lambda before, now: Decision(LimiterState(1.0, next_slot=now), None))
            happened.append("slot")

    with ThreadPoolExecutor(5) as pool:
        for each in [pool.submit(store_pages), *(pool.submit(reserve) for _ in range(4))]:
            each.result(timeout=60)
    between = [sum(1 for _ in run) for what, run in groupby(happened) if what == "slot"]
    assert len(between) > PAGES / 4, "reservations came between the pages"
    assert max(between) < 500, "no page waited while they went on and on"


EXITS = """
import asyncio, sys, threading
from state import Bucket, Decision, LimiterState, open_store
store = open_store(sys.argv[1])
lock = threading.Lock()

def one_more(before, now):
    count = before.throttles + 1 if before else 1
    return Decision(LimiterState(1.0, throttles=count), count)

def work():
    while True:
        count = store.transact(Bucket("acme"), one_more)
        with lock:
            sys.stdout.write(f"{count}\\n")
            sys.stdout.flush()

for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
threading.Event().wait(0.3)
sys.exit(7)
"""


def test_an_interpreter_that_ends_in_the_middle_of_settlements_keeps_all_it_was_told_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "aimd.db"
    done = subprocess.run(
        [sys.executable, "-c", EXITS, f"sqlite:///{path}"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 7, done.stderr
    told = max(int(line) for line in done.stdout.splitlines())
    with open_store(f"sqlite:///{path}") as store:
        assert told <= store.read(ACME)[0].throttles <= told + 4
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_request_that_is_cancelled_while_it_settles_has_settled(store: Store) -> None:
    """What a reply teaches is kept even if nobody waits for the reply any more."""

    async def work() -> None:
        throttled = httpx.MockTransport(lambda request: httpx.Response(429, headers={"Retry-After": "600"}))
        transport = AsyncAimdTransport(throttled, Limiter(FAST, ACME, store))
        async with httpx.AsyncClient(transport=transport, base_url=FAST.base_url) as client:
            request = asyncio.ensure_future(client.get("/"))
            while True:
                await asyncio.sleep(0)
                found, _ = store.read(ACME)
                if found is not None and found.cooldown_until:
                    break
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request

    asyncio.run(work())
    found, now = store.read(ACME)
    assert found.cooldown_until > now + 500
