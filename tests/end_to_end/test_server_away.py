"""Prefect's server goes away while a sync is at work: the sync goes on, and tells what it can to whoever is there."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from flows.prefect_server import free_port, prefect_server
from simulator import Simulator, World
from tests.end_to_end.waiting import wait_until

pytestmark = pytest.mark.server


class Outages:
    """A server that can be stopped and started again, on the same port and database."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._outer, self._port = folder, stack, free_port()
        self._running = ExitStack()
        stack.callback(self.stop)

    def start(self) -> str:
        running = prefect_server(self._folder / "home", port=self._port, log=self._folder / "server.log")
        return self._running.enter_context(running).address

    def stop(self) -> None:
        self._running.close()


@pytest.fixture
def outages(tmp_path: Path) -> Iterator[Outages]:
    with ExitStack() as stack:
        yield Outages(tmp_path, stack)


@pytest.fixture
def world() -> World:
    """Work for some seconds."""
    return World(seed=3, users=150, pages=700, data_sources=2, rows=20)


def stored(database: Path) -> set[str]:
    with sqlite3.connect(database) as connection:
        return {row[0] for row in connection.execute("SELECT external_id FROM evidence")}


def test_a_sync_outlives_its_server(outages: Outages, make_aimd, vendor: Simulator, world: World, tmp_path: Path):
    aimd = make_aimd(server := outages.start())
    command = ("sync", "notion", "--json", "--pages-per-task", "2")

    def at_work(process: subprocess.Popen[str], more: int) -> None:
        goal = vendor.stats()["accepted"] + more
        wait_until(lambda: vendor.stats()["accepted"] >= goal, process)

    everything = {*world.ids("user"), *world.ids("page"), *world.ids("row"), *world.ids("data_source")}

    # It comes back, early enough for the run's end: everything is there as if nothing had happened.
    process = aimd.start(*command)
    at_work(process, 3)
    outages.stop()
    at_work(process, 5)  # several tasks begin and end while nobody answers
    outages.start()
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    asked = {"flow_runs": {"name": {"any_": ["notion-default"]}}}
    [run] = httpx.post(f"{server}/api/flow_runs/filter", json=asked).json()
    assert run["state_name"] == "Completed"
    assert f"{len(everything):,} records" in run["state"]["message"]
    keys = {each["key"] for each in httpx.post(f"{server}/api/artifacts/filter", json={}).json()}
    assert "limiter-notion-default-default" in keys
    assert stored(tmp_path / "aimd.db") == everything

    # It stays away: nothing is lost, and it is said.
    world.edit(world.ids("page")[0], 2_000_000_000.0)
    process = aimd.start(*command, "--full", PREFECT_CLIENT_MAX_RETRIES="0")
    at_work(process, 3)
    outages.stop()
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Prefect's server failed during the run" in errors
    assert "Traceback" not in errors
    assert '"state": "complete"' in output
    assert '"changed": 1' in output
    with sqlite3.connect(tmp_path / "aimd.db") as connection:
        states = connection.execute("SELECT state FROM sync_run ORDER BY started_at").fetchall()
    assert states == [("complete",), ("complete",)]
