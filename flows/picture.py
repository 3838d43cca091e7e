"""A limiter's history as a picture: the learned rate over time, as an SVG for an `<img>`.

pygal plots it (see `docs/decisions/0001-chart-library.md`); `flows.picture_svg` makes a document of the plot that
stands alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from math import ceil, floor, log10
from typing import Any

from flows.picture_svg import WIDTH, Caption, Name, canvas, standalone
from limiter.config import ApiRateConfig
from state.records import HistoryEvent

Point = tuple[float, float]
"""Epoch seconds and requests per second."""

COLUMNS = WIDTH - 220
"""Pixels of the plot, about. What falls into one of them cannot be told apart."""
SHORTEST = 10.0
"""Seconds; a shorter history is shown in a span of this length."""
AHEAD = 0.15
"""Of the span: how much of a cooldown that has not ended is shown."""
TALLEST = 2.5
"""A documented limit above this multiple of the rate would flatten the line: it is named at the edge, not drawn."""

_DAY = 86_400
_TIME_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(60 * n for n in (1, 2, 5, 10, 15, 30)),
    *(3600 * n for n in (1, 2, 3, 4, 6, 12)),
    *(_DAY * n for n in (1, 2, 5, 10, 30, 90, 365, 3650, 36_500)),
)
_LAST_TIME = 253_402_300_799.0  # 9999-12-31T23:59:59Z, where the calendar ends


def shown_rate(rate: float) -> str:
    """A rate as people read it: three significant digits, never an exponent.

    Args:
        rate: Requests per second.

    Example:
        >>> [shown_rate(rate) for rate in (2.9712, 12.0, 0.05, 9.999, 1234.5)]
        ['2.97', '12.0', '0.0500', '10.0', '1230']
    """
    return format(Decimal(f"{rate:#.3g}"), "f")


def utc(at: float) -> datetime:
    """An epoch time in UTC, moved to where the calendar begins or ends if it lies outside."""
    return datetime.fromtimestamp(min(max(at, 0.0), _LAST_TIME), UTC)


def rate_picture(
    events: Sequence[HistoryEvent], *, rate_now: float, now: float, config: ApiRateConfig, title: str
) -> str:
    """Draw the learned rate over time.

    Args:
        events: The history, oldest first. Any length: what would fall on one pixel is drawn once, but every backoff
            keeps its figures.
        rate_now: Requests per second.
        now: Epoch seconds; where the line ends.
        config: The API, for the documented limit.
        title: Stands above the plot.

    Returns:
        An SVG document without scripts, links or fonts of its own; the same for the same arguments. Its `<desc>`
        holds the rates of the history and each marked point its own, as `shown_rate` formats them.

    Example:
        >>> config = ApiRateConfig("acme", "https://api.acme.test")
        >>> svg = rate_picture([HistoryEvent(0.0, "start", 1, 1)], rate_now=1.5, now=60.0, config=config, title="acme")
        >>> svg[:4], "1.50" in svg
        ('<svg', True)
    """
    events = sorted(events, key=lambda event: event.at)  # a clock that was set back must not draw a line backwards
    start, end = _span(events, now)
    pixel = (end - start) / COLUMNS
    line, ceilings = _rate_line(events, rate_now, now), _ceiling_line(events, now)
    highest = max(rate for _, rate in (*line, *ceilings))
    documented = config.documented_rate
    is_drawn = 0 < documented <= TALLEST * highest
    rates = _rate_ticks(max(highest, documented if is_drawn else 0.0))
    top = rates[-1]
    spans = _cooldowns(events, end, pixel)
    cut, held = (_marks([e for e in events if e.kind == kind], pixel) for kind in ("backoff", "cooldown"))

    chart = canvas(
        xrange=(start, end),
        range=(0, top),
        x_labels=[{"value": at, "label": label} for at, label in _time_ticks(start, end)],
        y_labels=[{"value": rate, "label": format(Decimal(f"{rate:g}"), "f")} for rate in rates],
    )
    chart.add("cooldown", [c for a, b in spans for c in ((a, 0), (a, top), (b, top), (b, 0), None)], fill=True)
    chart.add("documented", [(start, documented), (end, documented)] if is_drawn else [])
    chart.add("ceiling", _thinned(ceilings, pixel))
    chart.add("rate", _thinned(line, pixel))
    chart.add("held", held, stroke=False, show_dots=True, dots_size=3.5)
    chart.add("backoff", cut, stroke=False, show_dots=True, dots_size=4)

    names = [Name("rate", f"now {shown_rate(rate_now)}", rate_now)]
    if ceilings:
        names.append(Name("ceiling", f"ceiling {shown_rate(ceilings[-1][1])}", ceilings[-1][1]))
    if documented > 0:
        arrow = "" if is_drawn else " ↑"
        names.append(Name("documented", f"documented {shown_rate(documented)}{arrow}", min(documented, top)))
    caption = Caption(
        title=title,
        subtitle=f"requests/s, UTC {_days(start, end)}",
        description=_described(events, rate_now),
        keys=[key for key, shown in (("backoff", cut), ("held", held), ("cooldown", spans)) if shown],
    )
    return standalone(chart, caption, names)


def _span(events: Sequence[HistoryEvent], now: float) -> Point:
    """From the first event to now; on to the end of a cooldown, or as much of it as leaves the past readable."""
    end = max([now, *(event.at for event in events)])
    start = min([end - SHORTEST, *(event.at for event in events)])
    held = max((event.cooldown_until for event in events), default=0.0)
    return start, max(end, min(held, end + AHEAD * (end - start)))


def _rate_line(events: Sequence[HistoryEvent], rate_now: float, now: float) -> list[Point]:
    """The corners of the step line."""
    if not events:
        return [(now - SHORTEST, rate_now), (now, rate_now)]
    line = [(events[0].at, events[0].rate_before)]
    for at, rates in [*((e.at, (e.rate_before, e.rate_after)) for e in events), (now, (rate_now,))]:
        for rate in rates:
            if rate != line[-1][1]:
                line += [(at, line[-1][1]), (at, rate)]
    return [*line, (max(now, line[-1][0]), rate_now)]


def _ceiling_line(events: Sequence[HistoryEvent], now: float) -> list[Point]:
    known = [(event.at, event.ceiling) for event in events if event.ceiling > 0]
    if not known:
        return []
    line = known[:1]
    for (_, before), (at, after) in pairwise(known):
        if before != after:
            line += [(at, before), (at, after)]
    return [*line, (max(now, line[-1][0]), line[-1][1])]


def _thinned(line: Sequence[Point], pixel: float) -> list[Point]:
    """First, lowest, highest and last of each pixel column: the picture is the same with fewer points."""
    columns: dict[int, list[Point]] = {}
    for point in line:
        columns.setdefault(floor(point[0] / pixel), []).append(point)
    thin: list[Point] = []
    for points in columns.values():
        rates = [rate for _, rate in points]
        kept = {0, rates.index(min(rates)), rates.index(max(rates)), len(points) - 1}
        thin += [points[i] for i in sorted(kept)]
    return thin


def _cooldowns(events: Sequence[HistoryEvent], end: float, pixel: float) -> list[Point]:
    """When nobody sent: from, until. At least two pixels wide; those that touch are one."""
    spans: list[Point] = []
    for event in events:
        if event.cooldown_until <= event.at:
            continue
        since, until = event.at, min(end, max(event.cooldown_until, event.at + 2 * pixel))
        if spans and since <= spans[-1][1] + pixel:
            since, until = spans[-1][0], max(spans.pop()[1], until)
        spans.append((since, until))
    return spans


def _marks(events: Sequence[HistoryEvent], pixel: float) -> list[dict[str, Any]]:
    """Points at the rate that was refused; those that would cover each other are one, with the figures of all."""
    heaps: dict[int, list[HistoryEvent]] = {}
    for event in events:
        heaps.setdefault(floor(event.at / (2 * pixel)), []).append(event)
    return [
        {
            "value": (heap[0].at, max(event.rate_before for event in heap)),
            "tooltip": "\n".join(
                f"{utc(e.at):%H:%M:%S} {shown_rate(e.rate_before)} → {shown_rate(e.rate_after)}" for e in heap
            ),
        }
        for heap in heaps.values()
    ]


def _time_ticks(start: float, end: float) -> Iterator[tuple[float, str]]:
    step = next((s for s in _TIME_STEPS if (end - start) / s <= 6), _TIME_STEPS[-1])
    for n in range(ceil(start / step), floor(end / step) + 1):
        at = utc(n * step)
        if step >= 30 * _DAY:
            label = f"{at:%Y-%m-%d}"
        elif n * step % _DAY == 0:
            label = at.ctime()[4:10].replace("  ", " ")  # "Nov 25", in English whatever the locale
        else:
            label = f"{at:%H:%M}" if step >= 60 else f"{at:%H:%M:%S}"
        yield n * step, label


def _rate_ticks(highest: float) -> list[float]:
    """Round rates from 0 to above the highest, at most seven steps."""
    highest = max(1e-9, 1.05 * highest)
    power = 10.0 ** floor(log10(highest / 7))
    step = next(m * power for m in (1, 2, 5, 10) if 7 * m * power >= highest)
    return [n * step for n in range(ceil(highest / step) + 1)]


def _days(start: float, end: float) -> str:
    first, last = f"{utc(start):%Y-%m-%d}", f"{utc(end):%Y-%m-%d}"
    return first if first == last else f"{first} to {last}"


def _described(events: Sequence[HistoryEvent], rate_now: float) -> str:
    """The line in words, for who cannot see it."""
    rates = [shown_rate(event.rate_after) for event in events]
    runs = [rate for before, rate in pairwise(["", *rates, shown_rate(rate_now)]) if rate != before]
    return f"The learned rate, requests/s, oldest first: {' '.join(runs)}"
