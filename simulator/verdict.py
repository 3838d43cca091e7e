"""What a hidden limit answers, and the interface every hidden limit has.

A policy is a state machine over time and nothing else: `now` is an argument in seconds, on any clock
that does not run backwards. So the same object serves the HTTP server (monotonic clock) and a
benchmark in virtual time.

Two rules hold for every policy that knows its own future, that is all but the in-flight cap:

1. `retry_after` is exact: asked again at `now + retry_after`, with no request admitted in between, it
   admits. To make this true in floating point each policy keeps the *moment* from which it admits,
   computed once, and compares against that; it never recomputes the moment from the time of a refusal.
2. A refusal costs nothing, except where the vendor punishes it (`Penalty`).
"""

import math
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one request.

    Attributes:
        allowed: Whether the request is admitted.
        retry_after: Seconds until it would be; 0.0 when it is.
    """

    allowed: bool
    retry_after: float

    @classmethod
    def at(cls, moment: float, now: float) -> "Verdict":
        """Admit from `moment` on, both in seconds on the policy's clock."""
        if now >= moment:
            return cls(True, 0.0)
        wait = moment - now
        if now + wait < moment:
            # The difference was rounded down; one step of the coarser of the two makes up for it.
            wait += math.ulp(max(abs(moment), abs(now)))
        return cls(False, wait)


class Policy(Protocol):
    """A hidden limit. `str(policy)` is the spec that `parse_policy` reads, where there is one."""

    def admit(self, now: float, /) -> Verdict:
        """Decide on a request that arrives at `now` (seconds); an admitted one is counted."""

    def release(self, now: float, /) -> None:
        """Learn that a request that was admitted is finished at `now` (seconds)."""

    def rate(self, now: float, /) -> float:
        """Return the true limit at `now` in requests/s, for scoring; `math.inf` where there is none."""


class RatePolicy:
    """Base of the policies to which it makes no difference when a request ends."""

    def release(self, _now: float, /) -> None:
        """Do nothing: only arrivals count."""
