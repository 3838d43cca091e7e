"""A hook that writes what a limiter learns as lines of JSON."""

from __future__ import annotations

import json
from typing import Protocol

from limiter.hooks import LimiterEvent


class Writable(Protocol):
    """A file opened for text, `sys.stderr`, `io.StringIO`: what can be written to."""

    def write(self, text: str, /) -> object:
        """Take the text."""
        ...

    def flush(self) -> None:
        """Hand on what was written."""
        ...


class JsonLines:
    """Writes each change as one line of JSON, at once.

    For a log that machines read. What already handles Python's logging needs no hook: every record of the log
    `limiter` has the same figures as `extra`, which any JSON formatter writes.

    Args:
        out: Where to.

    Example:
        >>> import io
        >>> from limiter import make_client_for
        >>> from limiter.testing import FakeClock, ScriptedVendor
        >>> from state.memory import MemoryStore
        >>> clock = FakeClock()
        >>> vendor = ScriptedVendor([(429, {"Retry-After": "30"}), 200], clock)
        >>> lines = io.StringIO()
        >>> options = {"store": MemoryStore(clock=clock), "transport": vendor.transport, "sleep": clock.sleep}
        >>> with make_client_for("notion", hooks=[JsonLines(lines)], **options) as client:
        ...     client.get("/users").status_code
        200
        >>> [(line["event"], line["bucket"], line["status"]) for line in map(json.loads, lines.getvalue().splitlines())]
        [('backoff', 'notion/default/default', 429), ('recovered', 'notion/default/default', None)]
    """

    def __init__(self, out: Writable) -> None:
        self._out = out

    def __call__(self, happened: LimiterEvent) -> None:
        """Write it. One call a line, since several threads may be at it."""
        self._out.write(json.dumps(happened.figures, separators=(",", ":"), ensure_ascii=False) + "\n")
        self._out.flush()
