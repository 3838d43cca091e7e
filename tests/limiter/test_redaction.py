"""What a vendor repeats of a credential stands nowhere that is kept."""

import base64
import json
import pickle
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from limiter.redaction import HIDDEN, Unshown, hide, leave_credentials_behind, secrets_of

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
