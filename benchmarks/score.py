"""Goodput and rejections of a span of time."""

from dataclasses import dataclass

from benchmarks.virtual import Log
from simulator import Policy

STEP = 0.5
"""Seconds; how finely a limit that changes is integrated."""


@dataclass(frozen=True)
class Score:
    """What a span of time brought.

    Attributes:
        goodput: Accepted requests in % of what the hidden limit lets pass on average.
        rejected: Rejected requests in % of all.
    """

    goodput: float
    rejected: float


def score(log: Log, policy: Policy, begin: float, end: float) -> Score:
    """Judge the replies that came from `begin` to `end`, seconds of the virtual clock.

    Args:
        log: All replies.
        policy: The limit that gave them; one that drifts counts from its first request.
        begin: Not before.
        end: Not after.
    """
    accepted = sum(begin < at <= end for at in log.accepted)
    rejected = sum(begin < at <= end for at in log.rejected)
    possible = sum(policy.rate(begin + (n + 0.5) * STEP) for n in range(int((end - begin) / STEP))) * STEP
    return Score(100 * accepted / possible, 100 * rejected / max(1, accepted + rejected))
