"""What an `httpx.Client` can do, a client of ours can: proxies, TLS, mounts, hooks, auth, respx."""

from __future__ import annotations

import asyncio
import ssl
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import respx

from limiter import (
    AimdClient,
    AimdTransport,
    ApiRateConfig,
    AsyncAimdTransport,
    make_async_client_for,
    make_client_for,
    make_client_from_config,
)
from limiter.testing import FakeClock, ScriptedVendor
from state.memory import MemoryStore


class Proxy(ThreadingHTTPServer):
    """An HTTP proxy that answers by itself, from a script of statuses."""

    def __init__(self, script: list[int]) -> None:
        self.asked: list[str] = []
        seen = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append(self.path)
                self.send_response(script.pop(0) if script else 200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy([429, 200]) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


ACME = ApiRateConfig("acme", "http://api.acme.test", initial_rate=2.0)
ASKED = ["http://api.acme.test/users", "http://api.acme.test/users"]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_the_environments_proxy_is_used_and_paced(
    proxy: Proxy, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("REQUEST_METHOD", raising=False)
    monkeypatch.setenv(variable, proxy.url)
    with make_client_from_config(ACME, store=MemoryStore(clock=clock), sleep=clock.sleep) as client:
        assert client.get("/users").text == "ok"
        assert proxy.asked == ASKED, "once refused, once answered"
        assert client.limiter.tally.throttled == 1
        assert clock.sleeps == [1.0]


def test_a_proxy_given_in_code_is_used_and_paced(proxy: Proxy, clock: FakeClock) -> None:
    async def main() -> None:
        store = MemoryStore(clock=clock)
        options: dict[str, Any] = {"base_url": "http://api.acme.test", "proxy": proxy.url, "sleep": clock.asleep}
        async with make_async_client_for("notion", store=store, **options) as client:
            assert (await client.get("/users")).text == "ok"
            assert (proxy.asked, client.limiter.tally.throttled) == (ASKED, 1)

    asyncio.run(main())


def test_no_proxy_is_respected(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with make_client_from_config(ACME, base_url=proxy.url, sleep=lambda _: None) as client:
        assert client.get("/users").text == "ok"


def pool(client: AimdClient) -> Any:
    assert isinstance(client._transport, AimdTransport)
    inner = client._transport.inner
    assert isinstance(inner, httpx.HTTPTransport)
    return inner._pool


def test_tls_and_connection_options_reach_the_transport() -> None:
    context = ssl.create_default_context()
    limits = httpx.Limits(max_connections=7, max_keepalive_connections=3)
    with make_client_for("notion", verify=context, limits=limits, http2=True, http1=False) as client:
        ours = pool(client)
        with httpx.Client(verify=context, limits=limits, http2=True, http1=False) as plain:
            httpxs = plain._transport._pool  # type: ignore[attr-defined]
        assert ours._ssl_context is context
        for name in ("_max_connections", "_max_keepalive_connections", "_http2", "_http1"):
            assert getattr(ours, name) == getattr(httpxs, name)


def test_verify_false_is_passed_on() -> None:
    with make_client_for("notion", verify=False) as client:
        assert pool(client)._ssl_context.verify_mode == ssl.CERT_NONE
    with make_client_for("notion") as client:
        assert pool(client)._ssl_context.verify_mode == ssl.CERT_REQUIRED


def test_a_certificate_that_is_not_there_is_httpxs_error() -> None:
    with pytest.raises(OSError, match="No such file"), pytest.warns(DeprecationWarning, match="cert"):
        make_client_for("notion", cert="/nowhere.pem")


def test_http2_without_h2_is_httpxs_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h2", None)
    with pytest.raises(ImportError, match="h2"):
        make_client_for("notion", http2=True)


def test_an_unknown_option_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="retries"):
        make_client_for("notion", retries=3)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_mounts_are_paced_as_well(clock: FakeClock, mode: str) -> None:
    vendor, files = ScriptedVendor([429], clock), ScriptedVendor([429], clock)
    mounts = {"https://api.notion.com": vendor.transport, "https://files.test": files.transport, "all://off.test": None}

    def check(client: Any, codes: list[int]) -> None:
        assert codes == [200, 429]
        assert (vendor.times, files.times) == ([0.0, 1.0], [1.0])
        assert client.limiter.tally.throttled == 1

    async def main() -> None:
        store = MemoryStore(clock=clock)
        async with make_async_client_for("notion", store=store, mounts=mounts, sleep=clock.asleep) as client:
            assert isinstance(client._transport_for_url(httpx.URL("https://files.test/")), AsyncAimdTransport)
            check(client, [(await client.get(url)).status_code for url in ("/users", "https://files.test/x")])

    if mode == "async":
        asyncio.run(main())
        return
    with make_client_for("notion", store=MemoryStore(clock=clock), mounts=mounts, sleep=clock.sleep) as client:
        check(client, [client.get(url).status_code for url in ("/users", "https://files.test/x")])


def test_event_hooks_see_what_the_caller_sees(play: Any) -> None:
    seen: list[object] = []
    hooks = {
        "request": [lambda request: seen.append(request.method)],
        "response": [lambda response: seen.append(response.status_code)],
    }
    if play.mode == "async":

        async def on_request(request: httpx.Request) -> None:
            seen.append(request.method)

        async def on_response(response: httpx.Response) -> None:
            seen.append(response.status_code)

        hooks = {"request": [on_request], "response": [on_response]}
    play([429, 500, 200], client={"event_hooks": hooks})
    assert seen == ["GET", 200]


class Renewing(httpx.Auth):
    """Gets a token, and another when it has run out."""

    def __init__(self) -> None:
        self.token = 0

    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["Authorization"] = f"Bearer {self.token}"
        response = yield request
        if response.status_code == 401:
            self.token += 1
            request.headers["Authorization"] = f"Bearer {self.token}"
            yield request


def test_auth_that_sends_twice_takes_two_slots(play: Any) -> None:
    auth = Renewing()
    played = play([401, 200], client={"auth": auth})
    assert (played.response.status_code, auth.token) == (200, 1)
    assert played.sends == [0.0, 0.5]


def test_headers_of_the_call_win_over_those_of_the_client_and_these_over_the_presets(play: Any) -> None:
    mine = {"notion-version": "2026-03-11", "X-Run": "1"}
    played = play([], client={"headers": mine}, headers={"X-Run": "2"})
    (request,) = played.wire.requests
    assert (request.headers["Notion-Version"], request.headers["X-Run"]) == ("2026-03-11", "2")


def test_streams_and_timeouts_are_httpxs(play: Any) -> None:
    played = play([], client={"timeout": 7.0})
    assert played.wire.requests[0].extensions["timeout"]["read"] == 7.0


def test_respx_sees_every_send(clock: FakeClock) -> None:
    with respx.mock(base_url="https://api.notion.com/v1") as router:
        route = router.get("/users").mock(side_effect=[httpx.Response(429), httpx.Response(200, json={"results": []})])
        with make_client_for("notion", store=MemoryStore(clock=clock), sleep=clock.sleep) as client:
            assert client.get("/users").json() == {"results": []}
        assert route.call_count == 2

        async def main() -> None:
            async with make_async_client_for("notion", store=MemoryStore(clock=clock), sleep=clock.asleep) as client:
                route.side_effect = None
                route.return_value = httpx.Response(204)
                assert (await client.get("/users")).status_code == 204

        asyncio.run(main())


def test_the_transport_works_in_a_client_of_anyone(clock: FakeClock) -> None:
    with make_client_for("notion", store=MemoryStore(clock=clock)) as ours:
        vendor = ScriptedVendor([429], clock)
        transport = AimdTransport(vendor.transport, ours.limiter, sleep=clock.sleep)
        with httpx.Client(transport=transport, base_url="https://api.notion.com/v1") as client:
            assert client.get("/users").status_code == 200
        assert vendor.times == [0.0, 1.0]


class Entering(httpx.MockTransport):
    def __init__(self) -> None:
        super().__init__(lambda _: httpx.Response(200))
        self.log: list[str] = []

    def __enter__(self) -> Any:
        self.log.append("enter")
        return self

    def __exit__(self, *_: object) -> None:
        self.log.append("exit")

    def close(self) -> None:
        self.log.append("close")

    async def __aenter__(self) -> Any:
        self.log.append("enter")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.log.append("exit")

    async def aclose(self) -> None:
        self.log.append("close")


def test_the_inner_transport_is_entered_left_and_closed() -> None:
    inner = Entering()
    with make_client_for("notion", transport=inner):
        assert inner.log == ["enter"]
    assert inner.log == ["enter", "exit"]
    make_client_for("notion", transport=inner).close()
    assert inner.log[2:] == ["close"]

    async def main() -> None:
        inner = Entering()
        async with make_async_client_for("notion", transport=inner):
            assert inner.log == ["enter"]
        await make_async_client_for("notion", transport=inner).aclose()
        assert inner.log == ["enter", "exit", "close"]

    asyncio.run(main())
