"""Asking for the next page, and what an answer must say of it."""

import pytest

from flows.errors import BadPage
from flows.paginators import CursorPaginator, PageRequest

IN_QUERY = CursorPaginator("query", "start_cursor", "next_cursor", "has_more", "page_size", 100)
IN_BODY = CursorPaginator("body", "start_cursor", "next_cursor", "has_more", "page_size", 50)


def test_the_first_page_is_asked_for_without_a_cursor():
    asked = IN_QUERY.prepare(PageRequest("GET", "/users", {"kind": "person"}), None)
    assert asked == PageRequest("GET", "/users", {"kind": "person", "page_size": "100"})


def test_a_cursor_in_the_body_stands_beside_what_is_asked_every_time():
    request = PageRequest("POST", "/search", {}, {"sort": "newest"})
    asked = IN_BODY.prepare(request, "c1")
    assert asked.body == {"sort": "newest", "page_size": 50, "start_cursor": "c1"}
    assert asked.query == {}
    assert request.body == {"sort": "newest"}, "the request that all pages share must not change"


def test_a_body_is_made_where_there_is_none():
    assert IN_BODY.prepare(PageRequest("POST", "/search", {}), None).body == {"page_size": 50}


def test_page_by_page():
    answers = [
        {"has_more": True, "next_cursor": "b"},
        {"has_more": True, "next_cursor": "c"},
        {"has_more": False, "next_cursor": None},
    ]
    cursors, cursor = [], None
    for answer in answers:
        cursors.append(IN_QUERY.prepare(PageRequest("GET", "/users", {}), cursor).query.get("start_cursor"))
        cursor = IN_QUERY.next_cursor(answer)
    assert cursors == [None, "b", "c"]
    assert cursor is None


def test_the_end_is_the_end_whatever_cursor_comes_with_it():
    assert IN_QUERY.next_cursor({"has_more": False, "next_cursor": "left over"}) is None


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"next_cursor": None},
        {"next_cursor": "b"},
        {"has_more": True},
        {"has_more": True, "next_cursor": None},
        {"has_more": True, "next_cursor": ""},
        {"has_more": True, "next_cursor": 7},
        {"has_more": True, "next_cursor": ["b"]},
        {"has_more": None, "next_cursor": None},
        {"has_more": 0, "next_cursor": None},
        {"has_more": 1, "next_cursor": "b"},
        {"has_more": "true", "next_cursor": "b"},
        {"has_more": "false", "next_cursor": None},
    ],
)
def test_an_answer_that_does_not_say_is_neither_the_end_nor_a_page(answer):
    with pytest.raises(BadPage, match="has_more, next_cursor"):
        IN_QUERY.next_cursor(answer)
