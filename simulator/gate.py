"""What stands between the network and the vendor's endpoints: latency, auth, the hidden limit, faults."""

import asyncio
import math
import random
import time
import uuid
from collections.abc import Sequence
from email.utils import formatdate, parsedate_to_datetime
from typing import Literal, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.faults import SLOW, Fault, Script, misbehave
from simulator.meter import Meter
from simulator.shapes import error_response, rate_limited
from simulator.verdict import Policy

RetryAfter = Literal["seconds", "date", "none", "exact"]
RETRY_AFTER_MODES: tuple[RetryAfter, ...] = get_args(RetryAfter)


def retry_after_text(mode: RetryAfter, wait: float, now: float) -> str | None:
    """Write a Retry-After; never shorter than the wait.

    Args:
        mode: `seconds` (whole, at least 1), `date` (HTTP-date), `exact` (decimal) or `none`.
        wait: Seconds until a request would be admitted.
        now: Epoch seconds.
    """
    match mode:
        case "seconds":
            return str(max(1, math.ceil(wait)))
        case "date":
            return formatdate(math.ceil(now + wait), usegmt=True)
        case "exact":
            return f"{math.ceil(wait * 1000) / 1000:.3f}"
        case "none":
            return None


class Gate:
    """An ASGI application in front of another.

    Args:
        inner: The vendor's endpoints.
        policy: The hidden limit. May be replaced at any time by assigning to `policy`.
        meter: Where requests are counted.
        faults: What goes wrong, and when.
        token: The bearer token that is accepted; None accepts any that is not empty.
        retry_after: How a 429 says how long to wait.
        latency: Least and most seconds that an answer takes.
        seed: Decides the latencies.
    """

    def __init__(
        self,
        inner: ASGIApp,
        policy: Policy,
        meter: Meter,
        *,
        faults: Sequence[Fault],
        token: str | None,
        retry_after: RetryAfter,
        latency: tuple[float, float],
        seed: int,
    ) -> None:
        self._inner = inner
        self.policy = policy
        self._meter = meter
        self._script = Script(faults)
        self._token = token
        self._mode = retry_after
        self._latency = latency
        self._random = random.Random(seed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self._meter.arrive(time.time())
        request_id = str(uuid.uuid4()).encode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-notion-request-id", request_id)]
            await send(message)

        # The limit is checked half-way, as at a vendor far away: requests that were sent before a 429
        # came back are already under way.
        half = self._random.uniform(*self._latency) / 2
        try:
            await asyncio.sleep(half)
            await self._decide(half, scope, receive, send_with_id)
        finally:
            self._meter.leave()

    async def _decide(self, half: float, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._authorized(Request(scope).headers.get("authorization", "")):
            await asyncio.sleep(half)
            self._meter.refuse()
            # Before the limit, so that a wrong token uses up nobody's quota.
            await error_response(401, "unauthorized", "API token is invalid.")(scope, receive, send)
            return
        policy = self.policy  # it may be replaced while this request is in flight
        verdict = policy.admit(time.monotonic())
        if not verdict.allowed:
            now = time.time()
            self._meter.reject(now)
            text = retry_after_text(self._mode, verdict.retry_after, now)
            await asyncio.sleep(half)
            await self._reject(text)(scope, receive, send)
            return
        try:
            await self._admitted(half, scope, receive, send)
        finally:
            policy.release(time.monotonic())

    def _authorized(self, header: str) -> bool:
        scheme, _, token = header.partition(" ")
        token = token.strip()
        return scheme.lower() == "bearer" and (bool(token) if self._token is None else token == self._token)

    def _reject(self, retry_after: str | None) -> Response:
        # The wait begins when the client reads it, that is now, unless it is a date. It is noted just
        # before sending and not after: a client may ask for the stats as soon as it has the answer.
        match self._mode:
            case "seconds" | "exact":
                self._meter.hold(time.time() + float(retry_after or 0))
            case "date":
                self._meter.hold(parsedate_to_datetime(retry_after or "").timestamp())
        return rate_limited("public_api_request_rate_limit", retry_after)

    async def _admitted(self, half: float, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        fault = self._script.next(method, path)
        await asyncio.sleep(half + (SLOW if fault == "slow" else 0))

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] in (400, 404):
                    self._meter.refuse()
                else:
                    self._meter.accept(f"{method} {path}")
            await send(message)

        if fault is None or fault == "slow":
            await self._inner(scope, receive, counted_send)
        else:
            self._meter.accept(f"{method} {path}")
            await misbehave(fault, scope, receive, send)
