"""Whatever stops a sync, and however often, the evidence is what an undisturbed sync would have left."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from state_listing import expected, step, stored, sync

from state.errors import ListingTaken
from state.evidence import EvidenceStore
from state.memory import MemoryStore
from state.records import Collection

KEYS = "abcdef"
records = st.dictionaries(st.sampled_from(KEYS), st.integers(0, 2))
"""What the vendor holds at the time of one sync: few ids and values, so that they meet again."""
vendors = st.lists(records, min_size=1, max_size=4)
kills = st.lists(st.integers(0, 30), max_size=6)
"""How many statements a process gets through before it is killed, one process after the other."""
page_size = st.integers(1, 4)


def in_pages(there: dict[str, int], size: int) -> list[list[tuple[str, int]]]:
    items = list(there.items())
    return [items[at : at + size] for at in range(0, len(items), size)] or [[]]


class Killed(Exception):
    """What ends a process between two statements."""


class Killer:
    """Kills after some statements; a commit counts as one too."""

    def __init__(self, evidence: EvidenceStore) -> None:
        self._left: int | None = None
        event.listen(evidence._engine, "before_cursor_execute", self._count)
        event.listen(evidence._engine, "commit", self._count)

    @contextmanager
    def after(self, statements: int | None) -> Iterator[None]:
        self._left = statements
        try:
            yield
        finally:
            self._left = None

    def _count(self, *_: object) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self._left = None
                raise Killed


@pytest.fixture(scope="module")
def shared() -> Iterator[EvidenceStore]:
    """One database for all examples; each has a tenant of its own."""
    moments = itertools.count(1_700_000_000)
    with MemoryStore(clock=lambda: float(next(moments))) as store:
        yield store.evidence


@pytest.fixture(scope="module")
def killer(shared: EvidenceStore) -> Killer:
    return Killer(shared)


tenants = itertools.count()


def fresh(what: str) -> Collection:
    return Collection("notion", "pages", f"{what}-{next(tenants)}")


def versions(evidence: EvidenceStore, collection: Collection) -> list[tuple[str, int, bool, str]]:
    return stored(evidence, collection, tenant=collection.tenant)


def sync_under_fire(killer: Killer, counts: list[int], evidence: EvidenceStore, collection: Collection, **how) -> None:
    """One sync, begun anew after each kill, as the next run would: all it knows is what the database says."""
    begun_after = evidence.cursor(collection).completed_at
    left = iter(counts)
    while True:
        try:
            with killer.after(next(left, None)):
                sync(evidence, collection, **how)
        except Killed:
            if evidence.cursor(collection).completed_at == begun_after:
                continue
        return


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(vendor=st.lists(st.tuples(records, st.booleans(), kills), min_size=1, max_size=4), size=page_size)
def test_kills_and_resumes_change_nothing(shared, killer, vendor, size) -> None:
    calm, disturbed = fresh("calm"), fresh("disturbed")
    for there, full, counts in vendor:
        pages = in_pages(there, size)
        sync(shared, calm, pages, full=full)
        sync_under_fire(killer, counts, shared, disturbed, pages=pages, full=full)
    assert versions(shared, disturbed) == versions(shared, calm)
    ended, undisturbed = shared.cursor(disturbed), shared.cursor(calm)
    assert (ended.expected, ended.listing) == (undisturbed.expected, None)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(vendor=vendors, size=page_size)
def test_full_syncs_leave_the_history_of_each_record(shared, vendor, size) -> None:
    """Held against a model that knows neither pages nor cursors."""
    collection = fresh("full")
    for there in vendor:
        sync(shared, collection, in_pages(there, size))
    found: dict[str, list[object]] = {}
    for key, version, deleted, text in versions(shared, collection):
        found.setdefault(key, []).append(None if deleted else int(text.rpartition(":")[2].rstrip("}")))
        assert version == len(found[key])
    assert found == expected(vendor)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=records, there=records, size=page_size, turns=st.lists(st.integers(0, 2), max_size=40))
def test_syncs_that_get_in_each_others_way_lose_and_double_nothing(shared, before, there, size, turns) -> None:
    """Three processes list one collection; each knows the cursor as it last saw it."""
    calm, contested = fresh("calm"), fresh("contested")
    for collection in (calm, contested):
        sync(shared, collection, in_pages(before, size))
    pages = in_pages(there, size)
    sync(shared, calm, pages)
    begun = shared.begin_listing(contested, full=True)
    known = dict.fromkeys(range(3), begun)
    for process in turns:
        if known[process].listing is None:
            continue
        try:
            _, known[process] = step(shared, contested, known[process], pages)
        except ListingTaken:
            known[process] = shared.cursor(contested)
    while shared.cursor(contested).listing is not None:
        step(shared, contested, shared.cursor(contested), pages)
    assert versions(shared, contested) == versions(shared, calm)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(there=records, size=page_size, restarts=st.lists(st.booleans(), max_size=8))
def test_a_vendor_that_forgets_its_page_cursors_changes_nothing(shared, there, size, restarts) -> None:
    calm, restarted = fresh("calm"), fresh("restarted")
    pages = in_pages(there, size)
    sync(shared, calm, pages)
    cursor = shared.begin_listing(restarted, full=True)
    for restart in restarts:
        if cursor.listing is None:
            break
        if restart:
            cursor = shared.restart_listing(restarted, cursor.listing)
        else:
            _, cursor = step(shared, restarted, cursor, pages)
    if cursor.listing is not None:
        sync(shared, restarted, pages)
    assert versions(shared, restarted) == versions(shared, calm)
