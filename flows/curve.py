"""A limiter's history as a line: what every chart of it shows, whatever draws it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil, floor, log10

from flows.words import shown_rate, utc
from state.records import HistoryEvent

Point = tuple[float, float]
"""Epoch seconds and requests per second."""

EVENTS_DRAWN = 2000
"""A fast climb makes an event every three seconds: this is more than an hour of it."""
SHORTEST = 10.0
"""Seconds; a shorter history is shown in a span of this length."""
AHEAD = 0.15
"""Of the span: how much of a cooldown that has not ended is shown."""
PAUSE = 600.0
"""Seconds without a change of the limiter that may part one run from the next."""
DOMINANT = 4.0
"""A pause so many times as long as all that came after it would leave a fifth of the picture to what matters."""
TALLEST = 2.5
"""A documented limit above this multiple of the rate would flatten the line: it is named at the edge, not drawn."""

_DAY = 86_400
_TIME_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(60 * n for n in (1, 2, 5, 10, 15, 30)),
    *(3600 * n for n in (1, 2, 3, 4, 6, 12)),
    *(_DAY * n for n in (1, 2, 5, 10, 30, 90, 365, 3650, 36_500)),
)


@dataclass(frozen=True, slots=True)
class Name:
    """A line's name, right of the plot.

    Attributes:
        kind: Gives the colour: `rate`, `ceiling` or `documented`.
        text: What stands there.
        rate: At which height, requests per second.
    """

    kind: str
    text: str
    rate: float


@dataclass(frozen=True, slots=True)
class Curve:
    """The newest stretch of a history, ready to be drawn.

    Attributes:
        start: Where it begins, epoch seconds.
        end: Where it ends, epoch seconds: now, the end of a cooldown, or the last event if nothing came for long.
        events: What happened in it, oldest first.
        earlier: How many events there were before.
        rate: The corners of the step line of the rate.
        ceiling: The corners of the step line of the learned ceiling; empty if none is known.
        rate_now: Requests per second.
        documented: What the vendor documents, requests per second; 0.0 where it does not.
    """

    start: float
    end: float
    events: Sequence[HistoryEvent]
    earlier: int
    rate: Sequence[Point]
    ceiling: Sequence[Point]
    rate_now: float
    documented: float

    @property
    def highest(self) -> float:
        """The highest rate of both lines, requests/s."""
        return max(rate for _, rate in (*self.rate, *self.ceiling))

    @property
    def limit(self) -> list[Point]:
        """The line of the documented limit; empty if there is none, or if it lies too far above the others."""
        drawn = 0 < self.documented <= TALLEST * self.highest
        return [(self.start, self.documented), (self.end, self.documented)] if drawn else []

    @property
    def ticks(self) -> list[float]:
        """The marks of the rate axis, requests/s, from 0."""
        return rate_ticks(max([self.highest, *(rate for _, rate in self.limit)]))

    @property
    def names(self) -> list[Name]:
        """The lines with their figures; the limit with an arrow, at the edge, if it is not drawn."""
        names = [Name("rate", f"now {shown_rate(self.rate_now)}", self.rate_now)]
        if self.ceiling:
            ceiling = self.ceiling[-1][1]
            names.append(Name("ceiling", f"ceiling {shown_rate(ceiling)}", ceiling))
        if self.documented > 0:
            arrow = "" if self.limit else " ↑"
            height = min(self.documented, self.ticks[-1])
            names.append(Name("documented", f"documented {shown_rate(self.documented)}{arrow}", height))
        return names

    @property
    def before(self) -> str:
        """What came before the start, in a few words; nothing if nothing did."""
        return f"← {self.earlier:,} earlier {'event' if self.earlier == 1 else 'events'}" if self.earlier else ""

    @property
    def days(self) -> str:
        """The day, or the first and the last one, in UTC."""
        first, last = f"{utc(self.start):%Y-%m-%d}", f"{utc(self.end):%Y-%m-%d}"
        return first if first == last else f"{first} to {last}"

    def cooldowns(self, columns: int) -> list[Point]:
        """When nobody sent: from, until. Those that touch are one, and none is narrower than two columns."""
        column = (self.end - self.start) / columns
        spans: list[Point] = []
        for event in self.events:
            if event.cooldown_until <= event.at:
                continue
            since, until = event.at, min(self.end, max(event.cooldown_until, event.at + 2 * column))
            if spans and since <= spans[-1][1] + column:
                since, until = spans[-1][0], max(spans.pop()[1], until)
            spans.append((since, until))
        return spans


def curve(
    events: Sequence[HistoryEvent], *, rate_now: float, now: float, documented: float = 0.0, total: int | None = None
) -> Curve:
    """Choose what of a history is worth a picture, and make lines of it.

    Runs that come once a day would be upright strokes on a time axis of a month. So where pauses dominate, the curve
    begins after the last of them, and says how many events came before; where they do not, it shows everything.

    Args:
        events: The history, or the newest part of it.
        rate_now: Requests per second.
        now: Epoch seconds.
        documented: What the vendor documents, requests per second; 0.0 where it does not.
        total: How many events the history has; by default as many as are given.
    """
    events = sorted(events, key=lambda event: event.at)  # a clock that was set back must not draw a line backwards
    shown = _newest_stretch(events)
    last = shown[-1].at if shown else now
    idle = now - max([last, *(event.cooldown_until for event in shown)])
    if shown and idle > max(PAUSE, DOMINANT * (last - shown[0].at)):
        now = last + max(SHORTEST, 0.05 * (last - shown[0].at))
    end = max(now, last)
    start = min([end - SHORTEST, *(event.at for event in shown)])
    held = max((event.cooldown_until for event in shown), default=0.0)
    return Curve(
        start=start,
        end=max(end, min(held, end + AHEAD * (end - start))),
        events=shown,
        earlier=max(len(events), total or 0) - len(shown),
        rate=_rate_line(shown, rate_now, end),
        ceiling=_ceiling_line(shown, end),
        rate_now=rate_now,
        documented=documented,
    )


def _newest_stretch(events: Sequence[HistoryEvent]) -> Sequence[HistoryEvent]:
    """The events after the last pause that dominates what came after it. A cooldown is no pause."""
    busy = list(accumulate((max(event.at, event.cooldown_until) for event in events), max))
    for i in range(len(events) - 1, 0, -1):
        if events[i].at - busy[i - 1] > max(PAUSE, DOMINANT * (events[-1].at - events[i].at)):
            return events[i:]
    return events


def _rate_line(events: Sequence[HistoryEvent], rate_now: float, end: float) -> list[Point]:
    if not events:
        return [(end - SHORTEST, rate_now), (end, rate_now)]
    line = [(events[0].at, events[0].rate_before)]
    for at, rates in [*((e.at, (e.rate_before, e.rate_after)) for e in events), (end, (rate_now,))]:
        for rate in rates:
            if rate != line[-1][1]:
                line += [(at, line[-1][1]), (at, rate)]
    return [*line, (end, rate_now)]


def _ceiling_line(events: Sequence[HistoryEvent], end: float) -> list[Point]:
    known = [(event.at, event.ceiling) for event in events if event.ceiling > 0]
    if not known:
        return []
    line = known[:1]
    for (_, before), (at, after) in pairwise(known):
        if before != after:
            line += [(at, before), (at, after)]
    return [*line, (end, line[-1][1])]


def time_ticks(start: float, end: float, most: int = 6) -> Iterator[tuple[float, str]]:
    """Round times of a span, and how they are written.

    Args:
        start: Epoch seconds.
        end: Epoch seconds.
        most: How many steps there may be.
    """
    step = next((s for s in _TIME_STEPS if (end - start) / s <= most), _TIME_STEPS[-1])
    for n in range(ceil(start / step), floor(end / step) + 1):
        at = utc(n * step)
        if step >= 30 * _DAY:
            label = f"{at:%Y-%m-%d}"
        elif n * step % _DAY == 0:
            label = at.ctime()[4:10].replace("  ", " ")  # "Nov 25", in English whatever the locale
        else:
            label = f"{at:%H:%M}" if step >= 60 else f"{at:%H:%M:%S}"
        yield n * step, label


def rate_ticks(highest: float) -> list[float]:
    """Round rates from 0 to above the highest, at most eight steps."""
    highest = max(1e-9, 1.05 * highest)
    power = 10.0 ** floor(log10(highest / 7))
    step = next(m * power for m in (1, 2, 5, 10) if 7 * m * power >= highest)
    return [n * step for n in range(ceil(highest / step) + 1)]
