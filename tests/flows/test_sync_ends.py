"""How a sync ends when somebody stops it, and when whoever should hear of it is away."""

from __future__ import annotations

import time
from types import SimpleNamespace
from uuid import uuid4

import pytest
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows import release
from flows import sync as syncing
from flows.outcome import Chunk
from state.errors import DatabaseBusy
from state.records import Counts
from state.store import shared_store


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """The store of a sync that somebody interrupts after its first page; gives the function that runs it, too."""
    monkeypatch.setenv("AIMD_DATABASE_URL", f"sqlite:///{tmp_path / 'aimd.db'}")
    monkeypatch.setenv("NOTION_TOKEN", "ntn_secret0000")

    def some(report, *_):
        yield report.with_chunk("users", Chunk(Counts(records=5, new=5, pages=1)))
        raise KeyboardInterrupt

    monkeypatch.setattr(syncing, "_all_streams", some)

    def run():
        with disable_run_logger():
            syncing._collected("notion", ["users"], "default", False, {}, None, 20, 120.0)

    return shared_store(), run


def test_who_interrupts_it_is_heard_and_what_came_is_on_record(interrupted):
    store, run = interrupted
    with pytest.raises(KeyboardInterrupt):
        run()
    [found] = store.evidence.runs()
    assert (found.state, found.outcome["streams"]["users"]["records"]) == ("incomplete", 5)


def test_who_interrupts_it_is_heard_while_the_database_fails(interrupted, monkeypatch):
    store, run = interrupted

    def busy(*_, **__):
        raise DatabaseBusy("The database is locked by another program.", url=store.url)

    monkeypatch.setattr(type(store.evidence), "end_run", busy)
    with pytest.raises(KeyboardInterrupt):
        run()


def test_a_run_that_cannot_be_scheduled_again_goes_on_as_it_is(monkeypatch):
    run = SimpleNamespace(id=uuid4(), deployment_id=uuid4())
    monkeypatch.setattr(release, "FlowRunContext", SimpleNamespace(get=lambda: SimpleNamespace(flow_run=run)))
    away = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(away), disable_run_logger():
        assert release.reschedule(time.time() + 900.0, "Notion asked for 15 min") is None
