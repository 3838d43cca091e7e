"""One request from the first wait to the last reply, as a generator of effects.

The order wait -> send -> classify -> learn -> maybe wait again is written here once. The drivers in
`limiter.transport` perform the effects, one blocking, one awaiting, and decide nothing.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import httpx

from limiter import breaker, replies
from limiter.aimd import Ticket
from limiter.bounds import Begun, Bounds, Faults, is_replayable, is_safe
from limiter.clock_time import clock_time
from limiter.effects import Close, Effect, Enter, Peek, Read, Send, Sleep, Transact
from limiter.errors import CircuitOpen, Terminal, Throttled, WaitTooLong
from limiter.gate import Place
from limiter.hooks import log
from limiter.limiter import Granted, Limiter, Route, Shut, TooLong
from limiter.redaction import hide, secrets_of, without_credentials
from limiter.replies import Kind, Reply
from state.errors import StateError

T = TypeVar("T")

LOOK_AGAIN = 60.0
"""Seconds. Whoever sleeps longer looks in between: somebody may have reset what it waits for."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A reply that will not do, and the response as an error carries it."""

    reply: Reply
    response: httpx.Response


def exchange(limiter: Limiter, request: httpx.Request, bounds: Bounds) -> Generator[Effect, Any, httpx.Response]:
    """Send a request as fast as its limiter allows, and again where that is right.

    Args:
        limiter: Paces it and learns from it.
        request: To the limiter's API.
        bounds: When to give up; from `Bounds.of`.

    Yields:
        Effects to perform.

    Returns:
        The last response: fine, refused, or a fault that outlived its retries.

    Raises:
        WaitTooLong: It would have to wait longer than `max_wait`, or beyond its deadline, for the first send or for
            the next.
        CircuitOpen: The vendor has answered with faults only, and is not asked for a while.
        Throttled: The vendor refused it more than `max_retries` times, or its body cannot be sent again.
        Terminal: The vendor says that waiting will not help.
        httpx.TransportError: The connection failed, after the retries of a safe request.
    """
    route = limiter.route(request.method, request.url.path)
    begun = bounds.begun(request)
    refusals = 0
    refused: Refused | None = None
    faults = Faults()
    while True:
        place = yield from _entrance(limiter, request, bounds, begun, refused)
        try:
            tickets = yield from _admission(route, request, bounds, begun, refused)
            sent_at = bounds.monotonic()
            limiter.tally.add(requests=1)
            in_flight = place.send()
            failure: httpx.TransportError | None = None
            try:
                response: httpx.Response = place.until_closed((yield Send(bounds.hurried(request))))
            except httpx.TransportError as error:
                failure = error
        except BaseException:
            place.leave()
            raise
        if failure is not None:
            place.leave()
            if (yield from _fault(route, request, bounds, begun, faults, tickets, sent_at, failure)):
                continue
            raise failure
        # Dates in headers are the store's, whose time is known from the ticket.
        now = next(iter(tickets.values())).at + bounds.monotonic() - sent_at
        reply, body = yield from _classification(limiter, request, response, bounds, now)
        limiter.tally.add(throttled=reply.kind is Kind.THROTTLED)
        if reply.kind is Kind.FAULT:
            if (yield from _fault(route, request, bounds, begun, faults, tickets, sent_at, response)):
                continue
            return response
        refusals += reply.kind in (Kind.THROTTLED, Kind.OVERLOADED)
        again = refusals <= bounds.max_retries and is_replayable(request)
        match reply.kind:
            case Kind.THROTTLED:
                ends = False
            case Kind.OVERLOADED:  # an unsafe request may have been carried out: never again unasked
                ends = not (again and is_safe(request))
            case _:
                ends = True
        learning = _learning(route, tickets, response.status_code, reply, bounds, in_flight, sent_at)
        yield from _taught(learning, ends=ends)
        if reply.kind is Kind.TERMINAL:
            yield Close(response)
            raise _terminal(route.of(reply.word), request, Refused(reply, _kept(request, response, body)))
        if ends:
            return response
        yield Close(response)
        refused = Refused(reply, _kept(request, response, body))
        if not again:
            raise (yield from _throttled(route.of(reply.word), request, refused, refusals))


def _entrance(
    limiter: Limiter, request: httpx.Request, bounds: Bounds, begun: Begun, refused: Refused | None
) -> Generator[Effect, Any, Place]:
    """Wait for a place in flight."""
    place: Place | None = yield Enter(limiter.gate, bounds.patience(begun.waited))
    if place is None:
        _, now = yield Read(limiter.bucket)
        raise _too_long(limiter, request, refused, bounds, TooLong(now, now))
    limiter.tally.add(waited=place.waited)
    begun.waited += place.waited
    return place


