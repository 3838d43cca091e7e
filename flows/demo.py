"""The whole story on one machine: a vendor with a hidden limit, a Prefect server, and two syncs, one after the other.

Every part is the real one: an HTTP server, `prefect server`, and `aimd sync` in processes of their own that share
nothing but the database.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.prefect_server import environment, prefect_server
from limiter import API_RATE_CONFIGS, Limiter
from simulator import Simulator, World
from simulator.server import DEFAULT_TOKEN
from state import Bucket, open_store

FOLDER = Path(".aimd")
"""Everything the demo leaves, relative to where it was started."""
LIMIT = 5.0
"""What the vendor really allows, requests/s; nobody tells the limiter. The preset would go up to twice that."""
BUCKET = Bucket("notion")


class DemoError(Exception):
    """A part of the demo did not work; the message says which, and where its log is."""


@dataclass(frozen=True, slots=True)
class Run:
    """One of the two syncs.

    Attributes:
        process: Its process id.
        first_rate: Requests/s it began with.
        learned_rate: Requests/s it ended with.
        requests: Sent, retries included.
        rejections: Refused for their rate.
        seconds: From its first request to its last.
        records: Met.
        complete: Whether everything was collected.
    """

    process: int
    first_rate: float
    learned_rate: float
    requests: int
    rejections: int
    seconds: float
    records: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """What the syncs run against.

    Attributes:
        simulator: The vendor.
        server: The Prefect server's address, without a path.
        environment: Of the syncs.
        database: Where they keep what they learn and collect.
    """

    simulator: Simulator
    server: str
    environment: Mapping[str, str]
    database: str


@contextlib.contextmanager
def staged(folder: Path = FOLDER) -> Iterator[Stage]:
    """Start the vendor and the Prefect server; stop both at the end, however it comes.

    Args:
        folder: Where logs, Prefect's home and a new database go.

    Raises:
        ServerDidNotStart: Prefect's server did not.
    """
    folder = folder.resolve()
    folder.mkdir(mode=0o700, exist_ok=True)
    for old in folder.glob("demo.db*"):
        old.unlink()
    home, database = folder / "prefect", f"sqlite:///{folder / 'demo.db'}"
    world = World(users=1000, pages=6000, data_sources=3, rows=1000)
    with (
        prefect_server(home, log=folder / "prefect-server.log") as server,
        Simulator(f"token:rate={LIMIT:g},burst={LIMIT:g}", world) as simulator,
    ):
        ours = {name: value for name, value in environment(home).items() if not name.startswith("AIMD_")}
        settings = {
            "PREFECT_API_URL": f"{server.address}/api",
            "AIMD_DATABASE_URL": database,
            "AIMD_NOTION_BASE_URL": simulator.base_url,
            "NOTION_TOKEN": DEFAULT_TOKEN,
        }
        yield Stage(simulator, server.address, {**ours, **settings}, database)


def sync_once(stage: Stage) -> Run:
    """Run `aimd sync` in a process of its own; its progress goes to standard error as it comes.

    Raises:
        DemoError: It could not do its work.
    """
    before, began = _rate(stage), time.time()
    data_source = stage.simulator.world.ids("data_source")[0]
    command = [sys.executable, "-m", "flows.cli", "sync", "notion", "--full", "--json"]
    command += ["--param", f"data_source={data_source}"]
    # A session of its own: Ctrl-C reaches this process alone, which lets the sync end before the server does.
    with subprocess.Popen(
        command, env=dict(stage.environment), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)
            process.kill()
            raise
    report = _report(output)
    if "streams" not in report:
        raise DemoError(f"The sync could not run: {report.get('error', output.strip() or 'it said nothing')}")
    arrivals = [at for at in stage.simulator.stats()["arrivals"] if at >= began]
    return Run(
        process=process.pid,
        first_rate=before,
        learned_rate=_rate(stage),
        requests=report["requests"],
        rejections=report["throttled"],
        seconds=round(arrivals[-1] - arrivals[0], 1) if arrivals else 0.0,
        records=sum(stream["records"] for stream in report["streams"].values()),
        complete=report["state"] == "complete",
    )


def as_json(runs: tuple[Run, ...], stage: Stage) -> dict[str, Any]:
    """The outcome for programs."""
    return {"hidden_limit": LIMIT, "database": stage.database, "runs": [asdict(run) for run in runs]}


def _rate(stage: Stage) -> float:
    with open_store(stage.database) as store:
        rate: float = Limiter(API_RATE_CONFIGS["notion"], BUCKET, store).snapshot()["current_rate"]
    return rate


def _report(output: str) -> dict[str, Any]:
    try:
        report = json.loads(output)
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}
