"""Showing how a sync gets on while it runs. Whoever starts one chooses the listener; by default nobody listens."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from flows.outcome import Chunk


class Listener:
    """Hears of every page, and does nothing with it. Methods may be called from any thread."""

    def page(self, stream: str, chunk: Chunk, rate: Callable[[], float]) -> None:
        """A page was stored.

        Args:
            stream: Of which stream.
            chunk: The stream so far in this task.
            rate: Gives the learned rate of now, requests/s. It looks into the database, so ask only to show it.
        """

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""


listener: ContextVar[Listener | None] = ContextVar("aimd_listener", default=None)
"""Who hears of the pages of the sync that runs in this context."""


class Lines(Listener):
    """A line every few seconds and one at the end of each stream: for logs and pipes.

    Args:
        stream: Where to write.
        every: Seconds between lines of one stream.
    """

    def __init__(self, stream: TextIO | None = None, every: float = 2.0) -> None:
        self._stream = stream or sys.stderr
        self._every = every
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}

    def page(self, stream: str, chunk: Chunk, rate: Callable[[], float]) -> None:
        """See `Listener.page`."""
        now = time.monotonic()
        with self._lock:
            if not chunk.complete and now - self._last.get(stream, -self._every) < self._every:
                return
            self._last[stream] = now
            expected = f" of about {chunk.expected:,}" if chunk.expected and not chunk.complete else ""
            done = ", complete" if chunk.complete else ""
            line = f"{stream}: {chunk.listed:,}{expected} records, {rate():.3g} requests/s{done}"
            with contextlib.suppress(OSError, ValueError):  # whoever read it has gone; what is collected still counts
                print(line, file=self._stream, flush=True)


class Bars(Listener):
    """A live bar a stream, for a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("records  [dim]{task.fields[rate]:.3g} requests/s[/]"),
            TimeElapsedColumn(),
            console=console or Console(stderr=True),
            transient=False,
        )
        self._lock = threading.Lock()
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def page(self, stream: str, chunk: Chunk, rate: Callable[[], float]) -> None:
        """See `Listener.page`."""
        now = rate()
        with self._lock:
            if stream not in self._bars:
                self._bars[stream] = self._progress.add_task(stream, total=None, rate=now)
            total = chunk.listed if chunk.complete else max(chunk.expected, chunk.listed) if chunk.expected else None
            self._progress.update(self._bars[stream], completed=chunk.listed, total=total, rate=now)


def listener_for(stream: TextIO | None = None) -> Listener:
    """Bars if the stream (standard error) is a terminal, lines otherwise."""
    stream = stream or sys.stderr
    return Bars(Console(file=stream)) if stream.isatty() else Lines(stream)
