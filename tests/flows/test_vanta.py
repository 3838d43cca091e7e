"""Vanta's source against a simulated tenant: everything, what changed, what is gone, and one token for all."""

import asyncio
import json
import threading

import httpx
import pytest

from flows import client_credentials
from flows.client_credentials import ClientCredentialsAuth, Grant
from flows.credentials import Application, credential_for
from flows.sources import SOURCES
from limiter import ConfigurationError
from simulator.vendors import make_world

VANTA = SOURCES["vanta"]
COUNTS = {"people": 130, "tests": 30, "documents": 3, "controls": 4, "vulnerabilities": 12, "vendors": 3}


@pytest.fixture(autouse=True)
def _no_token_of_another_test(monkeypatch):
    monkeypatch.setattr(client_credentials, "_tokens", {})


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

    @pytest.fixture
    def api(self):
        """A vendor with one active token; gives a client, what it was asked, and its clock."""
        state = {"minted": 0, "active": None, "lasts": 3599, "now": 0.0, "sent": []}
        state |= {"slow": False, "second": threading.Event()}

        def answer(request):
            state["sent"].append((request.url.host, request.headers.get("Authorization")))
            if request.url.path == "/oauth/token":
                state["minted"] += 1
                if state["minted"] > 1:
                    state["second"].set()
                if state["slow"]:  # long enough for another to ask, too
                    state["second"].wait(0.3)
                state["active"] = f"vat_{state['minted']}"
                return httpx.Response(
                    200, content=json.dumps({"access_token": state["active"], "expires_in": state["lasts"]})
                )
            good = request.headers.get("Authorization") == f"Bearer {state['active']}"
            return httpx.Response(200 if good else 401)

        grant = Grant("vci", "vcs", "all", "/oauth/token", "the test")

        def client():
            auth = ClientCredentialsAuth(grant, "https://api.vanta.test", lambda: state["now"])
            return httpx.Client(auth=auth, transport=httpx.MockTransport(answer), base_url="https://api.vanta.test/v1")

        return client, state

    def test_many_threads_and_clients_share_one(self, api):
        client, state = api
        state["slow"] = True
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(client().get("/x").status_code)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert statuses == [200] * 12
        assert state["minted"] == 1

    def test_it_is_renewed_before_its_end(self, api):
        client, state = api
        client().get("/x")
        state["now"] = 3599 - 61.0
        client().get("/x")
        assert state["minted"] == 1
        state["now"] = 3599 - 59.0
        assert client().get("/x").status_code == 200
        assert state["minted"] == 2

    @pytest.mark.parametrize("lasts", [None, 0, -5, "soon", True, 1e300, float("1e12")])
    def test_an_odd_life_time_is_ten_minutes(self, api, lasts, monkeypatch):
        client, state = api
        state["lasts"] = lasts
        assert client().get("/x").status_code == 200
        state["now"] = 539.0
        client().get("/x")
        assert state["minted"] == 1
        state["now"] = 541.0
        client().get("/x")
        assert state["minted"] == 2

    def test_one_that_was_revoked_is_asked_for_again_once(self, api):
        client, state = api
        client().get("/x")
        state["active"], state["now"] = "of another", 100.0
        assert client().get("/x").status_code == 200
        assert state["minted"] == 2

    def test_two_that_revoke_each_other_are_told(self, api):
        client, state = api
        client().get("/x")
        state["active"], state["now"] = "of another", 3.0
        with pytest.raises(Exception, match="another program uses the same application"):
            client().get("/x")
        assert state["minted"] == 1

    def test_another_host_gets_none(self, api):
        client, state = api
        client().get("https://files.test/a.pdf")
        assert state["sent"] == [("files.test", None)]

    def test_async_tasks_share_it_too(self, api):
        client, state = api
        sync = client()

        async def answer(request):
            await asyncio.sleep(0)
            return sync._transport.handle_request(request)

        async def run():
            async with httpx.AsyncClient(
                auth=sync.auth, transport=httpx.MockTransport(answer), base_url="https://api.vanta.test/v1"
            ) as asynchronous:
                return await asyncio.gather(*(asynchronous.get("/x") for _ in range(8)))

        assert [each.status_code for each in asyncio.run(run())] == [200] * 8
        assert state["minted"] == 1
