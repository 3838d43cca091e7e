"""What a page does to a listing. Pure: pages and cursors in, decisions out.

A listing is full, or takes only what is newer than the watermark. It ends complete with the last page; one that is
sorted newest first ends at the first page that reaches back to what is known.

The watermark must never pass something that was not collected, so a vendor's times are believed only as far as they
can be right: none from after the listing began, none if a record has no time at all, no order that a page belies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flows.answer import Answer, PageRequest, at
from flows.errors import BadPage
from flows.record import address_of, kept_text, key_of
from flows.stream import Clock, Record, Stream
from flows.windows import WindowPaginator
from state.records import Listing

UNDATED = ""
"""The candidate of a listing that met a record without a time: no watermark is adopted, so nothing is passed by."""

EMPTY_PAGES = 100
"""So many in a row that each point to another are a listing that never ends; a few may be a filter's work."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer, read.

    Attributes:
        records: Its records by their ids, in order, without what changes with each answer.
        times: Their watermark fields, in order; None where a record has no time in it; empty for a stream without one.
        next_cursor: Where the next page is; None on the last.
        cut: Why the vendor ended the listing before its end; `""` if it did not.
        etag: What the vendor would recognize it by; `""` for nothing.
        files: Where the records' files are, in order; empty for a stream without files.
        unchanged: It is what it was when the vendor gave the ETag that was sent along; then it has no records.
    """

    records: tuple[tuple[str, Record], ...]
    times: tuple[datetime | None, ...]
    next_cursor: str | None
    cut: str = ""
    etag: str = ""
    files: tuple[str, ...] = ()
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a listing.

    Attributes:
        listing: With the page.
        ends: It is complete.
        broken: Why it is not and yet cannot go on; `""` if it can.
    """

    listing: Listing
    ends: bool
    broken: str = ""


@dataclass(slots=True)
class Met:
    """What tells that a listing does not end.

    Attributes:
        seen: Page cursors, and fingerprints of pages.
        empty: Pages without a record in a row.
    """

    seen: set[str] = field(default_factory=set)
    empty: int = 0

    def note(self, page: Page) -> None:
        """Note a page that was kept; one that was not comes again."""
        if page.next_cursor is not None:
            self.seen.add(page.next_cursor)
        if page.records:
            self.seen.add(fingerprint(page))
        self.empty = 0 if page.records else self.empty + 1


def page_request(stream: Stream, first: PageRequest, listing: Listing, floor: datetime | None) -> PageRequest:
    """The request for the page that the listing has come to.

    Args:
        stream: What is listed.
        first: The listing's request without paging.
        listing: Where it is.
        floor: Take only what is not older; None for everything.
    """
    if floor is not None and stream.since is not None:
        wanted = stream.since(_written(floor, stream.clock))
        if first.method == "GET":
            first = replace(first, query={**first.query, **wanted})
        else:
            first = replace(first, body={**(first.body or {}), **wanted})
    return stream.paginator.prepare(first, listing.page_cursor)


def read_page(stream: Stream, answer: Answer) -> Page:
    """Read an answer.

    Raises:
        BadPage: It is not of the expected shape; the message says in what.
        ForeignLink: It points to another host.
    """
    records = at(answer.content, stream.records)
    if stream.one and isinstance(records, Mapping):
        records = [records]
    if not isinstance(records, list):
        raise BadPage(f"it has no list {stream.records!r}" if stream.records else "it is no list")
    answer = replace(answer, records=records)
    cut = stream.cut(answer.content) if isinstance(answer.content, Mapping) else None
    if not cut:
        cursor = stream.paginator.next_cursor(answer)
    else:
        cursor = stream.paginator.beyond_cut(answer) if isinstance(stream.paginator, WindowPaginator) else None
    return Page(
        records=tuple((key_of(stream, record), stream.stable(record)) for record in records),
        times=tuple(_time(stream, record) for record in records) if stream.watermark else (),
        next_cursor=None if cursor is None else kept_text(cursor, 4096, "its next cursor"),
        cut="" if cursor else cut or "",
        etag=answer.headers.get("etag", "") if stream.etag else "",
        files=tuple(address_of(stream.content, record) for record in records) if stream.content else (),
    )


