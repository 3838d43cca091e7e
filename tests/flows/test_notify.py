"""What Zapier hears of a run: pointers and counts, the same event once, never content or the hook's address."""

import httpx
import pytest

from flows.notify import newest_run, notification, notify_zapier
from simulator import Simulator
from state import open_store
from state.canonical import body
from state.records import Collection, Listing, Provenance, SyncRun


@pytest.fixture
def store(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'aimd.db'}"
    monkeypatch.setenv("AIMD_DATABASE_URL", url)
    with open_store(url) as opened:
        yield opened


@pytest.fixture
def run(store):
    """A run that brought 250 people and could not read the rest."""
    asked = SyncRun("r1", "f1", "vanta", "acme", store.evidence.now(), None, "running", {}, {})
    store.evidence.begin_run(asked)
    people = Collection("vanta", "people", "acme")
    cursor = store.evidence.begin_listing(people, full=True)
    records = [body(f"p{n}", {"id": f"p{n}", "name": "Very Private"}) for n in range(250)]
    where_from = Provenance("https://api.vanta.com", "f00", "r1")
    after = Listing(cursor.listing.began_at, True, records=250)
    store.evidence.commit_page(people, records, where_from, before=cursor.listing, after=after, ends=True)
    streams = {
        "people": {"records": 250, "new": 250, "changed": 0, "deleted": 0, "complete": True, "problem": None},
        "tests": {"records": 0, "new": 0, "changed": 0, "deleted": 0, "complete": False, "problem": "Very Private"},
    }
    store.evidence.end_run("r1", state="incomplete", outcome={"streams": streams, "problems": ["Very Private"]})
    return newest_run(store, "vanta", "acme")


def test_it_points_and_does_not_tell(store, run):
    told = notification(store, run)
    assert (told["event_id"], told["state"], told["changes"]) == ("aimd-r1", "incomplete", 250)
    assert told["streams"]["tests"] == {"records": 0, "new": 0, "changed": 0, "deleted": 0, "complete": False}
    assert len(told["evidence"]) == 200
    newest = next(store.evidence.versions(external_id="p249"))
    assert told["evidence"][-1]["sha256"] == newest.sha256
    assert "Very Private" not in str(told)


def test_evidence_of_other_runs_is_not_pointed_to(store, run):
    store.evidence.begin_run(SyncRun("r2", None, "vanta", "acme", store.evidence.now(), None, "complete", {}, {}))
    told = notification(store, newest_run(store, "vanta", "acme"))
    assert (told["event_id"], told["evidence"], told["changes"]) == ("aimd-r2", [], 0)


def test_a_run_that_never_was(store):
    with pytest.raises(LookupError, match="no sync of vanta for tenant acme"):
        newest_run(store, "vanta", "acme")


def test_zapier_takes_it_and_may_be_told_twice(run, monkeypatch):
    with Simulator("none", api="zapier", latency=(0, 0), faults=["error-500@POST /hooks/catch#1"]) as zapier:
        for name, value in zapier.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("limiter.bounds.fault_delay", lambda tries: 0.0)
        assert notify_zapier.fn("vanta", "acme") == "aimd-r1"
        assert notify_zapier.fn("vanta", "acme") == "aimd-r1"
        assert zapier.stats()["vendor"]["events"] == 1


def test_one_that_is_not_taken_is_an_error_without_the_address(run, monkeypatch):
    with Simulator("none", api="zapier", latency=(0, 0), token="right") as zapier:
        for name, value in zapier.environment.items():
            monkeypatch.setenv(name, value.replace("right", "sEcrEt"))
        with pytest.raises(httpx.HTTPStatusError) as caught:
            notify_zapier.fn("vanta", "acme")
    assert "sEcrEt" not in f"{caught.value} {caught.value.request.url}"
