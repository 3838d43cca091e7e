"""One page: what is asked for again, how often, and what is said when it is given up. Waits move a fake clock."""

from dataclasses import replace

import httpx
import pytest

from flows.errors import BadPage, CursorExpired, Refused
from flows.fetch import fetch_page
from flows.sources import plan, source_named
from limiter import make_client_for
from limiter.testing import ScriptedVendor
from state.memory import MemoryStore

[USERS] = plan(source_named("notion"), ["users"], "default", None)
[PAGES] = plan(source_named("notion"), ["pages"], "default", None)
GOOD = httpx.Response(200, json={"results": [{"id": "a"}], "has_more": False, "next_cursor": None})
BAD = {
    "not JSON": {"text": "<h1>We will be right back</h1>"},
    "empty": {},
    "not UTF-8": {"content": b'{"results": "\xff"}'},
    "a number": {"json": 7},
    "a list": {"json": []},
    "lacks results": {"json": {"has_more": False}},
    "does not say whether there is more": {"json": {"results": []}},
    "a record without an id": {"json": {"results": [{}], "has_more": False}},
    "nested too deeply": {"text": "[" * 200_000},
    "compressed wrongly": {"headers": {"Content-Encoding": "gzip"}, "stream": httpx.ByteStream(b"no gzip")},
}


def bad(kind="not JSON"):
    return httpx.Response(200, **BAD[kind])


@pytest.fixture
def fetch(clock):
    """Fetch a page from a script; gives the outcome, the waits, and the times at which the vendor was asked."""

    def run(*script, task=USERS, slow=0.0):
        vendor = ScriptedVendor(script, clock)

        def answer(request):
            clock.now += slow
            return vendor.transport.handle_request(request)

        transport, store = httpx.MockTransport(answer), MemoryStore(clock=clock)
        with make_client_for("notion", store=store, transport=transport, sleep=clock.sleep) as client:
            try:
                outcome = fetch_page(client, task, task.request, sleep=clock.sleep, monotonic=clock)
            except (BadPage, Refused, httpx.HTTPError) as error:
                outcome = error
        return outcome, vendor

    return run


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_page_is_asked_for_three_times_and_not_more(fetch, clock, kind):
    error, vendor = fetch(*[bad(kind) for _ in range(3)])
    assert isinstance(error, BadPage)
    assert str(error).startswith("Notion answered GET /users with something that is not a page: ")
    assert "\n" not in str(error)
    assert len(vendor.requests) == 3
    assert [each for each in clock.sleeps if each >= 1] == [1.0, 2.0]


@pytest.mark.parametrize("kind", BAD)
def test_a_second_try_that_succeeds_is_enough(fetch, kind):
    page, vendor = fetch(bad(kind), GOOD)
    assert page.records == (("a", {"id": "a"}),)
    assert len(vendor.requests) == 2


def test_a_request_that_does_more_than_read_is_not_sent_twice(fetch):
    unsafe = replace(PAGES, stream=replace(PAGES.stream, safe=False))
    error, vendor = fetch(bad(), task=unsafe)
    assert isinstance(error, BadPage)
    assert len(vendor.requests) == 1


def test_a_search_only_reads_although_it_is_a_post(fetch):
    page, vendor = fetch(httpx.ConnectError("refused"), 500, bad("empty"), GOOD, task=PAGES)
    assert page.records
    assert len(vendor.requests) == 4


def test_a_slow_vendor_is_not_asked_for_longer_than_half_a_minute(fetch):
    error, vendor = fetch(*[bad()] * 3, slow=29.5)
    assert isinstance(error, BadPage)
    assert len(vendor.requests) == 2


def test_a_cooldown_before_the_fault_does_not_count(fetch):
    page, vendor = fetch((429, {"Retry-After": "600"}), bad(), bad("empty"), GOOD)
    assert page.records
    assert len(vendor.requests) == 4


def test_a_vendor_that_fails_is_asked_three_times(fetch):
    error, vendor = fetch(*[httpx.Response(500, json={"message": "Unexpected error occurred."})] * 3)
    assert isinstance(error, Refused)
    assert str(error) == "Notion failed to list users (500: Unexpected error occurred.)"
    assert error.status == 500
    assert len(vendor.requests) == 3


def test_a_connection_that_is_refused_is_tried_three_times(fetch):
    error, vendor = fetch(*[httpx.ConnectError("refused")] * 3)
    assert isinstance(error, httpx.ConnectError)
    assert len(vendor.requests) == 3


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 422])
def test_a_refusal_is_final(fetch, status):
    error, vendor = fetch((status, {"Location": "https://elsewhere.test/"}))
    assert isinstance(error, Refused)
    assert error.status == status
    assert f"({status})" in str(error)
    assert len(vendor.requests) == 1


def test_an_expired_cursor_is_told_from_other_refusals(fetch):
    message = {"message": "body failed validation: body.start_cursor should be a valid uuid"}
    assert isinstance(fetch(httpx.Response(400, json=message))[0], CursorExpired)
    other = fetch(httpx.Response(400, json={"message": "body.sort should be"}))[0]
    assert isinstance(other, Refused)
    assert not isinstance(other, CursorExpired)


def test_what_is_sent(fetch):
    _, vendor = fetch(GOOD, task=PAGES)
    [request] = vendor.requests
    assert (request.method, request.url.path) == ("POST", "/v1/search")
    assert b'"page_size"' not in request.content, "paging is the paginator's"
    assert request.headers["Notion-Version"] == "2025-09-03"
