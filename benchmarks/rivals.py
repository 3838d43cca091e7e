"""What the limiters of others do at the same hidden limits: goodput and rejections."""

import itertools
import multiprocessing
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import mean

from botocore.exceptions import CapacityNotAvailableError
from botocore.retries.adaptive import ClientRateLimiter, RateClocker
from botocore.retries.bucket import TokenBucket
from botocore.retries.throttling import CubicCalculator

from benchmarks.cases import CASES, Case
from benchmarks.constant import TOLERATED, Constant, best_constant
from benchmarks.core import CONFIG, Core
from benchmarks.flying import GatedCore, Ungated
from benchmarks.flying import simulate as simulate_in_flight
from benchmarks.score import score
from benchmarks.tables import table
from benchmarks.textbook import FACTOR, Textbook
from benchmarks.virtual import CALLERS, Algorithm, simulate
from limiter.aimd import Ticket

IN_FLIGHT = Case("4 in flight", "inflight:cap=4,latency=0.1")
FAST = replace(CONFIG, max_rate=500.0)
"""Slots at hardly more than the limit would keep places empty."""
WARM_UP = 60.0
"""Seconds after which goodput counts; rejections count from the first request on."""
SHORTEST = 1e-6
"""Seconds that who waits, waits at least."""


class _Time:
    """What botocore takes for a clock."""

    def __init__(self) -> None:
        self.now = 0.0

    def current_time(self) -> float:
        return self.now


class _Told:
    """What botocore takes for a detector of throttling errors."""

    def is_throttling_error(self, *, throttled: bool) -> bool:
        return throttled


class Botocore:
    """botocore's own adaptive mode, put together as its `register_retry_handler` does, on a clock that jumps.

    Only the wait is ours: its bucket blocks a thread, here who finds it empty looks again when there should be a token.
    A refused caller backs off by itself, a random moment below one second as before botocore's first retry; Retry-After
    is none of the headers it knows.
    """

    LONGEST = 0.5
    """Seconds between two looks: its bucket wakes who waits when the rate has changed."""

    def __init__(self) -> None:
        self._time = _Time()
        self._source = random.Random(1)
        self._bucket = TokenBucket(max_rate=1, clock=self._time)
        self._limiter = ClientRateLimiter(
            rate_adjustor=CubicCalculator(starting_max_rate=0, start_time=0.0),
            rate_clocker=RateClocker(self._time),
            token_bucket=self._bucket,
            throttling_detector=_Told(),
            clock=self._time,
        )

    def reserve(self, now: float, /, *, waited: bool) -> Ticket:
        """See `Algorithm`."""
        self._time.now = now
        if self._limiter._enabled:
            try:
                self._bucket.acquire(block=False)
            except CapacityNotAvailableError:
                wait = max(SHORTEST, min(self.LONGEST, self._bucket._sleep_amount(1)))
                return Ticket(now + wait, None, paced=True)
        return Ticket(now, 0, paced=waited)

    def is_void(self, _ticket: Ticket, /) -> bool:
        """See `Algorithm`."""
        return False

    def succeeded(self, now: float, _ticket: Ticket, /) -> None:
        """See `Algorithm`."""
        self._time.now = now
        self._limiter.on_receiving_response(throttled=False)

    def throttled(self, now: float, _ticket: Ticket, _retry_after: float | None, /) -> float:
        """See `Algorithm`."""
        self._time.now = now
        self._limiter.on_receiving_response(throttled=True)
        return now + self._source.random()


