"""The tasks in other people's flows: in threads and in processes, everybody shares one rate."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from simulator import Simulator, World
from state import Bucket, open_store
from tests.end_to_end.someones_flow import CALLS
from tests.end_to_end.waiting import asked_in_a_hold

pytestmark = pytest.mark.server

LIMIT = 10.0
"""Requests a second that the vendor lets pass."""


def busiest_second(arrivals: list[float]) -> int:
    """The most arrivals within any second."""
    return max(sum(begin <= at < begin + 1.0 for at in arrivals) for begin in arrivals)


def test_threads_and_two_processes_of_dask_stay_under_one_rate(
    aimd, vendor: Simulator, world: World, server: str, tmp_path: Path
):
    vendor.set_policy(f"token:rate={LIMIT:g},burst=4")
    config = tmp_path / "aimd.toml"
    config.write_text(f"[notion]\ninitial_rate = {1.5 * LIMIT}\nmax_rate = {2 * LIMIT}\n")

    done = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.someones_flow"],
        env={**aimd.environment, "AIMD_CONFIG": str(config)},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["threads"] == {"people": len(world.ids("user")), "me": "user", "answers": CALLS}
    assert found["processes"] == {"answers": CALLS, "processes_at_work": 2}
    stats = vendor.stats()
    assert asked_in_a_hold(vendor, tmp_path / "aimd.db") == [], "somebody asked within a cooldown that somebody kept"
    in_processes = [at for at in stats["arrivals"] if at > found["between"]]
    refused = [at for at in stats["rejections"] if at > found["between"]]
    assert 0 < stats["rejected"] - len(refused) < 0.2 * (stats["requests"] - len(in_processes))
    # Two processes that did not know of each other would come twice as often, and be refused half of it.
    assert len(refused) < 0.2 * len(in_processes)
    assert busiest_second(in_processes) <= LIMIT + 4
    with open_store(f"sqlite:///{tmp_path / 'aimd.db'}") as store:
        events = store.history(Bucket("notion"), limit=10_000)
        learned = store.read(Bucket("notion"))[0]
    assert [event.kind for event in events].count("start") == 1, "the second flow went on with what the first learned"
    assert 0 < learned.rate < 1.5 * LIMIT, "less than what it began with"

    _task_runs_are_named_and_tagged(server)


def _task_runs_are_named_and_tagged(server: str) -> None:
    asked = {
        "task_runs": {"tags": {"all_": ["aimd", "api:notion"]}, "state": {"type": {"any_": ["COMPLETED"]}}},
        "flows": {"name": {"any_": ["in threads", "in processes"]}},
    }
    found = httpx.post(f"{server}/api/task_runs/filter", json=asked).raise_for_status().json()
    names = {run["name"] for run in found}
    assert {"GET notion /users, all pages", "GET notion /users/me", "GET notion /users/me?call=1"} <= names
    assert len(found) == 2 * CALLS + 2
