"""What every store does with evidence: versions, tombstones, and where they came from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from state_listing import WHERE_FROM, after_page, bodies, step, stored, sync

from state.canonical import FORM
from state.errors import StateError
from state.evidence import EvidenceStore
from state.records import Body, Collection, Counts, EvidenceVersion

FIRST = [[("a", 1), ("b", 1)], [("c", 1)]]


def test_a_first_sync_stores_every_record(evidence: EvidenceStore, collection: Collection) -> None:
    assert sync(evidence, collection, FIRST) == Counts(records=3, new=3, pages=2)
    assert [(key, version) for key, version, *_ in stored(evidence)] == [("a", 1), ("b", 1), ("c", 1)]


def test_a_second_sync_of_the_same_adds_nothing(evidence: EvidenceStore, collection: Collection) -> None:
    sync(evidence, collection, FIRST)
    before = stored(evidence)
    assert sync(evidence, collection, FIRST) == Counts(records=3, unchanged=3, pages=2)
    assert stored(evidence) == before


def test_a_changed_record_adds_one_version_and_leaves_the_old_one(
    evidence: EvidenceStore, collection: Collection
) -> None:
    sync(evidence, collection, FIRST)
    before = stored(evidence)
    counts = sync(evidence, collection, [[("a", 1), ("b", 2)], [("c", 1)]])
    assert counts == Counts(records=3, changed=1, unchanged=2, pages=2)
    assert stored(evidence) == [*before, ("b", 2, False, '{"id":"b","value":2}')]


def test_a_record_that_changes_back_is_a_third_version(evidence: EvidenceStore, collection: Collection) -> None:
    for value in (1, 2, 1):
        sync(evidence, collection, [[("a", value)]])
    assert [(version, text) for _, version, _, text in stored(evidence)] == [
        (1, '{"id":"a","value":1}'),
        (2, '{"id":"a","value":2}'),
        (3, '{"id":"a","value":1}'),
    ]


def test_what_a_full_listing_did_not_meet_gets_one_tombstone(evidence: EvidenceStore, collection: Collection, clock):
    sync(evidence, collection, FIRST)
    clock.now += 60
    assert sync(evidence, collection, [[("a", 1)], []]) == Counts(records=1, unchanged=1, deleted=2, pages=2)
    assert stored(evidence)[3:] == [("b", 2, True, "null"), ("c", 2, True, "null")]
    clock.now += 60
    assert sync(evidence, collection, [[("a", 1)]]) == Counts(records=1, unchanged=1, pages=1)


def test_a_full_listing_that_is_empty_buries_all(evidence: EvidenceStore, collection: Collection, clock) -> None:
    sync(evidence, collection, FIRST)
    clock.now += 60
    assert sync(evidence, collection, [[]]).deleted == 3


def test_a_record_that_comes_back_is_new_though_its_content_is_the_same(
    evidence: EvidenceStore, collection: Collection, clock
) -> None:
    for pages in ([[("a", 1)]], [[]], [[("a", 1)]]):
        counts = sync(evidence, collection, pages)
        clock.now += 60
    assert counts == Counts(records=1, new=1, pages=1)
    assert [(version, deleted) for _, version, deleted, _ in stored(evidence)] == [(1, False), (2, True), (3, False)]
    assert sync(evidence, collection, [[("a", 1)]]) == Counts(records=1, unchanged=1, pages=1)


def test_a_search_that_lists_everything_buries_nothing(evidence: EvidenceStore, collection: Collection, clock) -> None:
    sync(evidence, collection, FIRST)
    clock.now += 60
    assert sync(evidence, collection, [[("a", 1)]], buries=False).deleted == 0
    assert len(stored(evidence)) == 3
    assert evidence.cursor(collection).expected == 1  # it was full: a guide for the next


def test_an_incremental_listing_buries_nothing(evidence: EvidenceStore, collection: Collection, clock) -> None:
    sync(evidence, collection, FIRST)
    clock.now += 60
    assert sync(evidence, collection, [[("b", 2)]], full=False) == Counts(records=1, changed=1, pages=1)
    assert evidence.cursor(collection).expected == 3


@pytest.mark.parametrize(("full", "ends"), [(True, False), (False, True), (False, False)])
def test_to_bury_where_no_full_listing_ends_is_refused(
    evidence: EvidenceStore, collection: Collection, clock, full: bool, ends: bool
) -> None:
    sync(evidence, collection, FIRST)
    clock.now += 60
    cursor = evidence.begin_listing(collection, full=full)
    after = after_page(cursor.listing, 0)
    with pytest.raises(ValueError, match="only a full listing"):
        evidence.commit_page(collection, [], WHERE_FROM, before=cursor.listing, after=after, ends=ends, buries=True)
    assert len(stored(evidence)) == 3
    assert evidence.cursor(collection) == cursor


def test_what_was_met_before_a_listing_was_begun_anew_is_not_met(
    evidence: EvidenceStore, collection: Collection, clock
) -> None:
    """Else a record that was deleted between the two would live on for ever."""
    pages = [[("a", 1)], [("b", 1)]]
    sync(evidence, collection, pages)
    clock.now += 60
    _, cursor = step(evidence, collection, evidence.begin_listing(collection, full=True), pages)
    clock.now += 60
    evidence.restart_listing(collection, cursor.listing)
    assert sync(evidence, collection, [[("b", 1)]]).deleted == 1
    assert [key for key, _, deleted, _ in stored(evidence) if deleted] == ["a"]


def test_a_thing_twice_on_a_page_is_one_version_if_the_same_and_two_if_not(
    evidence: EvidenceStore, collection: Collection
) -> None:
    counts = sync(evidence, collection, [[("a", 1), ("a", 1), ("b", 1), ("b", 2)], [("a", 1)]])
    assert counts == Counts(records=5, new=2, changed=1, unchanged=2, pages=2)
    assert [(key, version) for key, version, *_ in stored(evidence)] == [("a", 1), ("b", 1), ("b", 2)]
    assert sync(evidence, collection, [[("a", 1), ("b", 2)]]) == Counts(records=2, unchanged=2, pages=1)


@pytest.mark.parametrize("part", ["source", "stream", "tenant", "partition"])
def test_a_collection_never_touches_another(evidence: EvidenceStore, collection: Collection, clock, part: str) -> None:
    other = replace(collection, **{part: "another"})
    sync(evidence, other, FIRST, candidate="other's")
    untouched = stored(evidence, other), evidence.cursor(other)
    clock.now += 60
    assert sync(evidence, collection, [[("a", 7)]]) == Counts(records=1, new=1, pages=1)
    assert evidence.cursor(collection).watermark is None
    assert (stored(evidence, other), evidence.cursor(other)) == untouched
    assert stored(evidence, collection) == [("a", 1, False, '{"id":"a","value":7}')]


def test_a_version_says_what_it_is_and_where_it_came_from(
    evidence: EvidenceStore, collection: Collection, clock
) -> None:
    sync(evidence, collection, [[("a", "é")]])
    text = '{"id":"a","value":"é"}'
    assert list(evidence.versions(with_text=True)) == [
        EvidenceVersion(
            collection=collection,
            external_id="a",
            version=1,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            collected_at=clock.now,
            deleted=False,
            form=FORM,
            provenance=WHERE_FROM,
            text=text,
        )
    ]


def test_a_tombstone_is_the_hash_of_null_and_of_the_run_that_missed_the_record(
    evidence: EvidenceStore, collection: Collection, clock
) -> None:
    sync(evidence, collection, [[("a", 1)]])
    clock.now += 60
    cursor = evidence.begin_listing(collection, full=True)
    later = replace(WHERE_FROM, run_id="run-2")
    listing = cursor.listing
    evidence.commit_page(collection, [], later, before=listing, after=after_page(listing, 0), ends=True, buries=True)
    stone = list(evidence.versions())[-1]
    assert (stone.deleted, stone.sha256) == (True, hashlib.sha256(b"null").hexdigest())
    assert (stone.provenance, stone.collected_at) == (later, clock.now)


def test_versions_are_filtered_and_limited_to_the_newest(evidence: EvidenceStore) -> None:
    here, there = Collection("notion", "rows", "acme", "d1"), Collection("notion", "rows", "acme", "")
    users = Collection("notion", "users", "zenith")
    for where, pages in ((here, FIRST), (there, [[("a", 1)]]), (users, [[("u", 1)]]), (here, [[("a", 2)]])):
        sync(evidence, where, pages, buries=False)

    def found(**wanted: object) -> list[str]:
        return [f"{v.collection.stream}{v.collection.partition}-{v.external_id}{v.version}" for v in versions(**wanted)]

    versions = evidence.versions
    assert found() == ["rowsd1-a1", "rowsd1-b1", "rowsd1-c1", "rows-a1", "users-u1", "rowsd1-a2"]
    assert found(limit=2) == ["users-u1", "rowsd1-a2"]
    assert found(source="github") == []
    assert found(stream="users") == found(tenant="zenith") == ["users-u1"]
    assert found(partition="") == ["rows-a1", "users-u1"]
    assert found(partition="d1", limit=1) == ["rowsd1-a2"]
    assert found(external_id="a") == ["rowsd1-a1", "rows-a1", "rowsd1-a2"]
    assert found(external_id="a", partition="d1", tenant="acme", source="notion") == ["rowsd1-a1", "rowsd1-a2"]


def test_the_content_is_loaded_on_request_only(evidence: EvidenceStore, collection: Collection) -> None:
    sync(evidence, collection, [[("a", 1)], [("a", 2)]])
    first, second = evidence.versions()
    assert first.text is second.text is None
    assert evidence.text(first) == '{"id":"a","value":1}'
    assert evidence.text(second) == '{"id":"a","value":2}'
    with pytest.raises(LookupError, match="no version 3 of a"):
        evidence.text(replace(second, version=3))
    with pytest.raises(LookupError):
        evidence.text(replace(first, collection=replace(collection, tenant="zenith")))


def test_odd_text_survives(evidence: EvidenceStore, collection: Collection) -> None:
    odd = [("'); DROP TABLE evidence; --", "\x00\x1f\u2028\U0001f512"), ("%s :b_id ?", {"ключ": [None, True, 1e-7]})]
    sync(evidence, collection, [odd])
    assert [(key, json.loads(text)["value"]) for key, _, _, text in stored(evidence)] == odd
    assert sync(evidence, collection, [odd]).unchanged == 2


def test_an_id_with_a_nul_is_refused_with_its_page(evidence: EvidenceStore, collection: Collection) -> None:
    """PostgreSQL cannot hold it, and SQLite's JSON functions end a text there."""
    for _ in range(2):
        with pytest.raises(StateError, match=r"cannot hold the id 'a\\x00b', since it has a NUL"):
            sync(evidence, collection, [[("a", 1), ("a\x00b", 1)]])
    assert stored(evidence) == []


