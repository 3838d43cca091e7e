"""The deployments: what they ask for, and a worker that runs them by schedule, one at a time, and once more."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from prefect.flows import load_flow_from_entrypoint

from flows.deploying import described, work_pools
from flows.sources import SOURCES
from limiter import ConfigurationError
from simulator import Simulator, World
from state import Bucket, open_store
from state.records import HistoryEvent, LimiterState
from tests.end_to_end.deployed import ROOT, Deployed, deployed_on
from tests.end_to_end.waiting import wait_for

FILE = ROOT / "deployments" / "prefect.yaml"


def test_every_source_has_a_deployment_that_cannot_overlap_with_itself():
    made = {each.parameters["source"]: each for each in described(FILE)}
    assert set(made) == set(SOURCES)
    for each in made.values():
        assert each.entrypoint == "flows.sync.sync"
        assert each.concurrency_limit == 1
        assert each.concurrency_options.collision_strategy.value == "ENQUEUE"
        assert [schedule.schedule.timezone for schedule in each.schedules] == ["Etc/UTC"]
        assert "aimd" in each.tags
        # With a key in the environment it would ask for what belongs to somebody else.
        assert each.paused is (each.name == "github")
    assert work_pools(FILE) == {"aimd"}


def test_the_form_has_a_choice_of_sources_bounds_and_a_word_on_each_field():
    flow = load_flow_from_entrypoint("flows.sync.sync", use_placeholder_flow=False)
    schema = flow.parameters.model_dump()
    assert set(schema["definitions"]["SourceName"]["enum"]) == set(SOURCES)
    assert schema["required"] == ["source"]
    fields = schema["properties"]
    assert all(field["description"] for field in fields.values())
    assert (fields["pages_per_task"]["minimum"], fields["pages_per_task"]["maximum"]) == (1, 1000)
    assert (fields["release_after"]["minimum"], fields["release_after"]["maximum"]) == (1, 86_400)
    assert (fields["full"]["type"], fields["pages_per_task"]["type"]) == ("boolean", "integer")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"parameters": {"source": "nottion"}}, ["'notion'", "source"]),
        ({"parameters": {"sorce": "notion"}}, ["sorce", "source"]),
        ({"parameters": {"source": "notion", "params": {"base": "x"}}}, ["'base'", "data_source"]),
        ({"parameters": {"source": "notion", "pages_per_task": 0}}, ["pages_per_task", "1"]),
        ({"parameters": None}, ["source: Field required"]),
        ({"schedules": [{"cron": "17 25 * * *"}]}, ["cron", "17 25 * * *"]),
        ({"schedules": [{"cron": "17 3 * * *", "timezone": "Etc/Nowhere"}]}, ["timezone: Invalid", "Etc/Nowhere"]),
        ({"schedules": [{"crn": "17 3 * * *"}]}, ["'crn'"]),
        ({"entrypoint": "flows.sync.snyc"}, ["snyc", "flows.sync"]),
        ({"entrypoint": "flows.snyc.sync"}, ["flows.snyc"]),
        ({"entrypoint": ...}, ["no 'entrypoint'"]),
        ({"concurrency_limit": {"limit": 1, "collision_strategy": "WAIT"}}, ["collision_strategy"]),
    ],
)
def test_a_deployment_that_cannot_work_is_not_deployed(tmp_path: Path, changed, words):
    content = yaml.safe_load(FILE.read_text())
    changed = {**content["deployments"][0], **changed}
    content["deployments"][0] = {name: value for name, value in changed.items() if value is not ...}
    (file := tmp_path / "prefect.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigurationError) as refused:
        described(file)
    message = str(refused.value)
    for word in [str(file), "'notion'", *words]:
        assert word in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "content", ["", "deployments:", "deployments: [notion]", "deployments: {name: notion}", "name: [", "deployments: 3"]
)
def test_a_file_that_describes_no_deployments_is_named(tmp_path: Path, content):
    (file := tmp_path / "prefect.yaml").write_text(content)
    for ask in (described, work_pools):
        with pytest.raises(ConfigurationError, match=f"{file} does not describe deployments"):
            ask(file)


def test_an_empty_list_or_pool_is_none(tmp_path: Path):
    content = yaml.safe_load(FILE.read_text())
    content["deployments"][0] |= {"schedules": None, "tags": None, "work_pool": None}
    (file := tmp_path / "prefect.yaml").write_text(yaml.safe_dump({"deployments": content["deployments"][:1]}))
    [made] = described(file)
    assert (made.schedules, made.tags) == ([], [])
    assert work_pools(file) == set()


@pytest.fixture
def world() -> World:
    return World(seed=3, users=150, pages=1500, data_sources=2, rows=20)  # at work still when a second run begins


@pytest.fixture
def deployed(server: str, tmp_path: Path, vendor: Simulator) -> Deployed:
    made = deployed_on(server, tmp_path, vendor)
    answer = made.deploy()
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return made


def known(database: Path) -> tuple[LimiterState, list[HistoryEvent]]:
    with open_store(f"sqlite:///{database}") as store:
        found = store.read(Bucket("notion"))[0]
        assert found is not None
        return found, store.history(Bucket("notion"))


def syncs(database: Path) -> list[tuple[float, float | None]]:
    """When each sync began and ended."""
    with sqlite3.connect(database) as connection:
        return connection.execute("SELECT started_at, ended_at FROM sync_run ORDER BY started_at").fetchall()


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.server
def test_a_worker_runs_them_by_schedule_one_at_a_time_and_knows_the_rate_after_it_was_killed(
    deployed: Deployed, vendor: Simulator, world: World
):
    vendor.set_policy("token:rate=2.5,burst=1")
    deployment = deployed.deployment
    assert (deployment["work_pool_name"], deployment["entrypoint"]) == ("aimd", "flows.sync.sync")
    assert deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    assert [each["schedule"]["cron"] for each in deployment["schedules"]] == ["17 3 * * *"]
    assert deployment["pull_steps"][0]["prefect.deployments.steps.set_working_directory"]["directory"] == str(ROOT)

    with deployed.worker() as worker:
        # A cron expression for one second of this year: every minute would mean to wait for up to one.
        at = datetime.fromtimestamp(time.time() + 12, UTC)
        cron = f"{at.minute} {at.hour} {at.day} {at.month} * {at.second}"
        schedule = [{"schedule": {"cron": cron, "timezone": "Etc/UTC"}, "active": True}]
        deployed.post(f"/deployments/{deployment['id']}/schedules", schedule)
        # By its time: other tests have runs on this server, too.
        asked = {
            "flow_runs": {
                "expected_start_time": {
                    "after_": (at - timedelta(seconds=1.5)).isoformat(),
                    "before_": at.isoformat(),
                }
            }
        }
        wait_for(lambda: deployed.post("/flow_runs/filter", asked), 60, deployed.logs)
        [first] = [run["id"] for run in deployed.post("/flow_runs/filter", asked)]
        wait_for(lambda: vendor.stats()["requests"] > 0, 60, deployed.logs)

        second = deployed.start_run(source="notion")  # while the first one is at work
        deployed.wait(second, "AwaitingConcurrencySlot")
        assert deployed.run(first)["state"]["name"] == "Running"
        by_schedule = deployed.wait(first, "Completed")
        assert len(syncs(deployed.database)) == 1
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert by_schedule["auto_scheduled"]
    due, began, asked_at = at.timestamp() // 1, moment(by_schedule["start_time"]), vendor.stats()["first_at"]
    print(f"Running {began - due:.1f} s after its time, the first request {asked_at - began:.1f} s later.")  # noqa: T201
    assert vendor.stats()["rejected"] > 0, "the limit is below max_rate, so it must have been met"
    learned, before = known(deployed.database)

    # The one that was held back looks again after half a minute; as the button in the UI does, let it do so now.
    deployed.post(f"/flow_runs/{second}/set_state", {"state": {"type": "SCHEDULED"}, "force": True})
    with deployed.worker():
        deployed.wait(second, "Completed")
    (_, ended), (started, _) = syncs(deployed.database)
    assert ended <= started
    found, events = known(deployed.database)
    assert [event.kind for event in events].count("start") == 1
    later = events[len(before) :]
    first_rate = later[0].rate_before if later else found.rate
    assert first_rate == pytest.approx(learned.rate, rel=0.1)


@pytest.mark.parametrize("script", ["deploy.py", "serve.py", "automations.py"])
@pytest.mark.parametrize(
    ("url", "words"), [("", "PREFECT_API_URL=http"), ("http://127.0.0.1:9/api", "does not answer")]
)
def test_without_a_server_nothing_is_deployed_and_it_is_said(tmp_path: Path, script: str, url: str, words: str):
    made = Deployed("", tmp_path, {**os.environ, "PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": url})
    with made.process("script", f"{ROOT}/deployments/{script}") as process:
        assert process.wait(timeout=60) == 2
    assert words in made.logs()
    assert "Traceback" not in made.logs()
