"""A cooldown that is too long to hold a worker for: the process goes, the run comes back and loses nothing."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator import Simulator, World
from state import Bucket, open_store
from tests.end_to_end.deployed import Deployed, deployed_on, is_alive
from tests.end_to_end.waiting import asked_in_a_hold, wait_for

pytestmark = pytest.mark.server

LOCKOUT = 10
"""Seconds: longer than a process needs to end on a busy machine."""
REASON = r"Notion asked for \d+ s; resumes \d\d:\d\d:\d\d UTC"


@pytest.fixture
def deployed(server: str, vendor: Simulator, tmp_path: Path) -> Iterator[Deployed]:
    made = deployed_on(server, tmp_path, vendor)
    answer = made.deploy()
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return made


def outcomes(database: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(database) as connection:
        return connection.execute("SELECT state, flow_run_id FROM sync_run ORDER BY started_at").fetchall()


def stored(database: Path, stream: str) -> list[str]:
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT external_id FROM evidence WHERE stream = ?", (stream,)).fetchall()
    return sorted(row[0] for row in rows)


def test_under_a_worker_the_process_goes_and_the_run_comes_back_to_its_page(
    deployed: Deployed, vendor: Simulator, world: World
):
    with deployed.worker():
        run = deployed.start_run(source="notion", release_after=3)
        wait_for(lambda: vendor.stats()["accepted"] >= 2, 60, deployed.logs)
        vendor.set_policy(f"penalty:count=1,window=5,lockout={LOCKOUT}")

        waiting = deployed.wait(run, "AwaitingRetry")
        vendor.set_policy("none")
        before = vendor.stats()
        assert re.fullmatch(REASON, waiting["state"]["message"])
        assert waiting["work_pool_name"] == "aimd"
        pid = int(waiting["infrastructure_pid"])
        wait_for(lambda: not is_alive(pid), LOCKOUT, deployed.logs)
        assert deployed.run(run)["state"]["name"] == "AwaitingRetry", "it was gone while the cooldown lasted"
        assert outcomes(deployed.database) == [("waiting", run)]

        # The worker is free meanwhile, here for a vendor that has blocked this client: it is told so once.
        with Simulator("none", world, faults=["blocked@GET /v1/users#1x9"]) as angry:
            own = {"AIMD_NOTION_BASE_URL": angry.base_url, "AIMD_DATABASE_URL": f"sqlite:///{deployed.folder}/other.db"}
            blocked = deployed.start_run(own, source="notion", streams=["users"])
            refused = deployed.wait(blocked, "Failed")
            assert angry.stats()["requests"] == 1

        done = deployed.wait(run, "Completed")

    assert done["run_count"] == 2, "the same run, in another process"
    assert int(done["infrastructure_pid"]) != pid
    assert outcomes(deployed.database) == [("waiting", run), ("complete", run)]
    assert asked_in_a_hold(vendor, deployed.database) == []
    assert before["requests"] < vendor.stats()["requests"]
    assert stored(deployed.database, "users") == sorted(world.ids("user"))
    assert stored(deployed.database, "pages") == sorted([*world.ids("page"), *world.ids("row")])
    # All pages of all listings once, and the ones that met the cooldown.
    streams = (world.ids("user"), [*world.ids("page"), *world.ids("row")], world.ids("data_source"))
    pages = sum(-(-len(ids) // 100) for ids in streams)
    assert vendor.stats()["accepted"] == pages
    assert vendor.stats()["requests"] <= pages + 4
    records = sum(map(len, streams))
    assert f"{records} records: {records} new" in done["state"]["message"].replace(",", "")

    assert "refuses this client for good" in refused["state"]["message"]
    assert refused["run_count"] == 1
    assert [row[0] for row in outcomes(deployed.folder / "other.db")] == ["incomplete"]


def test_under_serve_it_comes_back_as_well(deployed: Deployed, vendor: Simulator, world: World):
    with deployed.serve():
        wait_for(lambda: deployed.deployment["work_pool_name"] is None, 60, deployed.logs)
        assert deployed.deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"
        vendor.set_policy("penalty:count=1,window=5,lockout=5")  # the second page meets it
        run = deployed.start_run(source="notion", streams=["users"], release_after=3)
        waiting = deployed.wait(run, "AwaitingRetry")
        vendor.set_policy("none")
        done = deployed.wait(run, "Completed")
    assert re.fullmatch(REASON, waiting["state"]["message"])
    assert done["run_count"] == 2
    assert outcomes(deployed.database) == [("waiting", run), ("complete", run)]
    assert asked_in_a_hold(vendor, deployed.database) == []
    assert stored(deployed.database, "users") == sorted(world.ids("user"))


def test_on_the_command_line_it_ends_with_75_and_the_time(aimd, vendor: Simulator, tmp_path: Path):
    vendor.set_policy("penalty:count=3,window=60,lockout=3000")
    command = ("sync", "notion", "--json")
    code, report, errors = aimd.run(*command)
    assert (code, report["state"]) == (75, "incomplete"), errors
    met = vendor.stats()
    assert 2900 < report["retry_at"] - time.time() <= 3000
    told = re.fullmatch(
        r"Notion asked for 50 min; what was collected is kept. Run again from \d\d:\d\d UTC on.",
        (report["problems"][0]),
    )
    assert told, report["problems"]
    assert len(report["problems"]) == 1, "it is the same for all streams"
    assert sum(stream["records"] for stream in report["streams"].values()) > 0

    code, report, _ = aimd.run(*command)
    assert (code, report["requests"]) == (75, 0)
    assert vendor.stats()["requests"] == met["requests"], "nobody asks before the cooldown ends"
    assert [row[0] for row in outcomes(tmp_path / "aimd.db")] == ["incomplete", "incomplete"]
    with open_store(f"sqlite:///{tmp_path / 'aimd.db'}") as store:
        found, _ = store.read(Bucket("notion"))
    assert found is not None
    assert found.cooldown_until == report["retry_at"]
