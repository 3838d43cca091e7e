"""The cap on requests in flight: what it learns, and who waits how for a place."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from limiter import ApiRateConfig, ConfigurationError, Limiter, in_flight
from limiter.bounds import Bounds
from limiter.client import AimdClient, AsyncAimdClient
from limiter.errors import WaitTooLong
from limiter.gate import Gate, Place, gate_of
from limiter.in_flight import Cap
from limiter.presets import api_config
from state.memory import MemoryStore
from state.records import Bucket

FAST = ApiRateConfig("acme", "https://api.acme.test", initial_rate=500.0, max_rate=1000.0)


def learned(cap: Cap, *story: tuple[str, float, int]) -> Cap:
    for what, now, count in story:
        cap = in_flight.succeeded(cap, now, count, now) if what == "ok" else in_flight.refused(cap, now, count)[0]
    return cap


def test_two_events_above_every_count_that_succeeded_set_a_cap() -> None:
    cap, spared = in_flight.refused(learned(Cap(), ("ok", 0.0, 4)), 1.0, 5)
    assert (cap.limit, spared) == (0, False), "one may as well be the rate's"
    cap, spared = in_flight.refused(cap, 2.0, 6)
    assert (cap.limit, spared) == (4, True)


def test_a_refusal_at_a_count_that_has_succeeded_is_the_rates() -> None:
    cap = learned(Cap(), ("ok", 0.0, 4), ("no", 1.0, 5), ("no", 2.0, 3), ("no", 3.0, 5))
    assert cap.limit == 0
    assert learned(cap, ("ok", 4.0, 5), ("no", 5.0, 6)).limit == 0, "a success at a new count clears the suspicion"


def test_a_success_that_was_sent_before_the_last_refusal_came_back_proves_nothing() -> None:
    """The vendor no longer counts who is refused; here it is in flight until the refusal is back."""
    cap = learned(Cap(), ("ok", 0.0, 4), ("no", 1.0, 5))
    assert in_flight.succeeded(cap, 1.2, 5, sent_at=0.99) == cap
    assert in_flight.succeeded(cap, 1.2, 5, sent_at=1.0).proven == 5


def test_the_cap_widens_after_a_while_in_full_use_and_narrows_when_refused_ever_more_slowly() -> None:
    cap = learned(Cap(), ("ok", 0.0, 4), ("no", 1.0, 5), ("no", 2.0, 5))
    assert learned(cap, ("ok", 31.9, 4)).limit == 4
    assert learned(cap, ("ok", 40.0, 3)).limit == 4, "it was not in full use"
    wider = learned(cap, ("ok", 32.0, 4))
    assert wider.limit == 5
    back, spared = in_flight.refused(wider, 33.0, 5)
    assert (back.limit, spared, back.patience) == (4, True, 2 * in_flight.PATIENCE)
    narrow = Cap(learned=9, proven=9)
    while narrow.limit > 1:
        narrow, _ = in_flight.refused(narrow, 34.0, narrow.limit)
    assert narrow.patience == in_flight.LONGEST_PATIENCE


def test_a_refusal_of_the_only_one_in_flight_is_the_rates() -> None:
    assert learned(Cap(), ("no", 1.0, 1), ("no", 2.0, 1), ("no", 3.0, 1)).limit == 0
    assert in_flight.refused(Cap(learned=1, proven=1), 50.0, 1) == (Cap(learned=1, proven=1), False)


def test_no_more_than_the_preset_allows_is_ever_learned() -> None:
    cap = Cap(ceiling=3, learned=2, proven=2)
    assert learned(cap, ("ok", 50.0, 2), ("ok", 90.0, 3), ("ok", 130.0, 3)).limit == 3
    assert Cap(ceiling=3).limit == 3
    assert Cap(ceiling=3, learned=9).limit == 3


def test_who_had_a_place_before_the_cap_was_known_does_not_lower_it() -> None:
    """Sixty-four callers may be inside when a cap of four is found."""
    cap = Cap(learned=4, proven=4)
    for count in (64, 30, 5):
        assert in_flight.refused(cap, 50.0, count) == (cap, True)
    assert in_flight.refused(cap, 50.0, 4)[0].limit == 3


def test_presets_may_bound_what_is_in_flight() -> None:
    assert api_config("github").max_concurrency == 100
    with pytest.raises(ConfigurationError, match="max_concurrency"):
        FAST.with_changes({"max_concurrency": -1})


def test_limiters_of_one_store_and_bucket_share_a_gate() -> None:
    store = MemoryStore()
    first, second = (Limiter(FAST, Bucket("acme"), store).gate for _ in range(2))
    assert first is second
    assert Limiter(FAST, Bucket("acme", quota_key="other"), store).gate is not first
    assert Limiter(FAST, Bucket("acme"), MemoryStore()).gate is not first
    assert gate_of(store, Bucket("acme"), 7).cap.limit == 7


def test_a_place_is_given_back_once() -> None:
    gate = Gate(ceiling=2)
    first, _ = taken(gate), taken(gate)
    assert gate.enter(0.0) is None
    first.leave()
    first.leave()
    taken(gate)
    assert gate.enter(0.0) is None


def taken(gate: Gate) -> Place:
    place = gate.enter(0.0)
    assert place is not None
    return place


def test_first_come_first_served_in_threads_and_tasks_alike() -> None:
    gate = Gate(ceiling=1)
    holder, order, grown = taken(gate), [], threading.Semaphore(0)

    class Queue(deque):
        def append(self, waiter):
            super().append(waiter)
            grown.release()

    gate._waiting = Queue()

    def thread() -> None:
        place = gate.enter(60.0)
        assert place is not None
        order.append("thread")
        place.leave()

    async def task(name: str) -> None:
        place = await gate.aenter(60.0)
        assert place is not None
        order.append(name)
        place.leave()

    async def main() -> None:
        first = asyncio.create_task(task("first task"))
        assert await asyncio.to_thread(grown.acquire, timeout=60.0)
        waiting = threading.Thread(target=thread)
        waiting.start()
        assert await asyncio.to_thread(grown.acquire, timeout=60.0)
        second = asyncio.create_task(task("second task"))
        assert await asyncio.to_thread(grown.acquire, timeout=60.0)
        holder.leave()
        await asyncio.gather(first, second)
        waiting.join()

    asyncio.run(main())
    assert order == ["first task", "thread", "second task"]


def test_a_cancelled_waiter_leaves_the_queue_or_gives_its_place_on() -> None:
    async def main() -> None:
        gate = Gate(ceiling=1)
        holder = taken(gate)
        queued = asyncio.create_task(gate.aenter(60.0))
        given = asyncio.create_task(gate.aenter(60.0))
        await asyncio.sleep(0)
        queued.cancel()
        await asyncio.wait([queued])
        holder.leave()  # to the one that is left ...
        given.cancel()  # ... which is cancelled before it hears of it
        await asyncio.wait([given])
        assert given.cancelled()
        taken(gate)

    asyncio.run(main())


def test_a_place_for_a_loop_that_has_ended_goes_to_the_next() -> None:
    gate = Gate(ceiling=1)
    holder = taken(gate)
    loop = asyncio.new_event_loop()
    abandoned = loop.create_task(gate.aenter(60.0))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    holder.leave()
    taken(gate)
    abandoned._log_destroy_pending = False  # type: ignore[attr-defined]


class Vendor:
    """Takes `cap` requests at a time and refuses the rest; an answer takes a while."""

    def __init__(self, cap: int) -> None:
        self.cap, self.now, self.most, self.refused, self.served = cap, 0, 0, 0, 0
        self.lock = threading.Lock()

    def begin(self) -> bool:
        with self.lock:
            if self.now >= self.cap:
                self.refused += 1
                return False
            self.now += 1
            self.most = max(self.most, self.now)
            return True

    def end(self) -> httpx.Response:
        with self.lock:
            self.now -= 1
            self.served += 1
        return httpx.Response(200, text="fine")

    def answer(self, _: httpx.Request) -> httpx.Response:
        if not self.begin():
            return httpx.Response(429, headers={"Retry-After": "1"})
        time.sleep(0.02)
        return self.end()

    async def aanswer(self, _: httpx.Request) -> httpx.Response:
        if not self.begin():
            return httpx.Response(429, headers={"Retry-After": "1"})
        await asyncio.sleep(0.02)
        return self.end()


@pytest.fixture(params=["threads", "tasks"])
def ask(request: pytest.FixtureRequest) -> Callable[[Vendor, ApiRateConfig, int], None]:
    """Send so many requests, all at once."""

    def in_threads(vendor: Vendor, config: ApiRateConfig, times: int) -> None:
        limiter = Limiter(config, Bucket("acme"), MemoryStore())
        with AimdClient(limiter, transport=httpx.MockTransport(vendor.answer)) as client:
            threads = [threading.Thread(target=lambda: client.get("/")) for _ in range(times)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def in_tasks(vendor: Vendor, config: ApiRateConfig, times: int) -> None:
        async def main() -> None:
            limiter = Limiter(config, Bucket("acme"), MemoryStore())
            async with AsyncAimdClient(limiter, transport=httpx.MockTransport(vendor.aanswer)) as client:
                await asyncio.gather(*(client.get("/") for _ in range(times)))

        asyncio.run(main())

    return in_threads if request.param == "threads" else in_tasks


def test_no_more_than_max_concurrency_are_in_flight(ask: Callable[..., None]) -> None:
    vendor = Vendor(cap=4)
    ask(vendor, FAST.with_changes({"max_concurrency": 4}), 30)
    assert (vendor.most, vendor.refused, vendor.served) == (4, 0, 30)


@contextmanager
def client_of(handler: Callable[[httpx.Request], httpx.Response], max_wait: float = 0.01) -> Iterator[AimdClient]:
    config = FAST.with_changes({"max_concurrency": 1})
    with AimdClient(
        Limiter(config, Bucket("acme"), MemoryStore()),
        Bounds(max_wait=max_wait),
        transport=httpx.MockTransport(handler),
    ) as client:
        yield client


def test_a_streamed_response_keeps_its_place_until_it_is_closed() -> None:
    with client_of(lambda _: httpx.Response(200, content=iter([b"a", b"b"]))) as client:
        with client.stream("GET", "/") as response:
            assert next(response.iter_raw()) == b"a"
            with pytest.raises(WaitTooLong) as caught:
                client.get("/")
            assert caught.value.until > 0
        assert client.get("/").content == b"ab"


def test_a_failed_request_and_an_interrupted_one_give_their_places_back() -> None:
    outcomes: list[BaseException] = [httpx.UnsupportedProtocol("no such"), KeyboardInterrupt(), ValueError("a bug")]

    def fail(_: httpx.Request) -> httpx.Response:
        if outcomes:
            raise outcomes.pop(0)
        return httpx.Response(200)

    with client_of(fail) as client:
        for kind in (httpx.UnsupportedProtocol, KeyboardInterrupt, ValueError):
            with pytest.raises(kind):
                client.get("/")
        assert client.get("/").status_code == 200


def test_a_cancelled_request_gives_its_place_back() -> None:
    async def main() -> None:
        stuck = asyncio.Event()

        async def answer(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/stuck":
                stuck.set()
                await asyncio.Event().wait()
            return httpx.Response(200)

        config = FAST.with_changes({"max_concurrency": 1})
        limiter = Limiter(config, Bucket("acme"), MemoryStore())
        async with AsyncAimdClient(limiter, transport=httpx.MockTransport(answer)) as client:
            request = asyncio.create_task(client.get("/stuck"))
            await stuck.wait()
            request.cancel()
            await asyncio.wait([request])
            assert (await client.get("/")).status_code == 200

    asyncio.run(main())
