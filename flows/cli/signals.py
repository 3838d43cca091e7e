"""Ending a command that started something: SIGTERM and SIGHUP do what Ctrl-C does, so that nothing is left running.

So does SIGINT, even in a process that was started to ignore it (a shell's background job).
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def as_ctrl_c() -> Iterator[None]:
    """Within it, SIGINT, SIGTERM and SIGHUP raise `KeyboardInterrupt`. For the main thread."""
    watched = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, _interrupt) for number in watched}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
