"""One request from the first wait to the last reply, as a generator of effects.

The order wait -> send -> classify -> learn -> maybe wait again is written here once. The drivers in
`limiter.transport` perform the effects, one blocking, one awaiting, and decide nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import httpx

from limiter import breaker, replies
from limiter.aimd import Ticket
from limiter.bounds import Bounds, Faults, fault_delay, is_replayable, is_safe, may_try_again
from limiter.effects import Close, Effect, Enter, Peek, Read, Send, Sleep, Transact
from limiter.errors import CircuitOpen, Terminal, Throttled, WaitTooLong
from limiter.gate import Place
from limiter.limiter import Granted, Limiter, Route, Shut, TooLong
from limiter.redaction import hide, secrets_of, without_credentials
from limiter.replies import Kind, Reply

__all__ = ["Bounds", "exchange", "fault_delay", "may_try_again"]


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
    waited = 0.0
    refusals = 0
    refused: Refused | None = None
    faults = Faults()
    while True:
        place, waited = yield from _entrance(limiter, request, bounds, waited, refused)
        try:
            tickets, waited = yield from _admission(route, request, bounds, waited, refused)
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
            is_open = yield from _fault(route, tickets, None, failure)
            pause = faults.pause(request, sent_at, bounds.monotonic(), bounds.patience(waited))
            if pause is None or is_open or not _is_transient(failure):
                raise failure
            yield Sleep(pause)
            waited += pause
            continue
        reply, body = yield from _classification(limiter, request, response, bounds)
        limiter.tally.add(throttled=reply.kind is Kind.THROTTLED)
        if reply.kind is Kind.FAULT:
            is_open = yield from _fault(route, tickets, response.status_code, None)
            pause = faults.pause(request, sent_at, bounds.monotonic(), bounds.patience(waited))
            if pause is None or is_open:
                return response
            yield Close(response)
            yield Sleep(pause)
            waited += pause
            continue
        yield from _learning(route, tickets, response.status_code, reply, bounds, in_flight)
        if reply.kind in (Kind.FINE, Kind.REFUSED):
            return response
        if reply.kind is Kind.TERMINAL:
            yield Close(response)
            raise _terminal(route.of(reply.word), request, Refused(reply, _kept(request, response, body)))
        refusals += 1
        again = refusals <= bounds.max_retries and is_replayable(request)
        if reply.kind is Kind.OVERLOADED and not (again and is_safe(request)):
            return response  # an unsafe request may have been carried out: never again unasked
        yield Close(response)
        refused = Refused(reply, _kept(request, response, body))
        if not again:
            raise (yield from _throttled(route.of(reply.word), request, refused, refusals))


def _entrance(
    limiter: Limiter, request: httpx.Request, bounds: Bounds, waited: float, refused: Refused | None
) -> Generator[Effect, Any, tuple[Place, float]]:
    """Wait for a place in flight; gives it and the seconds waited in all."""
    place: Place | None = yield Enter(limiter.gate, bounds.patience(waited))
    if place is None:
        _, now = yield Read(limiter.bucket)
        raise _too_long(limiter, request, refused, bounds, now)
    limiter.tally.add(waited=place.waited)
    return place, waited + place.waited


def _admission(
    route: Route, request: httpx.Request, bounds: Bounds, waited: float, refused: Refused | None
) -> Generator[Effect, Any, tuple[dict[Limiter, Ticket], float]]:
    """Wait for a slot of each limit; gives the tickets as sent now and the seconds waited in all."""
    passed = route.passed
    if len(passed) > 1 and bounds.patience(waited) < math.inf:
        for limiter in passed:  # whoever must wait too long for one takes no slot of another
            found, now = yield Read(limiter.bucket)
            if limiter.opens(found, now) - now > bounds.patience(waited):
                raise _too_long(limiter, request, refused, bounds, limiter.opens(found, now))
    tickets: dict[Limiter, Ticket] = {}
    missing = passed
    while missing:
        for limiter in missing:
            circuit = limiter is route.circuit
            ticket, waited = yield from _slot(limiter, request, bounds, waited, refused, circuit=circuit)
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
    return tickets, waited


def _slot(
    limiter: Limiter, request: httpx.Request, bounds: Bounds, waited: float, refused: Refused | None, *, circuit: bool
) -> Generator[Effect, Any, tuple[Ticket | None, float]]:
    """Wait for a slot of one limit; None of a limit that the vendor has never named."""
    if limiter.when_named:
        found, _ = yield Read(limiter.bucket)
        if found is None:
            return None, waited
    looked_before = False
    while True:
        patience = bounds.patience(waited)
        reservation: Granted | TooLong | Shut = yield Transact(
            limiter.bucket, limiter.reserving(waited=looked_before, patience=patience, circuit=circuit)
        )
        if isinstance(reservation, Shut):
            raise _shut(limiter, request, refused, reservation)
        if isinstance(reservation, TooLong):
            raise _too_long(limiter, request, refused, bounds, reservation.until)
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


def _learning(
    route: Route, tickets: dict[Limiter, Ticket], status: int, reply: Reply, bounds: Bounds, in_flight: int
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
        limiter.report(learned, said, bounds.monotonic(), in_flight)
    circuit = route.circuit
    if circuit in tickets and circuit not in teaches:
        found, _ = yield Read(circuit.bucket)
        if found is not None and breaker.is_troubled(found):
            settling = circuit.settling(tickets[circuit], status, Reply(Kind.REFUSED))  # teaches that somebody answers
            circuit.report(
                (yield Transact(circuit.bucket, settling, lasting=True)), reply, bounds.monotonic(), in_flight
            )


def _fault(
    route: Route, tickets: dict[Limiter, Ticket], status: int | None, failure: httpx.TransportError | None
) -> Generator[Effect, Any, bool]:
    """Count a fault; whether the circuit is open now, so that there is no use in trying again."""
    circuit = route.circuit
    counts = failure is None or _is_transient(failure)
    # Where no connection was free the vendor was not even asked.
    if circuit.config.breaker is None or not counts or isinstance(failure, httpx.PoolTimeout):
        return False
    happened, is_open = yield Transact(circuit.bucket, circuit.failing(tickets[circuit], status), lasting=True)
    if happened is not None:
        circuit.tell(happened, type(failure).__name__ if failure else "")
    return bool(is_open)


def _classification(
    limiter: Limiter, request: httpx.Request, response: httpx.Response, bounds: Bounds
) -> Generator[Effect, Any, tuple[Reply, bytes]]:
    config, codes = limiter.config, bounds.backoff_status_codes
    body = b""
    if replies.wants_body(config, response.status_code, codes):
        body = hide((yield Peek(response)), secrets_of(request))
    now = 0.0
    if response.status_code >= 400:
        _, now = yield Read(limiter.bucket)  # for dates in its headers, which are the store's
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
        f"Try again from {_clock_time(until)} on.",
        until=until,
        **_circumstances(limiter, request, refused),
    )


def _too_long(
    limiter: Limiter, request: httpx.Request, refused: Refused | None, bounds: Bounds, until: float
) -> WaitTooLong:
    again, what = ("again ", "the request was refused") if refused else ("", "nothing was sent")
    within = min(bound for bound in (bounds.max_wait, bounds.deadline) if bound is not None)
    return WaitTooLong(
        f"{limiter.bucket.api} cannot be asked {again}within {within:g} s; {what}. "
        f"It can from {_clock_time(until)} on.",
        until=until,
        **_circumstances(limiter, request, refused),
    )


def _shut(limiter: Limiter, request: httpx.Request, refused: Refused | None, found: Shut) -> CircuitOpen:
    return CircuitOpen(
        f"{limiter.bucket.api} failed {found.faults} times in a row, so nothing is sent to it now. "
        f"Try again from {_clock_time(found.until)} on.",
        until=found.until,
        **_circumstances(limiter, request, refused),
    )


def _circumstances(limiter: Limiter, request: httpx.Request, refused: Refused | None) -> dict[str, Any]:
    return {
        "api": limiter.bucket.api,
        "bucket": str(limiter.bucket),
        "retry_after": refused and refused.reply.retry_after,
        "reason": refused.reply.reason if refused else "",
        "request": request,
        "response": refused and refused.response,
    }


def _is_transient(error: httpx.TransportError) -> bool:
    return isinstance(error, httpx.NetworkError | httpx.TimeoutException | httpx.RemoteProtocolError)


def _clock_time(epoch: float) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(epoch))
