"""Vanta's source against a simulated tenant: everything, what changed, what is gone, and one token for all."""

import pytest

from flows.credential import Application
from flows.credentials import credential_for
from flows.sources import SOURCES
from limiter import ConfigurationError
from simulator.vendors import make_world

VANTA = SOURCES["vanta"]
COUNTS = {"people": 130, "tests": 30, "documents": 3, "controls": 4, "vulnerabilities": 12, "vendors": 3}


@pytest.fixture
def tenant():
    return make_world("vanta", 5, **COUNTS)


@pytest.fixture
def vanta(start_vendor, tenant, monkeypatch):
    vendor = start_vendor(world=tenant, api="vanta")
    for name, value in vendor.environment.items():
        monkeypatch.setenv(name, value)
    return vendor


@pytest.fixture
def collector(collector_of, vanta):
    return collector_of(base_url=vanta.base_url, source=VANTA, credential=credential_for("vanta"))


def everything(collector, **wanted):
    """A sync of all streams; gives what came of each."""
    collector.clock.now += 60
    collector.run += 1
    since, came = collector.store.evidence.now(), {}
    for stream in VANTA.streams:
        while (chunk := collector.chunk(stream.name, since=since, pages=100, **wanted)).more:
            pass
        came[stream.name] = chunk
    return came


def test_everything_that_a_tenant_has(collector, tenant, vanta):
    came = everything(collector)
    assert {name: str(chunk.problem) for name, chunk in came.items() if not chunk.complete} == {}
    for stream in ("frameworks", "people", "tests", "documents", "policies", "vulnerabilities", "groups"):
        assert sorted(collector.current(stream)) == sorted(tenant.ids(stream))
    assert sorted(collector.current("document_uploads")) == sorted(tenant.ids("document_uploads"))
    assert vanta.stats()["vendor"] == {"minted": 1, "revoked": 0}
    entities = collector.versions("test_entities")
    failing = {each for each, body in collector.current("tests").items() if body["status"] == "NEEDS_ATTENTION"}
    assert entities
    assert {version.collection.partition.split('"')[3] for version in entities} <= failing


def test_a_second_sync_adds_nothing_and_asks_for_no_entities(collector, vanta):
    everything(collector)
    versions = len(collector.versions(None))
    before = vanta.stats()["by_path"]
    came = everything(collector)
    assert all(chunk.complete for chunk in came.values())
    assert len(collector.versions(None)) == versions
    assert came["test_entities"].counts.pages == 0
    assert sum("entities" in path for path in before) > 0


def test_deletions_and_edits(collector, tenant, clock):
    everything(collector)
    gone, edited, document = tenant.ids("people")[7], tenant.ids("vendors")[0], tenant.ids("documents")[0]
    for each in (gone, document):
        tenant.remove(each, clock())
    tenant.change(edited, {"name": "Another"}, clock())
    came = everything(collector)
    assert came["people"].counts.deleted == 1
    assert collector.current("people")[gone] is None
    assert came["vendors"].counts.changed == 1
    assert came["document_uploads"].counts.deleted == 2, "gone with their document"


class TestTheToken:
    def test_a_secret_that_is_wrong(self, collector_of, vanta):
        wrong = Application("vcs_wrong", "VANTA_CLIENT_ID and VANTA_CLIENT_SECRET", "vci_simulator", "vanta")
        came = collector_of(base_url=vanta.base_url, source=VANTA, credential=wrong).sync("groups")
        assert not came.complete
        assert "gives no token (401: Client authentication failed.); look at VANTA_CLIENT_ID" in came.problem.message
        assert "vcs_wrong" not in repr(wrong) + came.problem.message

    def test_one_variable_of_two_is_none(self):
        with pytest.raises(ConfigurationError, match="set VANTA_CLIENT_ID and VANTA_CLIENT_SECRET"):
            credential_for("vanta", environment={"VANTA_CLIENT_SECRET": "vcs_1"})
