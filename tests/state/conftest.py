"""The stores under one roof, a clock that is told the time, and processes that share a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import real_postgres
from state_worker import Worker, workers_at_hand

from state import open_store
from state.evidence import EvidenceStore
from state.records import Collection, Provenance
from state.store import Store

# Every test that takes `store` or `evidence` runs once for each of these.
STORES = ("memory", "sqlite-file", "postgres")


class Clock:
    """Epoch seconds, as told."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.25

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _no_database_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIMD_DATABASE_URL", raising=False)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[real_postgres.Server]:
    """A server that a test may stop and break, if it leaves it running."""
    with real_postgres.started() as server:
        yield server


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """Where a PostgreSQL is: the one that is given, or else our own."""
    given = os.environ.get("TEST_POSTGRES_URL")
    return given or request.getfixturevalue("postgres_server").url


@pytest.fixture(scope="session")
def _migrated(server_url: str) -> Iterator[str]:
    with real_postgres.own_schema(server_url) as url:
        open_store(url).close()
        yield url


@pytest.fixture
def postgres_url(_migrated: str) -> str:
    """A PostgreSQL database at the head, with nothing in it."""
    return real_postgres.emptied(_migrated)


@pytest.fixture
def new_postgres_url(server_url: str) -> Iterator[str]:
    """A PostgreSQL database without any table."""
    with real_postgres.own_schema(server_url) as url:
        yield url


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return {"memory": "memory://", "sqlite-file": f"sqlite:///{tmp_path / 'aimd.db'}"}[request.param]


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Store]:
    with open_store(store_url, clock=clock) as opened:
        yield opened


@pytest.fixture
def evidence(store: Store) -> EvidenceStore:
    return store.evidence


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a SQLite file may be made; its folder is there."""
    return tmp_path / "aimd.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def collection() -> Collection:
    return Collection("notion", "pages", "acme")


@pytest.fixture
def provenance() -> Provenance:
    return Provenance("https://api.notion.com/v1", "sha256:0a1b", "run-1")


@pytest.fixture(scope="session")
def _workers_at_hand() -> Iterator[None]:
    with workers_at_hand():
        yield


@pytest.fixture
def start(_workers_at_hand: None) -> Iterator[Callable[..., Worker]]:
    """Starts a worker (see `state_worker`): a process of its own. What still runs at the end of the test is killed."""
    running: list[Worker] = []

    def started(*arguments: object) -> Worker:
        running.append(Worker(*arguments))
        return running[-1]

    yield started
    for worker in running:
        worker.kill()
