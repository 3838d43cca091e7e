"""One request from the first wait to the last reply, as a generator of effects.

The order wait -> send -> classify -> learn -> maybe wait again is written here once. The drivers in
`limiter.transport` perform the effects, one blocking, one awaiting, and decide nothing.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from typing import Any, TypeVar

import httpx

from limiter import breaker, replies
from limiter.aimd import Ticket
from limiter.asking import Asking, Refused, Sent
from limiter.bounds import Bounds, is_safe
from limiter.effects import Close, Effect, Enter, Peek, Read, Send, Sleep, Transact
from limiter.gate import Place
from limiter.hooks import log
from limiter.limiter import Granted, Limiter, Shut, TooLong
from limiter.redaction import hide, secrets_of, without_credentials
from limiter.replies import Kind, Reply
from state.errors import StateError

T = TypeVar("T")

LOOK_AGAIN = 60.0
"""Seconds. Whoever sleeps longer looks in between: somebody may have reset what it waits for."""


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
        StateError: The database failed before there was an answer to return.
        httpx.TransportError: The connection failed, after the retries of a safe request.
    """
    asking = Asking(limiter, request, bounds, limiter.route(request.method, request.url.path), bounds.begun(request))
    while True:
        place = yield from _entrance(asking)
        try:
            tickets = yield from _admission(asking)
            limiter.tally.add(requests=1)
            sent = Sent(tickets, bounds.monotonic(), place.send())
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
            if (yield from _fault(asking, sent, failure)):
                continue
            raise failure
        reply, body = yield from _classification(asking, sent, response)
        limiter.tally.add(throttled=reply.kind is Kind.THROTTLED)
        if reply.kind is Kind.FAULT:
            if (yield from _fault(asking, sent, response)):
                continue
            return response
        asking.refusals += reply.kind in (Kind.THROTTLED, Kind.OVERLOADED)
        match reply.kind:
            case Kind.THROTTLED:
                ends = False
            case Kind.OVERLOADED:  # an unsafe request may have been carried out: never again unasked
                ends = not (asking.may_go_again and is_safe(request))
            case _:
                ends = True
        yield from _taught(_learning(asking, sent, response.status_code, reply), ends=ends)
        if ends and reply.kind is not Kind.TERMINAL:
            return response
        yield Close(response)
        asking.refused = Refused(reply, _kept(request, response, body))
        if reply.kind is Kind.TERMINAL:
            raise asking.terminal(asking.refused)
        if not asking.may_go_again:
            found, now = yield Read(asking.route.of(reply.word).bucket)
            raise asking.throttled(asking.refused, found, now)


def _entrance(asking: Asking) -> Generator[Effect, Any, Place]:
    """Wait for a place in flight."""
    limiter = asking.limiter
    place: Place | None = yield Enter(limiter.gate, asking.patience)
    if place is None:
        _, now = yield Read(limiter.bucket)
        raise asking.too_long(limiter, TooLong(now, now))
    limiter.tally.add(waited=place.waited)
    asking.begun.waited += place.waited
    return place


def _admission(asking: Asking) -> Generator[Effect, Any, dict[Limiter, Ticket]]:
    """Wait for a slot of each limit; gives the tickets as sent now."""
    passed = asking.route.passed
    if len(passed) > 1 and asking.patience < math.inf:
        for limiter in passed:  # whoever must wait too long for one takes no slot of another
            found, now = yield Read(limiter.bucket)
            until = limiter.opens(found, now)
            if until - now > asking.patience:
                raise asking.too_long(limiter, TooLong(until, now))
    tickets: dict[Limiter, Ticket] = {}
    missing = passed
    while missing:
        for limiter in missing:
            ticket = yield from _slot(asking, limiter)
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


def _slot(asking: Asking, limiter: Limiter) -> Generator[Effect, Any, Ticket | None]:
    """Wait for a slot of one limit; None of a limit that the vendor has never named."""
    if limiter.when_named:
        found, _ = yield Read(limiter.bucket)
        if found is None:
            return None
    circuit = limiter is asking.route.circuit
    looked_before = False
    while True:
        reservation: Granted | TooLong | Shut = yield Transact(
            limiter.bucket, limiter.reserving(waited=looked_before, patience=asking.patience, circuit=circuit)
        )
        if isinstance(reservation, Shut):
            raise asking.shut(limiter, reservation)
        if isinstance(reservation, TooLong):
            raise asking.too_long(limiter, reservation)
        ticket, left = reservation.ticket, reservation.wait
        while left > 0.0:
            nap = min(left, LOOK_AGAIN)
            yield Sleep(nap)
            left -= nap
            asking.begun.waited += nap
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


