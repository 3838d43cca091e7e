"""The standard suite for sources: every built-in one passes it, and mistakes are found."""

from dataclasses import replace

import httpx
import pytest

from flows.links import LinkPaginator
from flows.paginators import CursorPaginator, PagePaginator, Whole
from flows.sources import SOURCES
from flows.stream import Source, Stream
from flows.testing import check_source


def notion(*ids, more=None, **fields):
    results = [{"id": each, "last_edited_time": "2026-01-01T00:00:00.000Z", **fields} for each in ids]
    return {"results": results, "has_more": more is not None, "next_cursor": more}


def vanta(*ids, more=None, **fields):
    info = {"endCursor": more, "hasNextPage": more is not None}
    return {"results": {"data": [{"id": each, **fields} for each in ids], "pageInfo": info}}


def fieldguide(*ids, page=None):
    following = {"next": {"href": f"{{base}}/v1/engagements?page={page}&per_page=200"}} if page else {}
    return {"data": [{"uuid": each} for each in ids], "_links": following}


def github(*ids, more=None, **fields):
    records = [{"id": each, "owner": {"login": "o"}, "name": f"r{each}", "default_branch": "main"} for each in ids]
    link = {"Link": f'<{{base}}/organizations/7/repos?page={more}>; rel="next"'} if more else {}
    return httpx.Response(200, json=[{**each, **fields} for each in records], headers=link)


def slack(name, *ids, more=""):
    return {"ok": True, name: [{"id": each} for each in ids], "response_metadata": {"next_cursor": more}}


RECORDED = {
    "notion": {
        "users": [notion("u1", "u2", more="c2"), notion("u3")],
        "pages": [notion("p1", more="c2"), notion("p2")],
        "rows": [notion("r1", more="c2", created_time="2026"), notion("r2", created_time="2026")],
    },
    "vanta": {
        "controls": [vanta("c1", "c2", more="e2"), vanta("c3")],
        "tests": [vanta("t1", status="NEEDS_ATTENTION", lastTestRunDate="2026-01-01")],
        "test_entities": [vanta("e1", more="x"), vanta("e2")],
    },
    "vanta_auditor": {"audits": [vanta("a1", more="e2", modificationDate="2026-01-01T00:00:00Z"), vanta("a2")]},
    "fieldguide": {
        "companies": [fieldguide("c1", page=2), fieldguide("c2")],
        "engagements": [fieldguide("e1")],
        "requests": [fieldguide("q1", page=2), fieldguide("q2", page=3), fieldguide("q3")],
    },
    "github": {
        "repositories": [github(1, 2, more=2), github(3, more=3), github(4)],
        "audit_log": [github(1, more=2, _document_id="d1"), github(2, _document_id="d2")],
    },
    "slack": {"users": [slack("members", "U1", more="c2"), slack("members", "U2")]},
    "slack_audit": {"audit_logs": [slack("entries", "E1", more="c2"), slack("entries", "E2")]},
    "airtable": {
        "bases": [{"bases": [{"id": "app1"}]}],
        "tables": [{"tables": [{"id": "tbl1"}]}],
        "records": [{"records": [{"id": "rec1"}], "offset": "itr/1"}, {"records": [{"id": "rec2"}]}],
    },
    "openai": {
        "users": [
            {"data": [{"id": "u1"}, {"id": "u2"}], "has_more": True},
            {"data": [{"id": "u3"}], "has_more": False},
        ],
        "costs": [
            {"data": [{"start_time": 1}], "has_more": True, "next_page": "p2"},
            {"data": [{"start_time": 2}], "has_more": False, "next_page": None},
        ],
    },
}
PARAMS = {"github": {"org": "o"}, "notion": {"data_source": "0" * 32}}


@pytest.mark.parametrize("name", SOURCES)
def test_a_built_in_source_does_what_any_must(name):
    source, answers = SOURCES[name], RECORDED[name]
    for stream, pages in answers.items():  # one at a time, with the answers that its parents need
        needed = {stream: pages}
        above = source.stream(stream)
        while above.parent:
            above = source.stream(above.parent.stream)
            needed[above.name] = answers[above.name][:]
        params = {k: v for k, v in PARAMS.get(name, {}).items() if any(p.name == k for p in params_of(source, stream))}
        found = check_source(source, {stream: pages, **needed}, params)
        assert found[stream]


def params_of(source, stream):
    return source.parameters_of(source.stream(stream))


class TestMistakes:
    PAGES = ({"data": [{"id": "a"}, {"id": "b"}], "next": "2"}, {"data": [{"id": "c"}], "next": None})

    def source(self, **changes):
        declared = {"paginator": CursorPaginator("query", "after", "next"), "records": "data"}
        return Source("acme", "Acme", (Stream("things", "GET", "/things", **{**declared, **changes}),))

    def check(self, *pages, **changes):
        return check_source(self.source(**changes), {"things": list(pages or self.PAGES)})

    def test_none(self):
        assert self.check() == {"things": ["a", "b", "c"]}

    def test_a_way_of_paging_that_stops_too_early(self):
        with pytest.raises(AssertionError, match="2 pages were recorded, 1 asked for"):
            self.check(paginator=Whole())

    def test_one_that_does_not_end(self):
        with pytest.raises(AssertionError, match="does not end complete"):
            self.check(paginator=PagePaginator())

    def test_records_that_are_elsewhere(self):
        with pytest.raises(AssertionError, match="no list 'results'"):
            self.check(records="results")

    def test_a_key_that_names_two(self):
        pages = [{"data": [{"id": "a", "kind": "x"}, {"id": "b", "kind": "x"}], "next": None}]
        with pytest.raises(AssertionError, match="an id names two records"):
            self.check(*pages, primary_key="kind")

    def test_links_to_another_host(self):
        pages = [httpx.Response(200, json=[{"id": "a"}], headers={"Link": '<https://evil.test/>; rel="next"'})]
        with pytest.raises(AssertionError, match="another host"):
            self.check(*pages, records="", paginator=LinkPaginator())

    def test_a_cursor_that_is_not_sent(self):
        with pytest.raises(AssertionError, match="points to a page that came before"):
            self.check(paginator=Forgetful())

    def test_what_only_seems_complete(self, monkeypatch):
        forgiving = replace(self.source().streams[0], empty=lambda response: response.status_code == 404)
        with pytest.raises(AssertionError, match="breaks off is called complete"):
            check_source(replace(self.source(), streams=(forgiving,)), {"things": list(self.PAGES)})


class Forgetful(CursorPaginator):
    def __init__(self):
        super().__init__("query", "after", "next")

    def prepare(self, request, cursor):
        return request
