"""What is said of a sync: a state, a sentence, JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.outcome import Chunk, Problem, Sent, SyncReport, progress
from state.records import Counts

DONE = Chunk(Counts(records=1200, new=1000, changed=150, unchanged=50, pages=12), Sent(14, 2, 1.23456), complete=True)
LATER = Problem("Notion cannot be asked within 60 s.", retry_at=1_800_000_600.0)
BROKEN = Problem("Notion answered with something that is not a page.")


def report(**streams):
    return SyncReport("notion", "acme", streams)


class TestState:
    def test_complete_if_everything_is(self):
        assert report(users=DONE, pages=DONE).state == "complete"

    @pytest.mark.parametrize("other", [Chunk(), Chunk(problem=BROKEN), Chunk(listed=5, expected=5)])
    def test_incomplete_if_anything_is_not(self, other):
        assert report(users=DONE, pages=other).state == "incomplete"

    def test_failed_if_nothing_could_be_done(self):
        failed = SyncReport("notion", "acme", failure=BROKEN)
        assert (failed.state, failed.complete) == ("failed", False)

    def test_a_chunk_goes_on_until_it_is_complete_or_stuck(self):
        assert Chunk().more
        assert not DONE.more
        assert not Chunk(problem=BROKEN).more


class TestTryingLater:
    def test_only_if_waiting_is_all_it_takes(self):
        sooner = Problem("Notion refused.", retry_at=1_800_000_000.0)
        assert report(a=Chunk(problem=LATER), b=Chunk(problem=sooner), c=DONE).retry_at == LATER.retry_at
        assert report(a=Chunk(problem=LATER), b=Chunk(problem=BROKEN)).retry_at == 0.0
        assert report(a=DONE).retry_at == 0.0

    def test_not_if_the_sync_failed_otherwise(self):
        assert SyncReport("notion", "acme", {"a": Chunk(problem=LATER)}, failure=BROKEN).retry_at == 0.0


class TestTheSentence:
    def test_of_a_complete_sync_counts(self):
        assert report(users=DONE).sentence == "1,200 records: 1,000 new, 150 changed, 50 unchanged, 0 deleted"

    def test_of_another_names_what_is_missing_and_why_once(self):
        said = report(users=DONE, pages=Chunk(problem=BROKEN), rows=Chunk(problem=BROKEN)).sentence
        assert said.startswith("Not complete: pages, rows. Notion answered with something that is not a page. Kept: ")
        assert said.count(BROKEN.message) == 1
        assert "1,200 records" in said

    def test_of_a_failure_says_it(self):
        assert SyncReport("notion", "acme", failure=BROKEN).sentence.startswith(BROKEN.message)


class TestAddingUp:
    def test_chunks_of_a_stream(self):
        first = Chunk(Counts(records=100, new=100, pages=1), Sent(2, 1, 0.5), listed=100, expected=150)
        last = Chunk(
            Counts(records=50, unchanged=50, pages=1), Sent(1, 0, 0.25), complete=True, listed=150, expected=150
        )
        total = report().with_chunk("users", first).with_chunk("users", last).streams["users"]
        assert total == Chunk(
            Counts(records=150, new=100, unchanged=50, pages=2), Sent(3, 1, 0.75), True, None, listed=150, expected=150
        )

    def test_streams(self):
        both = report(users=DONE, pages=DONE)
        assert both.counts.records == 2400
        assert both.sent == Sent(28, 4, 2.46912)
        assert both.sent - DONE.sent == DONE.sent


def test_json_has_what_the_command_promises():
    stuck = Chunk(Counts(records=3, new=3, pages=1), Sent(3, 0, 0.0), problem=LATER)
    shown = json.loads(json.dumps(report(users=DONE, pages=stuck).as_json(), allow_nan=False))
    assert shown == {
        "source": "notion",
        "tenant": "acme",
        "streams": {
            "users": {
                "records": 1200,
                "new": 1000,
                "changed": 150,
                "unchanged": 50,
                "deleted": 0,
                "pages": 12,
                "complete": True,
                "problem": None,
            },
            "pages": {
                "records": 3,
                "new": 3,
                "changed": 0,
                "unchanged": 0,
                "deleted": 0,
                "pages": 1,
                "complete": False,
                "problem": LATER.message,
            },
        },
        "requests": 17,
        "throttled": 2,
        "waited": 1.235,
        "state": "incomplete",
        "problems": [LATER.message],
        "retry_at": LATER.retry_at,
    }


class TestProgress:
    def test_of_nothing_is_all(self):
        assert progress([]) == 100.0

    def test_only_a_complete_listing_is_whole(self):
        assert progress([Chunk(listed=500, expected=100)]) == 99.0
        assert progress([DONE]) == 100.0

    def test_what_is_expected_of_nothing_is_not_known(self):
        assert progress([Chunk(listed=500)]) == 0.0

    chunks = st.lists(
        st.builds(Chunk, complete=st.booleans(), listed=st.integers(0, 10**9), expected=st.integers(0, 10**9))
    )

    @given(chunks)
    def test_lies_between_nothing_and_all(self, chunks):
        assert 0.0 <= progress(chunks) <= 100.0
        if any(not chunk.complete for chunk in chunks) and len(chunks) < 100:
            assert progress(chunks) < 100.0
