"""Each fault, as a client on a socket meets it."""

import asyncio
import json
import math

import httpx
import pytest

from simulator import Fault, Simulator, faults
from simulator.faults import KINDS, Script


@pytest.fixture(scope="module")
def faulty(start):
    """A client of a vendor at which each kind goes wrong under a path of its own."""
    return start(faults=[Fault(kind, f"POST /v1/search/{kind}", 1, 1000) for kind in KINDS])[1]


def test_every_kind_is_tested(request):
    names = {name for name in globals() if name.startswith("test_fault_")}
    assert names == {f"test_fault_{kind.replace('-', '_')}" for kind in KINDS}


def test_fault_not_json(faulty):
    answer = faulty.post("/search/not-json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_fault_truncated(faulty):
    with faulty.stream("POST", "/search/truncated") as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        chunks = answer.iter_bytes()
        assert next(chunks).startswith(b'{"object":"list","results":[')
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            next(chunks)


def test_fault_no_results(faulty):
    answer = faulty.post("/search/no-results")
    assert (answer.status_code, answer.json()) == (200, {"object": "list", "next_cursor": None, "has_more": False})


def test_fault_error_500(faulty):
    error(faulty.post("/search/error-500"), 500, "internal_server_error")


def test_fault_error_503(faulty):
    error(faulty.post("/search/error-503"), 503, "service_unavailable")


def test_fault_overload_529(faulty):
    error(faulty.post("/search/overload-529"), 529, "service_overload")


def error(answer, status, code):
    assert answer.status_code == status
    assert answer.headers["x-notion-request-id"]
    body = answer.json()
    assert body.pop("message")
    assert body == {"object": "error", "status": status, "code": code}


def test_fault_blocked(faulty):
    answer = faulty.post("/search/blocked")
    assert answer.status_code == 429
    assert "retry-after" not in answer.headers
    assert answer.json()["code"] == "rate_limited"
    assert answer.json()["additional_data"] == {"rate_limit_reason": "public_api_request_blocked"}


def test_fault_forbidden(faulty):
    error(faulty.post("/search/forbidden"), 403, "restricted_resource")


def test_fault_cursor_expired(faulty):
    refused = faulty.post("/search/cursor-expired")
    error(refused, 400, "validation_error")
    assert "start_cursor" in refused.json()["message"]


@pytest.fixture(scope="module")
def mangled(start):
    """Gives the answer of a vendor before something goes wrong with it, and after."""

    def asking(kind):
        _, client = start(faults=[f"{kind}@POST /v1/search#2"])
        return client.post("/search", json={"page_size": 4}), client.post("/search", json={"page_size": 4})

    return asking


def broken(pair):
    """The content of the answer that went wrong, after a look at what surrounds it."""
    good, answer = pair
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert int(answer.headers["content-length"]) == len(answer.content) > len(good.content)
    return answer.content


def test_fault_no_id(mangled):
    good, answer = (answer.json() for answer in mangled("no-id"))
    del good["results"][0]["id"]
    assert answer == good


def test_fault_same_ids(start):
    _, client = start(faults=["same-ids@POST /v1/search#2"])
    pages = [client.post("/search", json={"page_size": 4}).json()]
    for _ in range(2):
        pages.append(client.post("/search", json={"page_size": 4, "start_cursor": pages[-1]["next_cursor"]}).json())
    ids = [[record["id"] for record in page["results"]] for page in pages]
    assert ids[0] == ids[1]
    assert not set(ids[2]) & set(ids[0])
    assert len({page["next_cursor"] for page in pages}) == 3, "the cursor moves on"


def test_fault_stuck(start):
    _, client = start(faults=["stuck@POST /v1/search#2x2"])
    pages = [client.post("/search", json={"page_size": 4}).json()]
    for _ in range(3):
        pages.append(client.post("/search", json={"page_size": 4, "start_cursor": pages[0]["next_cursor"]}).json())
    assert pages[0] == pages[1] == pages[2] != pages[3]


def test_fault_huge_record(mangled):
    assert len(json.loads(broken(mangled("huge-record")))["results"][0]["simulated"]) == 20 * 1024 * 1024


def test_fault_not_utf8(mangled):
    with pytest.raises(UnicodeDecodeError):
        broken(mangled("not-utf8")).decode()


def test_fault_nan(mangled):
    assert math.isnan(json.loads(broken(mangled("nan")))["results"][0]["simulated"])


def test_fault_big_number(mangled):
    with pytest.raises(ValueError, match="4300 digits"):
        json.loads(broken(mangled("big-number")))


def test_fault_surrogate(mangled):
    assert json.loads(broken(mangled("surrogate")))["results"][0]["simulated"] == "\ud800"


def test_fault_reset(faulty):
    with pytest.raises(httpx.ReadError, match="reset by peer"):
        faulty.post("/search/reset")


def test_fault_slow(start, monkeypatch):
    monkeypatch.setattr("simulator.gate.SLOW", 3600.0)
    _, client = start(faults=["slow@GET /v1/users/me#2"])
    assert client.get("/users/me").status_code == 200
    with pytest.raises(httpx.ReadTimeout):
        client.get("/users/me", timeout=0.2)
    assert client.get("/users/me").status_code == 200


def test_a_slow_answer_is_a_good_one(start, monkeypatch):
    monkeypatch.setattr("simulator.gate.SLOW", 0.01)
    _, client = start(faults=["slow@GET /v1/users/me#1"])
    assert client.get("/users/me").json()["object"] == "user"
    assert faults.SLOW == 1.0


@pytest.mark.parametrize("kind", ["reset", "truncated"])
def test_a_cut_connection_leaves_no_traceback_and_the_server_goes_on(start, kind, caplog):
    vendor, client = start(faults=[f"{kind}@POST /v1/search#1x3"])
    for _ in range(3):
        with pytest.raises(httpx.TransportError):
            client.post("/search")
    assert client.post("/search").status_code == 200
    assert vendor.stats()["requests"] == 4
    assert caplog.records == []


def test_a_fault_comes_at_the_nth_matching_request_that_the_limit_admits(start):
    vendor, client = start("token:rate=0.0001,burst=6", faults=["error-500@GET /v1/users#2x2"])
    asked = ["/users", "/pages/x", "/users/me", "/users", "/users", "/users", "/users"]
    assert [client.get(path).status_code for path in asked] == [200, 404, 500, 500, 200, 200, 429]
    seen = vendor.stats()
    assert (seen["accepted"], seen["refused"], seen["rejected"]) == (5, 1, 1)


def test_the_first_fault_listed_wins_and_both_count():
    script = Script([Fault("reset", "GET /v1", 2), Fault("slow", "GET /v1/users", 1, 3)])
    asked = [script.next("GET", "/v1/users") for _ in range(4)]
    assert asked == ["slow", "reset", "slow", None]
    assert script.next("POST", "/v1/users") is None


def test_another_server_than_our_own_cannot_cut_the_connection(headers):
    vendor = Simulator("none", latency=(0, 0), faults=["reset@GET /v1/users#1"])

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=vendor.app)) as client:
            await client.get("http://vendor/v1/users", headers=headers)

    with pytest.raises(ConnectionResetError, match="simulated fault"):
        asyncio.run(ask())
