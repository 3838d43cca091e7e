"""Zapier: whatever is posted is accepted, and the stats tell what came twice."""

import httpx
import pytest


@pytest.fixture
def zapier(start):
    """A vendor and the address of its hook."""
    vendor, _ = start(api="zapier")
    return vendor, vendor.environment["ZAPIER_HOOK_URL"]


def test_what_is_posted_is_accepted_and_what_came_twice_is_seen(zapier):
    vendor, hook = zapier
    first = httpx.post(hook, json={"event_id": "e1", "sha256": "aa"})
    assert (first.status_code, first.json()["status"]) == (200, "success")
    assert first.json().keys() == {"status", "id", "request_id", "attempt"}
    again = httpx.post(hook, json={"event_id": "e1", "sha256": "aa"})
    assert again.json()["id"] != first.json()["id"]
    httpx.post(hook.rstrip("/"), data={"event_id": "e2"})
    httpx.post(hook, params={"note": "none"})
    httpx.post(hook, content=b"\xff{")
    seen = vendor.stats()["vendor"]
    assert seen.pop("payloads") == [
        {"event_id": "e1", "sha256": "aa"}, {"event_id": "e1", "sha256": "aa"}, {"event_id": "e2"}, {"note": "none"},
        {"body": "\ufffd{"},
    ]  # fmt: skip
    assert seen == {"received": 5, "events": 2, "repeated": 1, "without_event_id": 2}
    assert httpx.get(f"{vendor.url}/_world").json()["ids"]["deliveries"][0] == first.json()["id"]


def test_only_the_address_lets_in_and_ten_megabytes_are_the_most(zapier):
    vendor, hook = zapier
    assert hook == f"{vendor.url}/hooks/catch/1234567/secret_simulator/"
    assert httpx.post(hook.replace("secret", "guess"), json={}).status_code == 404
    assert httpx.post(f"{vendor.url}/hooks/nothing/secret_simulator", json={}).status_code == 404
    assert httpx.post(hook, content=b"x" * (10 * 1024 * 1024 + 1)).status_code == 413
    assert vendor.stats()["vendor"]["received"] == 0


def test_the_address_without_a_user_has_a_lower_limit_of_its_own(start):
    vendor, _ = start("none", api="zapier", limits={"legacy": "fixed:count=1,window=36000"})
    legacy = f"{vendor.url}/hooks/catch/secret_simulator/"
    assert [httpx.post(legacy, json={}).status_code for _ in range(2)] == [200, 429]
    assert httpx.post(vendor.environment["ZAPIER_HOOK_URL"], json={}).status_code == 200
    assert vendor.stats()["by_bucket"] == {"legacy": 1}
