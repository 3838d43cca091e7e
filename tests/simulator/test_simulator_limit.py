"""What a client meets at the hidden limit, and what the simulator notes of it.

The limits here admit their first requests and then nothing for hours, so that no test waits for anything.
"""

import asyncio
import json
import re
import time
from email.utils import parsedate_to_datetime

import httpx
import pytest

from simulator import Simulator
from simulator.gate import retry_after_text
from simulator.meter import Meter

SLOW = "token:rate=0.0001,burst=1"


def stats(vendor):
    """As a client gets them; the same as the object's own."""
    answer = httpx.get(vendor.url + "/_stats")
    assert answer.status_code == 200
    report = answer.json()
    assert report == json.loads(json.dumps(vendor.stats())), "nothing changed in between"
    return report


def test_a_rejection_is_worded_as_notion_words_it(start):
    _, client = start(SLOW)
    assert client.get("/users/me").status_code == 200
    rejected = client.get("/users/me")
    assert (rejected.status_code, rejected.reason_phrase) == (429, "Too Many Requests")
    assert rejected.headers["retry-after"] in ("9999", "10000")
    assert rejected.headers["x-notion-request-id"]
    assert rejected.json() == {
        "object": "error",
        "status": 429,
        "code": "rate_limited",
        "message": "You have been rate limited. Please try again later.",
        "additional_data": {
            "rate_limit_reason": "public_api_request_rate_limit",
            "retry_after": rejected.headers["retry-after"],
        },
    }


def test_retry_after_as_a_date(start):
    vendor, client = start(SLOW, retry_after="date")
    client.get("/users/me")
    before = time.time()
    text = client.get("/users/me").headers["retry-after"]
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", text)
    at = parsedate_to_datetime(text).timestamp()
    assert before + 9_000 < at <= time.time() + 10_001
    assert stats(vendor)["cooldown_until"] == at


def test_retry_after_as_exact_seconds(start):
    _, client = start(SLOW, retry_after="exact")
    client.get("/users/me")
    text = client.get("/users/me").headers["retry-after"]
    assert re.fullmatch(r"\d+\.\d{3}", text)
    assert 9_000 < float(text) <= 10_000


def test_no_retry_after_at_all(start):
    vendor, client = start(SLOW, retry_after="none")
    client.get("/users/me")
    rejected = client.get("/users/me")
    assert rejected.status_code == 429
    assert "retry-after" not in rejected.headers
    assert rejected.json()["additional_data"] == {"rate_limit_reason": "public_api_request_rate_limit"}
    assert client.get("/users/me").status_code == 429
    assert (stats(vendor)["early"], stats(vendor)["cooldown_until"]) == (0, 0.0)


@pytest.mark.parametrize(
    ("mode", "wait", "text"),
    [
        ("seconds", 0.001, "1"),
        ("seconds", 1.0, "1"),
        ("seconds", 1.001, "2"),
        ("exact", 1.2341, "1.235"),
        ("exact", 0.0001, "0.001"),
        ("date", 0.2, "Thu, 01 Jan 1970 00:16:40 GMT"),
        ("date", 1.0, "Thu, 01 Jan 1970 00:16:41 GMT"),
        ("none", 5.0, None),
    ],
)
def test_no_form_of_retry_after_is_shorter_than_the_wait(mode, wait, text):
    assert retry_after_text(mode, wait, now=999.5) == text


def test_the_stats_tell_what_was_seen(start):
    vendor, client = start("token:rate=0.0001,burst=4")
    before = time.time()
    for path in ("/users", "/users/me", "/users/me", "/nothing", "/users"):
        client.get(path)
    httpx.get(vendor.base_url + "/users", headers={"Authorization": "Bearer wrong"})
    after = time.time()
    seen = stats(vendor)
    assert len(seen["arrivals"]) == 6
    assert len(seen["rejections"]) == 1
    times = [seen["first_at"], *seen["arrivals"], seen["last_at"]]
    assert times == sorted(times)
    assert before <= times[0] <= seen["rejections"][0] <= after
    for key in ("arrivals", "rejections", "first_at", "last_at"):
        del seen[key]
    assert seen.pop("cooldown_until") > after + 9_000
    assert seen == {
        "policy": "token:rate=0.0001,burst=4",
        "limit": 0.0001,
        "requests": 6,
        "accepted": 3,
        "rejected": 1,
        "refused": 2,
        "by_path": {"GET /v1/users": 1, "GET /v1/users/me": 2},
        "early": 1,  # the wrong token came in spite of the 429
        "max_in_flight": 1,
        "by_bucket": {"connection": 1},
        "vendor": {"versions": {"2025-09-03": 5, "": 1}},
    }


def test_a_limit_without_a_rate_has_none_in_the_stats(start):
    vendor, _ = start("none")
    assert stats(vendor)["limit"] is None


def test_a_wrong_token_uses_up_nobodys_quota(start):
    vendor, client = start(SLOW)
    for _ in range(3):
        assert httpx.get(vendor.base_url + "/users/me").status_code == 401
    assert client.get("/users/me").status_code == 200
    assert stats(vendor)["refused"] == 3


def test_a_request_after_a_429_is_early(start):
    vendor, client = start(SLOW)
    assert [client.get("/users/me").status_code for _ in range(4)] == [200, 429, 429, 429]
    assert stats(vendor)["early"] == 2


def in_process(vendor, requests, headers):
    """Send requests that are all under way before the first is answered; gives their statuses."""

    async def send():
        transport = httpx.ASGITransport(app=vendor.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://vendor/v1", headers=headers) as client:
            answers = await asyncio.gather(*(client.get("/users/me") for _ in range(requests)))
        return sorted(answer.status_code for answer in answers)

    return asyncio.run(send())


def test_requests_that_were_under_way_are_not_early(headers):
    vendor = Simulator(SLOW, latency=(0.02, 0.02))
    assert in_process(vendor, 5, headers) == [200, 429, 429, 429, 429]
    assert vendor.stats()["early"] == 0
    assert in_process(vendor, 2, headers) == [429, 429]
    assert vendor.stats()["early"] == 2


def test_an_in_flight_cap_counts_what_is_under_way_and_lets_go_of_it(headers):
    vendor = Simulator("inflight:cap=2", latency=(0.02, 0.02))
    for _ in range(2):
        assert in_process(vendor, 5, headers) == [200, 200, 429, 429, 429]
    seen = vendor.stats()
    assert (seen["max_in_flight"], seen["accepted"], seen["rejected"]) == (5, 4, 6)


def test_a_fault_gives_its_place_back(headers):
    vendor = Simulator("inflight:cap=1", latency=(0, 0), faults=["error-500@GET /v1/users/me#1"])
    assert [in_process(vendor, 1, headers) for _ in range(2)] == [[500], [200]]


def test_a_meter_forgives_only_a_little():
    meter = Meter()
    meter.hold(100.0)
    meter.hold(90.0)  # a shorter one does not end the longer
    for at in (89.0, 99.94, 99.96, 100.0, 101.0):
        meter.arrive(at)
    assert (meter.report()["early"], meter.report()["cooldown_until"]) == (2, 100.0)


def test_a_meter_keeps_the_last_ten_thousand_times():
    meter = Meter()
    for at in range(1, 10_006):
        meter.arrive(float(at))
        meter.reject(float(at))
        meter.leave()
    seen = meter.report()
    assert (seen["requests"], seen["rejected"], seen["max_in_flight"]) == (10_005, 10_005, 1)
    assert (seen["first_at"], seen["last_at"]) == (1.0, 10_005.0)
    assert seen["arrivals"] == seen["rejections"] == [float(at) for at in range(6, 10_006)]
