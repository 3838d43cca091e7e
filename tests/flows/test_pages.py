"""Listings for anyone's flow: all records once, one page in memory, and broken pages asked for again."""

import asyncio
import gzip

import httpx
import pytest
import respx

from flows.errors import BadPage, ForeignLink, ListingCut, TooLarge
from flows.links import LinkPaginator
from flows.pages import iterate, iterate_async, stream_for
from flows.paginators import CursorPaginator, OffsetPaginator, PagePaginator
from flows.sources import SOURCES
from flows.tasks import paginate, paginate_async
from limiter import API_RATE_CONFIGS, ApiRateConfig, ConfigurationError
from state import Bucket, context
from state.store import shared_store

BY_OFFSET = CursorPaginator("query", "after", "next", "more", "size", 2)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("AIMD_DATABASE_URL", f"sqlite:///{tmp_path / 'aimd.db'}")
    monkeypatch.setenv("NOTION_TOKEN", "secret_simulator")
    monkeypatch.setattr("flows.tries.fault_delay", lambda tries: 0.0)
    yield
    shared_store().close()


@pytest.fixture(params=["sync", "async"])
def listed(request):
    """All records, through the task's function."""

    def run(*args, **kwargs):
        if request.param == "sync":
            return paginate.fn(*args, **kwargs)
        return asyncio.run(paginate_async.fn(*args, **kwargs))

    return run


@pytest.fixture
def notion(monkeypatch, start_vendor, world):
    def start(**options):
        vendor = start_vendor(world=world, **options)
        monkeypatch.setenv("AIMD_NOTION_BASE_URL", vendor.base_url)
        # The limit is another test's matter: here nobody waits.
        monkeypatch.setitem(API_RATE_CONFIGS, "notion", API_RATE_CONFIGS["notion"].with_changes({"burst": 100}))
        return vendor

    return start


@pytest.fixture
def acme(monkeypatch):
    config = ApiRateConfig("acme", "https://api.acme.test", initial_rate=10, burst=100)
    monkeypatch.setitem(API_RATE_CONFIGS, "acme", config)
    with respx.mock(base_url="https://api.acme.test") as answers:
        yield answers


@pytest.fixture
def slack(monkeypatch):
    monkeypatch.setenv("SLACK_TOKEN", "xoxb-123456789")
    monkeypatch.setitem(API_RATE_CONFIGS, "slack", API_RATE_CONFIGS["slack"].with_changes({"burst": 100}))
    with respx.mock(base_url="https://slack.com/api") as answers:
        yield answers


def page(*things, after=None, **more):
    return httpx.Response(200, json={"things": list(things), "more": after is not None, "next": after, **more})


class TestEveryRecord:
    def test_comes_once(self, listed, notion, world):
        vendor = notion()
        users = listed("notion", "GET", "/users")
        assert sorted(user["id"] for user in users) == sorted(world.ids("user"))
        assert vendor.stats()["by_path"] == {"GET /v1/users": 3}

    def test_of_a_search_too(self, listed, notion, world):
        notion()
        wanted = {"filter": {"property": "object", "value": "data_source"}}
        found = listed("notion", "post", "/search", json=wanted)
        assert {each["id"] for each in found} == set(world.ids("data_source"))

    def test_of_an_api_of_ones_own_with_its_own_paging(self, listed, acme):
        route = acme.get("/things").mock(side_effect=[page(1, 2, after="2"), page(after="3"), page({"x": 3})])
        how = {"paginator": BY_OFFSET, "records": "things", "params": {"kind": "blue"}}
        assert listed("acme", "GET", "/things", **how) == [1, 2, {"x": 3}]
        queries = [str(call.request.url.query, "ascii") for call in route.calls]
        assert queries == ["kind=blue&size=2", "kind=blue&size=2&after=2", "kind=blue&size=2&after=3"]

    def test_of_lists_that_link_to_the_next(self, listed, acme):
        first = httpx.Response(200, json=[1, 2], headers={"link": '<https://api.acme.test/things?page=2>; rel="next"'})
        acme.get("/things", params={"page": "2"}).respond(json=[3])
        acme.get("/things", params={"per_page": "100"}).mock(return_value=first)
        assert listed("acme", "GET", "/things", paginator=LinkPaginator(), records="") == [1, 2, 3]

    def test_is_there_before_the_next_page_is_asked_for(self, acme):
        route = acme.get("/things").mock(side_effect=[page(1, 2, after="2"), page(3)])
        things = iterate("acme", "GET", "/things", paginator=BY_OFFSET, records="things")
        assert (next(things), next(things), route.call_count) == (1, 2, 1)
        assert (list(things), route.call_count) == ([3], 2)

    def test_can_be_left_behind_and_then_nothing_stays_open(self, acme):
        acme.get("/things").mock(side_effect=[page(1, after="2"), page(2)])
        things = iterate("acme", "GET", "/things", paginator=BY_OFFSET, records="things")
        assert next(things) == 1
        things.close()
        assert list(things) == []

        async def first():
            things = iterate_async("acme", "GET", "/things", paginator=BY_OFFSET, records="things")
            thing = await anext(things)
            await things.aclose()
            return thing

        assert asyncio.run(first()) == 2