def test_a_page_of_thousands_needs_no_more_variables_than_an_old_sqlite_gives(
    evidence: EvidenceStore, collection: Collection
) -> None:
    import sqlite3

    from sqlalchemy import event

    def as_of_old(connection: sqlite3.Connection) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)

    if evidence._engine.dialect.name == "sqlite":
        with evidence._engine.connect() as connection:
            as_of_old(connection.connection.dbapi_connection)
        event.listen(evidence._engine, "connect", lambda connection, _: as_of_old(connection))
    page = [(str(n), n) for n in range(3001)]
    assert sync(evidence, collection, [page]) == Counts(records=3001, new=3001, pages=1)
    assert sync(evidence, collection, [page]) == Counts(records=3001, unchanged=3001, pages=1)


def test_two_forms_of_one_content_are_one_version(evidence: EvidenceStore, collection: Collection) -> None:
    sync(evidence, collection, [[("a", {"x": 1, "y": [1.5, "z"]})]])
    assert sync(evidence, collection, [[("a", {"y": [1.5, "z"], "x": 1})]]) == Counts(1, unchanged=1, pages=1)


def test_a_body_is_stored_as_it_was_prepared(evidence: EvidenceStore, collection: Collection) -> None:
    cursor = evidence.begin_listing(collection, full=True)
    listing = cursor.listing
    prepared = [Body("a", "text", "0" * 64), *bodies([("b", 1)])]
    evidence.commit_page(collection, prepared, WHERE_FROM, before=listing, after=after_page(listing, 2), ends=False)
    assert [(v.external_id, v.text, v.sha256) for v in evidence.versions(with_text=True)] == [
        (item.external_id, item.text, item.sha256) for item in prepared
    ]
