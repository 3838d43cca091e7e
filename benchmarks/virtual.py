"""Callers, a vendor and a clock that jumps from event to event: a discrete-event simulation.

A caller is a generator that yields the moment at which it goes on. The loop keeps the callers in a heap by that moment
and sets the clock to the earliest; nothing ever sleeps.
"""

import heapq
import math
import random
from collections.abc import Callable, Iterator, Sequence
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

    def throttled(self, now: float, ticket: Ticket, retry_after: float | None, /) -> float | None:
        """Learn from a refusal that asks to wait for `retry_after` seconds, or does not say.

        Gives when this caller asks again, where each waits for itself.
        """


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
class Clock:
    """The virtual time, in seconds."""

    now: float


Advice = Callable[[float, float], float | None]
"""What a refusal says of the wait: of the seconds it will take and the time; None if nothing."""


def in_whole_seconds(wait: float, _now: float) -> float:
    """Retry-After as most vendors send it: rounded up."""
    return max(1.0, math.ceil(wait))


def simulate(
    algorithm: Algorithm,
    policy: Policy,
    *,
    begin: float,
    seconds: float,
    seed: int,
    callers: int = CALLERS,
    latency: tuple[float, float] = LATENCY,
    advice: Advice = in_whole_seconds,
) -> Log:
    """Let callers that always want more run against a limit.

    Args:
        algorithm: Paces them; it goes on with what it knows.
        policy: The hidden limit.
        begin: Moment of the first request, seconds.
        seconds: For how long.
        seed: Decides the latencies.
        callers: How many at a time.
        latency: Shortest and longest, seconds.
        advice: What a refusal says.
    """
    [log] = simulate_together(
        [algorithm], policy, begin=begin, seconds=seconds, seed=seed, callers=callers, latency=latency, advice=advice
    )
    return log


def simulate_together(
    algorithms: Sequence[Algorithm],
    policy: Policy,
    *,
    begin: float,
    seconds: float,
    seed: int,
    callers: int,
    latency: tuple[float, float] = LATENCY,
    advice: Advice = in_whole_seconds,
) -> list[Log]:
    """As `simulate`, with callers in several processes.

    Args:
        algorithms: What paces each process; the same one several times, if they share it.
        policy: See `simulate`.
        begin: See `simulate`.
        seconds: See `simulate`.
        seed: See `simulate`.
        callers: How many at a time in all; the processes have equal shares of them.
        latency: See `simulate`.
        advice: See `simulate`.

    Returns:
        The replies of each process.
    """
    clock, source, logs = Clock(begin), random.Random(seed), [Log() for _ in algorithms]
    processes = list(zip(algorithms, logs, strict=True))
    queue = []
    for number in range(callers):
        algorithm, log = processes[number % len(processes)]
        steps = _caller(clock, algorithm, policy, log, source, latency, advice)
        # Not all at the same instant. The number keeps the heap from comparing generators.
        queue.append((begin + source.random() / 100, number, steps))
    heapq.heapify(queue)
    while queue[0][0] <= begin + seconds:
        clock.now, number, steps = queue[0]
        heapq.heapreplace(queue, (next(steps), number, steps))
    return logs


def _caller(
    clock: Clock,
    algorithm: Algorithm,
    policy: Policy,
    log: Log,
    source: random.Random,
    latency: tuple[float, float],
    advice: Advice,
) -> Iterator[float]:
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
        half = source.uniform(*latency) / 2
        yield clock.now + half
        verdict = policy.admit(clock.now)
        yield clock.now + half
        policy.release(clock.now)
        if verdict.allowed:
            log.accepted.append(clock.now)
            algorithm.succeeded(clock.now, sent)
        else:
            log.rejected.append(clock.now)
            again = algorithm.throttled(clock.now, sent, advice(verdict.retry_after, clock.now))
            if again is not None:
                yield again
