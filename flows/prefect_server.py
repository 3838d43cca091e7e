"""A Prefect server of one's own: a process with its home, its port and its log, stopped with everything it started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from flows.environment import PRIVATE


class ServerDidNotStart(Exception):
    """The Prefect server gave no answer in time; the message says where its log is."""


def environment(home: Path) -> dict[str, str]:
    """The environment of a process that shall know nothing of the user's Prefect: no profile, no server, no database.

    Args:
        home: Prefect's home: settings, database.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {**ours, **PRIVATE, "PREFECT_HOME": str(home)}


@contextlib.contextmanager
def prefect_server(home: Path, log: Path, *, patience: float = 90.0) -> Iterator[str]:
    """Run `prefect server start` on a free port of 127.0.0.1.

    Args:
        home: Its home; runs and artifacts of an earlier server with this home are there again.
        log: Where its output goes.
        patience: Seconds it may take to answer; a new home needs about ten.

    Yields:
        The address, without a path: the UI is there, the API under `/api`.

    Raises:
        ServerDidNotStart: It ended, or gave no answer in time.
    """
    port = _free_port()
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command,
            env=environment(home),
            stdout=out,
            stderr=subprocess.STDOUT,
            # A session of its own: Ctrl-C reaches this process alone, which then stops the server and what it started.
            start_new_session=True,
        ) as process,
    ):
        try:
            yield _once_healthy(f"http://127.0.0.1:{port}", process, log, patience)
        finally:
            _end(process)


def _once_healthy(server: str, process: subprocess.Popen[bytes], log: Path, patience: float) -> str:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{server}/api/health", timeout=5, trust_env=False).is_success:
                return server
        time.sleep(0.2)
    raise ServerDidNotStart(f"The Prefect server did not start; its log is {log}.")


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
