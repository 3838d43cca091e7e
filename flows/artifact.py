"""A limiter as a Prefect artifact: a headline for the card, a picture and a table for the page."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

from flows.curve import EVENTS_DRAWN
from flows.picture import rate_picture
from flows.words import duration, escaped, moment, shown_rate, sparkline, until, utc
from limiter.config import ApiRateConfig
from state.records import Bucket, HistoryEvent, LimiterState
from state.store import Store

EVENTS_SHOWN = 20
_HOUR = 3600.0
_HEADER = """\
| Time (UTC) | Event | Requests/s | Status | Retry-After | Held until | Run |
|---|---|---|---|---|---|---|
"""


def artifact_key(bucket: Bucket) -> str:
    """The artifact's key: one for each bucket, made of what Prefect allows in keys.

    Args:
        bucket: The limiter.

    Example:
        >>> artifact_key(Bucket("notion"))
        'limiter-notion-default-default'
        >>> artifact_key(Bucket("notion", quota_key="Team A"))
        'limiter-notion-default-team-a--01db156e2b'
    """
    parts = (bucket.api, bucket.scope, bucket.quota_key)
    slug = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    if all(re.fullmatch(r"[a-z0-9]+", part) for part in parts):
        return f"limiter-{slug}"
    # The slug has lost something: a capital, or which dash parts the parts. It never has two dashes in a row, so a key
    # with a hash cannot be another bucket's key without one.
    told_apart = sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"limiter-{slug[:80].rstrip('-')}--{told_apart}" if slug else f"limiter-{told_apart}"


def headline(state: LimiterState, events: Sequence[HistoryEvent], now: float) -> str:
    """The limiter in one line, for an artifact's card.

    Args:
        state: The limiter.
        events: Its history, oldest first.
        now: Epoch seconds.

    Example:
        >>> events = [HistoryEvent(0, "start", 2, 2), HistoryEvent(9, "backoff", 2, 1.8)]
        >>> headline(LimiterState(rate=1.9), events, now=60.0)
        '1.90 requests/s, 1 backoff in the last hour █▁▄'
    """
    said = [f"{shown_rate(state.rate)} requests/s", _backoffs(events, now)]
    if state.cooldown_until > now:
        said.insert(1, f"cooling down until {utc(state.cooldown_until):%H:%M} UTC")
    return f"{', '.join(said)} {sparkline([*(event.rate_after for event in events), state.rate])}".rstrip()


def limiter_markdown(
    bucket: Bucket,
    config: ApiRateConfig,
    state: LimiterState,
    events: Sequence[HistoryEvent],
    now: float,
    *,
    total: int | None = None,
) -> str:
    """The limiter's page: where it stands in words, the rate over time as a picture, the last events as a table.

    Args:
        bucket: The limiter.
        config: Its API.
        state: Where it stands.
        events: Its history, or the newest part of it, oldest first.
        now: Epoch seconds.
        total: How many events its history has; by default as many as are given.

    Returns:
        Markdown, with names from outside escaped.
    """
    picture = rate_picture(events, rate_now=state.rate, now=now, config=config, title=str(bucket), total=total)
    data = b64encode(picture.encode()).decode()
    shown = events[-EVENTS_SHOWN:][::-1]
    total = max(len(events), total or 0)
    parts = [
        f"# Limiter {escaped(str(bucket))}",
        _standing(config, state, events, now),
        _cooldown(state, events, now),
        f"![The learned rate of {escaped(str(bucket))} over time](data:image/svg+xml;base64,{data})",
        "## Last events" if len(shown) == total else f"## The last {len(shown)} of {total:,} events",
        _HEADER + "\n".join(_row(event, now) for event in shown) if shown else "None yet.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def limiter_artifact(store: Store, bucket: Bucket, config: ApiRateConfig) -> tuple[str, str] | None:
    """The limiter's headline and page, from the store; None if it has never been used.

    Args:
        store: Where the limiter is remembered.
        bucket: The limiter.
        config: Its API.

    Raises:
        StateError: The store failed.
    """
    state, now = store.read(bucket)
    if state is None:
        return None
    events = store.history(bucket, EVENTS_DRAWN)
    page = limiter_markdown(bucket, config, state, events, now, total=store.history_length(bucket))
    return headline(state, events, now), page


def _backoffs(events: Sequence[HistoryEvent], now: float) -> str:
    """How often the rate was cut in the last hour, or in what is known of it."""
    since = now - _HOUR
    count = sum(event.kind == "backoff" and event.at > since for event in events)
    cut_off = bool(events) and events[0].kind != "start" and events[0].at > since
    past = duration(now - events[0].at) if cut_off else "hour"
    return f"{count or 'no'} {'backoff' if count == 1 else 'backoffs'} in the last {past}"


def _standing(config: ApiRateConfig, state: LimiterState, events: Sequence[HistoryEvent], now: float) -> str:
    said = [f"**{shown_rate(state.rate)} requests/s** now, {_backoffs(events, now)}."]
    if state.ceiling > 0:
        said.append(f"The vendor last objected at {shown_rate(state.ceiling)} requests/s.")
    if config.documented_limit_desc:
        said.append(f"Documented: {escaped(config.documented_limit_desc)}.")
    said.append(f"Configured bounds: {shown_rate(config.min_rate)} to {shown_rate(config.max_rate)} requests/s.")
    return " ".join(said)


def _cooldown(state: LimiterState, events: Sequence[HistoryEvent], now: float) -> str:
    if state.cooldown_until <= now:
        return ""
    asked = next((e.retry_after for e in reversed(events) if e.cooldown_until == state.cooldown_until), None)
    because = f" The vendor asked for {duration(asked)}." if asked is not None else ""
    left = duration(state.cooldown_until - now)
    return f"**Cooling down:** nobody sends for another {left}, until {moment(state.cooldown_until)} UTC.{because}"


def _row(event: HistoryEvent, now: float) -> str:
    rate = shown_rate(event.rate_after)
    if event.rate_before != event.rate_after:
        rate = f"{shown_rate(event.rate_before)} → {rate}"
    cells = (
        until(event.at, now),
        escaped(event.kind),
        rate,
        "" if event.status is None else str(event.status),
        "" if event.retry_after is None else duration(event.retry_after),
        until(event.cooldown_until, event.at) if event.cooldown_until > 0 else "",
        _run(event.run_id),
    )
    return f"| {' | '.join(cells)} |"


def _run(run_id: str | None) -> str:
    """A flow run, linked if it is one.

    The address is relative: an artifact's page is two steps below the UI's root, and a run's too, in both UIs. So it
    holds behind any proxy, and for what a run without a server recorded and `aimd ui` shows later.
    """
    if not run_id:
        return ""
    short = escaped(run_id[:8])
    try:
        return f"[{short}](../../runs/flow-run/{UUID(run_id)})"
    except ValueError:  # whoever used the limiter outside Prefect named its runs as it liked
        return short
