"""Collecting as the sync flow does, but for Prefect: a real store, a vendor on a real socket, and time that is free."""

import json
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import respx
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.blocks import NotionCredentials
from flows.collect import Wanted, collect
from flows.credential import Credential
from flows.outcome import Chunk
from flows.sources import plan, source_named
from limiter import API_RATE_CONFIGS, make_client_for
from limiter.testing import FakeClock
from simulator import Simulator, World
from simulator.background import BackgroundServer
from state.memory import MemoryStore
from state.records import Provenance

TOKEN = "secret_simulator"


class Collector:
    """What a sync does with one stream, chunk by chunk.

    The limiter's clock moves only when somebody waits, so nothing waits; the vendor is as real as it was given.
    """

    def __init__(self, clock, store, *, base_url, source=None, credential=None, **client):
        self.clock, self.store, self.base_url = clock, store, base_url
        self.source = source or source_named("notion")
        self.credential = credential
        self.client = client
        self.run = 0

    def task(self, stream, tenant="default", params=None):
        return plan(self.source, [stream], tenant, params)[-1]

    def chunk(
        self, stream, *, since=None, full=False, pages=20, tenant="default", params=None, token=TOKEN, listener=None
    ) -> Chunk:
        """One task of a sync that began at `since`, by default now."""
        since = self.store.evidence.now() if since is None else since
        credential = self.credential or Credential(token, "the test")
        options = {**credential.client_options(), "base_url": self.base_url, "sleep": self.clock.sleep, **self.client}
        api = self.source.name if self.source.name in API_RATE_CONFIGS else "notion"
        with make_client_for(api, tenant=tenant, store=self.store, **options) as client:
            provenance = Provenance(self.base_url, credential.fingerprint, f"run-{self.run}")
            return collect(
                client,
                self.store,
                self.task(stream, tenant, params),
                Wanted(full, pages, since),
                provenance,
                listener=listener,
                sleep=self.clock.sleep,
            )

    def sync(self, stream, **wanted) -> Chunk:
        """All tasks of a sync, added up. One that does not end is a failure."""
        self.clock.now += 1
        self.run += 1
        since = self.store.evidence.now()
        total = Chunk()
        for _ in range(300):
            chunk = self.chunk(stream, since=since, **wanted)
            total = replace(chunk, counts=total.counts + chunk.counts, sent=total.sent + chunk.sent)
            if not chunk.more:
                return total
        pytest.fail("the sync does not end")

    def cursor(self, stream, tenant="default", params=None):
        return self.store.evidence.cursor(self.task(stream, tenant, params).collection)

    def versions(self, stream, tenant=None):
        return list(self.store.evidence.versions(stream=stream, tenant=tenant, with_text=True))

    def current(self, stream, tenant=None):
        """The newest version of each thing, by id; None for what has a tombstone."""
        return {version.external_id: json.loads(version.text) for version in self.versions(stream, tenant)}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock) -> MemoryStore:
    return MemoryStore(clock=clock)


class Switchboard:
    """A server on a real socket for all tests; each connects a vendor of its own, which takes no time."""

    def __init__(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.vendor = None
        self.server = BackgroundServer(self._app, listener)

    async def _app(self, scope, receive, send):
        await self.vendor.app(scope, receive, send)


@pytest.fixture(scope="session")
def switchboard() -> Iterator[Switchboard]:
    board = Switchboard()
    board.server.start()
    yield board
    board.server.request_stop()
    board.server.join(10)


@pytest.fixture
def start_vendor(switchboard) -> Callable[..., Simulator]:
    """Connect a simulator that answers at once."""

    def start(policy="none", world=None, **options) -> Simulator:
        switchboard.vendor = Simulator(policy, world, **{"latency": (0, 0), "port": switchboard.port, **options})
        return switchboard.vendor

    return start


@pytest.fixture
def world() -> World:
    """Three pages of users; 310 pages and rows, which a search shows on four; 105 rows in each data source."""
    return World(seed=3, users=210, pages=100, data_sources=2, rows=105)


@pytest.fixture
def vendor(start_vendor, world) -> Simulator:
    return start_vendor(world=world)


@pytest.fixture
def collector(clock, store, vendor) -> Collector:
    return Collector(clock, store, base_url=vendor.base_url)


@pytest.fixture
def collector_of(clock, store) -> Callable[..., Collector]:
    """A collector of another vendor: an address, or a transport."""

    def make(base_url="https://api.notion.test/v1", **client) -> Collector:
        return Collector(clock, store, base_url=base_url, **client)

    return make


@pytest.fixture
def in_threads() -> Callable[..., list]:
    """Run functions at the same time; gives their results in order."""

    def run(*functions):
        results = [None] * len(functions)

        def call(index):
            results[index] = functions[index]()

        threads = [threading.Thread(target=call, args=(index,)) for index in range(len(functions))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        return results

    return run


@pytest.fixture
def prefect_blocks(monkeypatch) -> Iterator[None]:
    """Answers as a Prefect server would that has such blocks of Notion credentials; real ones are tested end to end."""
    monkeypatch.setattr("prefect.events.utilities.should_emit_events", lambda: False)  # they go over a websocket
    url, slug = "http://prefect.test/api", NotionCredentials.get_block_type_slug()
    with temporary_settings({PREFECT_API_URL: url}), respx.mock(base_url=url, assert_all_called=False) as server:
        server.route(host="127.0.0.1").pass_through()

        def save(name, data):
            number = str(uuid.uuid4())
            schema = {"id": number, "checksum": NotionCredentials._calculate_schema_checksum(), "block_type_id": number}
            document = {"id": number, "name": name, "data": data, "block_schema_id": number, "block_type_id": number}
            kind = {"id": number, "name": "Notion Credentials", "slug": slug}
            server.get(f"/block_types/slug/{slug}/block_documents/name/{name}").respond(
                json={**document, "block_schema": {**schema, "fields": {}, "capabilities": []}, "block_type": kind}
            )

        save("mine", {"token": "ntn_of_the_block\n"})
        save("empty", {"token": " "})
        save("misshapen", {"token": {"ntn_misshapen": 1}})
        server.get(f"/block_types/slug/{slug}/block_documents/name/other").respond(404, json={})
        yield
