"""The thread that works on a store for event loops: in order, in time, and nothing that was learned is left out."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from limiter import AimdTransport, ApiRateConfig, AsyncAimdTransport, Limiter, make_async_client_for, make_client_for
from limiter.bounds import Bounds
from limiter.gate import gate_of
from limiter.store_thread import StoreThread, thread_of
from state import Bucket, Decision, LimiterState, open_store, patience
from state.errors import DatabaseBusy, StateError
from state.store import Store

ACME = Bucket("acme")
FAST = ApiRateConfig("acme", "https://acme.test", initial_rate=1000.0, max_rate=1000.0)


@pytest.fixture
def beside() -> StoreThread:
    return StoreThread("sqlite:///somewhere")


class Held:
    """Work that does not end before it is told to."""

    def __init__(self) -> None:
        self.inside, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.inside.set()
        assert self.go_on.wait(30)


def test_what_is_handed_in_is_done_in_order_by_one_thread_whatever_the_loop(beside: StoreThread) -> None:
    done: list[tuple[int, int]] = []

    async def hand_in(loop: int) -> list[int]:
        def work(number: int) -> int:
            done.append((loop, number))
            names.add(threading.get_ident())
            return number

        return await asyncio.gather(*(beside.do(lambda n=n: work(n)) for n in range(200)))

    names: set[int] = set()
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda loop: asyncio.run(hand_in(loop)), range(2)))
    assert found == [list(range(200))] * 2
    assert len(names) == 1
    for loop in range(2):
        assert [number for of, number in done if of == loop] == list(range(200))


def test_an_error_is_its_callers_alone(beside: StoreThread) -> None:
    def fails() -> None:
        raise ZeroDivisionError

    async def main() -> list[object]:
        return await asyncio.gather(*(beside.do(work) for work in (dict, fails, list)), return_exceptions=True)

    first, error, last = asyncio.run(main())
    assert (first, type(error), last) == ({}, ZeroDivisionError, [])


@pytest.mark.parametrize("lasting", [True, False])
def test_what_nobody_waits_for_any_more_is_done_only_if_it_lasts(beside: StoreThread, lasting: bool) -> None:
    done: list[int] = []

    async def main() -> None:
        before = asyncio.create_task(beside.do(held := Held()))
        waiting = asyncio.create_task(beside.do(lambda: done.append(1), lasting=lasting))
        assert await asyncio.to_thread(held.inside.wait, 30)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        held.go_on.set()
        await before
        await beside.do(lambda: done.append(2))

    asyncio.run(main())
    assert done == ([1, 2] if lasting else [2])


def test_who_has_less_time_is_told_before_those_who_have_more_and_takes_no_turn(beside: StoreThread) -> None:
    done: list[str] = []

    async def main() -> None:
        before = asyncio.create_task(beside.do(held := Held()))
        assert await asyncio.to_thread(held.inside.wait, 30)
        patient = asyncio.create_task(beside.do(lambda: done.append("patient")))
        with patience.within(0.01), pytest.raises(DatabaseBusy, match=r"sqlite:///somewhere does not answer"):
            await beside.do(lambda: done.append("in a hurry"))
        assert not patient.done()
        held.go_on.set()
        await asyncio.gather(before, patient)

    asyncio.run(main())
    assert done == ["patient"]


def test_a_loop_that_has_ended_stops_nobody_else(beside: StoreThread) -> None:
    held = Held()

    async def leaves() -> None:
        asyncio.create_task(beside.do(held))  # noqa: RUF006
        await asyncio.to_thread(held.inside.wait, 30)

    asyncio.run(leaves())
    held.go_on.set()
    assert asyncio.run(beside.do(lambda: 42)) == 42


@contextmanager
def hanging(store: Store, bucket: Bucket = ACME) -> Iterator[None]:
    """Somebody is in a transaction and does not come out of it."""
    held = Held()

    def decide(before: LimiterState | None, now: float) -> Decision[None]:
        held()
        return Decision(LimiterState(1000.0), None)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(store.transact, bucket, decide)
        assert held.inside.wait(30)
        try:
            yield
        finally:
            held.go_on.set()
            holding.result(timeout=30)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    with open_store(database) as opened:
        yield opened


def ask_and_wait(store: Store) -> None:
    with make_client_for("notion", store=store, base_url="https://acme.test", max_wait=0.0) as client:
        client.get("/")


def ask_once_in_a_hurry(store: Store) -> None:
    with make_client_for("notion", store=store, base_url="https://acme.test") as client:
        client.get("/", extensions={"max_wait": 0.0})


def ask_and_await(store: Store) -> None:
    async def main() -> None:
        async with make_async_client_for("notion", store=store, base_url="https://acme.test", max_wait=0.0) as client:
            await client.get("/")

    asyncio.run(main())


@pytest.mark.parametrize("ask", [ask_and_wait, ask_and_await, ask_once_in_a_hurry])
def test_the_deadline_of_a_caller_is_kept_although_the_store_hangs(
    store: Store, ask: Callable[[Store], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before the half minute that others would wait."""
    monkeypatch.setattr("limiter.transport.LEAST", 0.05)
    with hanging(store):
        began = time.monotonic()
        with pytest.raises(DatabaseBusy, match="verything acknowledged before is kept"):
            ask(store)
        assert time.monotonic() - began < patience.BUSY_TIMEOUT / 2


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_store_that_hangs_for_less_than_the_deadline_fails_nobody(
    store: Store, asynchronous: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limiter.transport.LEAST", 0.0)
    answered = httpx.MockTransport(lambda request: httpx.Response(200))
    limiter, bounds = Limiter(FAST, ACME, store), Bounds(deadline=30.0)

    async def main() -> httpx.Response:
        transport = AsyncAimdTransport(answered, limiter, bounds)
        async with httpx.AsyncClient(transport=transport, base_url=FAST.base_url) as client:
            return await client.get("/")

    def ask() -> httpx.Response:
        with httpx.Client(transport=AimdTransport(answered, limiter, bounds), base_url=FAST.base_url) as client:
            return client.get("/")

    with ThreadPoolExecutor(1) as pool:
        with hanging(store):
            asked = pool.submit(asyncio.run, main()) if asynchronous else pool.submit(ask)
            with pytest.raises(TimeoutError):
                asked.result(timeout=0.3)
        assert asked.result(timeout=30).is_success


@pytest.mark.parametrize("ask", [ask_and_wait, ask_and_await])
def test_it_is_kept_although_somebody_elsewhere_holds_the_row(
    store: Store, database: str, ask: Callable[[Store], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.transact(Bucket("notion"), lambda before, now: Decision(LimiterState(2.0), None))
    monkeypatch.setattr("limiter.transport.LEAST", 0.05)
    with open_store(database) as elsewhere, hanging(elsewhere, Bucket("notion")):
        began = time.monotonic()
        with pytest.raises(StateError, match="verything acknowledged before is kept"):
            ask(store)
        assert time.monotonic() - began < patience.BUSY_TIMEOUT / 2
    monkeypatch.undo()
    assert store.transact(Bucket("notion"), lambda before, now: Decision(before, "goes on")) == "goes on"


def test_many_tasks_that_gave_up_take_no_slot_when_the_store_answers_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limiter.transport.LEAST", 0.05)

    async def main() -> list[object]:
        answered = httpx.MockTransport(lambda request: httpx.Response(200))
        transport = AsyncAimdTransport(answered, Limiter(FAST, ACME, store), Bounds(max_wait=0.0))
        async with httpx.AsyncClient(transport=transport, base_url=FAST.base_url) as client:
            return await asyncio.gather(*(client.get("/") for _ in range(20)), return_exceptions=True)

    with hanging(store):
        assert {type(each) for each in asyncio.run(main())} == {DatabaseBusy}
    found, now = store.read(ACME)
    assert found is not None
    assert found.next_slot <= now


def test_what_lasts_is_done_with_time_of_its_own_though_its_caller_had_none_left(store: Store) -> None:
    beside = StoreThread(store.url)

    def work() -> None:
        # From when it was asked for: many that wait for a store which hangs must not wait one after the other.
        assert 1.0 < patience.left() < patience.BUSY_TIMEOUT
        store.transact(ACME, lambda before, now: Decision(LimiterState(7.0), None))

    async def main() -> None:
        with hanging(store), patience.within(0.01), pytest.raises(DatabaseBusy):
            await beside.do(work, lasting=True)
        await beside.do(int)

    asyncio.run(main())
    assert store.read(ACME)[0] == LimiterState(7.0)


def test_a_pool_that_takes_nothing_is_told_at_once_and_every_time(
    beside: StoreThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the interpreter ends, or has no thread left."""
    monkeypatch.setattr(patience, "BUSY_TIMEOUT", 0.2)
    beside._pool.shutdown()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="cannot schedule"):
            asyncio.run(beside.do(int))
    beside._pool = ThreadPoolExecutor(1)
    assert asyncio.run(beside.do(lambda: 42)) == 42


def test_a_store_has_one_thread_and_a_bucket_one_gate_looked_up_and_not_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every operation of an async client looks its thread up, and to make one costs twenty times as much."""
    thread, gate = thread_of(store), gate_of(store, ACME, 3)
    for name in ("limiter.store_thread.StoreThread", "limiter.gate.Gate"):
        monkeypatch.setattr(name, lambda *_: pytest.fail("it is there"))
    assert thread_of(store) is thread
    assert gate_of(store, ACME, 5) is gate
    assert gate.cap.limit == 5


ENDS = """
import asyncio, sys
from limiter.store_thread import thread_of
from state import Bucket, Decision, LimiterState, open_store

store = open_store(sys.argv[1])

def one_more(before, now):
    count = before.throttles + 1 if before else 1
    return Decision(LimiterState(1.0, throttles=count), count)

async def main():
    for _ in range(500):
        asyncio.ensure_future(thread_of(store).do(lambda: store.transact(Bucket("acme"), one_more), lasting=True))
    await asyncio.sleep(0)

{how}
"""
WAYS = {
    "at once": "asyncio.run(main())\nsys.exit(7)",
    "in a child of multiprocessing": (
        "import multiprocessing\n"
        "child = multiprocessing.get_context('fork').Process(target=lambda: asyncio.run(main()))\n"
        "child.start()\nchild.join()\nsys.exit(7)"
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_interpreter_ends_only_when_all_that_was_learned_is_settled(way: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'aimd.db'}"
    script = ENDS.replace("{how}", WAYS[way])
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script, url], capture_output=True, text=True, timeout=60, cwd=root, check=False
    )
    assert done.returncode == 7, done.stderr
    with open_store(url) as store:
        assert store.read(ACME)[0].throttles == 500
