"""A limiter's history as a chart of characters, for a terminal that knows Unicode."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby, pairwise
from math import ceil, floor
from operator import itemgetter
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style

from flows.curve import curve, rate_ticks, time_ticks
from flows.picture import TALLEST
from flows.words import shown_rate

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from flows.curve import Curve
    from state import HistoryEvent

WIDEST = 120
"""Columns; a wider chart shows no more."""
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_LEAST_ROWS = 10
_NAMES = 20
"""Columns right of the chart, for the names of its lines."""
_STYLES = {
    **{"rate": "blue", "ceiling": "magenta", "documented": "green", "refused": "bold red", "cooldown": "yellow dim"},
    **{"ceiling over": "magenta on blue", "documented over": "green on blue"},
    **{"axis": "dim", "title": "bold", "text": ""},
}
Cell = tuple[str, str]
"""A character and the name of its style."""


class Chart:
    """The rate as columns, the ceiling and the documented limit as dotted lines, refusals on the axis.

    Args:
        events: The history, or the newest part of it.
        rate_now: Requests per second.
        now: Epoch seconds.
        documented: What the vendor documents, requests per second; 0.0 where it does not.
        title: Stands above it.
        total: How many events the history has; by default as many as are given.
    """

    def __init__(
        self,
        events: Sequence[HistoryEvent],
        *,
        rate_now: float,
        now: float,
        documented: float,
        title: str,
        total: int | None = None,
    ) -> None:
        self._curve = curve(events, rate_now=rate_now, now=now, total=total)
        self._rate_now, self._documented, self._title = rate_now, documented, title

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it as wide as the terminal allows."""
        for line in self.lines(min(options.max_width, WIDEST)):
            for kind, cells in groupby(line, key=itemgetter(1)):
                yield Segment("".join(text for text, _ in cells), Style.parse(_STYLES[kind]))
            yield Segment.line()

    def lines(self, width: int) -> list[list[Cell]]:
        """The chart line by line.

        Args:
            width: Columns it may have.
        """
        drawn, is_drawn = self._curve, 0 < self._documented <= TALLEST * self._curve.highest
        ticks = rate_ticks(max(drawn.highest, self._documented if is_drawn else 0.0))
        rows = (len(ticks) - 1) * ceil(_LEAST_ROWS / (len(ticks) - 1))
        labels = {rows * n // (len(ticks) - 1): format(Decimal(f"{rate:g}"), "f") for n, rate in enumerate(ticks)}
        margin = max(map(len, labels.values()))
        columns = max(10, width - margin - 2 - _NAMES)
        grid = _bars(drawn, columns, rows, ticks[-1])

        rows_of = {kind: min(rows - 1, floor(rate / ticks[-1] * rows)) for kind, rate in self._levels()}
        for kind, row in rows_of.items():
            if kind != "rate" and (kind != "documented" or is_drawn):
                since = drawn.ceiling[0][0] if kind == "ceiling" else drawn.start
                for n in range(_column(drawn, since, columns), columns):
                    if grid[row][n][0] in " ░█":  # a part of a block says more
                        grid[row][n] = ("┈", f"{kind} over" if grid[row][n][0] == "█" else kind)
        names = self._names(rows_of, rows, is_drawn)

        lines: list[list[Cell]] = [[(self._title, "title"), (f"  requests/s, UTC {drawn.days}", "text")]]
        if drawn.earlier:
            lines[0].append((f"  ← {drawn.earlier:,} earlier {'event' if drawn.earlier == 1 else 'events'}", "axis"))
        lines += [
            [(f"{labels.get(row + 1, ''):>{margin}} │", "axis"), *grid[row], *names.get(row, ())]
            for row in reversed(range(rows))
        ]
        marks, explained = _marks(drawn, columns)
        lines.append([(f"{labels[0]:>{margin}} └", "axis"), *marks])
        lines.append([(" " * (margin + 2) + _times(drawn, columns), "axis")])
        return [*lines, [(" " * (margin + 2), "text"), *explained]] if explained else lines

    def _levels(self) -> list[tuple[str, float]]:
        levels = [("rate", self._rate_now)]
        if self._curve.ceiling:
            levels.append(("ceiling", self._curve.ceiling[-1][1]))
        if self._documented > 0:
            levels.append(("documented", self._documented))
        return levels

    def _names(self, rows_of: dict[str, int], rows: int, is_drawn: bool) -> dict[int, list[Cell]]:
        """The names of the lines by the row they stand in, each in one of its own."""
        names: dict[int, list[Cell]] = {}
        for kind, rate in self._levels():
            row = rows_of[kind]
            free = min((n for n in range(rows) if n not in names), key=lambda n: abs(n - row))
            arrow = " ↑" if kind == "documented" and not is_drawn else ""
            names[free] = [(f" {'now' if kind == 'rate' else kind} {shown_rate(rate)}{arrow}", kind)]
        return names


def _bars(drawn: Curve, columns: int, rows: int, top: float) -> list[list[Cell]]:
    """The cells, lowest row first: each column as high as the mean rate in its time."""
    held = [False] * columns
    for since, until in drawn.cooldowns(2 * columns):
        for n in range(_column(drawn, since, columns), _column(drawn, until, columns) + 1):
            held[n] = True
    heights = [round(rate / top * rows * 8) for rate in _sampled(drawn, columns)]
    return [
        [
            (_EIGHTHS[min(8, height - 8 * row)], "rate") if height > 8 * row else ("░" if held[n] else " ", "cooldown")
            for n, height in enumerate(heights)
        ]
        for row in range(rows)
    ]


def _sampled(drawn: Curve, columns: int) -> list[float]:
    """The mean rate in the time of each column; 0.0 where the line has not begun or has ended."""
    width = (drawn.end - drawn.start) / columns
    seconds, requests = [0.0] * columns, [0.0] * columns
    for (since, rate), (until, _) in pairwise(drawn.rate):
        for n in range(_column(drawn, since, columns), _column(drawn, until, columns) + 1):
            left = drawn.start + n * width
            shared = max(0.0, min(until, left + width) - max(since, left))
            seconds[n] += shared
            requests[n] += shared * rate
    return [sum_ / time if time > width / 100 else 0.0 for sum_, time in zip(requests, seconds, strict=True)]


def _marks(drawn: Curve, columns: int) -> tuple[list[Cell], list[Cell]]:
    """The axis with the refusals on it, and what the signs mean."""
    axis: list[Cell] = [("─", "axis")] * columns
    explained: list[Cell] = []
    for sign, kind, words in (
        ("○", "cooldown", "refused, no cut"),
        ("●", "backoff", "backoff: rate cut"),
        ("◆", "opened", "circuit open"),
    ):
        found = [event for event in drawn.events if event.kind == kind]
        for event in found:
            axis[_column(drawn, event.at, columns)] = (sign, "refused")
        if found:
            explained = [(sign, "refused"), (f" {words}  ", "text"), *explained]
    if drawn.cooldowns(columns):
        explained += [("░", "cooldown"), (" cooldown", "text")]
    while sum(len(text) for text, _ in explained) > columns + _NAMES:  # a narrow terminal
        explained = explained[:-2]
    return axis, explained


def _times(drawn: Curve, columns: int) -> str:
    """Times under the axis, each at its column, without one that would touch the one before."""
    line = ""
    for at, label in time_ticks(drawn.start, drawn.end, most=max(2, columns // 12)):
        place = _column(drawn, at, columns) - len(label) // 2
        if place >= len(line) + bool(line) and place + len(label) <= columns:
            line = line.ljust(place) + label
    return line


def _column(drawn: Curve, at: float, columns: int) -> int:
    return min(columns - 1, max(0, floor((at - drawn.start) / (drawn.end - drawn.start) * columns)))
