"""Whatever is edited meanwhile and wherever a sync is killed, in the end the evidence is what the vendor has.

A made-up vendor lists as Notion does; its times are whole minutes. Its cursors are places in the order of the listing,
so that an edited record may move across one, or places in the list as it was for the first page, with the records as
they are now. Users come in the order of their names, which change between two runs.
"""

import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.listing import as_text
from flows.vendors.notion import NOTION
from flows.windows import WindowPaginator
from limiter.testing import FakeClock
from state.memory import MemoryStore
from tests.flows.killing import Killed, KilledBeforeOrAfter, StoreOf

SIZE = 3
SOURCE_ID = "00000000-0000-4000-8000-000000000001"
STREAMS = {"users": {}, "pages": {}, "rows": {"data_source": SOURCE_ID}}


def small(paginator):
    if isinstance(paginator, WindowPaginator):
        return replace(paginator, inner=small(paginator.inner))
    return replace(paginator, size=SIZE)


SMALL_PAGES = replace(NOTION, streams=tuple(replace(each, paginator=small(each.paginator)) for each in NOTION.streams))


@dataclass
class Thing:
    key: str
    name: str
    edited: float
    created: float
    revision: int = 1

    @property
    def shown(self):
        edited = as_text(datetime.fromtimestamp(self.edited // 60 * 60, UTC))
        return {"id": self.key, "name": self.name, "revision": self.revision, "last_edited_time": edited}


@dataclass
class MadeUpVendor:
    """One listing over HTTP; `events` are what happens before each of its answers."""

    stream: str
    clock: FakeClock
    keeps_lists: bool
    lists: list[list[str]] = field(default_factory=list)
    things: dict[str, Thing] = field(default_factory=dict)
    ever: dict[str, set[str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    events: list = field(default_factory=list)
    listing: bool = False
    requests: int = 0

    def add(self, name):
        key = f"{name}{len(self.ever)}"
        self.things[key] = Thing(key, name, self.clock(), self.clock())
        self.ever[key] = set()
        self._note(key)

    def edit(self, pick, name):
        if keys := sorted(self.things):
            thing = self.things[keys[pick % len(keys)]]
            # A user who is renamed while users are listed is not met, with any vendor that sorts them by name.
            thing.name = thing.name if self.listing else name
            thing.edited, thing.revision = self.clock(), thing.revision + 1
            self._note(thing.key)

    def remove(self, pick):
        if keys := sorted(self.things):
            key = keys[pick % len(keys)]
            del self.things[key]
            self.gone.add(key)

    def _note(self, key):
        self.ever[key].add(json.dumps(self.things[key].shown, sort_keys=True))

    def happen(self, events, *, listing):
        self.listing = listing
        for kind, *details in events:
            if kind == "kill":
                raise Killed
            if kind == "wait":
                self.clock.now += details[0]
            else:
                getattr(self, kind)(*details)

    def answer(self, request):
        self.requests += 1
        self.happen(self.events.pop(0) if self.events else (), listing=True)
        asked = dict(request.url.params) if request.method == "GET" else json.loads(request.content)
        cursor = json.loads(asked.get("start_cursor", "null"))
        keys, after = self.kept(asked, cursor) if self.keeps_lists else self.placed(asked, cursor)
        page = [self.things[key].shown for key in keys if key in self.things]
        return httpx.Response(
            200,
            json={"results": page, "has_more": after is not None, "next_cursor": after and json.dumps(after)},
        )

    def placed(self, asked, cursor):
        found = [each for each in self.found(asked) if cursor is None or each > tuple(cursor)]
        return [key for _, key in found[:SIZE]], found[SIZE - 1] if len(found) > SIZE else None

    def kept(self, asked, cursor):
        if cursor is None:
            self.lists.append([key for _, key in self.found(asked)])
            cursor = [len(self.lists) - 1, 0]
        number, at = cursor
        keys, end = self.lists[number], at + SIZE
        return keys[at:end], [number, end] if end < len(keys) else None

    def found(self, asked):
        return sorted((self.place(thing), thing.key) for thing in self.things.values() if self.wanted(thing, asked))

    def place(self, thing):
        minute = thing.edited // 60
        return {"users": thing.name, "pages": -minute, "rows": thing.created}[self.stream]

    def wanted(self, thing, asked):
        since = asked.get("filter", {}).get("last_edited_time", {}).get("on_or_after")
        return since is None or thing.shown["last_edited_time"] >= since


names = st.sampled_from("abcdefgh")
picks = st.integers(0, 20)
edits = st.one_of(
    st.tuples(st.just("add"), names),
    st.tuples(st.just("edit"), picks, names),
    st.tuples(st.just("edit"), picks, names),
    st.tuples(st.just("remove"), picks),
    st.tuples(st.just("wait"), st.sampled_from([1, 20, 61, 4000])),
)


@dataclass
class Run:
    """A sync: what happens before it, before each answer, and before or after which page it is killed, if it is."""

    before: list
    during: list
    pages: int
    full: bool
    killed_at: int | None
    stored: bool


runs = st.lists(
    st.builds(
        Run,
        before=st.lists(edits, max_size=4),
        during=st.lists(st.lists(edits | st.just(("kill",)), max_size=2), max_size=6),
        pages=st.integers(1, 3),
        full=st.booleans(),
        killed_at=st.none() | st.integers(0, 3),
        stored=st.booleans(),
    ),
    max_size=4,
)


@pytest.fixture(scope="module")
def shared_store():
    """One database for all examples, each of which is a tenant of its own."""
    return MemoryStore(clock=FakeClock())


def sync(collector, stream, tenant, *, pages, full):
    return collector.sync(stream, tenant=tenant, pages=pages, full=full, params=STREAMS[stream])


@pytest.mark.parametrize("stream", STREAMS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.lists(names, min_size=2, max_size=12),
    runs=runs,
    last=st.lists(edits, max_size=4),
    keeps_lists=st.booleans(),
)
def test_in_the_end_the_evidence_is_what_the_vendor_has(
    stream, shared_store, collector_of, start, runs, last, keeps_lists
):
    clock = shared_store._clock
    vendor = MadeUpVendor(stream, clock, keeps_lists)
    tenant = f"{stream}-{clock()}"
    collector = collector_of(transport=httpx.MockTransport(vendor.answer), source=SMALL_PAGES)
    collector.clock, collector.store = clock, shared_store
    for name in start:
        vendor.add(name)
        clock.now += 30
    for run in runs:
        vendor.happen(run.before, listing=False)
        vendor.events = list(run.during)
        evidence = shared_store.evidence
        if run.killed_at is not None:
            evidence = KilledBeforeOrAfter(evidence, run.killed_at, run.stored)
        collector.store = StoreOf(shared_store, evidence)
        with suppress(Killed):
            assert sync(collector, stream, tenant, pages=run.pages, full=run.full).complete
        assert buried(collector, stream, tenant) <= vendor.gone, "what is buried is gone"
    collector.store, vendor.events = shared_store, []
    vendor.happen(last, listing=False)
    clock.now += 61  # within its minute, a vendor's edit cannot be told from the one before it
    assert sync(collector, stream, tenant, pages=2, full=False).complete

    versions = collector.versions(stream, tenant)
    current = collector.current(stream, tenant)
    for key, thing in vendor.things.items():
        assert current[key] == thing.shown, "the latest version is there"
    for key in vendor.ever:
        bodies = [version.text for version in versions if version.external_id == key]
        assert all(a != b for a, b in pairwise(bodies)), "nothing is doubled"
        shown = {json.dumps(json.loads(body), sort_keys=True) for body in bodies} - {"null"}
        assert shown <= vendor.ever[key], "nothing was made up"
    if stream == "users":
        assert {key for key, record in current.items() if record is not None} == set(vendor.things)
    if stream == "pages":
        assert not buried(collector, stream, tenant), "a search buries nothing"

    before, asked = versions, vendor.requests
    again = sync(collector, stream, tenant, pages=2, full=False)
    assert collector.versions(stream, tenant) == before, "what did not change adds nothing"
    assert vendor.requests - asked == again.counts.pages


def buried(collector, stream, tenant):
    """What has, or ever had, a tombstone."""
    return {version.external_id for version in collector.versions(stream, tenant) if version.deleted}


@pytest.fixture
def vendor_and_collector(clock, collector_of):
    def make(stream, names, *, keeps_lists):
        vendor = MadeUpVendor(stream, clock, keeps_lists)
        for name in names:
            vendor.add(name)
            clock.now += 60
        return vendor, collector_of(transport=httpx.MockTransport(vendor.answer), source=SMALL_PAGES)

    return make


def test_a_user_who_moved_behind_an_old_listing_is_not_buried(vendor_and_collector):
    vendor, collector = vendor_and_collector("users", "bcdefgh", keeps_lists=False)
    sync(collector, "users", "x", pages=20, full=False)
    assert collector.chunk("users", tenant="x", pages=1).more
    vendor.happen([("edit", 6, "a")], listing=False)  # h, who has not been met, moves to the page that has
    assert sync(collector, "users", "x", pages=20, full=False).complete
    assert [version.version for version in collector.versions("users") if version.external_id == "h6"] == [1, 2]
    assert not buried(collector, "users", "x")


@pytest.mark.parametrize("stream", ["pages", "rows"])
def test_what_was_edited_after_its_page_is_met_although_a_later_page_shows_a_later_edit(vendor_and_collector, stream):
    """A vendor that keeps the list as it was shows the record with its new time where it had been."""
    vendor, collector = vendor_and_collector(stream, "abcdef", keeps_lists=True)
    met, to_come = (0, 5) if stream == "rows" else (5, 0)
    vendor.events = [[], [("wait", 600), ("edit", met, "new"), ("wait", 600), ("edit", to_come, "newer")]]
    assert sync(collector, stream, "x", pages=20, full=False).complete
    vendor.clock.now += 600
    assert sync(collector, stream, "x", pages=20, full=False).counts.changed == 1
    assert {key: record["revision"] for key, record in collector.current(stream).items()} == {
        key: thing.revision for key, thing in vendor.things.items()
    }
