"""Every block: it makes clients that send its secret at the learned rate, and never shows it."""

import asyncio
import inspect
import json
import traceback
from abc import ABC

import httpx
import pytest
import respx
from prefect.blocks.core import InvalidBlockRegistration
from pydantic import SecretStr, ValidationError

from flows import blocks
from flows.blocks import ApiCredentials, ApplicationCredentials, NotionCredentials, TokenCredentials, ZapierHook
from flows.credential import HookUrl
from flows.places import PLACES
from flows.tasks import call_api
from limiter import API_RATE_CONFIGS, ConfigurationError, Terminal, api_config
from limiter.testing import ScriptedVendor
from state.store import shared_store

SECRET = "sEcrEt_1a2b3c"
HOOK = f"https://hooks.zapier.com/hooks/catch/123/{SECRET}/"
TYPES = [kind for _, kind in inspect.getmembers(blocks, inspect.isclass) if issubclass(kind, ApiCredentials)]
KINDS = [kind for kind in TYPES if ABC not in kind.__bases__]
APPLICATIONS = [kind for kind in KINDS if issubclass(kind, ApplicationCredentials)]
TOKENS = [kind for kind in KINDS if issubclass(kind, TokenCredentials)]


def made(kind):
    return kind(hook_url=HOOK) if kind is ZapierHook else with_secret(kind, SECRET)


def with_secret(kind, secret):
    [name] = [name for name in kind.model_fields if name != "client_id"]
    return kind(**{name: SecretStr(secret)}, **({"client_id": "vci_1"} if kind in APPLICATIONS else {}))


