"""What stands between the network and the vendor's endpoints: latency, auth, the hidden limits, faults.

The gate decides; the vendor words the answers.
"""

import asyncio
import math
import random
import time
from collections.abc import Sequence
from email.utils import formatdate
from functools import partial
from typing import get_args

from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from simulator.faults import SLOW, Fault, Script, answer_of, break_off
from simulator.limits import Limits
from simulator.mangling import MANGLES, Mangler
from simulator.meter import Meter
from simulator.vendor import Bucket, RetryAfter, Vendor

RETRY_AFTER_MODES: tuple[RetryAfter, ...] = get_args(RetryAfter)
REFUSALS = frozenset({400, 401, 403, 404, 409, 410, 413, 422})
"""What counts as refused rather than accepted."""


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
    """An ASGI application in front of a vendor's.

    Args:
        vendor: The vendor.
        limits: The hidden limits.
        meter: Where requests are counted.
        faults: What goes wrong, and when.
        token: The bearer token that is accepted; None accepts any that is not empty.
        retry_after: How a 429 says how long to wait.
        latency: Least and most seconds that an answer takes.
        seed: Decides the latencies.
    """

    def __init__(
        self,
        vendor: Vendor,
        limits: Limits,
        meter: Meter,
        *,
        faults: Sequence[Fault],
        token: str | None,
        retry_after: RetryAfter,
        latency: tuple[float, float],
        seed: int,
    ) -> None:
        self._vendor = vendor
        self._limits = limits
        self._meter = meter
        self._script = Script(faults)
        self._mangler = Mangler()
        self._token = token
        self._mode = retry_after
        self._latency = latency
        self._random = random.Random(seed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self._meter.arrive(time.time())
        request = Request(scope)

        async def stamped_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                stamp = self._vendor.stamp(request, message["status"])
                stamped = [(name.encode(), value.encode()) for name, value in stamp.items()]
                message["headers"] = [*message.get("headers", ()), *stamped]
            await send(message)

        # The limit is checked half-way, as at a vendor far away: requests that were sent before a 429
        # came back are already under way.
        half = self._random.uniform(*self._latency) / 2
        try:
            await asyncio.sleep(half)
            await self._decide(half, request, receive, stamped_send)
        finally:
            self._meter.leave()

    async def _decide(self, half: float, request: Request, receive: Receive, send: Send) -> None:
        refusal = self._vendor.authorize(request, self._token)
        if refusal is not None:
            await asyncio.sleep(half)
            self._meter.refuse()
            # Before the limit, so that a wrong token uses up nobody's quota.
            await refusal(request.scope, receive, send)
            return
        admission = self._limits.admit(self._vendor.buckets(request), time.monotonic())
        if admission.bucket is not None:
            now = time.time()
            self._meter.reject(now)
            text = retry_after_text(self._mode, admission.verdict.retry_after, now)
            await asyncio.sleep(half)
            await self._reject(request, admission.bucket, text, receive, send)
            return
        try:
            await self._admitted(half, request, receive, send)
        finally:
            admission.release(time.monotonic())

    async def _reject(
        self, request: Request, bucket: Bucket, retry_after: str | None, receive: Receive, send: Send
    ) -> None:
        answer = self._vendor.rejected(request, bucket, retry_after)
        # The wait begins when the client reads it, that is now, unless it is a date. It is noted just
        # before sending and not after: a client may ask for the stats as soon as it has the answer.
        if (until := self._vendor.until(request, answer, time.time())) is not None:
            self._meter.hold(until)
        await answer(request.scope, receive, send)

    async def _admitted(self, half: float, request: Request, receive: Receive, send: Send) -> None:
        method, path = request.method, request.url.path
        fault = self._script.next(method, path)
        await asyncio.sleep(half + (SLOW if fault == "slow" else 0))

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] in REFUSALS:
                    self._meter.refuse()
                else:
                    self._meter.accept(f"{method} {path}")
            await send(message)

        app = self._vendor.app
        if fault in MANGLES:
            await self._mangler.mangle(fault, app, request.scope, receive, counted_send)
        elif fault is None or fault == "slow":
            answer_to = partial(self._mangler.watch, app) if self._script.mangles else app
            await answer_to(request.scope, receive, counted_send)
        elif (answer := answer_of(fault, self._vendor, request)) is not None:
            await answer(request.scope, receive, counted_send)
        else:
            self._meter.accept(f"{method} {path}")
            await break_off(fault, request.scope, receive, send)
