"""Callers, a vendor and a clock that jumps from event to event: a discrete-event simulation.

A caller is a generator that yields the moment at which it goes on. The loop keeps the callers in a heap by that moment
and sets the clock to the earliest; nothing ever sleeps.
"""

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from limiter.aimd import Ticket
from simulator import Policy

CALLERS = 8
LATENCY = (0.05, 0.15)
"""Seconds from sending to the reply; the limit is checked half-way."""


class Algorithm(Protocol):
    """Something that learns a rate. Times are seconds of the virtual clock."""

    def reserve(self, now: float, /, *, waited: bool) -> Ticket:
        """Take a slot. A ticket without a generation holds none: wait until `at`, then reserve again."""

    def is_void(self, ticket: Ticket, /) -> bool:
        """Whether the slot was lost while its caller waited for it."""

    def succeeded(self, now: float, ticket: Ticket, /) -> None:
        """Learn from a reply; `ticket.at` is when the request was sent."""

    def throttled(self, now: float, ticket: Ticket, retry_after: float, /) -> None:
        """Learn from a refusal that asks to wait for `retry_after` seconds."""


@dataclass
class Log:
    """When replies came.

    Attributes:
        accepted: Moments of the good ones.
        rejected: Moments of the refusals.
    """

    accepted: list[float] = field(default_factory=list)
    rejected: list[float] = field(default_factory=list)


@dataclass
class _Clock:
    now: float


def simulate(algorithm: Algorithm, policy: Policy, *, begin: float, seconds: float, seed: int) -> Log:
    """Let callers that always want more run against a limit.

    Args:
        algorithm: Paces them; it goes on with what it knows.
        policy: The hidden limit.
        begin: Moment of the first request, seconds.
        seconds: For how long.
        seed: Decides the latencies.
    """
    clock, log, source = _Clock(begin), Log(), random.Random(seed)
    callers = [
        # Not all at the same instant. The number keeps the heap from comparing generators.
        (begin + source.random() / 100, number, _caller(clock, algorithm, policy, log, source))
        for number in range(CALLERS)
    ]
    heapq.heapify(callers)
    while callers[0][0] <= begin + seconds:
        clock.now, number, steps = callers[0]
        heapq.heapreplace(callers, (next(steps), number, steps))
    return log


def _caller(clock: _Clock, algorithm: Algorithm, policy: Policy, log: Log, source: random.Random) -> Iterator[float]:
    """One caller, in the order of `limiter.exchange`: wait, send, learn, again."""
    waited = False
    while True:
        ticket = algorithm.reserve(clock.now, waited=waited)
        if ticket.generation is None or ticket.at > clock.now:
            yield ticket.at
            if ticket.generation is None or algorithm.is_void(ticket):
                waited = True
                continue
        waited = False
        sent = replace(ticket, at=clock.now)
        half = source.uniform(*LATENCY) / 2
        yield clock.now + half
        verdict = policy.admit(clock.now)
        yield clock.now + half
        policy.release(clock.now)
        if verdict.allowed:
            log.accepted.append(clock.now)
            algorithm.succeeded(clock.now, sent)
        else:
            log.rejected.append(clock.now)
            algorithm.throttled(clock.now, sent, max(1.0, math.ceil(verdict.retry_after)))
