"""The other limit, on requests in flight: callers that wait for a place before they wait for a slot.

As `benchmarks.virtual`, but in the order of `limiter.exchange` with its gate; and the vendor counts a request from the
moment it is sent, since what it counts is connections.
"""

import heapq
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from math import inf

from benchmarks.core import Core
from benchmarks.virtual import CALLERS, LATENCY, Algorithm, Clock, Log, in_whole_seconds
from limiter import aimd, in_flight
from limiter.aimd import Ticket
from simulator import Policy

REFUSED_AFTER = 0.02
"""Seconds: who is refused at the door does not stay."""


class Room:
    """Any number of requests in flight, which is what every limiter but ours allows."""

    def __init__(self) -> None:
        self.inside = self.sent = 0
        self.waiting: deque[int] = deque()

    @property
    def limit(self) -> int:
        """How many there is room for; 0 for any number."""
        return 0

    @property
    def is_full(self) -> bool:
        """Whether the next has to wait."""
        return 0 < self.limit <= self.inside

    def succeeded(self, algorithm: Algorithm, now: float, sent: Ticket, _count: int, /) -> None:
        """The n-th in flight was accepted."""
        algorithm.succeeded(now, sent)

    def throttled(self, algorithm: Algorithm, now: float, sent: Ticket, wait: float, _count: int, /) -> float | None:
        """The n-th in flight was refused."""
        return algorithm.throttled(now, sent, wait)


class LearnedRoom(Room):
    """As many as `limiter.in_flight` finds that the vendor takes; drives `Core` as `limiter.limiter` does."""

    def __init__(self, core: Core) -> None:
        super().__init__()
        self.cap = in_flight.Cap()
        self.core = core

    @property
    def limit(self) -> int:
        """See `Room`."""
        return self.cap.limit

    def succeeded(self, _: Algorithm, now: float, sent: Ticket, count: int, /) -> None:
        """See `Room`."""
        self.core.succeeded(now, replace(sent, paced=False) if in_flight.is_full(self.cap, count) else sent)
        self.cap = in_flight.succeeded(self.cap, now, count)

    def throttled(self, _: Algorithm, now: float, sent: Ticket, wait: float, count: int, /) -> None:
        """See `Room`."""
        core = self.core
        state = aimd.at_time(core.state, core.config, now)
        cap, spared = in_flight.refused(self.cap, now, count)
        core.state = aimd.throttled(state, core.config, now, sent, wait, spared=spared)
        if aimd.is_event(state, sent):
            self.cap = cap


def simulate(
    algorithm: Algorithm, room: Room, policy: Policy, *, seconds: float, seed: int, callers: int = CALLERS
) -> Log:
    """Let callers that always want more run against a limit on requests in flight.

    Args:
        algorithm: Paces them.
        room: Holds back those whom the algorithm would let go.
        policy: The hidden limit.
        seconds: For how long.
        seed: Decides the latencies.
        callers: How many want to be in flight at a time.
    """
    clock, log, source = Clock(0.0), Log(), random.Random(seed)
    steps = [_caller(number, clock, algorithm, room, policy, log, source) for number in range(callers)]
    queue = [(source.random() / 100, number) for number in range(callers)]
    heapq.heapify(queue)
    while queue and queue[0][0] <= seconds:
        clock.now, number = heapq.heappop(queue)
        at = next(steps[number])
        if at < inf:
            heapq.heappush(queue, (at, number))
        while room.waiting and not room.is_full:
            room.inside += 1
            heapq.heappush(queue, (clock.now, room.waiting.popleft()))
    return log


def _caller(
    number: int, clock: Clock, algorithm: Algorithm, room: Room, policy: Policy, log: Log, source: random.Random
) -> Iterator[float]:
    while True:
        if room.is_full or room.waiting:
            room.waiting.append(number)
            yield inf  # until there is room
        else:
            room.inside += 1
        waited = False
        while True:
            ticket = algorithm.reserve(clock.now, waited=waited)
            if ticket.generation is not None and ticket.at <= clock.now:
                break
            yield ticket.at
            if ticket.generation is not None and not algorithm.is_void(ticket):
                break
            waited = True
        sent = replace(ticket, at=clock.now)
        room.sent += 1
        count = room.sent
        verdict = policy.admit(clock.now)
        yield clock.now + (source.uniform(*LATENCY) if verdict.allowed else REFUSED_AFTER)
        again = None
        if verdict.allowed:
            policy.release(clock.now)
            log.accepted.append(clock.now)
            room.succeeded(algorithm, clock.now, sent, count)
        else:
            log.rejected.append(clock.now)
            wait = in_whole_seconds(verdict.retry_after, clock.now)
            again = room.throttled(algorithm, clock.now, sent, wait, count)
        room.inside -= 1
        room.sent -= 1
        yield again or clock.now  # at the same moment after those who have waited
