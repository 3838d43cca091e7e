"""What a vendor repeats of a credential stands nowhere that is kept."""

import asyncio
import base64
import http.server
import json
import pickle
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from limiter import AimdTransport, Bounds, Limiter, api_config, make_async_client_for, make_client_for
from limiter.redaction import HIDDEN, Unshown, hide, leave_credentials_behind, secrets_of
from state import Bucket
from state.memory import MemoryStore

TOKEN = "ntn_k/9+Zq=\"x'y&20"


@pytest.mark.parametrize(
    "form",
    [
        TOKEN,
        quote(TOKEN),
        quote(TOKEN, safe=""),
        json.dumps(TOKEN)[1:-1],
        json.dumps(TOKEN)[1:-1].replace("/", "\\/"),
        base64.b64encode(TOKEN.encode()).decode(),
    ],
)
def test_a_secret_is_hidden_in_each_form(form):
    said = f"before {form} after"
    assert hide(said, [TOKEN]).startswith(f"before {HIDDEN}")
    assert hide(said.encode(), [TOKEN]) == hide(said, [TOKEN]).encode()
    assert form not in hide(said, [TOKEN])


def test_words_are_no_secrets():
    request = httpx.Request("GET", "https://api.test", headers={"Authorization": "Bearer short", "Accept": "text/html"})
    assert secrets_of(request) == []


@pytest.mark.parametrize("scheme", ["Basic", "basic"])
def test_a_password_is_a_secret_as_it_is_too(scheme):
    encoded = base64.b64encode(b"client-id:a:secret").decode()
    request = httpx.Request("GET", "https://api.test", headers={"Authorization": f"{scheme} {encoded}"})
    assert secrets_of(request) == [encoded, "client-id", "a:secret"]


@pytest.mark.parametrize("broken", ["Basic", "Basic ====", "Basic w7_8w7_8", "Basic /////w=="])
def test_a_broken_password_is_hidden_as_it_is(broken):
    request = httpx.Request("GET", "https://api.test", headers={"Authorization": broken})
    assert secrets_of(request) == [word for word in broken.split()[1:] if len(word) >= 8]


def test_a_password_that_a_vendor_repeats_is_hidden(play: Any) -> None:
    answer = httpx.Response(429, text="client_secret sup3rs3cret is over its limit")
    error = play([answer], bounds={"max_retries": 0}, client={"auth": ("id", "sup3rs3cret")}).error
    assert error.response.text == f"client_secret {HIDDEN} is over its limit"


@pytest.mark.parametrize("status", [None, 403])
def test_an_error_can_be_kept_without_its_credential(status):
    def vendor(request):
        if status is None:
            raise httpx.ConnectError("nobody is there")
        return httpx.Response(status, json={"message": f"{request.headers['Authorization']} is wrong"})

    client = httpx.Client(transport=httpx.MockTransport(vendor), headers={"Authorization": f"Bearer {TOKEN}"})
    with pytest.raises(httpx.HTTPError) as caught:
        client.get("https://api.test/users").raise_for_status()
    assert b"ntn_" in pickle.dumps(caught.value)
    leave_credentials_behind(caught.value)
    kept = pickle.dumps(caught.value)
    assert b"ntn_" not in kept
    assert caught.value.request.url == "https://api.test/users"
    if status:
        assert caught.value.response.json() == {"message": f"Bearer {HIDDEN} is wrong"}


@pytest.mark.parametrize(
    "failure", [httpx.ReadError("reset"), httpx.RemoteProtocolError("no header but ntn_0123456789"), (429, {})]
)
def test_the_errors_of_a_client_leave_its_credential_behind(play: Any, failure: Any) -> None:
    secret = {"Authorization": "Bearer ntn_0123456789"}
    error = play([failure] * 5, bounds={"max_retries": 0}, headers=secret).error
    kept = [error.request, getattr(error, "response", None) and error.response.request]
    assert all("authorization" not in each.headers for each in kept if each is not None)
    assert "ntn_" not in f"{error} {error!r} {error.args}"
    assert b"ntn_" not in pickle.dumps(error)
    assert kept[0].url.path == "/v1/things"


def test_what_an_error_came_from_is_left_behind_where_it_repeats_the_credential() -> None:
    request = httpx.Request("GET", "https://api.acme.test", headers={"Authorization": "Bearer ntn_0123456789"})
    error = httpx.RemoteProtocolError("cut short", request=request)
    error.__cause__ = ValueError("no header but ntn_0123456789")
    error.__cause__.__context__ = error  # a circle ends
    leave_credentials_behind(error)
    assert (str(error), error.__cause__, error.__context__) == ("cut short", None, None)


def test_an_address_that_is_a_secret_is_still_not_shown_by_what_is_left():
    request = httpx.Request("GET", "https://files.test/a?X-Amz-Signature=s")
    request.url = Unshown(request.url)
    error = httpx.ConnectError("no", request=request)
    leave_credentials_behind(error)
    assert "X-Amz" not in f"{error.request!r} {error.request.url}"


def test_our_errors_have_no_credential_in_any_client() -> None:
    limiter = Limiter(api_config("notion"), Bucket("notion"), MemoryStore())
    refuses = AimdTransport(httpx.MockTransport(lambda _: httpx.Response(429)), limiter, Bounds(max_retries=0))
    plain = httpx.Client(transport=refuses, headers={"Authorization": "Bearer ntn_0123456789"})
    with plain, pytest.raises(httpx.HTTPError) as caught:
        plain.get("https://api.notion.com/v1/users")
    assert "authorization" not in caught.value.request.headers
    assert caught.value.request.url == "https://api.notion.com/v1/users"


@pytest.fixture
def nothing_there() -> Iterator[str]:
    """A server that has nothing; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404, "nothing for ntn_0123456789")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_answer_that_a_hook_refuses_unread_is_an_error_of_httpx(nothing_there: str) -> None:
    """Over a connection: an answer from memory has its body at once."""
    options = {"base_url": nothing_there, "headers": {"Authorization": "Bearer ntn_0123456789"}}

    def refuse(response: httpx.Response) -> None:
        response.raise_for_status()

    async def arefuse(response: httpx.Response) -> None:
        response.raise_for_status()

    async def main() -> None:
        async with make_async_client_for("notion", event_hooks={"response": [arefuse]}, **options) as client:
            await client.get("/")

    with make_client_for("notion", event_hooks={"response": [refuse]}, **options) as client:
        for send in (lambda: client.get("/"), lambda: asyncio.run(main())):
            with pytest.raises(httpx.HTTPStatusError) as caught:
                send()
            assert (caught.value.response.status_code, caught.value.response.content) == (404, b"")
            assert b"ntn_" not in pickle.dumps(caught.value)
