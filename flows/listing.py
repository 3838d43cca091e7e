"""What a page does to a listing. Pure: pages and cursors in, decisions out.

A listing is full, or takes only what is newer than the watermark. It ends complete with the last page; one that is
sorted newest first ends at the first page that reaches back to what is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flows.errors import BadPage, RepeatedCursor
from flows.paginators import PageRequest
from flows.stream import Record, Stream
from state.records import Listing


@dataclass(frozen=True, slots=True)
class Page:
    """An answer, read.

    Attributes:
        records: Its records by their ids, in order, without what changes with each answer.
        times: Their watermark fields, epoch-comparable; empty for a stream without one.
        next_cursor: Where the next page is; None on the last.
        cut: Why the vendor ended the listing before its end; `""` if it did not.
    """

    records: tuple[tuple[str, Record], ...]
    times: tuple[datetime, ...]
    next_cursor: str | None
    cut: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a listing.

    Attributes:
        listing: With the page.
        ends: It is complete.
    """

    listing: Listing
    ends: bool


def page_request(stream: Stream, first: PageRequest, listing: Listing, floor: datetime | None) -> PageRequest:
    """The request for the page that the listing has come to.

    Args:
        stream: What is listed.
        first: The listing's request without paging.
        listing: Where it is.
        floor: Take only what is not older; None for everything.
    """
    if floor is not None and stream.since is not None:
        first = replace(first, body={**(first.body or {}), **stream.since(as_text(floor))})
    return stream.paginator.prepare(first, listing.page_cursor)


def read_page(stream: Stream, answer: Any) -> Page:
    """Read an answer.

    Raises:
        BadPage: It is not of the expected shape; the message says in what.
    """
    records = answer.get(stream.records) if isinstance(answer, Mapping) else None
    if not isinstance(records, list):
        raise BadPage(f"it has no list {stream.records!r}")
    cut = stream.cut(answer)
    return Page(
        records=tuple((_key(stream, record), stream.stable(record)) for record in records),
        times=tuple(_time(stream, record) for record in records) if stream.watermark else (),
        next_cursor=None if cut else stream.paginator.next_cursor(answer),
        cut=cut or "",
    )


def floor_of(stream: Stream, watermark: str | None, full: bool) -> datetime | None:
    """From when on records are wanted; None for all of them."""
    if full or watermark is None or not stream.watermark:
        return None
    return as_time(watermark) - timedelta(seconds=stream.overlap)


def advance(stream: Stream, listing: Listing, page: Page, floor: datetime | None, seen: Sequence[str] = ()) -> Step:
    """Put a page behind a listing.

    Args:
        stream: What is listed.
        listing: As it was when the page was fetched.
        page: What came.
        floor: See `floor_of`.
        seen: Page cursors that were met before.

    Raises:
        RepeatedCursor: The page points to itself or to one before.
    """
    if page.next_cursor is not None and (page.next_cursor == listing.page_cursor or page.next_cursor in seen):
        raise RepeatedCursor(f"page {listing.pages + 1} points to a page that came before")
    known = stream.order == "newest first" and floor is not None and bool(page.times) and page.times[-1] < floor
    after = replace(
        listing,
        page_cursor=page.next_cursor,
        candidate=_candidate(stream, listing, page),
        pages=listing.pages + 1,
        records=listing.records + len(page.records),
    )
    return Step(after, ends=known or page.next_cursor is None)


def as_time(text: str) -> datetime:
    """An ISO 8601 time; without an offset it is UTC. `ValueError` if it is none."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def as_text(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, the form most vendors write."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _candidate(stream: Stream, listing: Listing, page: Page) -> str | None:
    """The watermark to adopt at the end: never beyond what the listing is sure to have met.

    Newest first, that is what its first page shows: something edited later moves to a page that has gone by.
    """
    if not page.times or (stream.order == "newest first" and listing.pages):
        return listing.candidate
    newest = max(page.times)
    return as_text(newest if listing.candidate is None else max(newest, as_time(listing.candidate)))


def _key(stream: Stream, record: Any) -> str:
    key = record.get(stream.primary_key) if isinstance(record, Mapping) else None
    if not isinstance(key, str | int) or isinstance(key, bool) or key == "":
        raise BadPage(f"a record has no {stream.primary_key!r}")
    return str(key)


def _time(stream: Stream, record: Mapping[str, Any]) -> datetime:
    try:
        return as_time(record[stream.watermark])
    except (KeyError, TypeError, ValueError):
        raise BadPage(f"a record has no time in {stream.watermark!r}") from None
