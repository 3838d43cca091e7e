"""A request played through the real client twice, blocking and async, against a scripted vendor and a fake clock."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from limiter import AimdClient, ApiRateConfig, AsyncAimdClient, Bounds, Limiter, api_config
from limiter.testing import Answer, FakeClock
from state import Bucket, store
from state.memory import MemoryStore
from state.once import Once


@pytest.fixture(autouse=True)
def _nobody_elses_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the variables of whoever runs it or what another test learned, nor leaves a database behind."""
    monkeypatch.setattr(store, "_shared", Once({}))
    for name in [*os.environ]:
        if name.startswith("AIMD_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AIMD_DATABASE_URL", "memory://")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A response body that comes in chunks, may break, and knows how far it was read and how often it was closed."""

    def __init__(self, chunks: Iterable[bytes], error: BaseException | None = None) -> None:
        self._chunks = list(chunks)
        self._error = error
        self.read = 0
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.read += 1
            yield chunk
        if self._error is not None:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


class Wire(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Consumes the body of a request and leaves it consumed: a real transport does, `httpx.MockTransport` does not."""

    def __init__(self, script: Iterable[Answer], clock: FakeClock) -> None:
        self._script = list(script)
        self._clock = clock
        self._began = clock()
        self.requests: list[httpx.Request] = []
        self.times: list[float] = []
        self.bodies: list[bytes] = []
        self.log: list[str] = []
        """Sends and closes, in order."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(b"".join(request.stream))
        return self._answer(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(b"".join([chunk async for chunk in request.stream]))
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.times.append(self._clock() - self._began)
        self.log.append("send")
        answer: Any = self._script.pop(0) if self._script else 200
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        body = Body([f"answer {len(self.requests)}".encode()])
        closing = self.log

        def noted(close: Callable[..., Any]) -> Callable[..., Any]:
            def wrapper() -> Any:
                closing.append("close")
                return close()

            return wrapper

        body.close, body.aclose = noted(body.close), noted(body.aclose)  # type: ignore[method-assign]
        return httpx.Response(status, headers=dict(headers), stream=body)


@dataclass
class Played:
    """What became of a script."""

    outcomes: list[httpx.Response | Exception]
    wire: Wire
    clock: FakeClock
    limiter: Limiter
    sends: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.sends = [round(at, 3) for at in self.wire.times]

    @property
    def response(self) -> httpx.Response:
        (outcome,) = self.outcomes
        assert isinstance(outcome, httpx.Response), outcome
        return outcome

    @property
    def error(self) -> Any:
        (outcome,) = self.outcomes
        assert isinstance(outcome, Exception), outcome
        return outcome


Play = Callable[..., Played]


@pytest.fixture(params=["sync", "async"])
def play(request: pytest.FixtureRequest, clock: FakeClock) -> Play:
    """Send a request (or the same several times) by each of the two drivers; both must do exactly the same."""
    mode = request.param

    def run(
        script: Iterable[Answer],
        method: str = "GET",
        url: str = "/things",
        *,
        times: int = 1,
        api: str = "notion",
        config: ApiRateConfig | None = None,
        bounds: dict[str, Any] | None = None,
        store: MemoryStore | None = None,
        client: dict[str, Any] | None = None,
        make: Callable[[], dict[str, Any]] = dict,
        **request_kwargs: Any,
    ) -> Played:
        store = store or MemoryStore(clock=clock)
        config = config or api_config(api)
        limiter = Limiter(config, Bucket(config.name), store)
        wire = Wire(script, clock)
        limits = Bounds(monotonic=clock, **(bounds or {}))
        outcomes: list[httpx.Response | Exception] = []

        def blocking() -> None:
            with AimdClient(limiter, limits, transport=wire, sleep=clock.sleep, **(client or {})) as session:
                for _ in range(times):
                    try:
                        outcomes.append(session.request(method, url, **request_kwargs, **make()))
                    except Exception as error:
                        outcomes.append(error)

        async def awaiting() -> None:
            options = {"transport": wire, "sleep": clock.asleep, **(client or {})}
            async with AsyncAimdClient(limiter, limits, **options) as session:
                for _ in range(times):
                    try:
                        outcomes.append(await session.request(method, url, **request_kwargs, **make()))
                    except Exception as error:
                        outcomes.append(error)

        blocking() if mode == "sync" else asyncio.run(awaiting())
        return Played(outcomes, wire, clock, limiter)

    run.mode = mode  # type: ignore[attr-defined]
    return run


@pytest.fixture
def body() -> type[Body]:
    return Body
