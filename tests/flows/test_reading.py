"""JSON as it may be stored, hashed and written again; everything else is no page, and the message says in what."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import BadPage
from flows.reading import strict_json
from state.canonical import canonical_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_what_is_json_comes_through_whole(value):
    assert strict_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"score": NaN}', "the number NaN, which JSON does not know"),
        (b'{"score": Infinity}', "the number Infinity"),
        (b"[-Infinity]", "the number -Infinity"),
        (b"[1e999]", r"too large to keep \(1e999\)"),
        (b"[-1.5e400]", "too large to keep"),
        (b"[" + b"9" * 5000 + b"]", "more than 4,300 digits"),
        (b'{"name": "\xff"}', r"not UTF-8 \(byte 10\)"),
        ('{"name": "é"}'.encode("latin-1"), "not UTF-8"),
        ('{"id": "a"}'.encode("utf-16"), "not UTF-8"),
        (b"<!DOCTYPE html><html>", "not JSON but HTML, as a proxy"),
        (b"  <html lang=en>", "but HTML"),
        (b"", "not JSON but empty"),
        (b'{"id": "a"', "^it is not JSON$"),
        (b'{"id": "a"} trailing', "not JSON"),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_what_is_not_says_why(content, said):
    with pytest.raises(BadPage, match=said):
        strict_json(content)


def test_html_is_known_by_its_type_too():
    with pytest.raises(BadPage, match="but HTML"):
        strict_json(b"Please sign in", "text/html; charset=utf-8")


def test_a_byte_order_mark_is_no_part_of_it():
    assert strict_json(b'\xef\xbb\xbf{"id": "a"}') == {"id": "a"}


def test_huge_whole_numbers_are_kept_to_the_digit():
    digits = "9" * 4000
    assert canonical_json(strict_json(f'{{"n":{digits}}}'.encode())) == f'{{"n":{digits}}}'


def test_half_a_character_stays_as_json_spells_it():
    assert canonical_json(strict_json(b'{"t":"\\ud83d"}')) == '{"t":"\\ud83d"}'
