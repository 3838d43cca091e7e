"""One request from the first wait to the last reply, as a generator of effects.

The order wait -> send -> classify -> learn -> maybe wait again is written here once. The drivers in
`limiter.transport` perform the effects, one blocking, one awaiting, and decide nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx

from limiter import replies
from limiter.aimd import Ticket
from limiter.errors import Terminal, Throttled, WaitTooLong
from limiter.limiter import Granted, Limiter, TooLong
from limiter.replies import Kind, Reply
from state.records import Bucket, Decision, LimiterState

T = TypeVar("T")

FAULT_TRIES = 3
"""Sends of a safe request that meets faults."""
FAULT_SECONDS = 30.0
"""And how long after the first send the last of them may begin."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Transact(Generic[T]):
    """Apply a decision to a bucket; gives its result."""

    bucket: Bucket
    decide: Callable[[LimiterState | None, float], Decision[T]]


@dataclass(frozen=True, slots=True)
class Read:
    """Read a bucket; gives its state and the store's time."""

    bucket: Bucket


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request; gives the response, with its body unread."""

    request: httpx.Request


@dataclass(frozen=True, slots=True)
class Peek:
    """Read up to `replies.BODY_LIMIT` bytes of the body, without taking them from whoever reads it later."""

    response: httpx.Response


@dataclass(frozen=True, slots=True)
class Close:
    """Close a response that nobody will read."""

    response: httpx.Response


Effect = Transact[Any] | Read | Sleep | Send | Peek | Close


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a request keeps trying.

    Attributes:
        max_retries: Sends again after a throttled or overloaded reply.
        max_wait: Seconds it may wait in all; None for as long as it takes.
        backoff_status_codes: What counts as throttled.
        monotonic: Gives seconds of a clock that is never set.
    """

    max_retries: int = 20
    max_wait: float | None = None
    backoff_status_codes: Collection[int] = (429, 529)
    monotonic: Callable[[], float] = time.monotonic


def exchange(limiter: Limiter, request: httpx.Request, bounds: Bounds) -> Generator[Effect, Any, httpx.Response]:
    """Send a request as fast as its limiter allows, and again where that is right.

    Args:
        limiter: Paces it and learns from it.
        request: To the limiter's API.
        bounds: When to give up.

    Yields:
        Effects to perform.

    Returns:
        The last response: fine, refused, or a fault that outlived its retries.

    Raises:
        WaitTooLong: It would have to wait longer than `max_wait`.
        Throttled: The vendor refused it more than `max_retries` times, or its body cannot be sent again.
        Terminal: The vendor says that waiting will not help.
        httpx.TransportError: The connection failed, after the retries of a safe request.
    """
    waited = 0.0
    refusals = sends = 0
    began: float | None = None
    while True:
        ticket, waited = yield from _admission(limiter, request, bounds, waited)
        began = bounds.monotonic() if began is None else began
        sends += 1
        limiter.tally.add(requests=1)
        try:
            response: httpx.Response = yield Send(request)
        except httpx.TransportError as error:
            if not (_is_transient(error) and _may_repeat(request, sends, bounds.monotonic() - began)):
                raise
            yield Sleep(_fault_delay(sends))
            continue
        reply, body = yield from _classification(limiter, response, bounds)
        limiter.tally.add(throttled=reply.kind is Kind.THROTTLED)
        if reply.kind is Kind.TERMINAL:
            yield Close(response)
            raise _terminal(limiter, request, _kept(request, response, body), reply)
        if reply.kind is Kind.REFUSED:
            return response
        if reply.kind is Kind.FAULT:
            if not _may_repeat(request, sends, bounds.monotonic() - began):
                return response
            yield Close(response)
            yield Sleep(_fault_delay(sends))
            continue
        limiter.report((yield Transact(limiter.bucket, limiter.settling(ticket, response.status_code, reply))))
        if reply.kind is Kind.FINE:
            return response
        refusals += 1
        again = refusals <= bounds.max_retries and _is_replayable(request)
        if reply.kind is Kind.OVERLOADED and not (again and _is_safe(request)):
            return response  # an unsafe request may have been carried out: never again unasked
        yield Close(response)
        if not again:
            raise (yield from _throttled(limiter, request, _kept(request, response, body), reply, refusals))


