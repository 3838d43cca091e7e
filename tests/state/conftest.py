"""The stores under one roof, a clock that is told the time, and processes that share a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from state_worker import Worker, workers_at_hand

from state import open_store
from state.evidence import EvidenceStore
from state.records import Collection, Provenance
from state.store import Store

# Every test that takes `store` or `evidence` runs once for each of these; another database joins with a line here.
STORES: dict[str, Callable[[Path], str]] = {
    "memory": lambda folder: "memory://",
    "sqlite-file": lambda folder: f"sqlite:///{folder / 'aimd.db'}",
}


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


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return STORES[request.param](tmp_path)


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
