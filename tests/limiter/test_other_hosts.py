"""Redirects and absolute addresses: only the API's own host is paced, only it teaches, only it gets the token."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from limiter import ApiRateConfig

ACME = ApiRateConfig("acme", "https://api.acme.test/v1", initial_rate=0.1, min_rate=0.1, headers={"Acme-Version": "7"})
FILE = "https://files.acme.test/report.pdf"
SECRETS = {
    "Authorization": "Bearer hunter2",
    "Proxy-Authorization": "Basic hunter2",
    "Cookie": "session=hunter2",
    "X-Api-Key": "hunter2",
    "Api-Key": "hunter2",
    "ApiKey": "hunter2",
    "X-Auth-Token": "hunter2",
    "Private-Token": "hunter2",
    "X-Client-Secret": "hunter2",
    "X-Amz-Security-Token": "hunter2",
}


def leaked(request: httpx.Request) -> list[str]:
    return [name for name, value in request.headers.items() if "hunter2" in value]


def moved(to: str, status: int = 302) -> tuple[int, dict[str, str]]:
    return (status, {"Location": to})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_followed_at_once_and_without_credentials(play: Any, status: int) -> None:
    options = {"follow_redirects": True, "headers": SECRETS, "cookies": {"c": "hunter2"}}
    played = play([moved(FILE, status)], config=ACME, client=options)
    assert played.response.status_code == 200
    assert [str(request.url) for request in played.wire.requests] == ["https://api.acme.test/v1/things", FILE]
    assert [leaked(request) for request in played.wire.requests][1:] == [[]]
    assert {name.lower() for name in SECRETS} <= {*leaked(played.wire.requests[0])}
    assert played.sends == [0.0, 0.0], "the next slot would be ten seconds away"
    assert played.limiter.tally.requests == 1


@pytest.mark.parametrize(
    "url",
    [
        FILE,
        "http://api.acme.test/v1/things",
        "https://api.acme.test:8443/v1/things",
        "https://api.acme.test.evil.test/v1/things",
        "https://user:pass@files.acme.test/v1/things",
    ],
)
def test_an_absolute_address_elsewhere_gets_no_credentials_and_no_pace(play: Any, url: str) -> None:
    auth = httpx.BasicAuth("auditor", "hunter2")
    played = play([], url=url, times=3, config=ACME, client={"headers": SECRETS, "auth": auth})
    assert [leaked(request) for request in played.wire.requests] == [[], [], []]
    assert not any("authorization" in request.headers for request in played.wire.requests)
    assert (played.sends, played.clock.sleeps) == ([0.0] * 3, [])


def test_the_rest_of_such_a_request_arrives(play: Any) -> None:
    headers = {"Accept": "application/pdf", "Range": "bytes=0-9", "Content-Type": "text/csv"}
    played = play([], "PUT", FILE, config=ACME, headers=headers, content=b"a,b", params={"v": "1"})
    (request,) = played.wire.requests
    assert (request.method, str(request.url), played.wire.bodies) == ("PUT", f"{FILE}?v=1", [b"a,b"])
    assert {name: request.headers[name] for name in headers} == headers
    assert request.headers["Host"] == "files.acme.test"
    assert request.headers["Content-Length"] == "3"


@pytest.mark.parametrize("reply", [(429, {"Retry-After": "60"}), (503, {"Retry-After": "60"}), 500])
def test_another_host_teaches_nothing_and_is_not_asked_again(play: Any, reply: Any) -> None:
    played = play([reply], url=FILE, config=ACME)
    assert played.response.status_code == (reply if isinstance(reply, int) else reply[0])
    assert played.sends == [0.0]
    snapshot = played.limiter.snapshot()
    assert (snapshot["throttles"], snapshot["cooldown_until"], snapshot["requests"]) == (0, 0.0, 0)


@pytest.mark.parametrize(
    "url", ["https://api.acme.test/v1/things", "https://api.acme.test:443/v2/things", "https://API.ACME.TEST/things"]
)
def test_the_apis_own_host_is_paced_however_it_is_written(play: Any, url: str) -> None:
    played = play([], url=url, times=2, config=ACME, client={"headers": SECRETS})
    assert played.sends == [0.0, 10.0]
    assert {"authorization", "cookie"} <= {*leaked(played.wire.requests[0])}


def test_a_redirect_on_the_apis_own_host_takes_a_slot(play: Any) -> None:
    played = play([moved("/v1/elsewhere")], config=ACME, client={"follow_redirects": True, "headers": SECRETS})
    assert played.sends == [0.0, 10.0]
    assert "authorization" in leaked(played.wire.requests[1])
