"""A request under way: what it has met so far, and the errors that say so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx

from limiter.aimd import Ticket
from limiter.bounds import Begun, Bounds, Faults, is_replayable
from limiter.clock_time import clock_time
from limiter.errors import CircuitOpen, Terminal, Throttled, WaitTooLong
from limiter.limiter import Limiter, Route, Shut, TooLong
from limiter.redaction import without_credentials
from limiter.replies import Reply
from state.records import LimiterState


@dataclass(frozen=True, slots=True)
class Refused:
    """A reply that will not do, and the response as an error carries it."""

    reply: Reply
    response: httpx.Response


@dataclass(slots=True)
class Asking:
    """A request under way, and what it has met so far.

    Attributes:
        limiter: The main one of its API.
        refused: The last reply that would not do.
    """

    limiter: Limiter
    request: httpx.Request
    bounds: Bounds
    route: Route
    begun: Begun
    faults: Faults = field(default_factory=Faults)
    refusals: int = 0
    refused: Refused | None = None

    @property
    def patience(self) -> float:
        """Seconds that it may still wait."""
        return self.bounds.patience(self.begun.waited)

    @property
    def may_go_again(self) -> bool:
        """After so many refusals."""
        return self.refusals <= self.bounds.max_retries and is_replayable(self.request)

    def terminal(self, refused: Refused) -> Terminal:
        """The error of a request that the vendor refuses for good."""
        limiter = self.route.of(refused.reply.word)
        return Terminal(
            f"{limiter.bucket.api} refuses this client for good ({refused.reply.reason}); what was collected is kept. "
            "Waiting will not help: look at the account's limits or ask the vendor.",
            **self._circumstances(limiter),
        )

    def throttled(self, refused: Refused, found: LimiterState | None, now: float) -> Throttled:
        """The error of a request that is not sent again.

        Args:
            refused: Why.
            found: The limit that it is about.
            now: Epoch seconds.
        """
        limiter = self.route.of(refused.reply.word)
        until = max(now, found.cooldown_until) if found else now
        why = f"{self.refusals} times" if is_replayable(self.request) else "and the request's body cannot be sent again"
        return Throttled(
            f"{limiter.bucket.api} refused the request ({refused.response.status_code}) {why}; what was learned is "
            f"kept. Try again from {clock_time(until, now)} on.",
            until=until,
            **self._circumstances(limiter),
        )

    def too_long(self, limiter: Limiter, found: TooLong) -> WaitTooLong:
        """The error of a request that would have to wait longer than it may."""
        again, what = ("again ", "the request was refused") if self.refused else ("", "nothing was sent")
        within = min(bound for bound in (self.bounds.max_wait, self.bounds.deadline) if bound is not None)
        return WaitTooLong(
            f"{limiter.bucket.api} cannot be asked {again}within {within:g} s; {what}. "
            f"It can from {clock_time(found.until, found.now)} on.",
            until=found.until,
            **self._circumstances(limiter),
        )

    def shut(self, limiter: Limiter, found: Shut) -> CircuitOpen:
        """The error of a request that meets an open circuit."""
        return CircuitOpen(
            f"{limiter.bucket.api} failed {found.faults} times in a row, so nothing is sent to it now. "
            f"Try again from {clock_time(found.until, found.now)} on.",
            until=found.until,
            **self._circumstances(limiter),
        )

    def _circumstances(self, limiter: Limiter) -> dict[str, Any]:
        refused = self.refused
        return {
            "api": limiter.bucket.api,
            "bucket": str(limiter.bucket),
            "retry_after": refused and refused.reply.retry_after,
            "reason": refused.reply.reason if refused else "",
            "request": without_credentials(self.request),
            "response": refused and refused.response,
        }


@dataclass(frozen=True, slots=True)
class Sent:
    """One send of it.

    Attributes:
        tickets: One of each limit that it passed.
        at: When, seconds of the monotonic clock.
        in_flight: It went as the n-th.
    """

    tickets: dict[Limiter, Ticket]
    at: float
    in_flight: int

    @property
    def ticket(self) -> Ticket:
        """Any; they say when it was sent by the store's clock."""
        return next(iter(self.tickets.values()))
