"""Sharing in real time, beside Prefect's own `rate_limit`: processes, a vendor on a socket, a real Prefect server.

Prefect's global concurrency limits are static: somebody has to know the vendor's limit, and set it. Ours is not told.
"""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import httpx

from benchmarks.live_caller import Calling
from benchmarks.score import score
from benchmarks.sharing import alike
from benchmarks.tables import table
from benchmarks.virtual import Log
from flows.prefect_server import environment, prefect_server
from simulator import Simulator, parse_policy

PROCESSES, CALLERS = 4, 2
RATE = 5
"""Requests/s that the vendor takes, and how many at once."""
SECONDS = 24.0
"""Of each way to share it."""


def measure(calling: Calling, variables: dict[str, str]) -> tuple[list[Log], float]:
    """Let processes call together.

    Args:
        calling: What each of them does.
        variables: Their environment.

    Returns:
        The replies of each, and when they began, both epoch seconds.
    """
    command = [sys.executable, "-m", "benchmarks.live_caller", json.dumps(asdict(calling))]
    with ExitStack() as stack:
        talks = []
        for _ in range(PROCESSES):
            process = subprocess.Popen(command, env=variables, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdin is not None
            assert process.stdout is not None
            talks.append((process.stdin, process.stdout))
        for _, said in talks:
            if said.readline() != "ready\n":
                raise RuntimeError("a process of the benchmark has failed; its last words are above")
        begin = time.time()
        for told, _ in talks:
            told.write("go\n")
            told.flush()
        return [Log(**json.loads(said.readline())) for _, said in talks], begin


def report(seconds: float = SECONDS) -> str:
    """Measure each way, one after the other, and return the table; two minutes.

    Args:
        seconds: Of each way.
    """
    rows = [["", "", "whole run", "", "second half", "", ""]]
    rows.append(["", "told", *["goodput", "rejected"] * 2, "Jain"])
    with tempfile.TemporaryDirectory(prefix="aimd-live-") as name:
        folder = Path(name)
        with prefect_server(folder / "prefect", log=folder / "server.log") as server:
            variables = {**environment(folder / "prefect"), "PREFECT_API_URL": f"{server.address}/api"}
            for share in (1.0, 0.8):
                theirs, rate = Calling("", CALLERS, seconds, limit=f"vendor-{share:g}"), RATE * share
                limit = {"name": theirs.limit, "limit": round(rate), "slot_decay_per_second": rate}
                httpx.post(f"{server.address}/api/v2/concurrency_limits/", json=limit).raise_for_status()
                rows.append(_row("Prefect's rate_limit", f"{share:.0%} of it", theirs, variables))
        ours = Calling("", CALLERS, seconds, database=f"sqlite:///{folder / 'aimd.db'}")
        rows.append(_row("one shared row, cold", "nothing", ours, variables))
        rows.append(_row("one shared row, again", "nothing", ours, variables))
    return (
        "SHARING IN REAL TIME (this machine)\n"
        f"{PROCESSES} processes of {CALLERS} callers that always want more, {seconds:g} s each, against a vendor that "
        f"takes {RATE}/s on a socket.\nrate_limit: a global concurrency limit on a real Prefect server, which "
        f"somebody set. goodput: % of the limit.\n\n{table(rows, left=2)}"
    )


def _row(name: str, told: str, calling: Calling, variables: dict[str, str]) -> list[str]:
    policy = f"token:rate={RATE},burst={RATE}"
    with Simulator(policy) as vendor:
        logs, begin = measure(replace(calling, vendor=vendor.base_url), variables)
    together = Log(
        [at - begin for each in logs for at in each.accepted], [at - begin for each in logs for at in each.rejected]
    )
    spans = [score(together, parse_policy(policy), part * calling.seconds, calling.seconds) for part in (0.0, 0.5)]
    cells = [cell for span in spans for cell in (f"{span.goodput:.1f}", f"{span.rejected:.2f}")]
    return [name, told, *cells, f"{alike([len(each.accepted) for each in logs]):.3f}"]
