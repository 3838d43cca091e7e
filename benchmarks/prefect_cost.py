"""What Prefect costs a sync: time at a steady rate, task runs and bytes in its database.

Everything is real: a Prefect server, `aimd sync` in a process of its own, the simulator on a socket. The rate is fixed
(the bounds of the preset leave no choice), so that the time a sync takes beyond pages/rate is what Prefect and we cost.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from flows.prefect_server import prefect_server
from simulator import Simulator, World
from simulator.server import DEFAULT_TOKEN

RATE = 5.0
"""Requests/s of the timed sync."""


@dataclass(frozen=True)
class Cost:
    """Of one sync.

    Attributes:
        pages: Listed.
        seconds: From its first request to its last.
        requests: Sent.
        task_runs: In Prefect's database.
        megabytes: That Prefect's database grew by.
    """

    pages: int
    seconds: float
    requests: int
    task_runs: int
    megabytes: float


def report(timed_pages: int = 200, counted_pages: int = 1000) -> str:
    """Run both syncs and say what they cost; a minute or two.

    Args:
        timed_pages: Of the sync at `RATE`, seconds times five.
        counted_pages: Of the sync as fast as it goes, for the counts.
    """
    with tempfile.TemporaryDirectory(prefix="aimd-bench-") as name:
        folder = Path(name)
        with prefect_server(folder / "prefect", log=folder / "server.log") as server:
            timed = _sync(folder, server.address, timed_pages, RATE)
            counted = _sync(folder, server.address, counted_pages, 5000.0)
    ideal = (timed.requests - 1) / RATE
    scale = 10_000 / counted.pages
    return "\n".join(
        [
            "PREFECT'S SHARE (real server, one stream, pages of 100 records)",
            f"at {RATE:g} requests/s, {timed.pages} pages: {timed.seconds:.1f} s for {ideal:.1f} s of slots, "
            f"{100 * (timed.seconds / ideal - 1):.1f} % more (asked: less than 5 %)",
            f"{counted.pages} pages as fast as they come: {counted.pages / counted.seconds:.0f} pages/s, "
            f"{counted.task_runs} task runs, {counted.megabytes:.1f} MB in Prefect's database",
            f"so for 10,000 pages: {counted.task_runs * scale:.0f} task runs (asked: at most 600), "
            f"{counted.megabytes * scale:.1f} MB (asked: under 20)",
        ]
    )


def _sync(folder: Path, server: str, pages: int, rate: float) -> Cost:
    bounds = folder / "rate.json"
    bounds.write_text(json.dumps({"notion": {"initial_rate": rate, "min_rate": rate, "max_rate": rate}}))
    database = folder / "prefect" / "prefect.db"
    world = World(users=1, pages=pages * 100, data_sources=0, rows=0)
    with Simulator("none", world, latency=(0.0, 0.0) if rate > RATE else (0.05, 0.15)) as simulator:
        environment = {
            **os.environ,
            "PREFECT_API_URL": f"{server}/api",
            "AIMD_DATABASE_URL": f"sqlite:///{folder / f'{pages}.db'}",
            "AIMD_CONFIG": str(bounds),
            "AIMD_NOTION_BASE_URL": simulator.base_url,
            "NOTION_TOKEN": DEFAULT_TOKEN,
        }
        tasks, size = _measured(database)
        command = [sys.executable, "-m", "flows.cli", "sync", "notion", "--stream", "pages", "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        stats = simulator.stats()
    listed = json.loads(done.stdout)["streams"]["pages"]["pages"]
    tasks_after, size_after = _measured(database)
    return Cost(
        listed, stats["last_at"] - stats["first_at"], stats["requests"], tasks_after - tasks, (size_after - size) / 1e6
    )


def _measured(database: Path) -> tuple[int, int]:
    """Task runs and bytes: pages in use, wherever they are written."""
    with sqlite3.connect(database, timeout=30) as connection:
        [tasks] = connection.execute("SELECT count(*) FROM task_run").fetchone()
        [pages] = connection.execute("SELECT (SELECT page_count FROM pragma_page_count)").fetchone()
        [free] = connection.execute("SELECT freelist_count FROM pragma_freelist_count").fetchone()
        [size] = connection.execute("SELECT page_size FROM pragma_page_size").fetchone()
    return tasks, (pages - free) * size


if __name__ == "__main__":
    print(report())
