"""Parents, children and theirs: whatever happens meanwhile and wherever a sync is killed, nothing is lost or doubled.

Bases have tables and tables have records, at a simulated Airtable whose iterators list what there was when they began.
Things are added, edited and removed between two syncs and between two requests of one. A removed base takes its tables
and their records along.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.vendors.airtable import AIRTABLE
from limiter.testing import FakeClock
from simulator.vendors import make_world
from simulator.vendors.airtable.world import as_record
from state.canonical import canonical_json
from state.memory import MemoryStore
from tests.flows.killing import Killed, KilledBeforeOrAfter, StoreOf

KINDS = ("bases", "tables", "records")
SMALL_PAGES = replace(
    AIRTABLE,
    streams=tuple(
        replace(stream, paginator=replace(stream.paginator, size=2)) if stream.name == "records" else stream
        for stream in AIRTABLE.streams
        if stream.name in KINDS
    ),
)

TRUSTED = httpx.create_ssl_context()
"""Read once: each task makes a client."""

picks = st.integers(0, 40)
edits = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(KINDS), picks),
    st.tuples(st.just("add"), st.just("records"), picks),
    st.tuples(st.just("change"), st.just("records"), picks),
    st.tuples(st.just("change"), st.sampled_from(KINDS), picks),
    st.tuples(st.just("remove"), st.just("records"), picks),
    st.tuples(st.just("remove"), st.sampled_from(KINDS), picks),
)


@dataclass
class Run:
    """A sync: what happens before it and before each of its requests, and at which page it is killed, if it is."""

    before: list
    during: list
    pages: int
    killed_at: int | None
    stored: bool


runs = st.lists(
    st.builds(
        Run,
        before=st.lists(edits, max_size=4),
        during=st.lists(st.lists(edits, max_size=2), max_size=12),
        pages=st.integers(1, 3),
        killed_at=st.none() | st.integers(0, 12),
        stored=st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


class Model:
    """What the vendor has and had."""

    def __init__(self, world, clock):
        self.world, self.clock, self.gone = world, clock, set()

    def happen(self, events):
        for what, kind, pick in events:
            self.clock.now += 1
            ids, before = self.world.ids(kind), self.ids()
            if what == "add":
                above = self.world.ids(KINDS[KINDS.index(kind) - 1]) if kind != "bases" else [""]
                if above:
                    self.world.add(kind, {"parent": above[pick % len(above)]}, self.clock())
            elif ids and what == "change":
                self.world.change(ids[pick % len(ids)], {}, self.clock())
            elif ids:
                self.world.remove(ids[pick % len(ids)], self.clock())
            self.gone |= before - self.ids()

    def ids(self):
        return {each for kind in KINDS for each in self.world.ids(kind)}

    def shown(self):
        """Everything there is, by stream, partition and id, as the store has to have it."""
        table_of = {table.id: table for table in self.world.records("tables")}
        found = {("bases", "", base.id): base.shown for base in self.world.records("bases")}
        for table in table_of.values():
            found["tables", canonical_json({"bases": table.parent}), table.id] = table.shown
        for record in self.world.records("records"):
            above = {"bases": table_of[record.parent].parent, "tables": record.parent}
            found["records", canonical_json(above), record.id] = as_record(record)
        return {key: canonical_json(value) for key, value in found.items()}


@pytest.fixture(scope="module")
def shared_store():
    """One database for all examples, each of which is a tenant of its own."""
    return MemoryStore(clock=FakeClock())


def sync(collector, tenant, pages):
    """As the flow does: parents first, task by task; gives the streams that are complete."""
    collector.clock.now += 60
    collector.run += 1
    since, complete = collector.store.evidence.now(), set()
    for stream in KINDS:
        while (chunk := collector.chunk(stream, since=since, tenant=tenant, pages=pages)).more:
            pass
        complete |= {stream} if chunk.complete else set()
    return complete


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 99), runs=runs, last=st.lists(edits, max_size=4))
def test_in_the_end_the_family_is_what_the_vendor_has(shared_store, start_vendor, collector_of, seed, runs, last):
    clock = shared_store._clock
    world = make_world("airtable", seed, bases=2, tables=2, records=3)
    vendor, model, tenant = start_vendor(world=world, api="airtable"), Model(world, clock), f"t-{clock()}"
    collector = collector_of(base_url=vendor.base_url, source=SMALL_PAGES)
    collector.clock = clock
    for run in runs:
        model.happen(run.before)
        during, evidence = iter(run.during), shared_store.evidence
        hook = lambda _, during=during: model.happen(next(during, ()))  # noqa: E731
        collector.client = {"verify": TRUSTED, "event_hooks": {"request": [hook]}}
        if run.killed_at is not None:
            evidence = KilledBeforeOrAfter(evidence, run.killed_at, run.stored)
        collector.store = StoreOf(shared_store, evidence)
        with suppress(Killed):
            sync(collector, tenant, run.pages)
        assert buried(shared_store, tenant) <= model.gone, "only what is gone is buried"
    collector.store, collector.client = shared_store, {"verify": TRUSTED}
    model.happen(last)
    assert sync(collector, tenant, pages=3) == set(KINDS)

    versions = versions_by_key(shared_store, tenant)
    there = {key: every[-1].text for key, every in versions.items() if not every[-1].deleted}
    assert there == model.shown(), "nothing is lost, nothing that is gone is left"
    for every in versions.values():
        assert all(a.sha256 != b.sha256 for a, b in pairwise(every)), "nothing is doubled"
    before = sum(map(len, versions.values()))
    assert sync(collector, tenant, pages=20) == set(KINDS)
    assert sum(map(len, versions_by_key(shared_store, tenant).values())) == before, "what did not change adds nothing"


def versions_by_key(store, tenant):
    """Every version of each thing in order, by stream, partition and id."""
    found = {}
    for version in store.evidence.versions(tenant=tenant, with_text=True):
        place = version.collection
        found.setdefault((place.stream, place.partition, version.external_id), []).append(version)
    return found


def buried(store, tenant):
    """The ids of what has, or ever had, a tombstone."""
    return {version.external_id for version in store.evidence.versions(tenant=tenant) if version.deleted}