def _learning(asking: Asking, sent: Sent, status: int, reply: Reply) -> Generator[Effect, Any, None]:
    """A refusal teaches the limit that it is about; anything else, all that the request has passed."""
    about = asking.route.of(reply.word)
    if reply.kind in (Kind.THROTTLED, Kind.OVERLOADED, Kind.TERMINAL):
        teaches = [about]
    elif reply.kind is Kind.REFUSED and reply.told is None:
        teaches = []
    else:
        teaches = list(sent.tickets)
    for limiter in teaches:
        said = reply if limiter is about else replace(reply, told=None)
        # The vendor may name one that the request did not have to pass.
        ticket = sent.tickets.get(limiter) or Ticket(sent.ticket.at, None, paced=False)
        learned = yield Transact(limiter.bucket, limiter.settling(ticket, status, said, sent.in_flight), lasting=True)
        limiter.report(learned, said, asking.bounds.monotonic(), sent.in_flight, sent.at)
    circuit = asking.route.circuit
    if circuit in sent.tickets and circuit not in teaches:
        found, _ = yield Read(circuit.bucket)
        if found is not None and breaker.is_troubled(found):
            # It teaches that somebody answers.
            settling = circuit.settling(sent.tickets[circuit], status, Reply(Kind.REFUSED))
            learned = yield Transact(circuit.bucket, settling, lasting=True)
            circuit.report(learned, reply, asking.bounds.monotonic(), sent.in_flight, sent.at)


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


def _fault(asking: Asking, sent: Sent, fault: httpx.Response | httpx.TransportError) -> Generator[Effect, Any, bool]:
    """Count a fault; whether the request is to be sent again, now that it has paused."""
    pause = asking.faults.pause(asking.request, sent.at, asking.bounds.monotonic(), asking.patience)
    again = pause is not None and _is_transient(fault)
    is_open = yield from _taught(_counting(asking, sent, fault), ends=not again)
    if pause is None or not again or is_open:
        return False
    if isinstance(fault, httpx.Response):
        yield Close(fault)
    yield Sleep(pause)
    asking.begun.waited += pause
    return True


def _counting(asking: Asking, sent: Sent, fault: httpx.Response | httpx.TransportError) -> Generator[Effect, Any, bool]:
    """Count a fault of the vendor's; whether the circuit is open now, so that there is no use in trying again."""
    circuit = asking.route.circuit
    # Where no connection was free the vendor was not even asked, and nobody's own deadline says that it is slow.
    hurried = isinstance(fault, httpx.TimeoutException) and asking.bounds.left() <= 0.0
    ours = hurried or isinstance(fault, httpx.PoolTimeout)
    if circuit.config.breaker is None or ours or not _is_transient(fault):
        return False
    status = fault.status_code if isinstance(fault, httpx.Response) else None
    happened, is_open = yield Transact(circuit.bucket, circuit.failing(sent.tickets[circuit], status), lasting=True)
    if happened is not None:
        circuit.tell(happened, "" if isinstance(fault, httpx.Response) else type(fault).__name__)
    return bool(is_open)


def _classification(
    asking: Asking, sent: Sent, response: httpx.Response
) -> Generator[Effect, Any, tuple[Reply, bytes]]:
    config, codes = asking.limiter.config, asking.bounds.backoff_status_codes
    now = sent.ticket.at + asking.bounds.monotonic() - sent.at  # for dates in headers, which are the store's
    body = b""
    if replies.wants_body(config, response.status_code, codes):
        body = hide((yield Peek(response)), secrets_of(asking.request))
    return replies.classify(config, response.status_code, response.headers, body, now, codes), body


def _kept(request: httpx.Request, response: httpx.Response, body: bytes) -> httpx.Response:
    """A reply as an error carries it: closed, and readable as far as it was read."""
    secrets = secrets_of(request)
    raw = [(k, hide(v, secrets)) for k, v in response.headers.raw]
    decoded = [(k, v) for k, v in raw if k.lower() not in (b"content-encoding", b"content-length")]
    return httpx.Response(response.status_code, headers=decoded, content=body, request=without_credentials(request))


def _is_transient(fault: httpx.Response | httpx.TransportError) -> bool:
    return isinstance(fault, httpx.Response | httpx.NetworkError | httpx.TimeoutException | httpx.RemoteProtocolError)
