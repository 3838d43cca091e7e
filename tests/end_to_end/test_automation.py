"""A deployed sync meets a vendor that cuts it back and then blocks it, and the server acts upon it by itself."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

from deployments import automations
from flows import blocks
from flows.blocks import NotionCredentials
from flows.places import PLACES
from simulator import Simulator, World
from simulator.server import DEFAULT_TOKEN
from tests.end_to_end.waiting import wait_for

pytestmark = pytest.mark.server

ASK = "GET /v1/users"
APP = typer.Typer()
APP.command()(automations.main)


class Webhook:
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.came: list[dict[str, Any]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                webhook.came.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/team-s3cret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    made = Webhook()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def world() -> World:
    return World(seed=3, users=450, pages=1, data_sources=1, rows=1)


@pytest.fixture
def vendor(world: World) -> Iterator[Simulator]:
    """Refuses the first and the third request for their rate, and the fifth for good."""
    faults = [f"overload-529@{ASK}#1", f"overload-529@{ASK}#3", f"blocked@{ASK}#5x1000"]
    with Simulator("none", world, latency=(0.0, 0.0), faults=faults) as simulator:
        yield simulator


@pytest.fixture
def api(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server}/api") as client:
        yield client


@pytest.fixture
def set_up(aimd, api: httpx.Client) -> Iterator[Callable[..., tuple[int, Any, str]]]:
    """Runs the script; at the end there are no automations again, which would act upon other tests."""

    def run(*arguments: str) -> tuple[int, Any, str]:
        command = [sys.executable, "deployments/automations.py", *arguments]
        done = subprocess.run(command, env=aimd.environment, capture_output=True, text=True, timeout=60)
        return done.returncode, json.loads(done.stdout), done.stderr

    yield run
    for each in answer(api.post("/automations/filter")):
        api.delete(f"/automations/{each['id']}").raise_for_status()


def answer(response: httpx.Response) -> Any:
    return response.raise_for_status().json()


def test_backoffs_notify_and_a_refusal_for_good_pauses_the_deployment(
    aimd, set_up, api: httpx.Client, server: str, webhook: Webhook, vendor: Simulator
):
    names = ["aimd: many backoffs in an hour", "aimd: refused for good"]
    options = ("--webhook", webhook.url, "--backoffs", "2", "--json")
    assert set_up(*options) == (0, dict.fromkeys(names, "made"), "")
    _every_block_is_offered(api)
    with temporary_settings({PREFECT_API_URL: f"{server}/api"}):
        again = CliRunner().invoke(APP, options)
        assert (again.exit_code, json.loads(again.stdout)) == (0, dict.fromkeys(names, "unchanged"))
        NotionCredentials(token=DEFAULT_TOKEN).save("mine", _sync=True)
    deployment = _deployed(api, {"source": "notion", "streams": ["users"], "credentials": "mine"})
    run = answer(api.post(f"/deployments/{deployment}/create_flow_run", json={}))["id"]

    # What a worker does with a run; without one, so that this test need not wait for its polling.
    environment = {**aimd.environment}
    del environment["NOTION_TOKEN"]
    command = [sys.executable, "-m", "prefect", "flow-run", "execute", run]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    wait_for(lambda: answer(api.get(f"/deployments/{deployment}"))["paused"], 30.0, lambda: "it was not paused")
    assert vendor.stats()["requests"] == 5, "and nothing was asked after the refusal"
    wait_for(lambda: len(webhook.came) == 2, 30.0, lambda: f"this was posted: {webhook.came}")
    texts = sorted(each["text"] for each in webhook.came)
    assert texts[0].startswith("notion/default/default was cut back 2 times within an hour\nThe rate is now ")
    assert texts[1].startswith("notion/default/default was refused for good\n")
    assert "public_api_request_blocked (429)" in texts[1]
    _the_events_name_the_run(api, run, deployment)
    _no_secret_is_shown(api, run, done.stdout + done.stderr)


def _every_block_is_offered(api: httpx.Client) -> None:
    """The server has found them by the entry point; nobody had to register them."""
    offered = {each["slug"]: each for each in answer(api.post("/block_types/filter", json={"limit": 200}))}
    ours = {getattr(blocks, place.block).get_block_type_slug() for place in PLACES.values()}
    assert ours <= offered.keys()
    assert {"apicredentials", "api-credentials", "tokencredentials"}.isdisjoint(offered), "a base is no type"
    assert offered["notion-credentials"]["documentation_url"].startswith("https://developers.notion.com/")


def _deployed(api: httpx.Client, parameters: dict[str, Any]) -> str:
    flow = answer(api.post("/flows/", json={"name": "sync"}))["id"]
    # Where the code is: else a run begins with a copy of the whole folder.
    pull = [{"prefect.deployments.steps.set_working_directory": {"directory": str(Path.cwd())}}]
    made = {"name": "paused by a refusal", "flow_id": flow, "entrypoint": "flows.sync.sync", "pull_steps": pull}
    return str(answer(api.post("/deployments/", json={**made, "parameters": parameters}))["id"])


def _the_events_name_the_run(api: httpx.Client, run: str, deployment: str) -> None:
    asked = {"filter": {"event": {"prefix": ["aimd."]}, "order": "ASC"}}

    def of_the_run() -> list[dict[str, Any]]:
        events = answer(api.post("/events/filter", json=asked))["events"]
        return [each for each in events if f"prefect.flow-run.{run}" in str(each["related"])]

    # The server writes them down in batches, after it has acted upon them.
    wait_for(lambda: len(of_the_run()) >= 6, 30.0, lambda: f"these were written down: {of_the_run()}")
    mine = of_the_run()
    kinds = [each["event"].removeprefix("aimd.limiter.") for each in mine]
    assert kinds == ["backoff", "recovered", "backoff", "recovered", "terminal", "aimd.sync.incomplete"]
    *changes, incomplete = mine
    assert incomplete["payload"]["streams"] == ["users"]
    assert "public_api_request_blocked" in incomplete["payload"]["problems"][0]
    for each in changes:
        related = {resource["prefect.resource.id"] for resource in each["related"]}
        assert {f"prefect.deployment.{deployment}"} <= related
        assert each["resource"]["prefect.resource.id"] == "aimd.limiter.notion.default.default"


def _no_secret_is_shown(api: httpx.Client, run: str, output: str) -> None:
    [block] = answer(api.post("/block_documents/filter", json={"block_documents": {"name": {"any_": ["mine"]}}}))
    assert block["data"] == {"token": "********"}
    hooks = answer(api.post("/block_documents/filter", json={"block_documents": {"name": {"any_": ["aimd-webhook"]}}}))
    logs = answer(api.post("/logs/filter", json={"logs": {"flow_run_id": {"any_": [run]}}}))
    assert logs
    shown = json.dumps([logs, answer(api.get(f"/flow_runs/{run}")), hooks, answer(api.post("/automations/filter"))])
    for secret in (DEFAULT_TOKEN, "team-s3cret"):
        assert secret not in shown + output


@pytest.mark.parametrize(
    ("arguments", "url", "words"),
    [
        (["--webhook", "hooks.slack.com"], "{server}/api", "http or https address"),
        (["--webhook", "http://x", "--notify", "slack-webhook/x"], "{server}/api", "not both"),
        (["--notify", "slack-webhook/nobody"], "{server}/api", "no block 'slack-webhook/nobody'"),
        (["--notify", "notion-credentials/mute"], "{server}/api", "cannot notify"),
        ([], "", "PREFECT_API_URL"),
        ([], "http://127.0.0.1:9/api", "does not answer"),
    ],
)
def test_what_cannot_be_set_up_is_a_sentence(server: str, arguments: list[str], url: str, words: str):
    with temporary_settings({PREFECT_API_URL: url.format(server=server) or None}):
        if "notion-credentials/mute" in arguments:
            NotionCredentials(token=DEFAULT_TOKEN).save("mute", _sync=True)
        result = CliRunner().invoke(APP, arguments)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_what_there_is_is_changed_in_place_and_stays_paused(server: str):
    first, more = automations.many_backoffs(7), automations.many_backoffs(9)
    name = first.name = more.name = "changed in place"
    with temporary_settings({PREFECT_API_URL: f"{server}/api"}), get_client(sync_client=True) as client:
        assert [automations.ensure(client, each) for each in (first, first, more)] == ["made", "unchanged", "changed"]
        [found] = client.read_automations_by_name(name)
        client.pause_automation(found.id)
        assert [automations.ensure(client, each) for each in (more, first)] == ["unchanged", "changed"]
        [changed] = client.read_automations_by_name(name)
        client.delete_automation(changed.id)
    assert (changed.id, changed.enabled, changed.trigger.threshold) == (found.id, False, 7)
