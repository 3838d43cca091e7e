"""Waiting for what a process does, rather than for time to pass; and whether everybody waited for the vendor."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulator import Simulator
from state import Bucket, open_store


def wait_for(condition: Callable[[], Any], patience: float, why: Callable[[], str], *, every: float = 0.05) -> None:
    """Return when it holds; fail after so many seconds, and say why."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, why()
        time.sleep(every)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], patience: float = 60.0) -> None:
    """Return when it holds; fail if the process ends before, or after so many seconds."""

    def holds() -> bool:
        found = condition()
        assert found or process.poll() is None, process.communicate()
        return found

    wait_for(holds, patience, lambda: f"it did not happen within {patience:g} s", every=0.005)


def cooldown(database: Path) -> float:
    """Until when Notion's bucket is held, epoch seconds; 0.0 if it is not."""
    if not database.exists():
        return 0.0
    with open_store(f"sqlite:///{database}") as store:
        state, _ = store.read(Bucket("notion"))
    return state.cooldown_until if state else 0.0


UNDER_WAY = 0.4
"""Seconds in which what was sent before a hold was known has arrived, on a machine that is busy with other tests."""


def asked_in_a_hold(vendor: Simulator, database: Path | str, bucket: Bucket = Bucket("notion")) -> list[float]:  # noqa: B008
    """When somebody asked the vendor although the database (a file, or a URL) held everyone, epoch seconds."""
    with open_store(database if isinstance(database, str) else f"sqlite:///{database}") as store:
        events = store.history(bucket, limit=10_000)
    holds = [(event.at + UNDER_WAY, event.cooldown_until - 0.05) for event in events if event.cooldown_until]
    return [at for at in vendor.stats()["arrivals"] if any(begin < at < end for begin, end in holds)]
