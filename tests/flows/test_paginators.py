"""Asking for the next page, and what an answer must say of it."""

import pytest

from flows.answer import Answer, PageRequest
from flows.errors import BadPage, ForeignLink
from flows.links import HalPaginator, LinkPaginator
from flows.paginators import CursorPaginator, IdPaginator, OffsetPaginator, PagePaginator

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
        cursor = IN_QUERY.next_cursor(Answer(answer))
    assert cursors == [None, "b", "c"]
    assert cursor is None


def test_the_end_is_the_end_whatever_cursor_comes_with_it():
    assert IN_QUERY.next_cursor(Answer({"has_more": False, "next_cursor": "left over"})) is None


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
        IN_QUERY.next_cursor(Answer(answer))


def after(paginator, content, records=(), cursor=None, **headers):
    """The cursor after a page, and the request it makes."""
    url, base = "https://api.acme.test/v1/things?page=2", "https://api.acme.test/v1"
    answer = Answer(content, records, headers, url, base, cursor)
    found = paginator.next_cursor(answer)
    return found and paginator.prepare(PageRequest("GET", "/things", {"kind": "x"}), found)


class TestAnOpaqueCursor:
    NESTED = CursorPaginator("query", "pageCursor", "results.pageInfo.endCursor", "results.pageInfo.hasNextPage")
    ALONE = CursorPaginator("query", "cursor", "response_metadata.next_cursor")

    def test_from_deep_within(self):
        content = {"results": {"pageInfo": {"endCursor": "e", "hasNextPage": True}}}
        assert after(self.NESTED, content).query == {"kind": "x", "pageCursor": "e"}

    def test_a_null_cursor_is_no_end_where_more_is_promised(self):
        with pytest.raises(BadPage):
            after(self.NESTED, {"results": {"pageInfo": {"endCursor": None, "hasNextPage": True}}})

    @pytest.mark.parametrize("content", [{}, {"response_metadata": {"next_cursor": ""}}, {"response_metadata": None}])
    def test_none_is_the_end_where_nothing_else_says(self, content):
        assert after(self.ALONE, content) is None

    def test_a_cursor_that_is_no_text(self):
        with pytest.raises(BadPage, match="no text"):
            after(self.ALONE, {"response_metadata": {"next_cursor": 7}})


class TestPagesByNumber:
    def test_until_an_empty_one_since_a_vendor_may_give_fewer_than_asked_for(self):
        assert PagePaginator().prepare(PageRequest("GET", "/things", {}), None).query == {
            "per_page": "100",
            "page": "1",
        }
        assert after(PagePaginator(), [], [{"id": 1}]).query["page"] == "2"
        assert after(PagePaginator(), [], [{"id": 1}], "7").query["page"] == "8"
        assert after(PagePaginator(), [], [], "8") is None

    def test_as_many_as_the_vendor_says(self):
        counted = PagePaginator(pages_field="paging.pages")
        assert after(counted, {"paging": {"pages": 2}}, [{}]).query["page"] == "2"
        assert after(counted, {"paging": {"pages": 2}}, [{}], "2") is None
        for odd in (None, "2", True, -1):
            with pytest.raises(BadPage, match="how many"):
                after(counted, {"paging": {"pages": odd}}, [{}])

    @pytest.mark.parametrize("cursor", ["", "x", "-1", "1e3", "٣", "9" * 20])
    def test_a_cursor_that_somebody_edited(self, cursor):
        with pytest.raises(BadPage, match="no number"):
            after(PagePaginator(), [], [{}], cursor)


class TestAnOffset:
    def test_counts_what_came(self):
        assert after(OffsetPaginator(), [], [{}] * 60).query == {"kind": "x", "limit": "100", "offset": "60"}
        assert after(OffsetPaginator(), [], [{}] * 60, "60").query["offset"] == "120"
        assert after(OffsetPaginator(), [], [], "120") is None

    def test_up_to_the_total(self):
        counted = OffsetPaginator(total_field="total")
        assert after(counted, {"total": 61}, [{}] * 60).query["offset"] == "60"
        assert after(counted, {"total": 61}, [{}], "60") is None
        with pytest.raises(BadPage, match="empty at 60 of 61"):
            after(counted, {"total": 61}, [], "60")


