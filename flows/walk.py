"""The pages of one listing, one after the other, from the vendor into the store.

Whatever stops it, the store is whole: a page and the cursor behind it are one transaction. Of a page with many files,
what fits into memory is stored before; if the page comes again, it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

from flows.errors import CursorExpired, ListingCut
from flows.fetch import fetch_page
from flows.files import with_files
from flows.jobs import export
from flows.listing import Met, Page, advance, floor_of, page_request
from flows.outcome import Chunk
from flows.sources import Task
from flows.stream import Stream
from limiter import AimdClient
from state.evidence import EvidenceStore
from state.records import Collection, Counts, Cursor, Listing, Provenance
from state.store import Store

NO_MARK = "-"
"""Where a collection has no watermark and yet one must take the place of an older one."""


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


@dataclass(slots=True)
class _Progress:
    """What a sync knows of a listing in this process, since it may take several tasks.

    Attributes:
        run: The sync.
        began_at: Which listing.
        old: An earlier run began it, so what was edited since may lie on pages that have gone by. The clock, which may
            be set back, is asked only once.
        met: What it has met.
    """

    run: str
    began_at: float
    old: bool
    met: Met = field(default_factory=Met)


_progress: WeakKeyDictionary[EvidenceStore, dict[Collection, _Progress]] = WeakKeyDictionary()


def walk(
    client: AimdClient,
    store: Store,
    task: Task,
    wanted: Wanted,
    provenance: Provenance,
    sleep: Callable[[float], None],
) -> Iterator[Chunk]:
    """Store page after page of a listing, from where it was or anew.

    Args:
        client: Of the task's source, with its credential.
        store: Where evidence and cursors are kept.
        task: What to list.
        wanted: How.
        provenance: Goes into the evidence.
        sleep: Waits between tries of a page that is not one, seconds.

    Yields:
        What came so far, after each page.

    Raises:
        CollectError: The listing could not go on.
        StateError: The database failed.
        httpx.HTTPError: As `limiter.exchange.exchange`.
    """
    evidence, stream, collection = store.evidence, task.stream, task.collection
    known = evidence.cursor(collection)
    listed = wanted.since <= known.completed_at <= evidence.now()  # by this run; a clock that was ahead lists again
    full = wanted.full and not listed
    cursor = evidence.begin_listing(collection, full=full or not stream.watermark or known.watermark is None)
    listing = _in_progress(cursor)
    if listing.began_at < wanted.since and not listing.pages:  # an earlier run's that came to nothing
        cursor = evidence.restart_listing(collection, listing)
    counts = Counts()
    for _ in range(wanted.pages):
        sleep(0.0)  # where a sync that is stopped ends between two pages
        listing = _in_progress(cursor)
        progress = _progress_of(evidence, collection, listing, wanted, provenance.run_id)
        old, met = progress.old, progress.met
        floor = floor_of(stream, cursor.watermark, listing.full)
        try:
            if stream.job is not None:
                page = export(client, task, stream.job, sleep)
            else:
                page = fetch_page(
                    client,
                    task,
                    page_request(stream, task.request, listing, floor),
                    cursor=listing.page_cursor,
                    etag=None if full or listing.pages else _etag(stream, cursor),
                    sleep=sleep,
                )
        except CursorExpired:
            if listing.page_cursor is None:
                raise
            cursor = evidence.restart_listing(collection, listing)
            if not old:  # a cursor of this very run: if that ends too soon, so will the next
                raise
            continue
        for bodies, more in with_files(client, evidence, task, page, sleep):
            if not more:
                break
            new, _ = evidence.commit_page(collection, bodies, provenance, before=listing, after=listing, ends=False)
            counts += replace(new, pages=0)
            yield Chunk(counts, listed=listing.records, expected=cursor.expected)
        step = advance(stream, listing, page, floor, met.seen, met.empty)
        after = replace(step.listing, candidate=_mark(task, listing, page, old) or step.listing.candidate)
        if page.unchanged:
            after = replace(after, records=cursor.expected)
        new, cursor = evidence.commit_page(
            collection,
            bodies,
            provenance,
            before=listing,
            after=Listing(evidence.now(), listing.full) if step.broken else after,
            ends=step.ends,
            # What an old listing did not meet may have moved to a page that had gone by; where another full one
            # follows, that one tells.
            buries=step.ends
            and listing.full
            and stream.exhaustive
            and not page.unchanged
            and (not old or bool(stream.watermark)),
        )
        met.note(page)  # only now: a page that was not stored comes again
        if step.ends or step.broken:
            _progress[evidence].pop(collection, None)
        counts += replace(new, records=after.records, unchanged=after.records) if page.unchanged else new
        yield Chunk(counts, complete=step.ends and not old, listed=after.records, expected=cursor.expected)
        if step.broken:
            raise ListingCut(
                f"{task.source.title} listed only {step.listing.records:,} records of {task.what} and not all: "
                f"{step.broken}"
            )
        if step.ends:
            return


def _mark(task: Task, listing: Listing, page: Page, old: bool) -> str | None:
    """What stands in the place of a watermark for a stream without one; None for nothing."""
    if page.next_cursor is not None or page.cut:
        return None
    if task.stream.etag:  # it vouches for one page only
        return page.etag if page.etag and not listing.pages else NO_MARK
    # Of an old listing, a first page may be older than the parent is now.
    return None if old else task.mark


def _etag(stream: Stream, cursor: Cursor) -> str | None:
    """What the vendor knows a listing of one page by. A full page may be what it was and have got another behind it."""
    if not stream.etag or cursor.watermark == NO_MARK or cursor.expected >= getattr(stream.paginator, "size", 0):
        return None
    return cursor.watermark


def _in_progress(cursor: Cursor) -> Listing:
    assert cursor.listing is not None, "a listing was begun"
    return cursor.listing


def _progress_of(
    evidence: EvidenceStore, collection: Collection, listing: Listing, wanted: Wanted, run: str
) -> _Progress:
    known = _progress.setdefault(evidence, {})
    progress = known.get(collection)
    if progress is None or not listing.pages or (progress.run, progress.began_at) != (run, listing.began_at):
        # One without pages is this run's: it would have been begun anew.
        old = listing.pages > 0 and listing.began_at < wanted.since
        progress = known[collection] = _Progress(run, listing.began_at, old)
    return progress
