"""The task for anyone's flow: one call at the learned rate. Its function is called; Prefect itself is not needed."""

import asyncio
import traceback

import httpx
import pytest
import respx

from flows.errors import MissingCredential
from flows.tasks import call_api, call_api_async
from limiter import API_RATE_CONFIGS, ApiRateConfig, Terminal, UnknownApi, WaitTooLong
from state import Bucket, context
from state.store import shared_store

TOKEN = "secret_simulator"


def sync_call(*args, **kwargs):
    return call_api.fn(*args, **kwargs)


def async_call(*args, **kwargs):
    return asyncio.run(call_api_async.fn(*args, **kwargs))


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """A database for each test: the shared store is kept by its URL."""
    monkeypatch.setenv("AIMD_DATABASE_URL", f"sqlite:///{tmp_path / 'aimd.db'}")
    monkeypatch.setenv("NOTION_TOKEN", TOKEN)
    yield
    shared_store().close()


@pytest.fixture(params=[sync_call, async_call], ids=["sync", "async"])
def call(request):
    return request.param


@pytest.fixture
def notion(monkeypatch, start_vendor):
    vendor = start_vendor()
    monkeypatch.setenv("AIMD_NOTION_BASE_URL", vendor.base_url)
    return vendor


@pytest.fixture
def acme(monkeypatch):
    """An API of one's own that no token is known for, and its answers."""
    monkeypatch.setitem(API_RATE_CONFIGS, "acme", ApiRateConfig("acme", "https://api.acme.test/v2", initial_rate=5))
    with respx.mock(base_url="https://api.acme.test/v2") as answers:
        yield answers


class TestAnswers:
    def test_the_error_of_a_hook_leaves_its_address_behind_though_zapier_repeats_it(self, call, monkeypatch):
        monkeypatch.setenv("ZAPIER_HOOK_URL", "https://hooks.zapier.com/hooks/catch/123/s3cr3thook/")
        with respx.mock(base_url="https://hooks.zapier.com") as zapier:
            zapier.post(path__regex=".*").respond(404, text="no hook at /hooks/catch/123/s3cr3thook/")
            with pytest.raises(httpx.HTTPStatusError) as refused:
                call("zapier", "POST", "", json={})
        error = refused.value
        kept = f"{error!r} {error} {error.request.url} {error.response.text} {vars(error)}"
        assert "no hook at [credential]" in kept
        assert "s3cr3thook" not in kept

    def test_an_error_that_comes_with_status_200_is_an_error(self, call, monkeypatch):
        monkeypatch.setenv("SLACK_TOKEN", "xoxp-simulator")
        with respx.mock(base_url="https://slack.com/api") as slack:
            slack.get("/users.list").respond(json={"ok": False, "error": "missing_scope", "needed": "users:read"})
            with pytest.raises(httpx.HTTPStatusError, match="slack refused: missing_scope, it needs users:read"):
                call("slack", "GET", "/users.list")
        with shared_store() as store:
            (state,) = [state for bucket, state in store.buckets() if bucket.scope == "users.list"]
            assert state.throttles == 0

    def test_json(self, call, notion):
        users = call("notion", "GET", "/users", params={"page_size": 3})["results"]
        assert [user["object"] for user in users] == ["user"] * 3

    def test_a_body_is_sent(self, call, notion):
        wanted = {"filter": {"property": "object", "value": "data_source"}}
        found = call("notion", "POST", "/search", json=wanted, safe=True)["results"]
        assert {each["object"] for each in found} == {"data_source"}

    def test_text_that_is_not_json(self, call, acme):
        acme.get("/hello").respond(text="hello")
        assert call("acme", "GET", "/hello") == "hello"

    def test_nothing(self, call, acme):
        acme.delete("/hello").respond(204)
        assert call("acme", "DELETE", "/hello") is None

    def test_an_api_of_ones_own_needs_no_token(self, call, acme):
        route = acme.get("/hello").respond(json=[1])
        assert call("acme", "GET", "/hello", headers={"X-Own": "1"}) == [1]
        sent = route.calls[0].request.headers
        assert "Authorization" not in sent
        assert sent["X-Own"] == "1"

    def test_but_has_it_sent_if_there_is_one(self, call, acme, monkeypatch):
        monkeypatch.setenv("ACME_TOKEN", "t0ken")
        route = acme.get("/hello").respond(json=[1])
        call("acme", "GET", "/hello")
        assert route.calls[0].request.headers["Authorization"] == "Bearer t0ken"

    def test_belongs_to_the_flow_run_and_what_comes_afterwards_does_not(self, call, notion, monkeypatch):
        monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "run-7")
        call("notion", "GET", "/users")
        assert context.run_id.get() is None
        with shared_store() as store:
            assert {event.run_id for event in store.history(Bucket("notion"))} == {"run-7"}


