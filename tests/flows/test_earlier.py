"""A flow run that gave its worker back goes on with the rest."""

from __future__ import annotations

from dataclasses import replace

from flows.earlier import WAITING, Earlier, earlier
from flows.outcome import Chunk, Problem, SyncReport
from state.records import Counts, SyncRun

NOW = 1_800_000_000.0
USERS = Chunk(Counts(records=7, new=3, changed=2, unchanged=1, deleted=1, pages=2), complete=True)
PAGES = Chunk(Counts(records=5, new=5, pages=1), problem=Problem("Notion asked for 50 min.", NOW))
RUN = SyncRun("1", "5c9a", "notion", "acme", NOW - 500.0, NOW - 400.0, WAITING, {}, outcome={})


def brought(run: SyncRun = RUN, **streams: Chunk) -> SyncRun:
    return replace(run, outcome=SyncReport("notion", "acme", streams).as_json())


def test_knows_what_is_done_and_since_when():
    found = earlier([brought(users=USERS, pages=PAGES)], NOW)
    assert found == Earlier(RUN.started_at, {"users": USERS, "pages": Chunk(PAGES.counts)})


def test_goes_back_to_where_it_first_began():
    first = brought(replace(RUN, id="0", started_at=NOW - 9_000.0), users=PAGES)
    assert earlier([brought(users=USERS), first], NOW) == Earlier(NOW - 9_000.0, {"users": USERS})


def test_ends_with_a_run_that_ended():
    """Somebody who runs it once more wants everything anew; after a kill nobody knows how far it was."""
    for state in ("complete", "incomplete", "failed", "running"):
        over = brought(replace(RUN, state=state), users=USERS)
        assert earlier([over, brought(pages=PAGES)], NOW) == Earlier(NOW)
        assert earlier([brought(pages=USERS), over], NOW).streams == {"pages": USERS}


def test_a_clock_that_was_set_back_does_not_put_the_beginning_into_the_future():
    assert earlier([brought(users=USERS)], NOW - 86_400.0).since == NOW - 86_400.0
