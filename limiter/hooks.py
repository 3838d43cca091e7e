"""Who hears of what a limiter learns: anything that can be called with a `LimiterEvent`.

A callback is one; `limiter.json_lines.JsonLines` writes lines of JSON, `limiter.metrics.PrometheusHook` keeps metrics,
and the log `limiter` has every change by itself (`log_event`). docs/hooks.md shows each at work.

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
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from state.records import Bucket, HistoryEvent

log = logging.getLogger("limiter")

_LEVELS = {
    "increase": logging.DEBUG,
    "recovered": logging.DEBUG,
    "told": logging.DEBUG,
    "closed": logging.INFO,
    "terminal": logging.ERROR,
}
_UNMOVED = frozenset({"terminal", "opened", "closed"})
"""Kinds that leave the rate as it was."""
_WORDS = {"opened": "the circuit opened", "closed": "the circuit closed"}

_complained: set[tuple[str, type[Exception]]] = set()
"""What was said of failing hooks in this process; a hook that fails would else fail at every request."""


@dataclass(frozen=True, slots=True)
class LimiterEvent:
    """A change of a limiter, as hooks hear of it.

    Attributes:
        bucket: Of which limit: the API, the scope and whose quota.
        tenant: On whose behalf the request was that brought it.
        kind: `increase`, `backoff` (the rate was cut), `cooldown` (a hold without a cut), `recovered` (the first
            success after it), `told` (the vendor's headers name another rate), `terminal` (a refusal that waiting does
            not end), `opened` (the circuit, after faults in a row), `closed` (the vendor answers again).
        at: When, epoch seconds of the store's clock.
        rate_before: Requests per second.
        rate_after: Requests per second.
        ceiling: The rate at which the vendor last objected, requests per second; 0.0 if it never has.
        retry_after: What the vendor asked for, seconds; None if it did not.
        status: The HTTP status that caused it; None after a success, or if there was no reply.
        cooldown_until: The end of the hold after it, epoch seconds; 0.0 when none. Of `opened`, when one may ask again.
        reason: The vendor's own word for a refusal, or the name of a connection's failure; `""` if there is none.
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

    @property
    def figures(self) -> dict[str, Any]:
        """All of it under flat names, in values that JSON has: what a structured log takes.

        Example:
            >>> LimiterEvent(Bucket("notion"), "acme", "backoff", 9.0, 2.0, 1.34, status=429).figures["event"]
            'backoff'
        """
        return {
            "event": self.kind,
            "api": self.bucket.api,
            "scope": self.bucket.scope,
            "quota_key": self.bucket.quota_key,
            "bucket": str(self.bucket),
            "tenant": self.tenant,
            "at": self.at,
            "rate_before": self.rate_before,
            "rate_after": self.rate_after,
            "ceiling": self.ceiling,
            "retry_after": self.retry_after,
            "cooldown_until": self.cooldown_until,
            "status": self.status,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class RequestsCounted:
    """What a client has done since it was last told.

    Attributes:
        api: The preset's name.
        tenant: On whose behalf.
        requests: Sends, those that were tried again included.
        throttled: Replies by which the vendor said "too fast".
        waited: Seconds spent waiting for slots, cooldowns and places in flight.
    """

    api: str
    tenant: str
    requests: int = 0
    throttled: int = 0
    waited: float = 0.0


class Hook(Protocol):
    """Hears of every change of a limiter, one after the other from each thread, and from several threads at once."""

    def __call__(self, happened: LimiterEvent, /) -> None:
        """Take note of it, quickly; what it raises is logged and otherwise ignored."""
        ...


class CountingHook(Hook, Protocol):
    """A hook that hears of requests, too: any hook that has this method. It is called several times a request."""

    def counted(self, more: RequestsCounted, /) -> None:
        """Add to the counts, quickly; what it raises is logged and otherwise ignored."""
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
        _call(hook, hook, event)


def counter(hooks: Iterable[Hook], api: str, tenant: str) -> Callable[[int, int, float], None] | None:
    """What to call with requests, throttled replies and seconds waited; None if no hook counts.

    Args:
        hooks: Some of which may be a `CountingHook`.
        api: Goes into what they are told.
        tenant: Goes into what they are told.
    """
    counting = [hook for hook in hooks if hasattr(hook, "counted")]

    def tell_counts(requests: int, throttled: int, waited: float) -> None:
        more = RequestsCounted(api, tenant, requests, throttled, waited)
        for hook in counting:
            _call(hook, hook.counted, more)

    return tell_counts if counting else None


def log_event(happened: LimiterEvent) -> None:
    """The hook that every limiter has: a line in the log `limiter`, with the figures as extra.

    DEBUG as the rate grows, WARNING on a backoff or a hold, ERROR on a refusal that someone must act upon.
    """
    level = _LEVELS.get(happened.kind, logging.WARNING)
    if not log.isEnabledFor(level):
        return
    told = happened.kind not in _UNMOVED
    rates = f" {happened.rate_before:.3g} -> {happened.rate_after:.3g} requests/s" if told else ""
    status = f", status {happened.status}" if happened.status else ""
    hold = f", nothing is sent for {happened.hold:.1f} s" if happened.hold and level == logging.WARNING else ""
    reason = f" ({happened.reason})" if happened.reason else ""
    what = _WORDS.get(happened.kind, happened.kind)
    log.log(level, "%s: %s%s%s%s%s", happened.bucket, what, reason, rates, status, hold, extra=happened.figures)


def _call(hook: Hook, method: Callable[[Any], None], details: object) -> None:
    try:
        method(details)
    except Exception as error:
        _complain(hook, error)


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