class TestErrors:
    def test_a_status_is_raised_and_shows_no_token(self, call, notion):
        with pytest.raises(httpx.HTTPStatusError, match="404") as caught:
            call("notion", "GET", "/pages/not-there")
        assert caught.value.response.json()["code"] == "object_not_found"
        assert TOKEN not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)

    def test_a_secret_that_gets_no_token_is_an_error_of_httpx_and_shows_nothing(self, call, monkeypatch):
        monkeypatch.setenv("VANTA_CLIENT_ID", "vci_1")
        monkeypatch.setenv("VANTA_CLIENT_SECRET", "vcs_0123456789")
        with respx.mock(base_url="https://api.vanta.com") as vanta:
            vanta.post("/oauth/token").respond(401, json={"error": "no vcs_0123456789"})
            with pytest.raises(Terminal, match="look at VANTA_CLIENT_ID and VANTA_CLIENT_SECRET") as caught:
                call("vanta", "GET", "/v1/people")
        assert isinstance(caught.value, httpx.HTTPError)
        assert "vcs_" not in "".join(traceback.format_exception(caught.value))

    def test_an_unknown_api_is_refused_with_those_there_are(self, call):
        with pytest.raises(UnknownApi, match="notion"):
            call("noton", "GET", "/users")

    def test_a_missing_token_is_said_before_anything_is_sent(self, call, notion, monkeypatch):
        monkeypatch.delenv("NOTION_TOKEN")
        with pytest.raises(MissingCredential, match="NOTION_TOKEN"):
            call("notion", "GET", "/users")
        assert notion.stats()["requests"] == 0

    def test_an_unsafe_call_is_not_sent_twice(self, call, acme):
        route = acme.post("/orders").respond(500)
        with pytest.raises(httpx.HTTPStatusError, match="500"):
            call("acme", "POST", "/orders", json={})
        assert route.call_count == 1

    def test_a_wait_that_is_too_long(self, call, acme):
        acme.get("/hello").respond(429, headers={"Retry-After": "600"})
        with pytest.raises(WaitTooLong) as caught:
            call("acme", "GET", "/hello", max_wait=1)
        assert caught.value.until > 0


class TestTheLimit:
    def test_a_429_is_waited_for(self, call, acme):
        answers = [httpx.Response(429, headers={"Retry-After": "0.01"}), httpx.Response(200, json="now")]
        route = acme.get("/hello").mock(side_effect=answers)
        assert call("acme", "GET", "/hello") == "now"
        assert route.call_count == 2

    def test_what_was_learned_is_remembered_with_the_flow_run(self, call, acme, monkeypatch):
        monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", "5f0c1d2e-0000-4000-8000-000000000000")
        answers = [httpx.Response(429, headers={"Retry-After": "0.01"}), httpx.Response(200, json="now")]
        acme.get("/hello").mock(side_effect=answers)
        call("acme", "GET", "/hello", quota_key="shared")
        history = shared_store().history(Bucket("acme", quota_key="shared"))
        assert [event.kind for event in history][:2] == ["start", "backoff"]
        assert {event.run_id for event in history} == {"5f0c1d2e-0000-4000-8000-000000000000"}

    def test_the_quota_is_the_tenants_unless_it_is_named(self, call, acme):
        acme.get("/hello").respond(json=1)
        call("acme", "GET", "/hello", tenant="one")
        call("acme", "GET", "/hello", tenant="two", quota_key="three")
        assert [str(bucket) for bucket, _ in shared_store().buckets()] == ["acme/default/one", "acme/default/three"]


def test_a_block_wins_over_the_environment(call, prefect_blocks):
    with respx.mock(base_url="https://api.notion.com/v1") as answers:
        route = answers.get("/users/me").respond(json={"object": "user"})
        assert call("notion", "GET", "/users/me", credentials="mine") == {"object": "user"}
    assert route.calls[0].request.headers["Authorization"] == "Bearer ntn_of_the_block"
