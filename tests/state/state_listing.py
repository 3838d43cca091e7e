"""Listings as a sync makes them, page by page, for tests of the evidence store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from state.canonical import body
from state.evidence import EvidenceStore
from state.records import Body, Collection, Counts, Cursor, Listing, Provenance

WHERE_FROM = Provenance("https://api.notion.com/v1", "sha256:0a1b", "run-1")
Page = Sequence[tuple[str, object]]
"""What the vendor gives: ids and contents."""


def bodies(page: Iterable[tuple[str, object]]) -> list[Body]:
    return [body(key, {"id": key, "value": value}) for key, value in page]


def after_page(listing: Listing, records: int, *, candidate: str | None = None) -> Listing:
    """The listing with one more page. The page cursor counts the pages."""
    return replace(
        listing,
        page_cursor=str(listing.pages + 1),
        candidate=candidate or listing.candidate,
        pages=listing.pages + 1,
        records=listing.records + records,
    )


def step(
    evidence: EvidenceStore,
    collection: Collection,
    cursor: Cursor,
    pages: Sequence[Page],
    *,
    buries: bool = True,
    candidate: str | None = None,
) -> tuple[Counts, Cursor]:
    """Fetch the page that the cursor points at and store it."""
    listing = cursor.listing
    assert listing is not None
    page = pages[listing.pages]
    ends = listing.pages + 1 == len(pages)
    return evidence.commit_page(
        collection,
        bodies(page),
        WHERE_FROM,
        before=listing,
        after=after_page(listing, len(page), candidate=candidate),
        ends=ends,
        buries=buries and ends and listing.full,
    )


def sync(
    evidence: EvidenceStore,
    collection: Collection,
    pages: Sequence[Page],
    *,
    full: bool = True,
    buries: bool = True,
    candidate: str | None = None,
) -> Counts:
    """Go on with the listing in progress, or begin one, and bring it to its end."""
    cursor = evidence.begin_listing(collection, full=full)
    counts = Counts()
    while cursor.listing is not None:
        new, cursor = step(evidence, collection, cursor, pages, buries=buries, candidate=candidate)
        counts += new
    return counts


def stored(
    evidence: EvidenceStore, collection: Collection | None = None, **wanted: str
) -> list[tuple[str, int, bool, str]]:
    """All versions, in the order in which they were stored: id, version, tombstone or not, content."""
    return [
        (version.external_id, version.version, version.deleted, str(version.text))
        for version in evidence.versions(with_text=True, **wanted)
        if collection is None or version.collection == collection
    ]


def expected(syncs: Iterable[Mapping[str, object]]) -> dict[str, list[object]]:
    """A model: by id, the contents that a record has had over some full syncs; None where it was gone."""
    history: dict[str, list[object]] = {}
    for there in syncs:
        for key in {*history, *there}:
            now = there.get(key)
            if history.setdefault(key, [None])[-1] != now:
                history[key].append(now)
    return {key: values[1:] for key, values in history.items()}