class TestTheLastId:
    def test_of_a_page(self):
        assert after(IdPaginator(), [], [{"id": "a"}, {"id": "b"}]).query == {"kind": "x", "limit": "100", "after": "b"}
        assert after(IdPaginator(), [], []) is None

    def test_while_there_is_more(self):
        counted = IdPaginator(more_field="has_more")
        assert after(counted, {"has_more": True}, [{"id": 7}]).query["after"] == "7"
        assert after(counted, {"has_more": False}, [{"id": 7}]) is None
        for content, records in [({}, [{"id": 7}]), ({"has_more": True}, []), ({"has_more": True}, [{"id": None}])]:
            with pytest.raises(BadPage, match="what comes after"):
                after(counted, content, records)


class TestLinks:
    def link(self, url, rel="next"):
        return after(LinkPaginator(), [], [{}], link=f'<https://api.acme.test/>; rel="first", <{url}>; rel="{rel}"')

    def test_a_link_says_everything(self):
        assert self.link("https://api.acme.test/v1/organizations/7/things?page=3&kind=x") == PageRequest(
            "GET", "/organizations/7/things?page=3&kind=x", {}
        )
        assert LinkPaginator().prepare(PageRequest("GET", "/things", {"a": "b"}), None).query == {
            "a": "b",
            "per_page": "100",
        }

    @pytest.mark.parametrize("url", ["?page=3", "/v1/things?page=3", "https://API.acme.test:443/v1/things?page=3"])
    def test_in_every_form(self, url):
        assert self.link(url).path == "/things?page=3"

    def test_beside_the_apis_path(self):
        assert self.link("https://u:p@api.acme.test/v2/things#x").path == "https://api.acme.test/v2/things"

    def test_no_next_is_the_end(self):
        assert self.link("https://api.acme.test/v1/things?page=1", rel="prev") is None
        assert after(LinkPaginator(), [], [{}]) is None

    def test_one_that_cannot_be_read_is_not_the_end(self):
        with pytest.raises(BadPage, match="cannot be read"):
            after(LinkPaginator(), [], [{}], link='rel="next"')
        with pytest.raises(BadPage, match="no address"):
            self.link("https://api.acme.test:port/")

    @pytest.mark.parametrize(
        "url",
        [
            "https://evil.test/v1/things?page=3",
            "https://api.acme.test.evil.test/v1/things",
            "https://api.acme.test@evil.test/v1/things",
            "https://api.acme.test:8443/v1/things",
            "http://api.acme.test/v1/things",
            "//evil.test/v1/things",
            "ftp://api.acme.test/v1/things",
        ],
    )
    def test_to_another_host_is_refused(self, url):
        with pytest.raises(ForeignLink, match="nothing was sent there"):
            self.link(url)
        with pytest.raises(ForeignLink):
            after(HalPaginator(), {"_links": {"next": {"href": url}}})

    def test_hal(self):
        content = {"_links": {"self": {"href": "x"}, "next": {"href": "https://api.acme.test/v1/things?page=3"}}}
        assert after(HalPaginator(), content).path == "/things?page=3"
        for end in ({"_links": {}}, {"_links": {"next": None}}, {"_links": {"next": {}}}):
            assert after(HalPaginator(), end) is None
        with pytest.raises(BadPage, match=r"_links\.next\.href"):
            after(HalPaginator(), {"_links": {"next": {"href": 7}}})

    def test_hal_without_links_goes_on_behind_a_full_page_only(self):
        assert after(HalPaginator(size=2), {"data": []}, [{}, {}]).path == "/things?page=3"
        assert after(HalPaginator(size=2), {"data": []}, [{}]) is None
