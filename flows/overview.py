"""All limiters of a database in one Prefect artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.artifact import artifact_key
from flows.curve import EVENTS_DRAWN
from flows.words import escaped, moment, shown_rate, sparkline, until, utc
from limiter.config import ApiRateConfig
from limiter.scopes import config_for
from state.records import Bucket, HistoryEvent, LimiterState
from state.store import Store

OVERVIEW_KEY = "limiters"
LIMITERS_SHOWN = 200
_EVENTS_READ = 20_000
"""Of all limiters together, so that many of them cost no more than a few."""
_HOUR, _DAY = 3600.0, 86_400.0
# The UI's column has 580 pixels on a small screen, and a table that is wider covers what stands beside it.
_HEADINGS = ("Limiter", "Now", "Ceiling", "Docs", "Held until", "Backoffs", "Refused", "Changed", "Trend")
_LEGEND = (
    "Rates in requests/s, times in UTC. Docs: the limit that the vendor documents. Backoffs: in the last hour / day. "
    "Refused: requests ever refused for their rate."
)
_TREND = 5


@dataclass(frozen=True, slots=True)
class Line:
    """One limiter in the overview.

    Attributes:
        bucket: Which.
        state: Where it stands.
        events: Its history, or the newest part of it, oldest first.
        config: Of this limit of its API; None if that is known no more.
    """

    bucket: Bucket
    state: LimiterState
    events: Sequence[HistoryEvent]
    config: ApiRateConfig | None = None


def overview_headline(lines: Sequence[Line], now: float, *, total: int | None = None) -> str:
    """All limiters in one line, for the artifact's card.

    Args:
        lines: The limiters.
        now: Epoch seconds.
        total: How many there are; by default as many as are given.

    Example:
        >>> overview_headline([Line(Bucket("notion"), LimiterState(2.0, cooldown_until=90.0), [])], now=60.0)
        '1 limiter, 1 cooling down, no backoffs in the last hour'
    """
    total = max(len(lines), total or 0)
    held = sum(line.state.cooldown_until > now for line in lines)
    backoffs = sum(_count(line.events, now - _HOUR) for line in lines)
    said = [f"{total:,} {'limiter' if total == 1 else 'limiters'}"]
    if held:
        said.append(f"{held:,} cooling down")
    said.append(f"{backoffs or 'no'} {'backoff' if backoffs == 1 else 'backoffs'} in the last hour")
    return ", ".join(said)


def overview_markdown(lines: Sequence[Line], now: float, *, total: int | None = None) -> str:
    """The overview's page: a row a limiter, with a link to the limiter's own artifact.

    Args:
        lines: The limiters.
        now: Epoch seconds.
        total: How many there are; by default as many as are given.

    Returns:
        Markdown, with names from outside escaped.
    """
    total = max(len(lines), total or 0)
    parts = ["# Limiters", f"As of {moment(now)} UTC: {overview_headline(lines, now, total=total)}."]
    if len(lines) < total:
        parts.append(f"The {len(lines):,} that changed last are shown; `aimd limiter list` shows all.")
    if lines:
        parts += [_table([_cells(line, now) for line in lines]), _LEGEND]
    else:
        parts.append("None has been used yet.")
    return "\n\n".join(parts) + "\n"


def overview_artifact(store: Store, configs: Mapping[str, ApiRateConfig]) -> tuple[str, str]:
    """The overview's headline and page, from the store.

    Args:
        store: Where the limiters are remembered.
        configs: The APIs by name; a limiter of one that is known no more is shown too.

    Raises:
        StateError: The store failed.
    """
    found = sorted(store.buckets(), key=lambda each: each[1].updated_at)
    _, now = store.read(Bucket(""))  # the store's clock; there is no such limiter
    shown = sorted(found[-LIMITERS_SHOWN:])
    each = min(EVENTS_DRAWN, _EVENTS_READ // max(1, len(shown)))
    lines = [
        Line(bucket, state, store.history(bucket, each), config and config_for(config, bucket.scope))
        for bucket, state in shown
        for config in [configs.get(bucket.api)]
    ]
    return overview_headline(lines, now, total=len(found)), overview_markdown(lines, now, total=len(found))


def _cells(line: Line, now: float) -> tuple[str, ...]:
    state, events, config = line.state, line.events, line.config
    return (
        f"[{escaped(str(line.bucket))}](../key/{artifact_key(line.bucket)})",
        f"**{shown_rate(state.rate)}**",
        shown_rate(state.ceiling) if state.ceiling > 0 else "",
        shown_rate(config.documented_rate) if config and config.documented_rate > 0 else "",
        until(state.cooldown_until, now) if state.cooldown_until > now else "",
        f"{_counted(events, now - _HOUR)} / {_counted(events, now - _DAY)}",
        f"{state.throttles:,}",
        _changed(events[-1].at, now) if events else "",
        sparkline([*(event.rate_after for event in events), state.rate], _TREND),
    )


def _changed(at: float, now: float) -> str:
    """The time if it was today, else the day."""
    return f"{utc(at):%H:%M}" if utc(at).date() == utc(now).date() else f"{utc(at):%Y-%m-%d}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    """A markdown table, without the columns in which nothing stands."""
    used = [n for n in range(len(_HEADINGS)) if any(row[n] for row in rows)]
    table = [_HEADINGS, ["---"] * len(_HEADINGS), *rows]
    return "\n".join(f"| {' | '.join(row[n] for n in used)} |" for row in table)


def _count(events: Sequence[HistoryEvent], since: float) -> int:
    return sum(event.kind == "backoff" and event.at > since for event in events)


def _counted(events: Sequence[HistoryEvent], since: float) -> str:
    """How many backoffs; with a plus where the events do not reach back so far."""
    cut_off = bool(events) and events[0].kind != "start" and events[0].at > since
    return f"{_count(events, since)}{'+' if cut_off else ''}"
