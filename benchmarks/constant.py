"""The yardstick: the best constant rate that somebody who knew the limit could have chosen."""

from statistics import mean

from benchmarks.cases import Case
from benchmarks.score import score
from benchmarks.virtual import CALLERS, simulate
from limiter.aimd import Ticket

TOLERATED = 0.1
"""% of requests that may be rejected at a rate that still counts as good."""


class Constant:
    """Paces at one rate and obeys Retry-After."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._next_slot = 0.0
        self._generation = 0

    def reserve(self, now: float, /, *, waited: bool) -> Ticket:
        """See `Algorithm`."""
        at = max(now, self._next_slot)
        self._next_slot = at + 1 / self._rate
        return Ticket(at, self._generation, paced=waited or at > now)

    def is_void(self, ticket: Ticket, /) -> bool:
        """See `Algorithm`."""
        return ticket.generation != self._generation

    def succeeded(self, _now: float, _ticket: Ticket, /) -> None:
        """Learn nothing."""

    def throttled(self, now: float, _ticket: Ticket, retry_after: float | None, /) -> None:
        """Hold everyone."""
        self._next_slot = max(self._next_slot, now + (retry_after or 1.0))
        self._generation += 1


def best_constant(case: Case, seeds: tuple[int, ...], callers: int = CALLERS) -> float:
    """Return the goodput of the highest rate, in whole % of the limit, that meets next to no rejection.

    Args:
        case: A hidden limit that stays as it is.
        seeds: All of them have to go well.
        callers: How many at a time.
    """
    limit = case.policy().rate(0.0)
    for percent in range(100, 0, -1):
        scores = []
        for seed in seeds:
            policy = case.policy()
            constant = Constant(limit * percent / 100)
            log = simulate(constant, policy, begin=0.0, seconds=case.seconds, seed=seed, callers=callers)
            scores.append(score(log, policy, 0.0, case.seconds))
        if max(each.rejected for each in scores) <= TOLERATED:
            return mean(each.goodput for each in scores)
    return 0.0
