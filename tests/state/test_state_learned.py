"""What was learned: it outlives the process and the version of the learner, and garbage stops nobody."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from state_worker import added
from test_contract_limiter import KNOWN, NOTION, keep, told

from state import Bucket, LimiterState, open_store
from state.records import LEARNER_FIELDS, PUBLIC_FIELDS

RATE_ONLY = LimiterState(**{name: getattr(KNOWN, name) for name in PUBLIC_FIELDS})
LEARNER = {"v": 1, **{name: getattr(KNOWN, name) for name in LEARNER_FIELDS}}


def edit(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


@pytest.fixture
def learned(url: str) -> str:
    with open_store(url) as store:
        store.transact(NOTION, keep(KNOWN, told(2.0)))
    return url


def test_all_that_was_learned_survives_reopening(learned: str) -> None:
    with open_store(learned) as store:
        assert store.read(NOTION)[0] == KNOWN
        assert list(store.buckets()) == [(NOTION, KNOWN)]
        assert store.history(NOTION) == [told(2.0)]


def test_what_a_killed_process_learned_is_there_for_the_next(url: str, start) -> None:
    worker = start("count", url, "notion", 10_000_000)
    worker.go()
    for _ in range(25):
        worker.hear()
    worker.kill()
    with open_store(url) as store:
        assert worker.told[-1] >= 25
        assert store.read(NOTION)[0].delivered >= worker.told[-1]


def test_the_learner_is_one_json_object_with_its_version(learned: str, path: Path) -> None:
    [(text,)] = sqlite3.connect(path).execute("SELECT learner FROM limiter").fetchall()
    assert json.loads(text) == LEARNER


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(json.dumps({**LEARNER, "v": 2}), id="newer version"),
        pytest.param(json.dumps({**LEARNER, "v": 0}), id="older version"),
        pytest.param(json.dumps({k: v for k, v in LEARNER.items() if k != "v"}), id="no version"),
        pytest.param(json.dumps({**LEARNER, "since": "yesterday"}), id="text for a number"),
        pytest.param(json.dumps({**LEARNER, "since": None}), id="null for a number"),
        pytest.param(json.dumps({**LEARNER, "since": float("nan")}), id="NaN"),
        pytest.param(json.dumps({**LEARNER, "since": 10**400}), id="a number beyond all floats"),
        pytest.param(json.dumps([LEARNER]), id="a list"),
        pytest.param("1", id="a number"),
        pytest.param("", id="empty"),
        pytest.param("{", id="half of it"),
        pytest.param("[" * 100_000, id="too deep"),
        pytest.param(b"\xff\xfe\x00", id="bytes"),
    ],
)
def test_a_learner_of_another_version_or_garbage_is_forgotten_and_the_rate_is_not(
    learned: str, path: Path, text: object
) -> None:
    edit(path, "UPDATE limiter SET learner = ?", text)
    with open_store(learned) as store:
        assert store.read(NOTION)[0] == RATE_ONLY
        assert store.transact(NOTION, added) == 1
        assert store.read(NOTION)[0].rate == KNOWN.rate


def test_a_learner_with_a_field_more_keeps_what_is_known(learned: str, path: Path) -> None:
    edit(path, "UPDATE limiter SET learner = ?", json.dumps({**LEARNER, "mood": "good"}))
    with open_store(learned) as store:
        assert store.read(NOTION)[0] == KNOWN


@pytest.mark.parametrize("names", [("since",), ("faults", "fault_at", "open_until")], ids=lambda names: names[0])
def test_a_learner_from_before_a_field_was_added_keeps_the_rest(
    learned: str, path: Path, names: tuple[str, ...]
) -> None:
    edit(path, "UPDATE limiter SET learner = ?", json.dumps({k: v for k, v in LEARNER.items() if k not in names}))
    with open_store(learned) as store:
        assert store.read(NOTION)[0] == replace(KNOWN, **dict.fromkeys(names, 0))
        assert store.transact(NOTION, added) == KNOWN.delivered + 1


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), "fast", b"\x00", -1.0, 0.0])
def test_a_row_without_a_rate_is_as_good_as_none(learned: str, path: Path, value: object) -> None:
    edit(path, "UPDATE limiter SET rate = ?", value)
    with open_store(learned) as store:
        assert store.read(NOTION)[0] is None
        assert list(store.buckets()) == []
        store.transact(NOTION, keep(KNOWN, told(3.0)))
        assert list(store.buckets()) == [(NOTION, KNOWN)]
        assert [event.rate_after for event in store.history(NOTION)] == [2.0, 3.0]


@pytest.mark.parametrize("column", [name for name in PUBLIC_FIELDS if name != "rate"])
@pytest.mark.parametrize("value", [float("inf"), "soon", b"\x00"])
def test_garbage_in_another_column_counts_as_not_known(learned: str, path: Path, column: str, value: object) -> None:
    edit(path, f"UPDATE limiter SET {column} = ?", value)
    with open_store(learned) as store:
        found = store.read(NOTION)[0]
        assert getattr(found, column) == 0
        assert (found.rate, found.since) == (KNOWN.rate, KNOWN.since)


@pytest.mark.parametrize("value", [99, -1, "later"])
def test_an_event_of_a_kind_that_is_not_known_is_shown_as_such(learned: str, path: Path, value: object) -> None:
    edit(path, "UPDATE limiter_history SET kind = ?", value)
    with open_store(learned) as store:
        assert [event.kind for event in store.history(NOTION)] == ["unknown"]


def test_a_bucket_is_a_row_whatever_its_name(url: str) -> None:
    odd = [Bucket("notion", "a/b", "c"), Bucket("notion", "a", "b/c"), Bucket("", "", ""), Bucket("é", "\x00", "'")]
    with open_store(url) as store:
        for number, bucket in enumerate(odd, 1):
            for _ in range(number):
                store.transact(bucket, added)
    with open_store(url) as store:
        assert [store.read(bucket)[0].delivered for bucket in odd] == [1, 2, 3, 4]
