"""Ctrl-C, cancelled tasks and failing stores at every step: nothing stays open, and nothing learned is lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from limiter import (
    AimdClient,
    ApiRateConfig,
    AsyncAimdClient,
    CircuitBreakerConfig,
    Limiter,
    Terminal,
    api_config,
)
from limiter.testing import FakeClock
from state import Bucket, open_store
from state.errors import DatabaseBusy
from state.memory import MemoryStore

BUCKET = Bucket("notion")
REFUSED = {"Retry-After": "30"}


class Failing(MemoryStore):
    """A store whose n-th transaction fails."""

    def __init__(self, clock: FakeClock, fails: int, error: BaseException) -> None:
        super().__init__(clock=clock)
        self._left, self._error = fails, error

    def transact(self, bucket: Bucket, decide: Callable[..., Any]) -> Any:
        self._left -= 1
        if self._left == 0:
            raise self._error
        return super().transact(bucket, decide)


def client(store: MemoryStore, clock: FakeClock, handler: Callable[..., Any], **options: Any) -> AimdClient:
    transport = httpx.MockTransport(handler)
    return AimdClient(
        Limiter(api_config("notion"), BUCKET, store), transport=transport, **{"sleep": clock.sleep, **options}
    )


class Lost(MemoryStore):
    """A store that is lost after the first reservation."""

    lost = False

    def transact(self, bucket: Bucket, decide: Callable[..., Any]) -> Any:
        self._look()
        result = super().transact(bucket, decide)
        self.lost = True
        return result

    def read(self, bucket: Bucket) -> Any:
        self._look()
        return super().read(bucket)

    def _look(self) -> None:
        if self.lost:
            raise DatabaseBusy("Another process holds the database.")


ACME = ApiRateConfig("acme", "https://api.acme.test", breaker=CircuitBreakerConfig())
UNTAUGHT = "An answer is passed on, but what it teaches may not have been kept. Another process holds the database."


@pytest.mark.parametrize("answer", [201, 409, 500, (503, {"Retry-After": "30"}), httpx.ReadError("reset")], ids=repr)
def test_an_answer_that_has_come_is_its_callers_whatever_becomes_of_the_database(
    play: Any, clock: FakeClock, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    """Who made something with a POST and heard nothing of it would make it once more."""
    played = play([answer], "POST", config=ACME, store=Lost(clock=clock))
    (outcome,) = played.outcomes
    assert outcome is answer or outcome.status_code == (answer if isinstance(answer, int) else answer[0])
    assert [record.getMessage() for record in caplog.records] == [UNTAUGHT]


def test_a_refusal_for_good_is_one_whatever_becomes_of_the_database(play: Any, clock: FakeClock) -> None:
    answer = httpx.Response(429, json={"error": {"code": "insufficient_quota"}})
    assert isinstance(play([answer], api="openai", store=Lost(clock=clock)).error, Terminal)


@pytest.mark.parametrize("answer", [429, 500, (503, {"Retry-After": "30"}), httpx.ReadError("reset")], ids=repr)
def test_nothing_is_sent_again_without_the_database(play: Any, clock: FakeClock, answer: Any) -> None:
    played = play([answer], config=ACME, store=Lost(clock=clock))
    assert isinstance(played.error, DatabaseBusy)
    assert played.sends == [0.0]


@pytest.mark.parametrize(
    ("error", "status"), [(DatabaseBusy("busy"), 429), *((KeyboardInterrupt(), n) for n in (200, 429))]
)
def test_a_reply_that_cannot_be_settled_is_closed(clock: FakeClock, body: Any, error: Any, status: int) -> None:
    reply = body([b"x"])
    replies = [httpx.Response(status, stream=reply), httpx.Response(200)]
    with client(Failing(clock, 2, error), clock, lambda _: replies.pop(0)) as session:
        with pytest.raises(type(error)):
            session.get("/")
        assert reply.closed == 1
        assert session.get("/").status_code == 200


def test_ctrl_c_while_a_refusal_is_read_closes_it(clock: FakeClock, body: Any) -> None:
    reply = body([b"x"], KeyboardInterrupt())
    answer = httpx.Response(429, stream=reply)
    with client(MemoryStore(clock=clock), clock, lambda _: answer) as session, pytest.raises(KeyboardInterrupt):
        session.get("/")
    assert reply.closed == 1


def test_ctrl_c_while_waiting_keeps_the_cooldown(clock: FakeClock) -> None:
    store = MemoryStore(clock=clock)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with client(store, clock, lambda _: httpx.Response(429, headers=REFUSED), sleep=interrupt) as session:
        with pytest.raises(KeyboardInterrupt):
            session.get("/")
        assert session.limiter.snapshot()["cooldown_until"] == clock() + 30.0


def async_client(store: Any, transport: Any, **options: Any) -> AsyncAimdClient:
    return AsyncAimdClient(Limiter(api_config("notion"), BUCKET, store), transport=transport, **options)


class Hanging(httpx.AsyncBaseTransport):
    """Answers, or hangs for ever before it does or while its body comes."""

    def __init__(self, response: httpx.Response | None = None) -> None:
        self.reached = asyncio.Event()
        self._response = response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._response is None:
            self.reached.set()
            await asyncio.Event().wait()
        assert self._response is not None
        return self._response


class HangingBody(httpx.AsyncByteStream):
    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.closed = 0

    async def __aiter__(self) -> Any:
        yield b"x"
        self.reached.set()
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        await asyncio.sleep(0)  # a real one lets go of its connection here
        self.closed += 1


async def cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_task_cancelled_while_it_waits_leaves_the_bucket_usable(clock: FakeClock) -> None:
    async def main() -> None:
        waiting = asyncio.Event()

        async def sleep(_: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

        store = MemoryStore(clock=clock)
        async with async_client(store, httpx.MockTransport(lambda _: httpx.Response(200)), sleep=sleep) as session:
            await session.get("/")
            task = asyncio.create_task(session.get("/"))
            await waiting.wait()
            await cancel(task)
            clock.now += 1.0
            assert (await session.get("/")).status_code == 200

    asyncio.run(main())


def test_a_task_cancelled_while_a_refusal_is_read_closes_it(clock: FakeClock) -> None:
    async def main() -> None:
        body = HangingBody()
        transport = Hanging(httpx.Response(429, stream=body))
        async with async_client(MemoryStore(clock=clock), transport, sleep=clock.asleep) as session:
            task = asyncio.create_task(session.get("/"))
            await body.reached.wait()
            await cancel(task)
        assert body.closed == 1

    asyncio.run(main())


def test_a_task_cancelled_while_it_sends_leaves_the_rate_alone(clock: FakeClock) -> None:
    async def main() -> None:
        transport = Hanging()
        async with async_client(MemoryStore(clock=clock), transport, sleep=clock.asleep) as session:
            task = asyncio.create_task(session.get("/"))
            await transport.reached.wait()
            await cancel(task)
            assert session.limiter.snapshot()["current_rate"] == 2.0
            assert session.limiter.tally.requests == 1

    asyncio.run(main())


def test_a_task_cancelled_while_it_settles_still_settles(clock: FakeClock, tmp_path: Any) -> None:
    """The transaction runs in a thread, which goes on: a refusal that was heard is never forgotten."""

    async def main() -> None:
        inside, go_on, done = threading.Event(), threading.Event(), threading.Event()
        with open_store(f"sqlite:///{tmp_path / 'aimd.db'}", clock=clock) as store:
            transact = store.transact

            def slowly(bucket: Bucket, decide: Any) -> Any:
                if store.read(bucket)[0] is None:
                    return transact(bucket, decide)
                inside.set()
                assert go_on.wait(10)
                result = transact(bucket, decide)
                done.set()
                return result

            store.transact = slowly  # type: ignore[method-assign]
            transport = Hanging(httpx.Response(429, headers=REFUSED, content=b"{}"))
            async with async_client(store, transport, sleep=clock.asleep) as session:
                task = asyncio.create_task(session.get("/"))
                await asyncio.to_thread(inside.wait, 10)
                task.cancel()
                go_on.set()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await asyncio.to_thread(done.wait, 10)
                assert session.limiter.snapshot()["cooldown_until"] == clock() + 30.0

    asyncio.run(main())


def test_an_event_loop_goes_on_while_requests_wait(tmp_path: Any) -> None:
    """A waiting request blocks nobody: with a store on disk, the loop turns during every wait and transaction."""

    async def main() -> None:
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(turn())
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            before = turns
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert turns > before

        with open_store(f"sqlite:///{tmp_path / 'aimd.db'}") as store:
            transport = httpx.MockTransport(lambda _: httpx.Response(200))
            async with async_client(store, transport, sleep=sleep) as session:
                before = turns
                await asyncio.gather(*(session.get("/") for _ in range(4)))
                assert turns > before + 8, "eight transactions, none of them on the loop"
        assert waits
        ticking.cancel()

    asyncio.run(main())


def test_threads_that_share_a_client_share_its_pace_and_its_figures(clock: FakeClock) -> None:
    """Two threads, one bucket: the slots are one interval apart, and no count is lost."""
    lock = threading.Lock()
    slots: list[float] = []

    def sleep(seconds: float) -> None:
        with lock:
            slots.append(round(clock() + seconds, 6))  # the clock stands still, so a wait is a place in the queue

    store = MemoryStore(clock=clock)
    with client(store, clock, lambda _: httpx.Response(404), sleep=sleep) as session:
        session.get("/")
        threads = [threading.Thread(target=lambda: session.get("/")) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert sorted(slots) == [clock() + n / 2 for n in (1, 2)]
        assert session.limiter.tally.requests == 3
        assert session.limiter.tally.waited == pytest.approx(0.5 + 1.0)
