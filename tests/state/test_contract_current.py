"""What every store knows of a stream as a whole: what there is now, and where each partition stands."""

from __future__ import annotations

import json
from dataclasses import replace

from state_listing import step, sync

from state.evidence import EvidenceStore
from state.records import Collection


def test_what_there_is_now_is_the_newest_version_of_each_thing_that_is_not_gone(
    evidence: EvidenceStore, collection: Collection, clock
) -> None:
    sync(evidence, collection, [[("a", 1), ("b", 1)], [("c", 1)]])
    clock.now += 60
    sync(evidence, collection, [[("c", 2), ("a", 1)]])
    found = evidence.current(collection)
    assert [(each.external_id, each.version, json.loads(str(each.text))["value"]) for each in found] == [
        ("a", 1, 1),
        ("c", 2, 2),
    ]
    assert {each.collection for each in found} == {collection}


def test_it_covers_all_partitions_and_nothing_else(evidence: EvidenceStore, collection: Collection) -> None:
    one, two = (replace(collection, partition=name) for name in ("one", "two"))
    for place in (one, two, replace(one, tenant="other"), replace(one, stream="users"), replace(one, source="github")):
        sync(evidence, place, [[("a", place.partition)]])
    assert [each.collection for each in evidence.current(collection)] == [one, two]


def test_the_cursors_of_a_stream_are_those_of_its_partitions(evidence: EvidenceStore, collection: Collection) -> None:
    one, two = (replace(collection, partition=name) for name in ("one", "two"))
    assert evidence.cursors(collection) == {}
    sync(evidence, one, [[("a", 1)]], candidate="w1")
    _, cursor = step(evidence, two, evidence.begin_listing(two, full=True), [[("b", 1)], [("c", 1)]])
    sync(evidence, replace(two, tenant="other"), [[("a", 1)]])
    assert evidence.cursors(collection) == {"one": evidence.cursor(one), "two": cursor}