def test_each_api_with_a_credential_has_its_block():
    assert {kind._api: kind.__name__ for kind in KINDS} == {api: place.block for api, place in PLACES.items()}
    assert {kind._api for kind in KINDS} == set(API_RATE_CONFIGS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
class TestEveryBlock:
    def test_is_presented_to_people(self, kind):
        assert kind.get_block_type_name().endswith(("Credentials", "Hook"))
        assert kind.get_description()
        assert kind._documentation_url.scheme == "https"
        assert kind.get_block_type_slug() == kind.get_block_type_name().lower().replace(" ", "-")
        for field in kind.model_fields.values():
            assert field.title
            assert field.description

    def test_can_be_registered_and_its_base_cannot(self, kind):
        assert kind._to_block_type().slug == kind.get_block_type_slug()
        assert kind._to_block_schema(block_type_id=None).fields["secret_fields"]
        for base in (ApiCredentials, TokenCredentials, ApplicationCredentials):
            with pytest.raises(InvalidBlockRegistration):
                base.register_type_and_schema(_sync=True)

    def test_shows_no_secret(self, kind):
        block = made(kind)
        shown = [repr(block), str(block), f"{block:}", block.model_dump_json(), str(block.model_dump())]
        assert SECRET not in "\n".join(shown)

    @pytest.mark.parametrize("secret", ["", " \n", f"{SECRET}\nX: 1", f"{SECRET} {SECRET}"])
    def test_with_a_secret_that_cannot_be_one_makes_no_client(self, kind, store, secret):
        block = with_secret(kind, secret)
        for make in (block.get_client, block.get_async_client):
            with pytest.raises(ConfigurationError, match="the block") as caught:
                make(store=store)
            assert SECRET not in "".join(traceback.format_exception(caught.value))

    def test_needs_its_secret(self, kind):
        with pytest.raises(ValidationError):
            kind()


@pytest.mark.parametrize("mode", ["sync", "async"])
class TestItsClient:
    def send(self, block, mode, vendor, clock, store, method="GET", url="/users", **options):
        options = {"store": store, "transport": vendor.transport, **options}

        async def awaiting():
            async with block.get_async_client(sleep=clock.asleep, **options) as client:
                return client, [await client.request(method, url) for _ in range(2)]

        if mode == "async":
            return asyncio.run(awaiting())
        with block.get_client(sleep=clock.sleep, **options) as client:
            return client, [client.request(method, url) for _ in range(2)]

    @pytest.mark.parametrize("kind", TOKENS, ids=lambda kind: kind.__name__)
    def test_sends_the_token_at_the_rate_of_its_api(self, kind, mode, clock, store):
        vendor = ScriptedVendor([], clock)
        given = {"X-More": "1", "Authorization": "Bearer another"}
        client, _ = self.send(made(kind), mode, vendor, clock, store, tenant="acme", headers=given)
        first = vendor.requests[0]
        preset = api_config(kind._api)
        assert first.headers["Authorization"] == f"Bearer {SECRET}"
        assert first.headers["X-More"] == "1"
        assert str(first.url) == f"{preset.base_url}/users"
        assert str(client.limiter.bucket) == f"{preset.name}/default/acme"
        assert vendor.times == [0.0, pytest.approx(1 / preset.initial_rate)]
        for name, value in preset.headers.items():
            assert first.headers[name] == value

    @pytest.mark.parametrize("elsewhere", [{}, {"base_url": "https://proxy.test/vanta"}])
    @pytest.mark.parametrize("kind", APPLICATIONS, ids=lambda kind: kind.__name__)
    def test_asks_for_a_token_and_sends_that(self, kind, mode, clock, store, elsewhere):
        vendor = ScriptedVendor([httpx.Response(200, json={"access_token": "vat_1", "expires_in": 3599})], clock)
        self.send(made(kind), mode, vendor, clock, store, **elsewhere)
        asked, *sent = vendor.requests
        host = "proxy.test" if elsewhere else "api.vanta.com"
        assert (asked.method, str(asked.url)) == ("POST", f"https://{host}/oauth/token")
        assert json.loads(asked.content)["client_secret"] == SECRET
        assert [request.headers["Authorization"] for request in sent] == ["Bearer vat_1"] * 2

    def test_a_hooks_posts_to_the_secret_address_and_shows_another(self, mode, clock, store):
        vendor = ScriptedVendor([], clock)
        client, answers = self.send(made(ZapierHook), mode, vendor, clock, store, "POST", "")
        assert vendor.times == [0.0, 0.5], "paced, since it is the API's own host"
        assert [str(answer.request.url) for answer in answers] == ["https://hooks.zapier.com/"] * 2
        assert "Authorization" not in vendor.requests[0].headers
        assert SECRET not in f"{client!r} {client.limiter!r} {client.limiter.config!r} {client.base_url}"


class TestTheHook:
    @pytest.fixture
    def zapier(self):
        with respx.mock(assert_all_called=False) as server:
            yield server

    def test_is_where_requests_go(self, zapier, store):
        route = zapier.post(HOOK).respond(json={"status": "success"})
        with made(ZapierHook).get_client(store=store) as client:
            assert client.post("", json={"what": 1}).json() == {"status": "success"}
        assert json.loads(route.calls[0].request.content) == {"what": 1}

    def test_takes_a_query_with_it(self, zapier, store):
        route = zapier.post(HOOK, params={"run": "7"}).respond(json=1)
        with made(ZapierHook).get_client(store=store) as client:
            client.post("", params={"run": "7"})
        assert route.called

    def test_does_not_take_what_is_addressed_elsewhere(self, zapier, store):
        route = zapier.get("https://hooks.zapier.com/status").respond(json=1)
        with made(ZapierHook).get_client(store=store) as client:
            client.get("/status")
        assert route.called

    @pytest.mark.parametrize("answer", [404, httpx.ConnectError("no way there"), 429, (429, {"Retry-After": "60"})])
    def test_is_in_no_error(self, clock, store, answer, caplog):
        vendor = ScriptedVendor([answer, answer, answer], clock)
        options = {"transport": vendor.transport, "sleep": clock.sleep, "max_retries": 1, "max_wait": 9.0}
        with made(ZapierHook).get_client(store=store, **options) as client, pytest.raises(httpx.HTTPError) as caught:
            client.post("").raise_for_status()
        error = caught.value
        shown = "".join(traceback.format_exception(error)) + repr(error) + str(error.request.url) + caplog.text
        assert SECRET not in shown

    @pytest.mark.parametrize("address", ["hooks.zapier.com/x", "ftp://hooks.zapier.com/x", "https://", "https:///x"])
    def test_must_be_an_address(self, address):
        with pytest.raises(ConfigurationError, match="no http or https address"):
            HookUrl(f"{address}", "ZAPIER_HOOK_URL")

    def test_serves_a_task_too(self, zapier, monkeypatch, tmp_path):
        monkeypatch.setenv("AIMD_DATABASE_URL", f"sqlite:///{tmp_path / 'aimd.db'}")
        monkeypatch.setenv("ZAPIER_HOOK_URL", HOOK)
        zapier.post(HOOK).respond(json={"status": "success"})
        assert call_api.fn("zapier", "POST", "", json={"what": 1}) == {"status": "success"}
        shared_store().close()


def test_a_block_meets_the_limit_that_others_learned(clock, store):
    def client(script):
        vendor = ScriptedVendor(script, clock)
        return NotionCredentials(token=SECRET).get_client(store=store, transport=vendor.transport, sleep=clock.sleep)

    blocked = httpx.Response(429, text="public_api_request_blocked")
    with client([(429, {"Retry-After": "30"})]) as first, client([blocked]) as second:
        first.get("/users")
        assert second.limiter.snapshot()["current_rate"] == pytest.approx(1.34)
        with pytest.raises(Terminal):
            second.get("/users")
