"""Two syncs in two processes on a real Prefect server: what the second knows, and what the UI shows of it."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import httpx
import pytest

from flows.artifact import artifact_key
from flows.picture import shown_rate
from simulator import Simulator, World
from state import Bucket, open_store

pytestmark = pytest.mark.server

BUCKET = Bucket("notion")


def test_the_second_process_starts_where_the_first_one_stopped(aimd, vendor: Simulator, server: str, tmp_path: Path):
    vendor.set_policy("token:rate=2.5,burst=1")
    command = ("sync", "notion", "--json", "--full")
    url = f"sqlite:///{tmp_path / 'aimd.db'}"

    code, first, errors = aimd.run(*command, "--param", f"data_source={vendor.world.ids('data_source')[0]}")
    assert (code, first["state"]) == (0, "complete"), errors
    with open_store(url) as store:
        learned = store.read(BUCKET)[0]
    met = vendor.stats()["rejected"]
    assert first["throttled"] == met > 0, "the limit is below max_rate, so the first run must have met it"

    code, second, errors = aimd.run(*command)
    assert (code, second["state"]) == (0, "complete"), errors
    with open_store(url) as store:
        events = store.history(BUCKET)
    starts = [event for event in events if event.kind == "start"]
    assert len(starts) == 1, "the second process did not start anew"
    later = [event for event in events if event.at > learned.updated_at]
    assert all(event.rate_before == pytest.approx(learned.rate, rel=0.35) for event in later[:1])
    assert second["throttled"] <= first["throttled"]
    assert {row["unchanged"] == row["records"] for row in second["streams"].values()} == {True}

    _artifact_shows_the_history(server, events)


def _artifact_shows_the_history(server: str, events: list) -> None:
    asked = {"artifacts": {"key": {"any_": [artifact_key(BUCKET)]}}, "sort": "CREATED_DESC"}
    [newest, *_] = httpx.post(f"{server}/api/artifacts/filter", json=asked).raise_for_status().json()
    assert newest["type"] == "markdown"
    [encoded] = re.findall(r"\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", newest["data"])
    svg = base64.b64decode(encoded).decode()
    ElementTree.fromstring(svg)
    backoffs = [event for event in events if event.kind == "backoff"]
    assert backoffs
    for event in backoffs:
        assert shown_rate(event.rate_after) in svg, event
        assert shown_rate(event.rate_after) in newest["data"]


def test_the_progress_artifact_ends_at_a_hundred(aimd, server: str):
    code, report, errors = aimd.run("sync", "notion", "--json", "--stream", "users")
    assert code == 0, errors
    asked = {"artifacts": {"key": {"any_": ["sync-notion"]}}, "sort": "UPDATED_DESC"}
    [newest, *_] = httpx.post(f"{server}/api/artifacts/filter", json=asked).raise_for_status().json()
    assert (newest["type"], newest["data"]) == ("progress", 100.0)
    assert f"{report['requests']} requests" in newest["description"]


def test_without_a_server_the_sync_is_a_flow_run_all_the_same(make_aimd, world: World):
    code, report, errors = make_aimd(None).run("sync", "notion", "--json", "--stream", "users")
    assert code == 0, errors
    assert report["streams"]["users"]["records"] == len(world.ids("user"))
    assert errors.count("No Prefect server is configured") == 1
    assert "Traceback" not in errors
