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

from flows.curve import curve, time_ticks

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from flows.curve import Curve, Name
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
        self._curve = curve(events, rate_now=rate_now, now=now, documented=documented, total=total)
        self._title = title

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
        drawn, ticks, names = self._curve, self._curve.ticks, self._curve.names
        rows = (len(ticks) - 1) * ceil(_LEAST_ROWS / (len(ticks) - 1))
        labels = {rows * n // (len(ticks) - 1): format(Decimal(f"{rate:g}"), "f") for n, rate in enumerate(ticks)}
        margin = max(map(len, labels.values()))
        columns = max(10, width - margin - 2 - _NAMES)
        grid = _bars(drawn, columns, rows, ticks[-1])

        rows_of = {name.kind: min(rows - 1, floor(name.rate / ticks[-1] * rows)) for name in names}
        for kind, line in (("ceiling", drawn.ceiling), ("documented", drawn.limit)):
            for n in range(_column(drawn, line[0][0], columns), columns) if line else ():
                cell = grid[rows_of[kind]][n][0]
                if cell in " ░█":  # a part of a block says more
                    grid[rows_of[kind]][n] = ("┈", f"{kind} over" if cell == "█" else kind)
        named = _named(names, rows_of, rows)

        lines: list[list[Cell]] = [[(self._title, "title"), (f"  requests/s, UTC {drawn.days}", "text")]]
        if drawn.before:
            lines[0].append((f"  {drawn.before}", "axis"))
        lines += [
            [(f"{labels.get(row + 1, ''):>{margin}} │", "axis"), *grid[row], *named.get(row, ())]
            for row in reversed(range(rows))
        ]
        marks, explained = _marks(drawn, columns)
        lines.append([(f"{labels[0]:>{margin}} └", "axis"), *marks])
        lines.append([(" " * (margin + 2) + _times(drawn, columns), "axis")])
        return [*lines, [(" " * (margin + 2), "text"), *explained]] if explained else lines


def _named(names: Sequence[Name], rows_of: dict[str, int], rows: int) -> dict[int, list[Cell]]:
    """The names of the lines by the row they stand in, each in one of its own."""
    named: dict[int, list[Cell]] = {}
    for name in names:
        free = min((n for n in range(rows) if n not in named), key=lambda n: abs(n - rows_of[name.kind]))
        named[free] = [(f" {name.text}", name.kind)]
    return named


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
