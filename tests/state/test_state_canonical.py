"""The form in which a record is hashed: the same for the same content, for ever, and valid UTF-8 whatever came."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.canonical import FORM, body, canonical_json
from state.plan import Head, plan
from state.records import Body, Counts

text = st.text(st.characters(codec=None))  # lone surrogates too: JSON can spell them
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


def reordered(value: object) -> object:
    """The same content with every object's keys in the opposite order."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


def from_the_wire(value: object) -> object:
    return json.loads(json.dumps(value))


@given(values)
def test_the_order_of_keys_does_not_count(value: object) -> None:
    assert canonical_json(reordered(value)) == canonical_json(value)


@given(values)
def test_the_text_holds_all_of_the_content(value: object) -> None:
    """And is what it makes of itself: an auditor who reads and writes it again gets the same bytes."""
    received = from_the_wire(value)
    assert json.loads(canonical_json(received)) == received
    assert canonical_json(json.loads(canonical_json(received))) == canonical_json(received)


@given(st.dictionaries(text, values, max_size=4))
def test_the_hash_is_that_of_the_text_in_utf8(record: dict) -> None:
    made = body("a", record)
    assert made.text == canonical_json(record)
    assert made.sha256 == hashlib.sha256(made.text.encode()).hexdigest()


def test_the_form_has_not_changed_without_its_name() -> None:
    """What is in databases was hashed like this; another form needs another name."""
    record = {"b": [1, 1.5, 1e22, -0.0, True, None], "a": {"é": '\n"\\\u2028\x7f', "Z": "🔒", "10": "", "9": "/"}}
    assert FORM == "json-sorted-utf8-1"
    assert canonical_json(record) == (
        '{"a":{"10":"","9":"/","Z":"🔒","é":"\\n\\"\\\\\u2028\x7f"},"b":[1,1.5,1e+22,-0.0,true,null]}'
    )
    assert body("x", record).sha256 == "20d0be96e42c39af2ba5665e17232c2e8473aeed51dd376582c5d4eb6fee4f7a"


@pytest.mark.parametrize(
    ("record", "expected"),
    [({"a": "\ud83d"}, '{"a":"\\ud83d"}'), ({"\udc00": "é\udfffé"}, '{"\\udc00":"é\\udfffé"}')],
)
def test_half_a_character_is_kept_as_json_spells_it(record: dict, expected: str) -> None:
    assert canonical_json(record) == expected
    assert json.loads(expected) == record


def test_a_tombstone_is_null() -> None:
    assert body("a", None) == Body("a", "null", hashlib.sha256(b"null").hexdigest())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=12), st.data())
def test_a_plan_counts_every_record_once_and_numbers_versions_without_a_gap(page: list, data: st.DataObject) -> None:
    known = {
        key: Head(data.draw(st.integers(1, 5)), body(key, {"v": value}).sha256, data.draw(st.booleans()))
        for key, value in data.draw(st.dictionaries(st.sampled_from("abc"), st.integers(0, 2))).items()
    }
    made = plan(known, [body(key, {"v": value}) for key, value in page])
    counts = made.counts
    assert counts.records == len(page) == counts.new + counts.changed + counts.unchanged
    assert len(made.versions) == counts.new + counts.changed
    reached = {key: head.version for key, head in known.items()}
    content = {key: head.sha256 for key, head in known.items() if not head.deleted}
    for item, head in made.versions:
        assert head.version == reached.get(item.external_id, 0) + 1
        assert item.sha256 == head.sha256 != content.get(item.external_id)
        reached[item.external_id], content[item.external_id] = head.version, head.sha256
    for key, value in dict(page).items():  # what stood last on the page is current, and not deleted
        assert content[key] == body(key, {"v": value}).sha256


def test_counts_add_up() -> None:
    assert Counts(1, 2, 3, 4, 5, 6) + Counts(10, 20, 30, 40, 50, 60) == Counts(11, 22, 33, 44, 55, 66)
