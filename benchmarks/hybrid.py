"""The best of the three algorithms that came before: AIMD with a remembered ceiling, and the rules that paid then.

Its rules and figures are its authors'; only the words are ours. It climbs by steps while no ceiling is known or the
ceiling is left behind, and by GROWTH a second after a hold near it. A refusal while it probes costs `FACTOR`; another
one lands on what was delivered. With CAP_EVENTS in a row above every number in flight that ever succeeded, the number
is capped, and a refusal with the cap in full use lowers the cap instead of the rate.
"""

from math import inf

from limiter.aimd import Ticket

HORIZON = 2.0
GROWTH = 0.0075
STEP = 0.1
STEEPEST = 0.05
STALE = 1.1
FACTOR = 0.92
DEEPEST = 0.67
SLACK = 0.99
HOLD_REQUESTS = 100
HOLD_OUTAGES = 20
HOLD_SURPRISED = 0.5
LONGEST_BACKOFF = 60.0
CAP_EVENTS = 3
PATIENCE = 30.0
LONGEST_PATIENCE = 600.0


class Hybrid:
    """A `Gated` algorithm with its state in variables.

    Args:
        rate: What it begins with, requests/s.
        lowest: Never below.
        highest: Never above.
    """

    def __init__(self, rate: float, lowest: float, highest: float) -> None:
        self.rate, self._lowest, self._highest = rate, lowest, highest
        self.limit = 0
        self._ceiling = self._since = self._hold_until = self._next_slot = self._held_until = 0.0
        self._cut_at = -inf
        self._outage_since: float | None = None
        self._delivered = self._rounds = self._generation = 0
        self._probing = self._surprised = False
        self._proven = self._suspects = 0
        self._widen_at, self._patience = 0.0, PATIENCE

    def reserve(self, now: float, /, *, waited: bool) -> Ticket:
        """See `Gated`."""
        begin = max(now, self._held_until)
        if self._next_slot > begin + HORIZON:
            return Ticket(begin + HORIZON, None, paced=True)
        at = max(begin, self._next_slot)
        self._since += max(0.0, now - max(self._next_slot, self._held_until))
        self._next_slot = at + 1 / self.rate
        return Ticket(at, self._generation, paced=waited or at > now)

    def is_void(self, ticket: Ticket, /) -> bool:
        """See `Gated`."""
        return ticket.generation != self._generation

    def succeeded(self, now: float, ticket: Ticket, count: int, /) -> None:
        """See `Gated`."""
        self._delivered += 1
        full = self._widen(now, ticket, count)
        if ticket.at < self._cut_at or (self._outage_since is None and (full or not ticket.paced)):
            return
        if self._outage_since is not None:
            hold = max(HOLD_OUTAGES * max(1.0, now - self._outage_since), HOLD_REQUESTS / self.rate)
            self._hold_until = now + hold * (HOLD_SURPRISED if self._surprised else 1.0)
            self._outage_since = None
            self._rounds = max(0, self._rounds - 2)
        if self._is_searching():
            self._climb(STEP)
            self._probing = self._ceiling > 0
        elif now >= self._hold_until:
            self._climb(GROWTH)
            self._probing = True

    def throttled(self, now: float, ticket: Ticket, retry_after: float | None, count: int, /) -> None:
        """See `Gated`."""
        self._rounds += ticket.at >= self._held_until
        wait = min(LONGEST_BACKOFF, 2.0 ** max(0, self._rounds - 1)) if retry_after is None else retry_after
        if now + wait > self._held_until:
            self._held_until = self._next_slot = now + wait
            self._generation += 1
        if self._outage_since is not None or ticket.at < self._cut_at:
            return
        self._cut_at = self._outage_since = now
        if not self._narrow(now, count):
            rate = FACTOR * self.rate
            self._surprised = self._is_searching() or not self._probing
            if self._surprised:
                measured = SLACK * self._delivered / max(1e-3, self._held_until - self._since)
                rate = min(rate, max(DEEPEST * self.rate, measured))
            self._ceiling, self.rate = self.rate, max(self._lowest, rate)
        self._probing = False
        self._delivered, self._since = 0, self._held_until

    def _is_searching(self) -> bool:
        return not self._ceiling or self.rate > STALE * self._ceiling

    def _climb(self, step: float) -> None:
        self.rate = min(self._highest, self.rate + min(step, STEEPEST * self.rate))

    def _widen(self, now: float, ticket: Ticket, count: int) -> bool:
        """Whether the cap was in full use."""
        if count > self._proven:
            self._proven, self._suspects = count, 0
        full = 0 < self.limit <= count
        if full and now >= self._widen_at and ticket.at >= self._cut_at:
            self.limit += 1
            self._widen_at = now + self._patience
        return full

    def _narrow(self, now: float, count: int) -> bool:
        """Whether the cap explains the refusal."""
        self._suspects = self._suspects + 1 if count > self._proven else 0
        full = 0 < self.limit <= count
        if self._suspects < CAP_EVENTS and not full:
            return False
        if self.limit:
            self._patience = min(LONGEST_PATIENCE, 2 * self._patience)
        self.limit = max(1, self.limit - 1 if full else self._proven)
        self._widen_at = now + self._patience
        return True