class TestTheLimit:
    def test_is_learned_for_everybody_and_a_429_waited_for(self, listed, acme, monkeypatch):
        monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", "5f0c1d2e-0000-4000-8000-000000000000")
        acme.get("/things").mock(
            side_effect=[page(1, after="2"), httpx.Response(429, headers={"Retry-After": "0.01"}), page(2)]
        )
        how = {"paginator": BY_OFFSET, "records": "things", "tenant": "one", "quota_key": "shared"}
        assert listed("acme", "GET", "/things", **how) == [1, 2]
        history = shared_store().history(Bucket("acme", quota_key="shared"))
        assert "backoff" in [event.kind for event in history]
        assert {event.run_id for event in history} == {"5f0c1d2e-0000-4000-8000-000000000000"}


class TestAPageThatIsNone:
    @pytest.mark.parametrize("fault", ["not-json", "truncated", "no-results", "error-503", "reset"])
    def test_is_asked_for_again(self, listed, notion, world, fault, monkeypatch):
        monkeypatch.setattr("limiter.bounds.fault_delay", lambda tries: 0.0)
        notion(faults=[f"{fault}@GET /v1/users#2x2"])
        users = listed("notion", "GET", "/users")
        assert sorted(user["id"] for user in users) == sorted(world.ids("user"))

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            (httpx.Response(200, text="<html>"), "not JSON"),
            (httpx.Response(200, json=[1]), "no list 'things'"),
            (httpx.Response(200, json={"things": 1, "more": False}), "no list 'things'"),
            (httpx.Response(200, json={"things": [1]}), "more pages"),
        ],
    )
    def test_three_times_is_an_error_that_says_why(self, listed, acme, answer, why):
        route = acme.get("/things").mock(return_value=answer)
        with pytest.raises(BadPage, match=f"GET /things.*{why}"):
            listed("acme", "GET", "/things", paginator=BY_OFFSET, records="things")
        assert route.call_count == 3

    def test_is_not_asked_for_again_where_asking_changes_something(self, listed, acme):
        route = acme.post("/things").mock(return_value=httpx.Response(200, text="<html>"))
        with pytest.raises(BadPage):
            listed("acme", "POST", "/things", paginator=BY_OFFSET, records="things", safe=False)
        assert route.call_count == 1

    def test_larger_than_memory_is_not_read_to_its_end_nor_asked_for_again(self, listed, acme):
        """65 MB that come as 65 kB."""
        bomb = gzip.compress(b'{"things":["' + b"a" * (65 * 2**20))
        route = acme.get("/things").respond(content=bomb, headers={"Content-Encoding": "gzip"})
        with pytest.raises(TooLarge, match="GET /things was answered with more than 64 MiB"):
            listed("acme", "GET", "/things", paginator=BY_OFFSET, records="things")
        assert route.call_count == 1

    def test_a_circle_is_an_error_and_no_endless_listing(self, listed, acme):
        route = acme.get("/things").mock(side_effect=[page(after="1"), page(after="2"), page(after="1")])
        with pytest.raises(ListingCut, match="came before"):
            listed("acme", "GET", "/things", paginator=BY_OFFSET, records="things")
        assert route.call_count == 3

    @pytest.mark.parametrize("paginator", [PagePaginator(), OffsetPaginator()])
    def test_a_vendor_that_does_not_know_of_pages_is_found_out(self, listed, acme, paginator):
        same = httpx.Response(200, json=[{"name": "a"}, 2, None])
        route = acme.get("/things").mock(side_effect=[same] * 3)
        with pytest.raises(ListingCut, match="page 2 brings just what a page before it brought"):
            listed("acme", "GET", "/things", paginator=paginator, records="")
        assert route.call_count == 2

    def test_empty_pages_do_not_go_on_for_ever(self, listed, acme):
        acme.get("/things").mock(side_effect=[page(after=str(n)) for n in range(101)])
        with pytest.raises(ListingCut, match="100 pages in a row were empty"):
            listed("acme", "GET", "/things", paginator=BY_OFFSET, records="things")

    def test_a_link_to_another_host_is_not_followed(self, listed, acme, monkeypatch):
        monkeypatch.setenv("ACME_TOKEN", "t0ken")
        elsewhere = httpx.Response(200, json=[1], headers={"link": '<https://evil.test/things>; rel="next"'})
        route = acme.get("/things").mock(return_value=elsewhere)
        with pytest.raises(ForeignLink):
            listed("acme", "GET", "/things", paginator=LinkPaginator(), records="")
        assert route.call_count == 1

    def test_a_refusal_is_final(self, listed, acme):
        route = acme.get("/things").respond(404)
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            listed("acme", "GET", "/things", paginator=BY_OFFSET, records="things")
        assert route.call_count == 1


