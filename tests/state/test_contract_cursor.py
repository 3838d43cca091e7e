"""What every store does with cursors and runs: where a listing stands, and who may move it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import event
from state_listing import WHERE_FROM, after_page, bodies, step, stored, sync

from state.errors import ListingTaken
from state.evidence import EvidenceStore
from state.records import Collection, Counts, Cursor, Listing, SyncRun

PAGES = [[("a", 1), ("b", 1)], [("c", 1)], [("d", 1)]]


def test_a_collection_never_listed_has_an_empty_cursor(evidence: EvidenceStore, collection: Collection) -> None:
    assert evidence.cursor(collection) == Cursor()


def test_a_listing_begins_at_the_time_of_the_clock_and_is_gone_on_with(
    evidence: EvidenceStore, collection: Collection, clock
) -> None:
    begun = evidence.begin_listing(collection, full=True)
    assert begun == Cursor(listing=Listing(began_at=clock.now, full=True))
    clock.now += 3600
    assert evidence.begin_listing(collection, full=True) == begun == evidence.cursor(collection)


@pytest.mark.parametrize(
    ("in_progress", "wanted", "goes_on"),
    [(True, True, True), (True, False, True), (False, False, True), (False, True, False)],
)
def test_only_a_wish_for_everything_gives_up_a_listing_of_what_is_new(
    evidence: EvidenceStore, collection: Collection, clock, in_progress: bool, wanted: bool, goes_on: bool
) -> None:
    sync(evidence, collection, PAGES, candidate="w1")
    clock.now += 60
    _, cursor = step(evidence, collection, evidence.begin_listing(collection, full=in_progress), PAGES, candidate="w2")
    clock.now += 60
    found = evidence.begin_listing(collection, full=wanted)
    if goes_on:
        assert found == cursor
    else:
        assert found == replace(cursor, listing=Listing(began_at=clock.now, full=True))
    assert (found.watermark, found.expected) == ("w1", 4)


def test_the_watermark_moves_only_when_the_listing_ends_complete(
    evidence: EvidenceStore, collection: Collection, clock
) -> None:
    sync(evidence, collection, PAGES, candidate="w1")
    completed_at = clock.now
    clock.now += 60
    cursor = evidence.begin_listing(collection, full=False)
    for pages in (1, 2):
        _, cursor = step(evidence, collection, cursor, PAGES, candidate="w2")
        assert evidence.cursor(collection) == cursor
        assert (cursor.watermark, cursor.completed_at, cursor.listing.pages) == ("w1", completed_at, pages)
        assert cursor.listing.candidate == "w2"
    clock.now += 1
    _, cursor = step(evidence, collection, cursor, PAGES)
    assert evidence.cursor(collection) == cursor == Cursor("w2", clock.now, expected=4)


def test_a_listing_without_a_candidate_keeps_the_watermark(evidence: EvidenceStore, collection: Collection) -> None:
    sync(evidence, collection, PAGES, candidate="w1")
    sync(evidence, collection, [[]], full=False)
    assert evidence.cursor(collection).watermark == "w1"


def test_a_page_that_somebody_else_has_stored_is_refused_whole(evidence: EvidenceStore, collection: Collection) -> None:
    mine = theirs = evidence.begin_listing(collection, full=True)
    _, moved = step(evidence, collection, theirs, PAGES)
    with pytest.raises(ListingTaken, match="Another sync is collecting notion pages of tenant acme") as caught:
        step(evidence, collection, mine, [[("x", 1)], []])
    assert caught.value.url
    assert "x" not in {key for key, *_ in stored(evidence)}
    assert evidence.cursor(collection) == moved


def test_a_page_behind_the_end_of_a_listing_is_refused(evidence: EvidenceStore, collection: Collection) -> None:
    cursor = evidence.begin_listing(collection, full=True)
    sync(evidence, collection, [[("a", 1)]])
    with pytest.raises(ListingTaken):
        step(evidence, collection, cursor, PAGES)


def test_a_listing_is_begun_anew_with_its_evidence_kept(evidence: EvidenceStore, collection: Collection, clock) -> None:
    sync(evidence, collection, [[("z", 1)]], candidate="w1")
    clock.now += 60
    _, cursor = step(evidence, collection, evidence.begin_listing(collection, full=True), PAGES, candidate="w2")
    clock.now += 60
    fresh = evidence.restart_listing(collection, cursor.listing)
    assert fresh == evidence.cursor(collection) == replace(cursor, listing=Listing(began_at=clock.now, full=True))
    assert [key for key, *_ in stored(evidence)] == ["z", "a", "b"]
    assert sync(evidence, collection, PAGES) == Counts(4, new=2, unchanged=2, deleted=1, pages=3)


def test_a_listing_that_somebody_else_has_moved_is_not_begun_anew(
    evidence: EvidenceStore, collection: Collection
) -> None:
    cursor = evidence.begin_listing(collection, full=True)
    _, moved = step(evidence, collection, cursor, PAGES)
    with pytest.raises(ListingTaken):
        evidence.restart_listing(collection, cursor.listing)
    assert evidence.cursor(collection) == moved


class Killed(Exception):
    """What ends a process between two statements."""


def kill_before(evidence: EvidenceStore, wanted: Callable[[str], bool]) -> Callable[[], None]:
    """Let the first statement that is wanted fail; gives what ends it."""
    engine = evidence._engine

    def before(connection, cursor, statement: str, *_: object) -> None:
        if wanted(statement):
            raise Killed

    event.listen(engine, "before_cursor_execute", before)
    return lambda: event.remove(engine, "before_cursor_execute", before)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT evidence_current",
        "INSERT INTO evidence ",
        "INSERT INTO evidence_current",
        "UPDATE evidence_current",
        "INSERT INTO cursor",
    ],
)
@pytest.mark.parametrize("ends", [False, True])
def test_a_page_and_its_cursor_are_one_transaction(
    evidence: EvidenceStore, collection: Collection, clock, statement: str, ends: bool
) -> None:
    """Whatever statement a process dies before, either all of a page is there or nothing."""
    sync(evidence, collection, [[("a", 1), ("same", 1), ("gone", 1)]], candidate="w1")
    clock.now += 60
    before = evidence.begin_listing(collection, full=True), stored(evidence)
    page = [("a", 2), ("same", 1), ("b", 1)]
    pages = [page] if ends else [page, []]
    mend = kill_before(evidence, lambda text: text.startswith(statement))
    with pytest.raises(Killed):
        sync(evidence, collection, pages, candidate="w2")
    mend()
    assert (evidence.cursor(collection), stored(evidence)) == before
    if not ends:
        pages = [*pages[:1], []]
    assert sync(evidence, collection, pages, candidate="w2") == Counts(3, 1, 1, 1, 1, pages=len(pages))
    assert evidence.cursor(collection).watermark == "w2"


def test_a_page_whose_commit_fails_was_never_there(evidence: EvidenceStore, collection: Collection) -> None:
    cursor = evidence.begin_listing(collection, full=True)

    def fail(_: object) -> None:
        raise Killed

    event.listen(evidence._engine, "commit", fail)
    with pytest.raises(Killed):
        step(evidence, collection, cursor, PAGES)
    event.remove(evidence._engine, "commit", fail)
    assert (evidence.cursor(collection), stored(evidence)) == (cursor, [])
    assert sync(evidence, collection, PAGES).new == 4


def test_a_first_page_may_be_empty_and_a_page_cursor_any_text(evidence: EvidenceStore, collection: Collection) -> None:
    listing = evidence.begin_listing(collection, full=True).listing
    odd = replace(after_page(listing, 0), page_cursor="=&?'\\%s:b_id%(b)sé" * 500)
    _, cursor = evidence.commit_page(collection, bodies([]), WHERE_FROM, before=listing, after=odd, ends=False)
    assert evidence.cursor(collection) == cursor == Cursor(listing=odd)


RUN = SyncRun(
    id="1f0e",
    flow_run_id="5c9a",
    source="notion",
    tenant="acme",
    started_at=1_700_000_000.5,
    ended_at=None,
    state="running",
    asked={"streams": ["users"], "full": True},
    outcome={},
)


def test_a_run_is_recorded_when_it_begins_and_when_it_ends(evidence: EvidenceStore, clock) -> None:
    evidence.begin_run(RUN)
    assert evidence.runs() == [RUN]
    clock.now += 12
    evidence.end_run(RUN.id, state="incomplete", outcome={"users": {"records": 3}})
    ended = replace(RUN, state="incomplete", outcome={"users": {"records": 3}}, ended_at=clock.now)
    assert evidence.runs() == [ended]


def test_runs_come_newest_first_up_to_a_limit(evidence: EvidenceStore) -> None:
    for n in (2, 1, 3):
        evidence.begin_run(replace(RUN, id=str(n), started_at=float(n), flow_run_id=None))
    evidence.end_run("2", state="complete", outcome={})
    assert [(run.id, run.state) for run in evidence.runs()] == [("3", "running"), ("2", "complete"), ("1", "running")]
    assert [run.id for run in evidence.runs(limit=2)] == ["3", "2"]


def test_runs_are_found_by_source_tenant_and_flow_run(evidence: EvidenceStore) -> None:
    for n, changes in enumerate([{}, {"source": "vanta"}, {"tenant": "globex"}, {"flow_run_id": "77"}]):
        evidence.begin_run(replace(RUN, id=str(n), started_at=float(n), **changes))
    assert [run.id for run in evidence.runs(source="notion", tenant="acme")] == ["3", "0"]
    assert [run.id for run in evidence.runs(1, source="notion", tenant="acme")] == ["3"]
    assert [run.id for run in evidence.runs(flow_run_id="5c9a")] == ["2", "1", "0"]


def test_the_evidence_tells_the_time_of_the_store(evidence: EvidenceStore, clock) -> None:
    assert evidence.now() == clock.now
