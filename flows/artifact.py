"""A limiter as a Prefect artifact: a headline for the card, a picture and a table for the page."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256

from flows.picture import rate_picture, shown_rate, utc
from limiter.config import ApiRateConfig
from state.records import Bucket, HistoryEvent, LimiterState
from state.store import Store

EVENTS_READ = 2000
"""A fast climb makes an event every three seconds: this is more than an hour of it."""
EVENTS_SHOWN = 20
SPARKS = "▁▂▃▄▅▆▇█"
_SPARKS_SHOWN = 16
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
    return f"{', '.join(said)} {_sparkline([*(event.rate_after for event in events), state.rate])}".rstrip()


def limiter_markdown(
    bucket: Bucket,
    config: ApiRateConfig,
    state: LimiterState,
    events: Sequence[HistoryEvent],
    now: float,
    run_urls: Mapping[str, str] | None = None,
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
        run_urls: Addresses of flow runs by id, to link them.
        total: How many events its history has; by default as many as are given.

    Returns:
        Markdown, with names from outside escaped.
    """
    picture = rate_picture(events, rate_now=state.rate, now=now, config=config, title=str(bucket))
    data = b64encode(picture.encode()).decode()
    shown = events[-EVENTS_SHOWN:][::-1]
    total = max(len(events), total or 0)
    parts = [
        f"# Limiter {_escaped(str(bucket))}",
        _standing(config, state, events, now),
        _cooldown(state, events, now),
        f"![The learned rate of {_escaped(str(bucket))} over time](data:image/svg+xml;base64,{data})",
        "## Last events" if len(shown) == total else f"## The last {len(shown)} of {total:,} events",
        _HEADER + "\n".join(_row(event, run_urls or {}) for event in shown) if shown else "None yet.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def publish_limiter(store: Store, bucket: Bucket, config: ApiRateConfig) -> None:
    """Create the limiter's artifact in the flow run that calls this; nothing if the limiter has never been used.

    Args:
        store: Where the limiter is remembered.
        bucket: The limiter.
        config: Its API.

    Raises:
        StateError: The store failed.
    """
    from prefect.artifacts import create_markdown_artifact
    from prefect.utilities.urls import url_for

    state, now = store.read(bucket)
    if state is None:
        return
    events = store.history(bucket, EVENTS_READ)
    addresses = {e.run_id: url_for("flow-run", obj_id=e.run_id) for e in events[-EVENTS_SHOWN:] if e.run_id}
    create_markdown_artifact(
        key=artifact_key(bucket),
        description=headline(state, events, now),
        markdown=limiter_markdown(
            bucket,
            config,
            state,
            events,
            now,
            {run: address for run, address in addresses.items() if address},
            total=store.history_length(bucket),
        ),
        _sync=True,  # type: ignore[call-arg]  # Prefect's own switch: in an async flow it would return a coroutine
    )


def _backoffs(events: Sequence[HistoryEvent], now: float) -> str:
    """How often the rate was cut in the last hour, or in what is known of it."""
    since = now - _HOUR
    count = sum(event.kind == "backoff" and event.at > since for event in events)
    cut_off = bool(events) and events[0].kind != "start" and events[0].at > since
    past = _duration(now - events[0].at) if cut_off else "hour"
    return f"{count or 'no'} {'backoff' if count == 1 else 'backoffs'} in the last {past}"


def _sparkline(rates: Sequence[float]) -> str:
    """The last changes of the rate, between the lowest and the highest of them; nothing if there were none."""
    changes = [rate for i, rate in enumerate(rates) if i == 0 or rate != rates[i - 1]][-_SPARKS_SHOWN:]
    low, high = min(changes), max(changes)
    if low == high:
        return ""
    return "".join(SPARKS[round((rate - low) / (high - low) * (len(SPARKS) - 1))] for rate in changes)


def _standing(config: ApiRateConfig, state: LimiterState, events: Sequence[HistoryEvent], now: float) -> str:
    said = [f"**{shown_rate(state.rate)} requests/s** now, {_backoffs(events, now)}."]
    if state.ceiling > 0:
        said.append(f"The vendor last objected at {shown_rate(state.ceiling)} requests/s.")
    if config.documented_limit_desc:
        said.append(f"Documented: {_escaped(config.documented_limit_desc)}.")
    said.append(f"Configured bounds: {shown_rate(config.min_rate)} to {shown_rate(config.max_rate)} requests/s.")
    return " ".join(said)


def _cooldown(state: LimiterState, events: Sequence[HistoryEvent], now: float) -> str:
    if state.cooldown_until <= now:
        return ""
    asked = next((e.retry_after for e in reversed(events) if e.cooldown_until == state.cooldown_until), None)
    because = f" The vendor asked for {_duration(asked)}." if asked is not None else ""
    left = _duration(state.cooldown_until - now)
    return f"**Cooling down:** nobody sends for another {left}, until {_time(state.cooldown_until)} UTC.{because}"


def _row(event: HistoryEvent, run_urls: Mapping[str, str]) -> str:
    rate = shown_rate(event.rate_after)
    if event.rate_before != event.rate_after:
        rate = f"{shown_rate(event.rate_before)} → {rate}"
    cells = (
        _time(event.at),
        _escaped(event.kind),
        rate,
        "" if event.status is None else str(event.status),
        "" if event.retry_after is None else _duration(event.retry_after),
        _end(event.cooldown_until, event.at) if event.cooldown_until > 0 else "",
        _run(event.run_id, run_urls),
    )
    return f"| {' | '.join(cells)} |"


def _run(run_id: str | None, run_urls: Mapping[str, str]) -> str:
    if not run_id:
        return ""
    short = _escaped(run_id[:8])
    address = run_urls.get(run_id, "")
    return f"[{short}]({address})" if re.fullmatch(r"https?://[^\s()<>|\\]+", address) else short


def _time(at: float) -> str:
    return f"{utc(at):%Y-%m-%d %H:%M:%S}"


def _end(until: float, since: float) -> str:
    """When a cooldown ends, without the date if it is the day on which it began."""
    return f"{utc(until):%H:%M:%S}" if utc(until).date() == utc(since).date() else _time(until)


def _duration(seconds: float) -> str:
    """A duration in words, of two units at most: "2.5 s", "45 s", "59 min", "1 h 5 min", "2 d 3 h"."""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f}".removesuffix(".0") + " s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def _escaped(text: str) -> str:
    """Text that markdown shows as it is, on one line, also in a table's cell."""
    one_line = "".join(character if character.isprintable() else " " for character in text)
    return re.sub(r"([\\`*_\[\]<>|~&#!])", r"\\\1", one_line)
