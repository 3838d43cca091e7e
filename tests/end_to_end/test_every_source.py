"""A real Prefect run of every source against its simulated vendor, compared with the vendor's own data."""

from __future__ import annotations

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.sources import SOURCES
from flows.sync import sync
from simulator import Simulator, World
from simulator.vendors import make_world
from state.store import open_store

pytestmark = pytest.mark.server

SMALL = {
    "vanta": {"people": 12, "tests": 8, "controls": 2, "documents": 2, "vulnerabilities": 5},
    "airtable": {"bases": 2, "tables": 2, "records": 5},
    "github": {"members": 5},
    "fieldguide": {"engagements": 2},
    "openai": {"users": 5},
}
PARAMS = {"github": {"org": "example-org"}}
LOSES = {
    "notion": ("user", "users"),
    "vanta": ("documents", "documents"),
    "fieldguide": ("request_files", "request_files"),
    "github": ("members", "members"),
    "airtable": ("tables", "tables"),
    "openai": ("projects", "projects"),
}
"""What is removed between the two runs: the vendor's kind, and the stream that has to notice."""


@pytest.fixture
def fast(server, tmp_path, monkeypatch):
    """A store, and syncs on the server at any rate; gives a function that writes the configuration of an API."""
    database = f"sqlite:///{tmp_path / 'aimd.db'}"
    monkeypatch.setenv("AIMD_DATABASE_URL", database)
    monkeypatch.setenv("AIMD_CONFIG", str(tmp_path / "fast.toml"))

    def configure(api, more=""):
        (tmp_path / "fast.toml").write_text(f"[{api}]\ninitial_rate = 1000\nmax_rate = 1000\n{more}")

    with temporary_settings({PREFECT_API_URL: f"{server}/api"}), open_store(database) as store:
        yield store, configure


@pytest.mark.parametrize("api", SOURCES)
def test_collects_everything_and_then_what_changed(api, fast, monkeypatch):
    simulated = "slack" if api == "slack_audit" else api
    world = make_world(simulated, 5, **SMALL.get(api, {}))
    store, configure = fast
    configure(api)
    with Simulator("none", world, api=simulated, latency=(0, 0)) as vendor:
        for name, value in vendor.environment.items():
            monkeypatch.setenv(name, value)
        first = sync(api, params=PARAMS.get(api), return_state=True)
        assert first.is_completed(), first.message
        versions = len(list(store.evidence.versions()))
        kind, stream = LOSES.get(api, ("", ""))
        gone = world.ids(kind)[0] if kind else ""
        if kind:
            world.remove(gone, store.evidence.now())
        second = sync(api, params=PARAMS.get(api), return_state=True)
        assert second.is_completed(), second.message
        added = list(store.evidence.versions())[versions:]
        assert {version.external_id for version in added if version.collection.stream == stream} == (
            {gone} if kind else set()
        )
        assert all(version.deleted for version in added)


def test_asks_for_the_version_of_notions_api_that_the_configuration_names_and_records_it(fast, monkeypatch):
    store, configure = fast
    configure("notion", """headers = { Notion-Version = "2026-03-11", X-Secret = "5ecret" }""")
    with Simulator("none", World(users=3), latency=(0, 0)) as vendor:
        for name, value in vendor.environment.items():
            monkeypatch.setenv(name, value)
        assert sync("notion", ["users"], return_state=True).is_completed()
        assert vendor.stats()["vendor"] == {"versions": {"2026-03-11": 1}}
    [run] = store.evidence.runs()
    assert run.asked["headers"] == {"Notion-Version": "2026-03-11"}
