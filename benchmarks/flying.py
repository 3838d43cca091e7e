"""Callers that wait for a place in flight before they wait for a slot, in virtual time.

As `benchmarks.virtual`, but in the order of `limiter.exchange` with its gate, and with callers that may rest. A vendor
that counts what is in flight counts a request from the moment it is sent, since what it counts is connections.
"""

import heapq
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, inf
from typing import Protocol

from benchmarks.core import Core
from benchmarks.virtual import CALLERS, LATENCY, Advice, Algorithm, Clock, Log, in_whole_seconds
from limiter import aimd, in_flight
from limiter.aimd import Ticket
from simulator import InFlight, Policy

REFUSED_AFTER = 0.02
"""Seconds: who is refused at the door does not stay."""


class Gated(Protocol):
    """An `Algorithm` that holds back those whom it would let go, while too many are in flight."""

    @property
    def limit(self) -> int:
        """How many there is room for; 0 for any number."""

    def reserve(self, now: float, /, *, waited: bool) -> Ticket:
        """See `Algorithm`."""

    def is_void(self, ticket: Ticket, /) -> bool:
        """See `Algorithm`."""

    def succeeded(self, now: float, ticket: Ticket, count: int, /) -> None:
        """See `Algorithm`; the request went as the n-th in flight."""

    def throttled(self, now: float, ticket: Ticket, retry_after: float | None, count: int, /) -> float | None:
        """See `Algorithm`; the request went as the n-th in flight."""


class Ungated:
    """Any number of requests in flight, which is what every limiter but ours allows."""

    limit = 0

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        self.reserve, self.is_void = algorithm.reserve, algorithm.is_void

    def succeeded(self, now: float, ticket: Ticket, _count: int, /) -> None:
        """See `Gated`."""
        self._algorithm.succeeded(now, ticket)

    def throttled(self, now: float, ticket: Ticket, retry_after: float | None, _count: int, /) -> float | None:
        """See `Gated`."""
        return self._algorithm.throttled(now, ticket, retry_after)


class GatedCore:
    """As many as `limiter.in_flight` finds that the vendor takes; drives `Core` as `limiter.limiter` does."""

    def __init__(self, core: Core) -> None:
        self.cap = in_flight.Cap()
        self._core = core
        self.reserve, self.is_void = core.reserve, core.is_void

    @property
    def limit(self) -> int:
        """See `Gated`."""
        return self.cap.limit

    def succeeded(self, now: float, ticket: Ticket, count: int, /) -> None:
        """See `Gated`."""
        self._core.succeeded(now, ticket)
        self.cap = in_flight.succeeded(self.cap, now, count, ticket.at)

    def throttled(self, now: float, ticket: Ticket, retry_after: float | None, count: int, /) -> None:
        """See `Gated`."""
        core = self._core
        state = aimd.at_time(core.state, core.config, now)
        cap, spared = in_flight.refused(self.cap, now, count)
        core.state = aimd.throttled(state, core.config, now, ticket, retry_after, spared=spared)
        if aimd.is_event(state, ticket):
            self.cap = cap


@dataclass(frozen=True)
class Demand:
    """How much callers want. They want more and more for `busy` seconds, rest in between for `quiet`, and so on.

    Attributes:
        busy: Seconds.
        quiet: Seconds.
        pause: Seconds from one request of a caller to its next while it is quiet.
    """

    busy: float = inf
    quiet: float = 0.0
    pause: float = 0.0

    def next(self, now: float) -> float:
        """When who is done now asks again."""
        return now if now % (self.busy + self.quiet) < self.busy else now + self.pause

    def spans(self, begin: float, end: float) -> list[tuple[float, float]]:
        """When they are busy, from a moment to another."""
        if self.busy == inf:
            return [(begin, end)]
        period = self.busy + self.quiet
        return [(n * period, n * period + self.busy) for n in range(ceil(begin / period), int(end / period))]


ALWAYS = Demand()


def simulate(
    limiter: Gated,
    policy: Policy,
    *,
    seconds: float,
    seed: int,
    callers: int = CALLERS,
    latency: tuple[float, float] = LATENCY,
    advice: Advice = in_whole_seconds,
    demand: Demand = ALWAYS,
) -> Log:
    """Let callers run against a limit, from the moment 0.

    Args:
        limiter: Paces them, and holds them back.
        policy: The hidden limit.
        seconds: For how long.
        seed: Decides the latencies.
        callers: How many want to be in flight at a time.
        latency: Shortest and longest, seconds.
        advice: What a refusal says.
        demand: How much they want.
    """
    run = _Run(limiter, policy, random.Random(seed), latency, advice, demand)
    steps = [run.caller(number) for number in range(callers)]
    queue = [(run.source.random() / 100, number) for number in range(callers)]
    heapq.heapify(queue)
    while queue and queue[0][0] <= seconds:
        run.clock.now, number = heapq.heappop(queue)
        at = next(steps[number])
        if at < inf:
            heapq.heappush(queue, (at, number))
        while run.waiting and not run.is_full:
            run.inside += 1
            heapq.heappush(queue, (run.clock.now, run.waiting.popleft()))
    return run.log


class _Run:
    """What the callers share."""

    def __init__(
        self,
        limiter: Gated,
        policy: Policy,
        source: random.Random,
        latency: tuple[float, float],
        advice: Advice,
        demand: Demand,
    ) -> None:
        self.limiter, self.policy, self.source = limiter, policy, source
        self.latency, self.advice, self.demand = latency, advice, demand
        self.at_the_door = isinstance(policy, InFlight)
        self.clock, self.log = Clock(0.0), Log()
        self.inside = self.sent = 0
        self.waiting: deque[int] = deque()

    @property
    def is_full(self) -> bool:
        """Whether the next has to wait for a place."""
        return 0 < self.limiter.limit <= self.inside

    def caller(self, number: int) -> Iterator[float]:
        """One caller, who yields when it goes on: wait for a place and a slot, send, learn, again."""
        clock, limiter, policy = self.clock, self.limiter, self.policy
        while True:
            if self.is_full or self.waiting:
                self.waiting.append(number)
                yield inf  # until there is room
            else:
                self.inside += 1
            waited = False
            while True:
                ticket = limiter.reserve(clock.now, waited=waited)
                if ticket.generation is not None and ticket.at <= clock.now:
                    break
                yield ticket.at
                if ticket.generation is not None and not limiter.is_void(ticket):
                    break
                waited = True
            sent = replace(ticket, at=clock.now)
            self.sent += 1
            count = self.sent
            there = back = self.source.uniform(*self.latency) / 2
            if self.at_the_door:
                there, back = 0.0, 2 * back
            else:
                yield clock.now + there
            verdict = policy.admit(clock.now)
            yield clock.now + (REFUSED_AFTER if self.at_the_door and not verdict.allowed else back)
            again = None
            if verdict.allowed:
                policy.release(clock.now)
                self.log.accepted.append(clock.now)
                limiter.succeeded(clock.now, sent, count)
            else:
                self.log.rejected.append(clock.now)
                again = limiter.throttled(clock.now, sent, self.advice(verdict.retry_after, clock.now), count)
            self.inside -= 1
            self.sent -= 1
            # At the same moment after those who have waited, if at once.
            yield again or self.demand.next(clock.now)