class TestAListingThatTheVendorCuts:
    @pytest.fixture
    def query(self, notion, world):
        notion(row_cap=50)
        return f"/data_sources/{world.ids('data_source')[0]}/query"

    def test_is_an_error_after_what_came(self, listed, query):
        with pytest.raises(ListingCut, match=r"only 50 records of POST /data_sources.*query_result_limit_reached"):
            listed("notion", "POST", query)

    def test_gives_what_came_before_it_says_so(self, query):
        rows = iterate("notion", "POST", query)
        assert len([next(rows) for _ in range(50)]) == 50
        with pytest.raises(ListingCut):
            next(rows)

    def test_goes_on_where_a_way_past_the_cut_is_given(self, listed, query):
        rows = SOURCES["notion"].stream("rows")
        found = listed("notion", "POST", query, paginator=rows.paginator, json=rows.body)
        assert len({row["id"] for row in found}) == 105


class TestARefusalWithStatus200:
    def test_is_final(self, listed, slack):
        refused = {"ok": False, "error": "missing_scope", "needed": "users:read"}
        route = slack.get("/users.list").respond(json=refused)
        with pytest.raises(httpx.HTTPStatusError, match="slack refused: missing_scope, it needs users:read"):
            listed("slack", "GET", "/users.list", records="members")
        assert route.call_count == 1

    def test_that_passes_is_asked_again(self, listed, slack):
        passing = httpx.Response(200, json={"ok": False, "error": "internal_error"})
        fine = httpx.Response(200, json={"ok": True, "members": [{"id": "U1"}]})
        slack.get("/users.list").mock(side_effect=[passing, fine])
        assert listed("slack", "GET", "/users.list", records="members") == [{"id": "U1"}]


class TestPaging:
    @pytest.mark.parametrize(
        ("api", "method", "path", "name"),
        [
            ("notion", "get", "/users", "users"),
            ("notion", "GET", "/comments", "users"),
            ("notion", "POST", "/search", "pages"),
            ("notion", "POST", "data_sources/1a/query?x=/", "rows"),
            ("slack", "GET", "/team.accessLogs", "access_logs"),
            ("slack", "GET", "/team.accessLogs/more", "users"),
            ("openai", "GET", "/organization/projects/p1/users", "project_users"),
            ("openai", "GET", "/organization/costs", "costs"),
        ],
    )
    def test_is_that_of_what_the_source_lists_there_or_else_with_this_method(self, api, method, path, name):
        assert stream_for(api, method, path).name == name

    @pytest.mark.parametrize(("api", "method"), [("notion", "DELETE"), ("acme", "GET"), ("fieldguide", "POST")])
    def test_that_nobody_knows_is_said_before_anything_is_sent(self, listed, api, method):
        with pytest.raises(ConfigurationError, match=f"How {api} pages.*{method}.*paginator="):
            listed(api, method, "/things")


def test_what_is_done_belongs_to_the_flow_run_and_what_is_done_afterwards_does_not(listed, notion, monkeypatch):
    notion()
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "run-7")
    listed("notion", "GET", "/users")
    assert context.run_id.get() is None
    with shared_store() as store:
        assert {event.run_id for event in store.history(Bucket("notion"))} == {"run-7"}


def test_a_listing_that_is_broken_off_leaves_no_flow_run_behind(notion, monkeypatch):
    notion()
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "run-7")
    users = iterate("notion", "GET", "/users")
    next(users)
    users.close()
    assert context.run_id.get() is None
