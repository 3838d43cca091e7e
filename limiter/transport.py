"""httpx transports that pace, learn and remember; what `limiter.exchange` wants done, they do.

They wrap any other transport, so `httpx.Client`, auth, event hooks, `respx` and `httpx.MockTransport` work as always.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Any

import anyio
import httpx

from limiter.bounds import Bounds
from limiter.effects import Close, Effect, Enter, Peek, Read, Send, Sleep, Transact, arun, run
from limiter.exchange import exchange
from limiter.limiter import Limiter
from limiter.peek import apeek, peek
from limiter.redaction import sending, without_credentials
from limiter.store_thread import thread_of
from state.patience import within

LEAST = 2.0
"""Seconds that the store has in any case: who does not want to wait for the vendor waits for a disk all the same."""


class AimdTransport(httpx.BaseTransport):
    """Sends through `inner` at the rate that the limiter has learned.

    Args:
        inner: Sends the requests; closed with this one.
        limiter: Whose rate. Requests to other hosts than its API's pass at once, without credentials, and teach
            nothing.
        bounds: When to give up.
        sleep: Waits for so many seconds; for tests.

    Example:
        >>> from limiter import ApiRateConfig, Limiter
        >>> from state import Bucket, open_store
        >>> config = ApiRateConfig("acme", "https://api.acme.test")
        >>> limiter = Limiter(config, Bucket("acme"), open_store("memory://"))
        >>> vendor = httpx.MockTransport(lambda request: httpx.Response(200, text="hello"))
        >>> with httpx.Client(transport=AimdTransport(vendor, limiter), base_url=config.base_url) as client:
        ...     client.get("/").text
        'hello'
    """

    def __init__(
        self,
        inner: httpx.BaseTransport,
        limiter: Limiter,
        bounds: Bounds | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.inner = inner
        self.limiter = limiter
        self._bounds = bounds or Bounds()
        self._sleep = sleep
        self._origin = origin(httpx.URL(limiter.config.base_url))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the reply that its caller should see; see `limiter.exchange.exchange`."""
        if origin(request.url) != self._origin:
            return self.inner.handle_request(without_credentials(request))
        bounds = self._bounds.of(request)
        steps = exchange(self.limiter, request, bounds)
        sent: list[httpx.Response] = []
        try:
            return run(steps, partial(self._perform, bounds, sent))
        except BaseException:  # Ctrl-C, too: nobody else knows of the response, and its connection would stay taken
            steps.close()
            for response in sent[-1:]:
                response.close()
            raise

    def _perform(self, bounds: Bounds, sent: list[httpx.Response], effect: Effect) -> Any:
        match effect:
            case Transact(bucket, decide):
                with _in_time(bounds):
                    return self.limiter.store.transact(bucket, decide)
            case Read(bucket):
                with _in_time(bounds):
                    return self.limiter.store.read(bucket)
            case Sleep(seconds):
                return self._sleep(seconds)
            case Enter(gate, patience):
                return gate.enter(patience)
            case Send(request):
                with sending(request):
                    sent.append(self.inner.handle_request(request))
                    return sent[-1]
            case Peek(response):
                return peek(response)
            case Close(response):
                return response.close()

    def __enter__(self) -> AimdTransport:
        self.inner.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.inner.__exit__(exc_type, exc_value, traceback)

    def close(self) -> None:
        """Close the inner transport. The store stays open: others use it too."""
        self.inner.close()


class AsyncAimdTransport(httpx.AsyncBaseTransport):
    """As `AimdTransport`, for `httpx.AsyncClient`. A waiting request never blocks its event loop."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        limiter: Limiter,
        bounds: Bounds | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.inner = inner
        self.limiter = limiter
        self._bounds = bounds or Bounds()
        self._sleep = sleep
        self._origin = origin(httpx.URL(limiter.config.base_url))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the reply that its caller should see; see `limiter.exchange.exchange`."""
        if origin(request.url) != self._origin:
            return await self.inner.handle_async_request(without_credentials(request))
        bounds = self._bounds.of(request)
        steps = exchange(self.limiter, request, bounds)
        sent: list[httpx.Response] = []
        try:
            return await arun(steps, partial(self._perform, bounds, sent))
        except BaseException:  # a cancelled task, too
            steps.close()
            with anyio.CancelScope(shield=True):
                for response in sent[-1:]:
                    await response.aclose()
            raise

    async def _perform(self, bounds: Bounds, sent: list[httpx.Response], effect: Effect) -> Any:
        store = self.limiter.store
        match effect:
            case Transact(bucket, decide, lasting):
                return await self._of_store(partial(store.transact, bucket, decide), bounds, lasting=lasting)
            case Read(bucket):
                return await self._of_store(partial(store.read, bucket), bounds)
            case Sleep(seconds):
                return await self._sleep(seconds)
            case Enter(gate, patience):
                return await gate.aenter(patience)
            case Send(request):
                with sending(request):
                    sent.append(await self.inner.handle_async_request(request))
                    return sent[-1]
            case Peek(response):
                return await apeek(response)
            case Close(response):
                return await response.aclose()

    async def _of_store(self, work: Callable[[], Any], bounds: Bounds, *, lasting: bool = False) -> Any:
        store = self.limiter.store
        if store.in_process:
            return work()
        with _in_time(bounds):
            return await thread_of(store).do(work, lasting=lasting)

    async def __aenter__(self) -> AsyncAimdTransport:
        await self.inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.inner.__aexit__(exc_type, exc_value, traceback)

    async def aclose(self) -> None:
        """Close the inner transport. The store stays open: others use it too."""
        await self.inner.aclose()


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port: what a credential belongs to."""
    default = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host, url.port or default


def _in_time(bounds: Bounds) -> AbstractContextManager[None]:
    return within(max(LEAST, bounds.patience(0.0)))
