"""A process that reads from Vanta with two callers, and the handle by which a test holds it.

Its clock goes `ahead` seconds before the machine's, or is the database's own if that is 0. At its end it tells what its
callers got: how many answers of each status, and the errors.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import state.sql  # each worker would import it again
import state.sqlite  # noqa: F401
from flows.credential import Application
from limiter import AimdClient, api_config, make_client_from_config
from simulator.server import DEFAULT_TOKEN
from simulator.vendors.vanta.api import CLIENT_ID
from state import open_store

CALLERS = 2

# Each worker is forked from a process that has imported this module and opened nothing, as in tests/state.
_context = multiprocessing.get_context("forkserver")


@contextmanager
def workers_at_hand() -> Iterator[None]:
    """Start what the workers are forked from, which does not know pytest's way to find this module."""
    _context.set_forkserver_preload([__name__])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, [Path(__file__).parent, Path(__file__).parents[2]]))
    forkserver.ensure_running()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before
    yield


class Worker:
    """A worker, seen from the test."""

    def __init__(self, database: str, base_url: str, ahead: float = 0.0, max_wait: float | None = None) -> None:
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(target=_work, args=(theirs, database, base_url, ahead, max_wait))
        self._process.start()
        theirs.close()

    def ready(self) -> None:
        assert self._pipe.recv() == "ready"

    def go(self) -> None:
        self._pipe.send("go")

    def end(self) -> dict[str, Any]:
        self._pipe.send("stop")
        told: dict[str, Any] = self._pipe.recv()
        self._process.join(timeout=60)
        return told

    def kill(self) -> None:
        self._process.kill()
        self._process.join(timeout=60)


def _work(pipe: Connection, database: str, base_url: str, ahead: float, max_wait: float | None) -> None:
    # Without the limiter's care for the tokens' endpoint: what is shown here is the shared row alone.
    unpaced = {"initial_rate": 200.0, "max_rate": 200.0, "scopes": (), "breaker": None}
    config = api_config("vanta").with_changes({"base_url": base_url, **unpaced})
    options = Application(DEFAULT_TOKEN, "the test", CLIENT_ID, "vanta").client_options()
    stop, lock = threading.Event(), threading.Lock()
    statuses: Counter[int] = Counter()
    errors: list[str] = []
    clock = (lambda: time.time() + ahead) if ahead else None
    with open_store(database, clock=clock) as store:

        def caller(client: AimdClient) -> None:
            while not stop.is_set():
                try:
                    status = client.get("/v1/people", params={"pageSize": 5}).status_code
                except Exception as error:
                    with lock:
                        errors.append(f"{type(error).__name__}: {error}")
                    return
                with lock:
                    statuses[status] += 1

        with make_client_from_config(config, store=store, max_wait=max_wait, **options) as client:
            pipe.send("ready")
            pipe.recv()
            with ThreadPoolExecutor(CALLERS) as pool:
                working = [pool.submit(caller, client) for _ in range(CALLERS)]
                pipe.recv()
                stop.set()
                for each in working:
                    each.result()
    pipe.send({"statuses": dict(statuses), "errors": errors})
