"""The core of the other limit: how many requests may be in flight at a time?  Pure functions over a frozen `Cap`.

A vendor that counts connections refuses for another reason than rate, and answers to a cut of the rate by refusing as
before. Its refusals come at counts in flight above every count that ever succeeded; those of a rate come at any count.

blame    EVENTS in a row above every count that succeeded set a cap at that count. From then on a refusal with the cap
         in full use lowers the cap by one, and the rate is spared. One above it says nothing: it was on its way before.
         A refusal of the only one in flight is never the cap's: a false cap of one would spare the rate for ever.
proof    A success proves its count only if it was sent after the last refusal came back. Until then the refused request
         counts here as in flight, and no longer at the vendor.
widen    A success with the cap in full use, `patience` after the last change, raises it by one. Each refusal that
         lowers the cap doubles the patience, up to LONGEST_PATIENCE.

Learned by each process for itself: a process cannot know what the others have in flight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

EVENTS = 2
"""One refusal at a new count is as likely the rate's; three are one lockout more for the same knowledge."""
PATIENCE = 30.0
"""Seconds; the first wait before a place is added."""
LONGEST_PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Cap:
    """What is known of the limit in flight. Times are seconds of any one clock.

    Attributes:
        ceiling: Never more than so many at a time; 0 for no such bound.
        learned: The cap found below it; 0 while none is known.
        proven: The highest count that succeeded.
        suspects: Events in a row above `proven`.
        widen_at: No place is added before.
        patience: Seconds until the next may be.
        refused_at: When the last refusal came back.
    """

    ceiling: int = 0
    learned: int = 0
    proven: int = 0
    suspects: int = 0
    widen_at: float = 0.0
    patience: float = PATIENCE
    refused_at: float = 0.0

    @property
    def limit(self) -> int:
        """How many may be in flight; 0 for any number."""
        return min(self.learned, self.ceiling) if self.learned and self.ceiling else self.learned or self.ceiling


def is_full(cap: Cap, count: int) -> bool:
    """Whether a request that went as the n-th in flight was held back by the cap rather than by the rate."""
    return 0 < cap.limit <= count


def succeeded(cap: Cap, now: float, count: int, sent_at: float) -> Cap:
    """Learn from a request that went as the n-th in flight, at `sent_at`, and was not refused."""
    if count > cap.proven and sent_at >= cap.refused_at:
        cap = replace(cap, proven=count, suspects=0)
    if cap.learned and is_full(cap, count) and now >= cap.widen_at and cap.limit != cap.ceiling:
        cap = replace(cap, learned=cap.learned + 1, widen_at=now + cap.patience)
    return cap


def refused(cap: Cap, now: float, count: int) -> tuple[Cap, bool]:
    """Learn from the first refusal of an event.

    Returns:
        The cap, and whether it explains the refusal, so that the rate is to be spared.
    """
    if count <= 1:
        return replace(cap, suspects=0), False
    if cap.learned and count > cap.limit:
        return cap, True  # it had its place before the cap was known: no news
    suspects = cap.suspects + 1 if count > cap.proven else 0
    cap = replace(cap, suspects=suspects, refused_at=now)
    lowered = bool(cap.learned) and is_full(cap, count)
    if not lowered and suspects < EVENTS:
        return cap, False
    patience = min(LONGEST_PATIENCE, cap.patience * (2 if cap.learned else 1))
    learned = max(1, cap.limit - 1 if lowered else cap.proven)
    return replace(cap, learned=learned, patience=patience, widen_at=now + patience), True
