"""What a vendor may answer in place of a page: each has a rule, and a sentence for whoever runs the sync."""

import gzip
import hashlib
import json
from dataclasses import replace

import httpx
import pytest

from flows.links import LinkPaginator
from flows.sources import SOURCES
from state.records import Provenance

WHERE_FROM = Provenance("https://api.notion.test/v1", "somebody", "by hand")
GOOD = {"results": [{"id": "a"}], "has_more": False, "next_cursor": None}


@pytest.fixture
def sync(collector_of):
    """A sync of users from a function of the request's cursor; gives what came and the collector."""

    def run(answer, **wanted):
        transport = httpx.MockTransport(lambda request: answer(request.url.params.get("start_cursor")))
        collector = collector_of(transport=transport)
        return collector.sync("users", **wanted), collector

    return run


def users(*ids, more=None, **fields):
    body = {"results": [{"id": each, **fields} for each in ids], "has_more": more is not None, "next_cursor": more}
    return httpx.Response(200, json=body)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!doctype html><title>Sign in</title>", "it is not JSON but HTML, as a proxy or a sign-in page sends it"),
        (b'{"results":[{"id":"a","score":NaN}],"has_more":false}', "it has the number NaN, which JSON does not know"),
        (b'{"results":[{"id":"a","score":1e999}],"has_more":false}', "it has a number that is too large to keep"),
        (b'{"results":[{"id":"a","name":"\xff"}],"has_more":false}', "it is not UTF-8 (byte 30)"),
        (b'{"results":[{"name":"nobody"}],"has_more":false}', "a record has no 'id'"),
        (b'{"results":[{"id":"\\ud800"}],"has_more":false}', "a record's 'id' is no text: it holds half a character"),
        (b'{"results":[{"id":"a\\u0000"}],"has_more":false}', "a record's 'id' is no text: it holds a NUL"),
        (b'{"results":[{"id":"' + b"a" * 2000 + b'"}],"has_more":false}', "a record's 'id' is longer than 1,024 bytes"),
        (b'{"results":[],"has_more":true,"next_cursor":"\\ud800"}', "its next cursor is no text"),
        (b'{"results":[],"has_more":true,"next_cursor":"' + b"c" * 5000 + b'"}', "next cursor is longer than 4,096"),
    ],
)
def test_what_is_no_page_ends_the_stream_with_a_sentence_and_stores_nothing(sync, content, said):
    came, collector = sync(lambda cursor: httpx.Response(200, content=content))
    assert not came.complete
    assert said in came.problem.message
    assert came.problem.message.startswith("Notion answered GET /users with something that is not a page: ")
    assert came.problem.message.endswith(
        "What was collected is kept, the cursor stays where it was; run again to go on."
    )
    assert collector.versions("users") == []


def test_a_later_page_that_is_none_leaves_what_came_before(sync):
    came, collector = sync(lambda cursor: users("a", more="2") if cursor is None else httpx.Response(200, text="{"))
    assert not came.complete
    assert sorted(collector.current("users")) == ["a"]
    assert collector.cursor("users").listing.page_cursor == "2"


def test_whole_numbers_and_half_characters_are_kept_as_they_are(sync):
    content = b'{"results":[{"id":"a","n":' + b"9" * 400 + b',"t":"\\ud83d"}],"has_more":false}'
    came, collector = sync(lambda cursor: httpx.Response(200, content=content))
    assert came.complete
    [version] = collector.versions("users")
    assert version.text == '{"id":"a","n":' + "9" * 400 + ',"t":"\\ud83d"}'


def test_a_record_of_20_mb_is_kept_whole(sync):
    text = "x" * 20_000_000
    came, collector = sync(lambda cursor: users("a", text=text))
    assert came.complete
    [version] = collector.versions("users")
    assert len(version.text) > 20_000_000
    assert version.sha256 == hashlib.sha256(version.text.encode()).hexdigest()