def _admission(
    route: Route, request: httpx.Request, bounds: Bounds, begun: Begun, refused: Refused | None
) -> Generator[Effect, Any, dict[Limiter, Ticket]]:
    """Wait for a slot of each limit; gives the tickets as sent now."""
    passed = route.passed
    if len(passed) > 1 and bounds.patience(begun.waited) < math.inf:
        for limiter in passed:  # whoever must wait too long for one takes no slot of another
            found, now = yield Read(limiter.bucket)
            until = limiter.opens(found, now)
            if until - now > bounds.patience(begun.waited):
                raise _too_long(limiter, request, refused, bounds, TooLong(until, now))
    tickets: dict[Limiter, Ticket] = {}
    missing = passed
    while missing:
        for limiter in missing:
            circuit = limiter is route.circuit
            ticket = yield from _slot(limiter, request, bounds, begun, refused, circuit=circuit)
            if ticket is not None:
                tickets[limiter] = ticket
        missing = []
        # While it waited for the one, a cooldown may have voided the other.
        for limiter in tuple(tickets) if len(tickets) > 1 else ():
            found, now = yield Read(limiter.bucket)
            valid = limiter.still_valid(found, now, tickets.pop(limiter))
            if valid is None:
                missing.append(limiter)
            else:
                tickets[limiter] = valid
    return tickets


def _slot(
    limiter: Limiter, request: httpx.Request, bounds: Bounds, begun: Begun, refused: Refused | None, *, circuit: bool
) -> Generator[Effect, Any, Ticket | None]:
    """Wait for a slot of one limit; None of a limit that the vendor has never named."""
    if limiter.when_named:
        found, _ = yield Read(limiter.bucket)
        if found is None:
            return None
    looked_before = False
    while True:
        patience = bounds.patience(begun.waited)
        reservation: Granted | TooLong | Shut = yield Transact(
            limiter.bucket, limiter.reserving(waited=looked_before, patience=patience, circuit=circuit)
        )
        if isinstance(reservation, Shut):
            raise _shut(limiter, request, refused, reservation)
        if isinstance(reservation, TooLong):
            raise _too_long(limiter, request, refused, bounds, reservation)
        ticket, left = reservation.ticket, reservation.wait
        while left > 0.0:
            nap = min(left, LOOK_AGAIN)
            yield Sleep(nap)
            left -= nap
            begun.waited += nap
            limiter.tally.add(waited=nap)
            if ticket.generation is None:
                break
            found, now = yield Read(limiter.bucket)
            valid = limiter.still_valid(found, now, ticket)
            if valid is None:
                break
            ticket = valid
        else:
            return ticket
        looked_before = True


def _learning(
    route: Route,
    tickets: dict[Limiter, Ticket],
    status: int,
    reply: Reply,
    bounds: Bounds,
    in_flight: int,
    sent_at: float,
) -> Generator[Effect, Any, None]:
    """A refusal teaches the limit that it is about; anything else, all that the request has passed."""
    about = route.of(reply.word)
    if reply.kind in (Kind.THROTTLED, Kind.OVERLOADED, Kind.TERMINAL):
        teaches = [about]
    elif reply.kind is Kind.REFUSED and reply.told is None:
        teaches = []
    else:
        teaches = list(tickets)
    for limiter in teaches:
        said = reply if limiter is about else replace(reply, told=None)
        # The vendor may name one that the request did not have to pass.
        ticket = tickets.get(limiter) or Ticket(next(iter(tickets.values())).at, None, paced=False)
        learned = yield Transact(limiter.bucket, limiter.settling(ticket, status, said, in_flight), lasting=True)
        limiter.report(learned, said, bounds.monotonic(), in_flight, sent_at)
    circuit = route.circuit
    if circuit in tickets and circuit not in teaches:
        found, _ = yield Read(circuit.bucket)
        if found is not None and breaker.is_troubled(found):
            settling = circuit.settling(tickets[circuit], status, Reply(Kind.REFUSED))  # teaches that somebody answers
            circuit.report(
                (yield Transact(circuit.bucket, settling, lasting=True)), reply, bounds.monotonic(), in_flight, sent_at
            )


def _fault(
    route: Route,
    request: httpx.Request,
    bounds: Bounds,
    begun: Begun,
    faults: Faults,
    tickets: dict[Limiter, Ticket],
    sent_at: float,
    fault: httpx.Response | httpx.TransportError,
) -> Generator[Effect, Any, bool]:
    """Count a fault; whether the request is to be sent again, now that it has paused."""
    pause = faults.pause(request, sent_at, bounds.monotonic(), bounds.patience(begun.waited))
    again = pause is not None and _is_transient(fault)
    is_open = yield from _taught(_counting(route, tickets, bounds, fault), ends=not again)
    if pause is None or not again or is_open:
        return False
    if isinstance(fault, httpx.Response):
        yield Close(fault)
    yield Sleep(pause)
    begun.waited += pause
    return True


