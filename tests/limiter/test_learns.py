"""The point of it all: behind a limit that nobody tells us, the rate ends up near it. In virtual time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from limiter import make_async_client_for, make_client_for
from limiter.testing import START, FakeClock
from simulator import parse_policy
from state.memory import MemoryStore

LATENCY = 0.1
PHASE = 400.0
"""Seconds that each limit holds."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Goes to the next timer at once instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self._clock_resolution = 1e-6  # what a float of that size of epoch can tell apart

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def in_virtual_time(main: Callable[[VirtualLoop], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        runner.run(main(loop))


class Vendor:
    """A hidden limit behind a reply, with Retry-After in whole seconds; counts what it let through and refused."""

    def __init__(self, limit: float) -> None:
        self._policy = parse_policy(f"token:rate={limit:g},burst={max(limit, 1):g}")
        self.served: list[float] = []
        self.refused: list[float] = []

    def answer(self, now: float) -> httpx.Response:
        verdict = self._policy.admit(now)
        (self.served if verdict.allowed else self.refused).append(now)
        if verdict.allowed:
            return httpx.Response(200, json={"results": []})
        return httpx.Response(429, headers={"Retry-After": str(math.ceil(verdict.retry_after))}, json={})


async def collect(loop: VirtualLoop, store: MemoryStore, limit: float, callers: int = 8) -> tuple[float, Vendor]:
    """Eight callers that always want more, for one phase; gives the learned rate, and the vendor's view."""
    vendor = Vendor(limit)
    ends = loop.time() + PHASE

    async def reply(_: httpx.Request) -> httpx.Response:
        response = vendor.answer(loop.time())
        await asyncio.sleep(LATENCY)
        return response

    transport = httpx.MockTransport(reply)
    async with make_async_client_for("notion", store=store, transport=transport) as client:

        async def caller() -> None:
            while loop.time() < ends:
                assert (await client.get("/users")).status_code == 200

        await asyncio.gather(*(caller() for _ in range(callers)))
        return client.limiter.snapshot()["current_rate"], vendor


@pytest.mark.parametrize("limit", [3.0, 6.0])
def test_the_rate_finds_a_limit_that_nobody_tells(limit: float) -> None:
    async def main(loop: VirtualLoop) -> None:
        learned, vendor = await collect(loop, MemoryStore(clock=loop.time), limit)
        assert learned == pytest.approx(limit, rel=0.15)
        late = [at for at in vendor.served if at > START + PHASE / 2]
        assert len(late) / (PHASE / 2) == pytest.approx(limit, rel=0.15), "it is not only known, but used"
        assert len(vendor.refused) < 0.03 * len(vendor.served)

    in_virtual_time(main)


def test_the_rate_follows_a_limit_that_changes_and_changes_back() -> None:
    async def main(loop: VirtualLoop) -> None:
        store = MemoryStore(clock=loop.time)
        for limit in (3.0, 6.0, 3.0, 6.0):
            learned, vendor = await collect(loop, store, limit)
            assert learned == pytest.approx(limit, rel=0.15)
            assert len(vendor.refused) < 0.03 * len(vendor.served)

    in_virtual_time(main)


def test_the_next_run_starts_where_the_last_one_stopped() -> None:
    async def main(loop: VirtualLoop) -> None:
        store = MemoryStore(clock=loop.time)
        _, cold = await collect(loop, store, 6.0)
        _, warm = await collect(loop, store, 6.0)
        cold_start = sum(at < START + 20.0 for at in cold.served)
        warm_start = sum(at < warm.served[0] + 20.0 for at in warm.served)
        assert cold_start < 0.75 * 6.0 * 20.0, "nothing known: it feels its way"
        assert warm_start > 0.9 * 6.0 * 20.0
        assert len(warm.refused) <= len(cold.refused)

    in_virtual_time(main)


@pytest.mark.parametrize("limit", [3.0, 6.0])
def test_a_single_blocking_caller_learns_as_well(clock: FakeClock, limit: float) -> None:
    vendor = Vendor(limit)

    def reply(_: httpx.Request) -> httpx.Response:
        clock.now += LATENCY / 2
        response = vendor.answer(clock())
        clock.now += LATENCY / 2
        return response

    store = MemoryStore(clock=clock)
    with make_client_for("notion", store=store, transport=httpx.MockTransport(reply), sleep=clock.sleep) as client:
        while clock() < START + PHASE:
            client.get("/users")
        assert client.limiter.snapshot()["current_rate"] == pytest.approx(limit, rel=0.15)


def test_far_below_one_request_in_two_seconds_there_is_a_rate_to_learn_too() -> None:
    async def main(loop: VirtualLoop) -> None:
        store = MemoryStore(clock=loop.time)
        for _ in range(3):
            learned, vendor = await collect(loop, store, 0.2, callers=2)
        assert learned == pytest.approx(0.2, rel=0.15)
        assert len(vendor.served) / PHASE == pytest.approx(0.2, rel=0.15)

    in_virtual_time(main)
