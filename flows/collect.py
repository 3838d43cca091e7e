"""Some pages of a listing, from the vendor into the store. The shell around `flows.listing`; free of Prefect.

Whatever stops it, the store is whole: a page and the cursor behind it are one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import httpx

from flows.errors import CollectError, CursorExpired, ListingCut
from flows.fetch import fetch_page
from flows.listing import advance, floor_of, page_request
from flows.outcome import Chunk, Problem, Sent
from flows.progress import Listener
from flows.sources import Task
from limiter import AimdClient, TryLater, VendorError
from state.canonical import body
from state.errors import StateError
from state.records import Counts, Cursor, Listing, Provenance
from state.store import Store


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to go about a listing.

    Attributes:
        full: List everything, whatever is known.
        pages: At most so many pages.
        since: When the run began, epoch seconds. A listing that an earlier run began and this one ends is followed by
            one of what is newer.
    """

    full: bool
    pages: int
    since: float


def collect(
    client: AimdClient,
    store: Store,
    task: Task,
    wanted: Wanted,
    provenance: Provenance,
    *,
    listener: Listener | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Chunk:
    """Go on with a listing, or begin it.

    Args:
        client: Of the task's source, with its credential.
        store: Where evidence and cursors are kept.
        task: What to list.
        wanted: How.
        provenance: Goes into the evidence.
        listener: Hears of each page.
        sleep: Waits between tries of a page that is not one, seconds.

    Returns:
        What came. A vendor that refuses, answers nonsense or cannot be reached is a `problem` of it, never an empty
        listing; so is a database that fails.
    """
    chunk = Chunk()
    try:
        for chunk in _pages(client, store, task, wanted, provenance, sleep):
            if listener is not None:
                listener.page(task.stream.name, chunk, client.limiter.snapshot()["current_rate"])
    except (CollectError, VendorError, httpx.HTTPError, StateError) as error:
        chunk = replace(chunk, problem=_problem(task, error), complete=False)
    tally = client.limiter.tally
    return replace(chunk, sent=Sent(tally.requests, tally.throttled, tally.waited))


def _pages(
    client: AimdClient,
    store: Store,
    task: Task,
    wanted: Wanted,
    provenance: Provenance,
    sleep: Callable[[float], None],
) -> Iterator[Chunk]:
    """Store page after page; gives what came so far after each."""
    evidence, stream, collection = store.evidence, task.stream, task.collection
    cursor = evidence.cursor(collection)
    full = wanted.full and cursor.completed_at < wanted.since
    cursor = evidence.begin_listing(collection, full=full or not stream.watermark or cursor.watermark is None)
    counts = Counts()
    seen: list[str] = []
    restarted = False
    for _ in range(wanted.pages):
        sleep(0.0)  # where a sync that is stopped ends between two pages
        listing = _in_progress(cursor)
        floor = floor_of(stream, cursor.watermark, listing.full)
        try:
            page = fetch_page(client, task, page_request(stream, task.request, listing, floor), sleep=sleep)
        except CursorExpired:
            if restarted or listing.page_cursor is None:
                raise
            restarted = True
            cursor = evidence.restart_listing(collection, listing)
            continue
        step = advance(stream, listing, page, floor, seen)
        seen += [listing.page_cursor] if listing.page_cursor else []
        ends = step.ends and not page.cut
        new, cursor = evidence.commit_page(
            collection,
            [body(key, record) for key, record in page.records],
            provenance,
            before=listing,
            after=step.listing,
            ends=ends,
            buries=ends and listing.full and stream.exhaustive,
        )
        counts += new
        if page.cut:
            evidence.restart_listing(collection, step.listing)
            raise _cut(task, page.cut, step.listing)
        again = ends and bool(stream.watermark) and listing.began_at < wanted.since
        yield Chunk(counts, complete=ends and not again, listed=step.listing.records, expected=cursor.expected)
        if ends:
            return


def _in_progress(cursor: Cursor) -> Listing:
    assert cursor.listing is not None, "a listing was begun"
    return cursor.listing


def _cut(task: Task, reason: str, listing: Listing) -> ListingCut:
    return ListingCut(
        f"{task.source.title} ended the listing of {task.stream.name} after {listing.records:,} records, before its "
        f"end ({reason})"
    )


def _problem(task: Task, error: Exception) -> Problem:
    kept = "What was collected is kept"
    if isinstance(error, StateError | VendorError):
        return Problem(str(error), error.until if isinstance(error, TryLater) else 0.0)
    if isinstance(error, httpx.HTTPError):
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return Problem(
            f"{task.source.title} could not be reached for {task.stream.name} ({said}). {kept}; run again to go on."
        )
    return Problem(f"{error}. {kept}, the cursor stays where it was; run again to go on.")
