"""A limiter's history as a picture: the learned rate over time, as an SVG for an `<img>`.

pygal plots it (see `docs/decisions/0001-chart-library.md`); `flows.picture_svg` makes a document of the plot that
stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from math import floor
from typing import Any

from flows.curve import Curve, Point, curve, time_ticks
from flows.picture_svg import WIDTH, Caption, canvas, standalone
from flows.words import shown_rate, utc
from limiter.config import ApiRateConfig
from state.records import HistoryEvent

COLUMNS = WIDTH - 220
"""Pixels of the plot, about. What falls into one of them cannot be told apart."""


def rate_picture(
    events: Sequence[HistoryEvent],
    *,
    rate_now: float,
    now: float,
    config: ApiRateConfig,
    title: str,
    total: int | None = None,
) -> str:
    """Draw the learned rate over time.

    Args:
        events: The history, or the newest part of it. Any length: the newest activity is drawn and the rest counted
            (see `flows.curve`), and what would fall on one pixel is drawn once, but every backoff keeps its figures.
        rate_now: Requests per second.
        now: Epoch seconds; where the line ends.
        config: The API, for the documented limit.
        title: Stands above the plot.
        total: How many events the history has; by default as many as are given.

    Returns:
        An SVG document without scripts, links or fonts of its own; the same for the same arguments. Its `<desc>`
        holds the rates that are drawn and each marked point its own, as `shown_rate` formats them.

    Example:
        >>> config = ApiRateConfig("acme", "https://api.acme.test")
        >>> svg = rate_picture([HistoryEvent(0.0, "start", 1, 1)], rate_now=1.5, now=60.0, config=config, title="acme")
        >>> svg[:4], "1.50" in svg
        ('<svg', True)
    """
    drawn = curve(events, rate_now=rate_now, now=now, documented=config.documented_rate, total=total)
    pixel = (drawn.end - drawn.start) / COLUMNS
    top = drawn.ticks[-1]
    spans = drawn.cooldowns(COLUMNS)
    cut, held, opened = (
        _marks([event for event in drawn.events if event.kind == kind], pixel)
        for kind in ("backoff", "cooldown", "opened")
    )

    chart = canvas(
        xrange=(drawn.start, drawn.end),
        range=(0, top),
        x_labels=[{"value": at, "label": label} for at, label in time_ticks(drawn.start, drawn.end)],
        y_labels=[{"value": rate, "label": format(Decimal(f"{rate:g}"), "f")} for rate in drawn.ticks],
    )
    chart.add("cooldown", [c for a, b in spans for c in ((a, 0), (a, top), (b, top), (b, 0), None)], fill=True)
    chart.add("documented", drawn.limit)
    chart.add("ceiling", _thinned(drawn.ceiling, pixel))
    chart.add("rate", _thinned(drawn.rate, pixel))
    chart.add("held", held, stroke=False, show_dots=True, dots_size=3.5)
    chart.add("backoff", cut, stroke=False, show_dots=True, dots_size=4)
    chart.add("opened", opened, stroke=False, show_dots=True, dots_size=4)

    caption = Caption(
        title=title,
        subtitle=f"requests/s, UTC {drawn.days}",
        description=_described(drawn),
        keys=[
            key for key, shown in (("opened", opened), ("backoff", cut), ("held", held), ("cooldown", spans)) if shown
        ],
        before=drawn.before,
    )
    return standalone(chart, caption, drawn.names)


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


def _described(drawn: Curve) -> str:
    """The line in words, for who cannot see it."""
    rates = [shown_rate(event.rate_after) for event in drawn.events]
    runs = [rate for before, rate in pairwise(["", *rates, shown_rate(drawn.rate_now)]) if rate != before]
    return f"The learned rate, requests/s, oldest first: {' '.join(runs)}"
