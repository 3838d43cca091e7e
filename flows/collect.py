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
from state.records import Collection, Counts, Cursor, Listing, Provenance
from state.store import Store

_met: dict[Collection, tuple[float, set[str]]] = {}
"""What each listing has met of page cursors in this process, by when it began: a circle may be longer than a task."""


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
    chunk, before = Chunk(), _sent(client)
    try:
        for chunk in _pages(client, store, task, wanted, provenance, sleep):
            if listener is not None:
                listener.page(task.stream.name, chunk, client.limiter.snapshot()["current_rate"])
    except (CollectError, VendorError, httpx.HTTPError, StateError) as error:
        chunk = replace(chunk, problem=_problem(task, error), complete=False)
    return replace(chunk, sent=_sent(client) - before)


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
    known = evidence.cursor(collection)
    listed = wanted.since <= known.completed_at <= evidence.now()  # by this run; a clock that was ahead lists again
    full = wanted.full and not listed
    cursor = evidence.begin_listing(collection, full=full or not stream.watermark or known.watermark is None)
    listing = _in_progress(cursor)
    # Begun by an earlier run: what was edited since may lie on pages that have gone by, so another listing follows.
    old = listing.began_at < wanted.since
    if old and not listing.pages:
        cursor, old = evidence.restart_listing(collection, listing), False
    counts = Counts()
    for _ in range(wanted.pages):
        sleep(0.0)  # where a sync that is stopped ends between two pages
        listing = _in_progress(cursor)
        floor = floor_of(stream, cursor.watermark, listing.full)
        try:
            page = fetch_page(client, task, page_request(stream, task.request, listing, floor), sleep=sleep)
        except CursorExpired:
            if listing.page_cursor is None:
                raise
            cursor = evidence.restart_listing(collection, listing)
            if not old:  # a cursor of this very run: if that ends too soon, so will the next
                raise
            old = False
            continue
        step = advance(stream, listing, page, floor, _met_before(collection, listing))
        new, cursor = evidence.commit_page(
            collection,
            [body(key, record) for key, record in page.records],
            provenance,
            before=listing,
            after=Listing(evidence.now(), listing.full) if step.broken else step.listing,
            ends=step.ends,
            # What an old listing did not meet may have moved to a page that had gone by; where another full one
            # follows, that one tells.
            buries=step.ends and listing.full and stream.exhaustive and (not old or bool(stream.watermark)),
        )
        counts += new
        yield Chunk(counts, complete=step.ends and not old, listed=step.listing.records, expected=cursor.expected)
        if step.broken:
            raise ListingCut(
                f"{task.source.title} listed only {step.listing.records:,} records of {stream.name} and not all: "
                f"{step.broken}"
            )
        if step.ends:
            return


def _in_progress(cursor: Cursor) -> Listing:
    assert cursor.listing is not None, "a listing was begun"
    return cursor.listing


def _met_before(collection: Collection, listing: Listing) -> set[str]:
    """The page cursors that a listing has met, with the one it has come to."""
    began_at, met = _met.get(collection, (0.0, set()))
    if began_at != listing.began_at or listing.page_cursor is None:
        _met[collection] = listing.began_at, (met := set())
    if listing.page_cursor is not None:
        met.add(listing.page_cursor)
    return met


def _sent(client: AimdClient) -> Sent:
    tally = client.limiter.tally
    return Sent(tally.requests, tally.throttled, tally.waited)


def _problem(task: Task, error: Exception) -> Problem:
    kept = "What was collected is kept"
    if isinstance(error, StateError | VendorError):
        return Problem(str(error), error.until if isinstance(error, TryLater) else 0.0)
    if isinstance(error, httpx.HTTPError):
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return Problem(
            f"{task.source.title} could not be reached for {task.stream.name} ({said}). {kept}; run again to go on."
        )
    if isinstance(error, CursorExpired | ListingCut):
        return Problem(f"{error}. {kept}; the next run lists it from the beginning.")
    return Problem(f"{error}. {kept}, the cursor stays where it was; run again to go on.")