def floor_of(stream: Stream, watermark: str | None, full: bool) -> datetime | None:
    """From when on records are wanted; None for all of them."""
    if full or watermark is None or not stream.watermark:
        return None
    try:
        return as_time(watermark) - timedelta(seconds=stream.overlap)
    except (ValueError, OverflowError):  # a row that somebody edited
        return None


def advance(
    stream: Stream,
    listing: Listing,
    page: Page,
    floor: datetime | None,
    seen: Collection[str] = frozenset(),
    empty: int = 0,
) -> Step:
    """Put a page behind a listing.

    Args:
        stream: What is listed.
        listing: As it was when the page was fetched.
        page: What came.
        floor: See `floor_of`.
        seen: Page cursors and fingerprints of pages that were met before.
        empty: Pages without a record just before this one.
    """
    after = replace(
        listing,
        page_cursor=page.next_cursor,
        candidate=_candidate(stream, listing, page),
        pages=listing.pages + 1,
        records=listing.records + len(page.records),
    )
    if stream.order == "newest first" and floor is not None and _reaches_back(page.times, floor):
        return Step(after, ends=True)
    if page.cut:
        return Step(after, ends=False, broken=f"the vendor ended it early ({page.cut})")
    if page.next_cursor is not None and (page.next_cursor == listing.page_cursor or page.next_cursor in seen):
        return Step(after, ends=False, broken=f"page {after.pages} points to a page that came before")
    # Windows overlap, so that a page may come twice there.
    windows = isinstance(stream.paginator, WindowPaginator)
    if page.next_cursor is not None and page.records and not windows and fingerprint(page) in seen:
        return Step(after, ends=False, broken=f"page {after.pages} brings just what a page before it brought")
    if page.next_cursor is not None and not page.records and empty + 1 >= EMPTY_PAGES:
        return Step(after, ends=False, broken=f"{empty + 1} pages in a row were empty, and each points to another")
    return Step(after, ends=page.next_cursor is None)


def fingerprint(page: Page) -> str:
    """What tells a page from others: the ids on it. A vendor whose cursors never end brings one again and again."""
    return hashlib.sha256("\n".join(key for key, _ in page.records).encode()).hexdigest()


def as_time(text: str) -> datetime:
    """An ISO 8601 time, in UTC; without an offset it is UTC.

    Raises:
        ValueError: It is none.
        OverflowError: It lies outside of what a calendar has.
    """
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def as_text(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, the form most vendors write."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _reaches_back(times: tuple[datetime | None, ...], floor: datetime) -> bool:
    """Whether what follows a page is older than `floor`. A page that is not sorted says nothing of what follows."""
    dated = [time for time in times if time is not None]
    return bool(dated) and len(dated) == len(times) and dated == sorted(dated, reverse=True) and dated[-1] < floor


def _candidate(stream: Stream, listing: Listing, page: Page) -> str | None:
    """The watermark to adopt at the end: never beyond what the listing is sure to have met.

    Newest first, that is what its first page shows: something edited later moves to a page that has gone by. A time
    from after the listing began is an edit made meanwhile, which the next listing meets again, or plainly wrong.
    """
    if not stream.watermark:
        return listing.candidate
    if listing.candidate == UNDATED or None in page.times:
        return UNDATED
    if listing.candidate is not None and stream.order == "newest first":
        return listing.candidate
    began = datetime.fromtimestamp(listing.began_at, UTC)
    times = [time for time in page.times if time is not None and time <= began]
    if listing.candidate is not None:
        times.append(as_time(listing.candidate))
    return as_text(max(times)) if times else None


def _time(stream: Stream, record: Mapping[str, Any]) -> datetime | None:
    value = at(record, stream.watermark)
    try:
        if stream.clock == "ISO 8601":
            return as_time(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return datetime.fromtimestamp(value / (1000 if stream.clock == "milliseconds" else 1), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _written(moment: datetime, clock: Clock) -> str:
    """A time as the vendor writes it; epoch times are rounded down."""
    if clock == "ISO 8601":
        return as_text(moment)
    return str(int(moment.timestamp() * (1000 if clock == "milliseconds" else 1)))