class DynamicApiRateLimiter:
    """A model of `dynamic-api-rate-limiter` by its description.

    Its bucket holds twice the rate in tokens and a request takes one; each success adds a step, whether it was paced or
    not, and each refusal halves the rate, also of one request after the other in flight. Retry-After stops the bucket.
    """

    LOWEST = 0.5
    """Requests/s. With less than that its bucket never holds a whole token, and nothing is sent again."""

    def __init__(self) -> None:
        self._rate = CONFIG.initial_rate
        self._tokens = 2 * self._rate
        self._filled_at = self._held_until = 0.0

    def reserve(self, now: float, /, *, waited: bool) -> Ticket:
        """See `Algorithm`."""
        self._tokens = min(2 * self._rate, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if now < self._held_until:
            return Ticket(self._held_until, None, paced=True)
        if self._tokens < 1:
            return Ticket(now + max(SHORTEST, (1 - self._tokens) / self._rate), None, paced=True)
        self._tokens -= 1
        return Ticket(now, 0, paced=waited)

    def is_void(self, _ticket: Ticket, /) -> bool:
        """See `Algorithm`."""
        return False

    def succeeded(self, _now: float, _ticket: Ticket, /) -> None:
        """See `Algorithm`."""
        self._rate = min(CONFIG.max_rate, self._rate + CONFIG.increase_step)

    def throttled(self, now: float, _ticket: Ticket, retry_after: float | None, /) -> None:
        """See `Algorithm`."""
        self._rate = max(self.LOWEST, self._rate * FACTOR)
        self._held_until = max(self._held_until, now + (retry_after or 0.0))


def _static(share: float) -> Callable[[Case], Algorithm]:
    return lambda case: Constant(share * case.policy().rate(0.0))


RIVALS: Mapping[str, Callable[[Case], Algorithm]] = {
    "prefect-aimd": lambda case: Core(FAST if case == IN_FLIGHT else CONFIG),
    "textbook AIMD": lambda _: Textbook(),
    "dynamic-api-rate-limiter": lambda _: DynamicApiRateLimiter(),
    "botocore adaptive": lambda _: Botocore(),
    "Prefect, limit known": _static(1.0),
    "Prefect, 80 % of it": _static(0.8),
}


def measure(name: str, case: Case, seed: int, callers: int = CALLERS) -> tuple[float, float, float]:
    """Run one of `RIVALS` from knowing nothing.

    Returns:
        Goodput after the first minute, % of the limit; rejections from the first request on, % of all; and the goodput
        of the second half.
    """
    algorithm, policy = RIVALS[name](case), case.policy()
    if case == IN_FLIGHT:
        gated = GatedCore(algorithm) if isinstance(algorithm, Core) else Ungated(algorithm)
        log = simulate_in_flight(gated, policy, seconds=case.seconds, seed=seed, callers=callers)
    else:
        log = simulate(algorithm, policy, begin=0.0, seconds=case.seconds, seed=seed, callers=callers)
    half = case.seconds / 2
    settled, late = (score(log, policy, begin, case.seconds).goodput for begin in (min(WARM_UP, half), half))
    return settled, score(log, policy, 0.0, case.seconds).rejected, late


def report(seeds: Sequence[int], cases: Sequence[Case] = (*CASES, IN_FLIGHT), *, callers: int = CALLERS) -> str:
    """Run everything on all cores and return the table.

    Args:
        seeds: One run each.
        cases: The hidden limits.
        callers: How many at a time.
    """
    jobs = list(itertools.product(RIVALS, cases, seeds, [callers]))
    steady = [case for case in cases if case.steady and case != IN_FLIGHT]
    with multiprocessing.get_context("spawn").Pool() as pool:
        yardsticks = pool.starmap_async(best_constant, [(case, tuple(seeds), callers) for case in steady], chunksize=1)
        found = dict(zip(jobs, pool.starmap(measure, jobs, chunksize=1), strict=True))
        best = dict(zip(steady, yardsticks.get(), strict=True))
    rows = [["hidden limit", *RIVALS, "best constant"]]
    for case in cases:
        each = [[found[name, case, seed, callers] for seed in seeds] for name in RIVALS]
        cells = [f"{mean(good for good, _, _ in runs):.0f}/{_digits(mean(bad for _, bad, _ in runs))}" for runs in each]
        rows.append([case.name, *cells, f"{best[case]:.0f}" if case in best else "-"])
    late = [found["prefect-aimd", case, seed, callers][2] for case in cases if case == IN_FLIGHT for seed in seeds]
    words = f"\n\n{IN_FLIGHT.name}, second half of the run: prefect-aimd {mean(late):.1f} %." if late else ""
    return f"{_legend(seeds, callers)}\n\n{table(rows)}{words}"


def _digits(percent: float) -> str:
    return f"{percent:.2f}" if percent < 1 else f"{percent:.1f}" if percent < 10 else f"{percent:.0f}"


def _legend(seeds: Sequence[int], callers: int) -> str:
    return (
        "THE LIMITERS OF OTHERS (virtual time)\n"
        f"goodput after the first minute in % of the hidden limit / rejections in % of all requests; {callers} callers "
        "that always want more, cold,\n"
        "latency 50-150 ms, Retry-After in whole seconds, 600 s (drift 900 s). "
        f"Mean of the seeds {', '.join(map(str, seeds))}.\n"
        "prefect-aimd, textbook AIMD (halves) and dynamic-api-rate-limiter (a model) start at 2 requests/s and know "
        "nothing; botocore is its own code.\n"
        "Prefect: `rate_limit` at a rate that somebody has to know and set, and obeying Retry-After, which it does not "
        "do by itself.\n"
        "4 in flight: 40 requests/s at 100 ms; here prefect-aimd has its cap on requests in flight, and may go to "
        f"{FAST.max_rate:g} requests/s. best constant: "
        f"at most {TOLERATED:g} % rejected."
    )
