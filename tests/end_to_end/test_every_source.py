"""A real Prefect run of every source against its simulated vendor, compared with the vendor's own data."""

from __future__ import annotations

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.sources import SOURCES, plan
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
    "slack": ("users", "users"),
    "vanta_auditor": ("comments", "comments"),
}
"""What is removed between the two runs: the vendor's kind, and the stream that has to notice. Audit logs only grow."""
SAID = {"slack": '"deleted":true', "vanta_auditor": '"deletionDate":"'}
"""How a vendor says it that goes on listing what was removed. That is a new version, and no tombstone of ours."""


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
        gone = world.ids(kind)[1] if kind else ""
        if kind:
            world.remove(gone, store.evidence.now())
        second = sync(api, params=PARAMS.get(api), return_state=True)
        assert second.is_completed(), second.message
        added = list(store.evidence.versions())[versions:]
        assert {version.external_id for version in added if version.collection.stream == stream} == (
            {gone} if kind else set()
        )
        assert all(version.deleted == (api not in SAID) for version in added)
        assert all(SAID.get(api, "") in store.evidence.text(version) for version in added)


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


BAD = {
    "groups": ("not-json#1x3", "it is not JSON but HTML"),
    "policies": ("no-id#1x3", "a record has no 'id'"),
    "vulnerabilities": ("same-ids#2", "page 2 brings just what a page before it brought"),
    "vendors": ("huge-record#1", ""),
    "integrations": ("not-utf8#1x3", "it is not UTF-8 (byte "),
    "frameworks": ("nan#1x3", "it has the number NaN, which JSON does not know"),
    "documents": ("big-number#1x3", "it has a number of more than 4,300 digits"),
    "monitored_computers": ("surrogate#1", ""),
    "people": ("stuck#2", "page 2 points to a page that came before"),
    "vulnerability_remediations": ("forbidden#1", "refused to list vulnerability_remediations (403"),
    "controls": ("truncated#1x3", "the body was cut short"),
    "tests": ("", ""),
}
"""What each stream meets, and what the operator is told of it; nothing where it is collected whole."""


def test_each_bad_answer_ends_its_stream_with_a_sentence_and_the_run_says_which_are_complete(fast, monkeypatch):
    store, configure = fast
    configure("vanta")
    monkeypatch.setattr("flows.tries.fault_delay", lambda tries: 0.0)
    paths = {name: name.replace("_", "-") for name in BAD}
    faults = [
        f"{kind}@GET /v1/{paths[name]}#{times}"
        for name, (fault, _) in BAD.items()
        if fault
        for kind, _, times in [fault.partition("#")]
    ]
    world = make_world("vanta", 5, people=130, vulnerabilities=210)
    with Simulator("none", world, api="vanta", latency=(0, 0), faults=faults) as vendor:
        for name, value in vendor.environment.items():
            monkeypatch.setenv(name, value)
        state = sync("vanta", list(BAD), return_state=True)
        report = state.result(raise_on_failure=False)
        incomplete = [name for name in report.streams if BAD[name][1]]
        assert {name for name, chunk in report.streams.items() if not chunk.complete} == set(incomplete)
        for name in incomplete:
            assert BAD[name][1] in report.streams[name].problem.message
        assert state.is_failed()
        assert state.message.startswith(f"Not complete: {', '.join(incomplete)}. ")
        [run] = store.evidence.runs()
        told = {name: (found["complete"], found["problem"] is None) for name, found in run.outcome["streams"].items()}
        assert told == {name: (name not in incomplete,) * 2 for name in BAD}
        # The vendor has recovered: what each cursor had come to is enough to go on.
        again = sync("vanta", list(BAD), return_state=True)
        assert again.is_completed(), again.message
    for name in BAD:
        there = {version.external_id for version in store.evidence.current(collection_of("vanta", name))}
        assert there == set(world.ids(name)), name


def collection_of(source, stream):
    """Where the evidence of a stream without parameters is."""
    return plan(SOURCES[source], [stream], "default", None)[-1].collection