def _admission(
    limiter: Limiter, request: httpx.Request, bounds: Bounds, waited: float
) -> Generator[Effect, Any, tuple[Ticket, float]]:
    """Wait for a slot; gives the ticket as sent now and the seconds waited in all."""
    looked_before = False
    while True:
        patience = float("inf") if bounds.max_wait is None else bounds.max_wait - waited
        reservation: Granted | TooLong = yield Transact(
            limiter.bucket, limiter.reserving(waited=looked_before, patience=patience)
        )
        if isinstance(reservation, TooLong):
            raise WaitTooLong(
                f"{limiter.bucket.api} cannot be asked within {bounds.max_wait:g} s; nothing was sent. "
                f"It can from {_clock_time(reservation.until)} on.",
                api=limiter.bucket.api,
                bucket=str(limiter.bucket),
                until=reservation.until,
                request=request,
            )
        ticket = reservation.ticket
        if reservation.wait <= 0.0 and ticket.generation is not None:
            return ticket, waited
        yield Sleep(reservation.wait)
        waited += reservation.wait
        limiter.tally.add(waited=reservation.wait)
        looked_before = True
        if ticket.generation is None:
            continue
        found, now = yield Read(limiter.bucket)
        valid = limiter.still_valid(found, now, ticket)
        if valid is not None:
            return valid, waited


def _classification(
    limiter: Limiter, response: httpx.Response, bounds: Bounds
) -> Generator[Effect, Any, tuple[Reply, bytes]]:
    config, codes = limiter.config, bounds.backoff_status_codes
    body = b""
    if replies.wants_body(config, response.status_code, codes):
        body = yield Peek(response)
    now = 0.0
    if "retry-after" in response.headers or "x-ratelimit-reset" in response.headers:
        _, now = yield Read(limiter.bucket)  # such a header may hold a date, and dates are the store's
    return replies.classify(config, response.status_code, response.headers, body, now, codes), body


def _kept(request: httpx.Request, response: httpx.Response, body: bytes) -> httpx.Response:
    """A reply as an error carries it: closed, and readable as far as it was read."""
    decoded = [(k, v) for k, v in response.headers.raw if k.lower() not in (b"content-encoding", b"content-length")]
    return httpx.Response(response.status_code, headers=decoded, content=body, request=request)


def _terminal(limiter: Limiter, request: httpx.Request, response: httpx.Response, reply: Reply) -> Terminal:
    return Terminal(
        f"{limiter.bucket.api} refuses this client for good ({reply.reason}); what was collected is kept. Waiting will "
        "not help: look at the account's limits or ask the vendor.",
        api=limiter.bucket.api,
        bucket=str(limiter.bucket),
        retry_after=reply.retry_after,
        reason=reply.reason,
        request=request,
        response=response,
    )


def _throttled(
    limiter: Limiter, request: httpx.Request, response: httpx.Response, reply: Reply, refusals: int
) -> Generator[Effect, Any, Throttled]:
    found, _ = yield Read(limiter.bucket)
    until = found.cooldown_until if found else 0.0
    why = f"{refusals} times" if _is_replayable(request) else "and the request's body cannot be sent again"
    return Throttled(
        f"{limiter.bucket.api} refused the request ({response.status_code}) {why}; what was learned is kept. "
        f"Try again from {_clock_time(until)} on.",
        api=limiter.bucket.api,
        bucket=str(limiter.bucket),
        until=until,
        retry_after=reply.retry_after,
        reason=reply.reason,
        request=request,
        response=response,
    )


def _is_safe(request: httpx.Request) -> bool:
    return request.method in SAFE_METHODS or request.extensions.get("safe") is True


def _is_replayable(request: httpx.Request) -> bool:
    """Only a body held in memory can be sent twice; a stream or an upload has been consumed."""
    return isinstance(request.stream, httpx.ByteStream)


def _is_transient(error: httpx.TransportError) -> bool:
    return isinstance(error, httpx.NetworkError | httpx.TimeoutException | httpx.RemoteProtocolError)


def _may_repeat(request: httpx.Request, sends: int, elapsed: float) -> bool:
    in_time = elapsed + _fault_delay(sends) <= FAULT_SECONDS
    return _is_safe(request) and _is_replayable(request) and sends < FAULT_TRIES and in_time


def _fault_delay(sends: int) -> float:
    return float(2 ** (sends - 1))


def _clock_time(epoch: float) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(epoch))