def _counting(
    route: Route, tickets: dict[Limiter, Ticket], bounds: Bounds, fault: httpx.Response | httpx.TransportError
) -> Generator[Effect, Any, bool]:
    """Count a fault of the vendor's; whether the circuit is open now, so that there is no use in trying again."""
    circuit = route.circuit
    # Where no connection was free the vendor was not even asked, and nobody's own deadline says that it is slow.
    ours = isinstance(fault, httpx.PoolTimeout) or (isinstance(fault, httpx.TimeoutException) and bounds.left() <= 0.0)
    if circuit.config.breaker is None or ours or not _is_transient(fault):
        return False
    status = fault.status_code if isinstance(fault, httpx.Response) else None
    happened, is_open = yield Transact(circuit.bucket, circuit.failing(tickets[circuit], status), lasting=True)
    if happened is not None:
        circuit.tell(happened, "" if isinstance(fault, httpx.Response) else type(fault).__name__)
    return bool(is_open)


def _taught(learning: Generator[Effect, Any, T], *, ends: bool) -> Generator[Effect, Any, T | None]:
    """Learn from an answer; one that is the caller's now is so whatever becomes of the database.

    Else a POST that was carried out would look as if it was not, and be sent once more.
    """
    try:
        return (yield from learning)
    except StateError as error:
        if not ends:
            raise
        log.warning("An answer is passed on, but what it teaches may not have been kept. %s", error)
        return None


def _classification(
    limiter: Limiter, request: httpx.Request, response: httpx.Response, bounds: Bounds, now: float
) -> Generator[Effect, Any, tuple[Reply, bytes]]:
    config, codes = limiter.config, bounds.backoff_status_codes
    body = b""
    if replies.wants_body(config, response.status_code, codes):
        body = hide((yield Peek(response)), secrets_of(request))
    return replies.classify(config, response.status_code, response.headers, body, now, codes), body


def _kept(request: httpx.Request, response: httpx.Response, body: bytes) -> httpx.Response:
    """A reply as an error carries it: closed, and readable as far as it was read."""
    secrets = secrets_of(request)
    raw = [(k, hide(v, secrets)) for k, v in response.headers.raw]
    decoded = [(k, v) for k, v in raw if k.lower() not in (b"content-encoding", b"content-length")]
    return httpx.Response(response.status_code, headers=decoded, content=body, request=without_credentials(request))


def _terminal(limiter: Limiter, request: httpx.Request, refused: Refused) -> Terminal:
    return Terminal(
        f"{limiter.bucket.api} refuses this client for good ({refused.reply.reason}); what was collected is kept. "
        "Waiting will not help: look at the account's limits or ask the vendor.",
        **_circumstances(limiter, request, refused),
    )


def _throttled(
    limiter: Limiter, request: httpx.Request, refused: Refused, refusals: int
) -> Generator[Effect, Any, Throttled]:
    found, now = yield Read(limiter.bucket)
    until = max(now, found.cooldown_until) if found else now
    why = f"{refusals} times" if is_replayable(request) else "and the request's body cannot be sent again"
    return Throttled(
        f"{limiter.bucket.api} refused the request ({refused.response.status_code}) {why}; what was learned is kept. "
        f"Try again from {clock_time(until, now)} on.",
        until=until,
        **_circumstances(limiter, request, refused),
    )


def _too_long(
    limiter: Limiter, request: httpx.Request, refused: Refused | None, bounds: Bounds, found: TooLong
) -> WaitTooLong:
    again, what = ("again ", "the request was refused") if refused else ("", "nothing was sent")
    within = min(bound for bound in (bounds.max_wait, bounds.deadline) if bound is not None)
    return WaitTooLong(
        f"{limiter.bucket.api} cannot be asked {again}within {within:g} s; {what}. "
        f"It can from {clock_time(found.until, found.now)} on.",
        until=found.until,
        **_circumstances(limiter, request, refused),
    )


def _shut(limiter: Limiter, request: httpx.Request, refused: Refused | None, found: Shut) -> CircuitOpen:
    return CircuitOpen(
        f"{limiter.bucket.api} failed {found.faults} times in a row, so nothing is sent to it now. "
        f"Try again from {clock_time(found.until, found.now)} on.",
        until=found.until,
        **_circumstances(limiter, request, refused),
    )


def _circumstances(limiter: Limiter, request: httpx.Request, refused: Refused | None) -> dict[str, Any]:
    return {
        "api": limiter.bucket.api,
        "bucket": str(limiter.bucket),
        "retry_after": refused and refused.reply.retry_after,
        "reason": refused.reply.reason if refused else "",
        "request": without_credentials(request),
        "response": refused and refused.response,
    }


def _is_transient(fault: httpx.Response | httpx.TransportError) -> bool:
    return isinstance(fault, httpx.Response | httpx.NetworkError | httpx.TimeoutException | httpx.RemoteProtocolError)
