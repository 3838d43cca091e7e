"""A Prefect server of one's own: a process with its home and its port, stopped with everything it started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from flows.environment import PRIVATE

# What would make a process with another home look at another server or database than that home's.
_ELSEWHERE = ("PREFECT_API_", "PREFECT_SERVER_API_", "PREFECT_SERVER_DATABASE_", "PREFECT_UI_", "PREFECT_SERVER_UI_")


class ServerDidNotStart(Exception):
    """The Prefect server ended, or gave no answer in time."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        address: Without a path: the UI is there, the API under `/api`.
        process: Ends when the server does.
    """

    address: str
    process: subprocess.Popen[bytes]


def environment(home: Path) -> dict[str, str]:
    """The environment of a process that uses a Prefect home and what is recorded there, whatever the user has set.

    Args:
        home: Prefect's home: its settings and its database.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith(_ELSEWHERE)}
    return {**ours, **PRIVATE, "PREFECT_HOME": str(home)}


@contextlib.contextmanager
def prefect_server(
    home: Path, *, port: int | None = None, log: Path | None = None, patience: float = 90.0
) -> Iterator[Server]:
    """Run `prefect server start` on 127.0.0.1.

    Args:
        home: Its home; runs and artifacts of an earlier server with this home are there again.
        port: By default any that is free.
        log: Where its output goes; by default what it says of errors goes where ours does.
        patience: Seconds it may take to answer; a new home needs about ten.

    Yields:
        The server, once it answers.

    Raises:
        ServerDidNotStart: It ended, or gave no answer in time; the message says where its log is.
    """
    port = port or free_port()
    settings = {
        **environment(home),
        # As settings and not as options: from these the UI learns where its API is.
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
    }
    with (
        log.open("wb") if log else open(os.devnull, "wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start"],
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT if log else None,
            # A session of its own: Ctrl-C reaches this process alone, which then stops the server and what it started.
            start_new_session=True,
        ) as process,
    ):
        try:
            server = Server(f"http://127.0.0.1:{port}", process)
            _wait_until_healthy(server, patience, f"its log is {log}" if log else "its last words are above")
            yield server
        finally:
            _end(process)


def free_port(preferred: int = 0) -> int:
    """A port of 127.0.0.1 that nobody listens on now: the preferred one if it is free."""
    if preferred and is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait_until_healthy(server: Server, patience: float, words: str) -> None:
    deadline = time.monotonic() + patience
    with httpx.Client(trust_env=False, timeout=5) as client:
        while time.monotonic() < deadline:
            if server.process.poll() is not None:
                raise ServerDidNotStart(f"The Prefect server ended with code {server.process.returncode}; {words}.")
            with contextlib.suppress(httpx.HTTPError):
                if client.get(f"{server.address}/api/health").is_success:
                    return
            time.sleep(0.1)
    raise ServerDidNotStart(f"The Prefect server gave no answer within {patience:g} s and was stopped; {words}.")


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
            return
