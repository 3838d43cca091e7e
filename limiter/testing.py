"""For tests of code that uses the limiter: time that passes only when somebody waits, and a vendor with a script.

Example:
    >>> from limiter import make_client_for
    >>> from state.memory import MemoryStore
    >>> clock = FakeClock()
    >>> vendor = ScriptedVendor([(429, {"Retry-After": "30"}), 200], clock)
    >>> store = MemoryStore(clock=clock)
    >>> client = make_client_for("notion", store=store, transport=vendor.transport, sleep=clock.sleep)
    >>> client.get("/users").status_code, vendor.times
    (200, [0.0, 30.0])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import httpx

START = 1_800_000_000.0
"""Where a fake clock begins, epoch seconds."""


class FakeClock:
    """A clock that only sleeping moves. Call it for the time in epoch seconds.

    Attributes:
        sleeps: What was slept, in seconds, in order.
    """

    def __init__(self, start: float = START) -> None:
        self.now = start
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        """The time, epoch seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.sleeps.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        """Move the clock, for an async client."""
        self.sleep(seconds)


Answer = int | tuple[int, Mapping[str, str]] | httpx.Response | BaseException


class ScriptedVendor:
    """Answers from a script: a status, a status with headers, a response, or an exception to raise; then 200s.

    Args:
        script: The answers in order.
        clock: Stamps the requests.

    Attributes:
        transport: For `make_client_for(..., transport=...)`; sync and async.
        requests: What came.
        times: When, in seconds since the clock's start.
    """

    def __init__(self, script: Iterable[Answer], clock: FakeClock) -> None:
        self._script = list(script)
        self._clock = clock
        self._began = clock()
        self.requests: list[httpx.Request] = []
        self.times: list[float] = []
        self.transport = httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.times.append(self._clock() - self._began)
        answer: Any = self._script.pop(0) if self._script else 200
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        return httpx.Response(status, headers=dict(headers), json={})
