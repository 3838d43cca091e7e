"""What a change of the limiter is called, derived from the states before and after it."""

from __future__ import annotations

from dataclasses import replace

from state.records import Decision, HistoryEvent, LimiterState

COALESCE = 0.02
"""Increases are recorded once they add up to this share of the rate; a row a success would drown the rest."""

TOLD = 0.1
"""The same for what a vendor tells, which goes up and down with what is left of a window."""


def started(state: LimiterState, now: float) -> HistoryEvent:
    """The first event of a limiter."""
    return HistoryEvent(now, "start", state.rate, state.rate)


def terminal(state: LimiterState, now: float, *, status: int, retry_after: float | None) -> HistoryEvent:
    """A refusal that waiting does not end: it teaches nothing, and whoever reads the history has to know of it."""
    return HistoryEvent(
        now, "terminal", state.rate, state.rate, ceiling=state.ceiling, retry_after=retry_after, status=status
    )


def event(
    before: LimiterState,
    after: LimiterState,
    now: float,
    *,
    status: int | None = None,
    retry_after: float | None = None,
) -> HistoryEvent | None:
    """What happened between two states, or None if nothing that has a name.

    A `backoff` is a new congestion event, even at the floor, where the rate cannot fall; `cooldown` is a hold without
    one; `recovered` is the first success after an outage.
    """
    if after.cut_at != before.cut_at:
        kind = "backoff"
    elif after.cooldown_until > before.cooldown_until:
        kind = "cooldown"
    elif before.outage_since and not after.outage_since:
        kind = "recovered"
    elif after.rate > before.rate:
        kind = "increase"
    else:
        return None
    return HistoryEvent(
        now,
        kind,
        before.rate,
        after.rate,
        ceiling=after.ceiling,
        retry_after=retry_after,
        status=status,
        cooldown_until=after.cooldown_until if after.cooldown_until > now else 0.0,
    )


def circuit(before: LimiterState, after: LimiterState, now: float, status: int | None = None) -> HistoryEvent | None:
    """Whether the circuit `opened`, also once more, or `closed` between two states."""
    if after.open_until and after.generation != before.generation:
        kind = "opened"
    elif before.open_until and not after.open_until:
        kind = "closed"
    else:
        return None
    return HistoryEvent(
        now, kind, after.rate, after.rate, ceiling=after.ceiling, status=status, cooldown_until=after.open_until
    )


def told(before: LimiterState, after: LimiterState, now: float) -> HistoryEvent | None:
    """The vendor has told another rate than the one in use; its smaller changes are not worth a row."""
    if abs(after.rate - after.recorded_rate) < TOLD * after.recorded_rate or after.rate == before.rate:
        return None
    return HistoryEvent(now, "told", before.rate, after.rate, ceiling=after.ceiling)


def recorded(after: LimiterState, happened: HistoryEvent | None) -> Decision[HistoryEvent | None]:
    """The decision that keeps a change: every event but small increases, which are kept together."""
    if happened is None:
        return Decision(after, None)
    small = abs(after.rate - after.recorded_rate) < COALESCE * after.recorded_rate
    if happened.kind == "increase" and small:
        return Decision(after, happened)
    kept = replace(happened, rate_before=after.recorded_rate) if happened.kind == "increase" else happened
    return Decision(replace(after, recorded_rate=after.rate), happened, (kept,))
