"""Who hears of what a limiter learns: anything that can be called with a `LimiterEvent`.

Hooks are called after the change is kept and outside of the store's transaction, in the thread or on the event loop of
the request that brought it. So a hook is quick: what is slow goes into a queue of its own. One that fails is logged
once and never stops a request.

Example:
    >>> from limiter import make_client_for
    >>> from limiter.testing import FakeClock, ScriptedVendor
    >>> from state.memory import MemoryStore
    >>> clock = FakeClock()
    >>> vendor = ScriptedVendor([(429, {"Retry-After": "30"}), 200], clock)
    >>> options = {"store": MemoryStore(clock=clock), "transport": vendor.transport, "sleep": clock.sleep}
    >>> def tell(happened: LimiterEvent) -> None:
    ...     print(happened.bucket, happened.kind, happened.rate_before, happened.rate_after, happened.retry_after)
    >>> with make_client_for("notion", hooks=[tell], **options) as client:
    ...     client.get("/users").status_code
    notion/default/default backoff 2.0 1.34 30.0
    notion/default/default recovered 1.34 1.34 None
    200
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from state.records import Bucket, HistoryEvent

log = logging.getLogger("limiter")

_LEVELS = {"increase": logging.DEBUG, "recovered": logging.DEBUG, "terminal": logging.ERROR}

_complained: set[tuple[str, type[Exception]]] = set()
"""What was said of failing hooks in this process; a hook that fails would else fail at every request."""


@dataclass(frozen=True, slots=True)
class LimiterEvent:
    """A change of a limiter, as hooks hear of it.

    Attributes:
        bucket: Of which limit: the API, the scope and whose quota.
        tenant: On whose behalf the request was that brought it.
        kind: `increase`, `backoff` (the rate was cut), `cooldown` (a hold without a cut), `recovered` (the first
            success after it), `terminal` (a refusal that waiting does not end).
        at: When, epoch seconds of the store's clock.
        rate_before: Requests per second.
        rate_after: Requests per second.
        ceiling: The rate at which the vendor last objected, requests per second; 0.0 if it never has.
        retry_after: What the vendor asked for, seconds; None if it did not.
        status: The HTTP status that caused it; None after a success.
        cooldown_until: The end of the hold after it, epoch seconds; 0.0 when none.
        reason: The vendor's own word for a refusal; `""` if it gave none.
    """

    bucket: Bucket
    tenant: str
    kind: str
    at: float
    rate_before: float
    rate_after: float
    ceiling: float = 0.0
    retry_after: float | None = None
    status: int | None = None
    cooldown_until: float = 0.0
    reason: str = ""

    @property
    def hold(self) -> float:
        """Seconds for which nobody sends; 0.0 if somebody may."""
        return max(0.0, self.cooldown_until - self.at)


class Hook(Protocol):
    """Hears of every change of a limiter, one after the other from each thread, and from several threads at once."""

    def __call__(self, happened: LimiterEvent, /) -> None:
        """Take note of it, quickly; what it raises is logged and otherwise ignored."""
        ...


def tell(hooks: Iterable[Hook], bucket: Bucket, tenant: str, happened: HistoryEvent, reason: str = "") -> None:
    """Call the hooks with what the history has of a change.

    Args:
        hooks: In the order in which they hear of it.
        bucket: Of which limit.
        tenant: On whose behalf.
        happened: The change.
        reason: The vendor's own word for it.
    """
    event = LimiterEvent(
        bucket,
        tenant,
        happened.kind,
        happened.at,
        happened.rate_before,
        happened.rate_after,
        ceiling=happened.ceiling,
        retry_after=happened.retry_after,
        status=happened.status,
        cooldown_until=happened.cooldown_until,
        reason=reason,
    )
    for hook in hooks:
        try:
            hook(event)
        except Exception as error:
            _complain(hook, error)


def log_event(happened: LimiterEvent) -> None:
    """The hook that every limiter has: a line in the log `limiter`, with the figures as extra.

    DEBUG as the rate grows, WARNING on a backoff or a hold, ERROR on a refusal that someone must act upon.
    """
    level = _LEVELS.get(happened.kind, logging.WARNING)
    if not log.isEnabledFor(level):
        return
    figures = {
        "api": happened.bucket.api,
        "bucket": str(happened.bucket),
        "tenant": happened.tenant,
        "event": happened.kind,
        "rate_before": happened.rate_before,
        "rate_after": happened.rate_after,
        "ceiling": happened.ceiling,
        "retry_after": happened.retry_after,
        "cooldown_until": happened.cooldown_until,
        "status": happened.status,
        "reason": happened.reason,
    }
    rates = (
        "" if happened.kind == "terminal" else f" {happened.rate_before:.3g} -> {happened.rate_after:.3g} requests/s"
    )
    status = f", status {happened.status}" if happened.status else ""
    hold = f", nothing is sent for {happened.hold:.1f} s" if happened.hold and level == logging.WARNING else ""
    reason = f" ({happened.reason})" if happened.reason else ""
    log.log(level, "%s: %s%s%s%s%s", happened.bucket, happened.kind, reason, rates, status, hold, extra=figures)


def _complain(hook: Hook, error: Exception) -> None:
    name = getattr(hook, "__qualname__", type(hook).__qualname__)
    if (name, type(error)) not in _complained:
        _complained.add((name, type(error)))
        log.warning(
            "The hook %s failed (%s); requests go on, and this is not said again.",
            name,
            type(error).__name__,
            exc_info=error,
        )
