"""AIMD as it stands in the textbook: a step up with each success, half of the rate at each congestion event."""

from benchmarks.core import CONFIG
from limiter.aimd import Ticket

FACTOR = 0.5


class Textbook:
    """Only the law of the rate differs from the core: pacing, the shared hold and what counts as one event do not."""

    def __init__(self) -> None:
        self._rate = CONFIG.initial_rate
        self._next_slot = self._held_until = self._cut_at = 0.0
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
        """Take a step up, of the size that the core may take at most."""
        self._rate = min(CONFIG.max_rate, self._rate + CONFIG.increase_step)

    def throttled(self, now: float, ticket: Ticket, retry_after: float | None, /) -> None:
        """Hold everyone; halve the rate unless this request was sent before the last cut."""
        until = now + (retry_after or 1.0)
        if until > self._held_until:
            self._held_until = self._next_slot = until
            self._generation += 1
        if ticket.at >= self._cut_at:
            self._rate = max(CONFIG.min_rate, self._rate * FACTOR)
            self._cut_at = now