def test_an_answer_that_has_no_end_is_not_read_to_it(sync):
    """65 MB that come as 65 kB."""
    bomb = gzip.compress(b'{"results":[{"id":"' + b"a" * (65 * 2**20))

    def answer(cursor):
        asked.append(cursor)
        return httpx.Response(200, content=bomb, headers={"Content-Encoding": "gzip"})

    asked = []
    came, _ = sync(answer)
    assert "Notion answered GET /users with more than 64 MiB, which is not read" in came.problem.message
    assert len(asked) == 1, "the next would be as large"


class TestWhatDoesNotEnd:
    def test_a_cursor_that_is_always_another_over_the_same_records(self, sync):
        def answer(cursor):
            asked.append(cursor)
            return users("a", "b", more=f"c{len(asked)}")

        asked = []
        came, _ = sync(answer, pages=5)
        assert "page 2 brings just what a page before it brought" in came.problem.message
        assert len(asked) == 2

    @pytest.mark.parametrize("pages", [1, 20])
    def test_a_circle_of_several_pages(self, sync, pages):
        def answer(cursor):
            asked.append(cursor)
            return users(*("ab", "cd", "ef")[(len(asked) - 1) % 3], more=f"c{len(asked)}")

        asked = []
        came, _ = sync(answer, pages=pages)
        assert "page 4 brings just what a page before it brought" in came.problem.message

    def test_empty_pages_without_end(self, sync):
        def answer(cursor):
            asked.append(cursor)
            return users(more=f"c{len(asked)}")

        asked = []
        came, _ = sync(answer)
        assert "100 pages in a row were empty, and each points to another" in came.problem.message
        assert len(asked) == 100

    def test_a_few_empty_pages_are_a_filters_work(self, sync):
        pages = {None: users("a", more="1"), "1": users(more="2"), "2": users(more="3"), "3": users("b")}
        came, collector = sync(pages.get)
        assert came.complete
        assert sorted(collector.current("users")) == ["a", "b"]


def test_ids_that_repeat_across_pages_are_one_thing_each(sync):
    """A record that moved while it was listed; its later form is the newer one."""
    pages = {None: users("a", "b", more="1", n=1), "1": users("b", "c", n=2)}
    came, collector = sync(pages.get)
    assert came.complete
    assert (came.counts.records, came.counts.new, came.counts.changed) == (4, 3, 1)
    assert collector.current("users")["b"]["n"] == 2


def test_a_stream_that_the_token_may_not_read_is_said_and_keeps_no_other(collector_of):
    def answer(request):
        if request.url.path == "/v1/users":
            return httpx.Response(403, json={"message": "Insufficient permissions for this endpoint."})
        return httpx.Response(200, json=GOOD)

    collector = collector_of(transport=httpx.MockTransport(answer))
    refused = collector.sync("users")
    assert refused.problem.message == (
        "Notion refused to list users (403: Insufficient permissions for this endpoint.); the token may lack the right "
        "to read it. What was collected is kept, the cursor stays where it was; run again to go on."
    )
    assert collector.sync("pages").complete


def test_a_next_page_at_another_host_is_not_asked_for(collector_of):
    """A cursor that somebody wrote into the database."""

    hosts = set()
    source = SOURCES["notion"]
    linked = replace(source.stream("users"), paginator=LinkPaginator())
    link = {"Link": '<https://api.notion.test/v1/users?page=2>; rel="next"'}
    page = httpx.Response(200, content=json.dumps(GOOD), headers=link)
    transport = httpx.MockTransport(lambda request: hosts.add(request.url.host) or page)
    collector = collector_of(transport=transport, source=replace(source, streams=(linked,)))
    assert collector.chunk("users", pages=1).more
    evidence, place = collector.store.evidence, collector.task("users").collection
    listing = evidence.cursor(place).listing
    evidence.commit_page(
        place, [], WHERE_FROM, before=listing, after=replace(listing, page_cursor="https://evil.test/"), ends=False
    )
    came = collector.chunk("users", pages=1)
    assert "at another host: nothing was sent there" in came.problem.message
    assert hosts == {"api.notion.test"}
