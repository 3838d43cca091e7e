"""What holds for every vendor: who is let in, what goes wrong, what the seed decides."""

import httpx
import pytest

from simulator import Simulator, make_world
from simulator.faults import KINDS
from simulator.mangling import MANGLES, records_of
from simulator.vendors import VENDORS, make_vendor

PATHS = {
    "notion": "/v1/users",
    "vanta": "/v1/people",
    "vanta_auditor": "/v1/audits",
    "fieldguide": "/v1/companies",
    "github": "/orgs/example-org/repos",
    "slack": "/api/users.list",
    "airtable": "/v0/meta/bases",
    "openai": "/v1/organization/users",
    "zapier": "/hooks/catch/1234567/secret_simulator/",
}
IN_WORDS = [kind for kind in KINDS if kind not in ("reset", "truncated", "slow", *MANGLES)]
STATUSES = {"not-json": 200, "no-results": 200, "error-500": 500, "error-503": 503, "overload-529": 529, "blocked": 429}


def headers(vendor):
    """What a client of the vendor sends that is let in."""
    token = "secret_simulator"
    if vendor.vendor.name.startswith("vanta"):
        scope = "auditor-api.audit:read" if "auditor" in vendor.vendor.name else "vanta-api.all:read"
        ask = {"client_id": "vci", "client_secret": token, "grant_type": "client_credentials", "scope": scope}
        token = httpx.post(f"{vendor.url}/oauth/token", json=ask).json()["access_token"]
    return {"Authorization": f"Bearer {token}", "Notion-Version": "2025-09-03"}


def test_all_of_them_are_known():
    assert set(PATHS) == set(VENDORS)


@pytest.mark.parametrize("name", VENDORS)
def test_a_vendor_lets_in_who_knows_the_secret_and_words_what_goes_wrong(start, name):
    path = PATHS[name]
    faults = [f"{kind}@GET {path}#{place}" for place, kind in enumerate(IN_WORDS, 2)]
    vendor, _ = start(api=name, faults=faults)
    with httpx.Client(base_url=vendor.url, headers=headers(vendor)) as client:
        assert client.get(path).status_code == 200
        for kind in IN_WORDS:
            answer = client.get(path)
            assert answer.status_code == STATUSES.get(kind, answer.status_code), kind
            assert (answer.headers["content-type"] == "application/json") == (kind != "not-json"), kind
            if kind == "blocked":
                assert "retry-after" not in answer.headers
            if kind in ("forbidden", "cursor-expired") and name != "slack":  # its errors are 200
                assert answer.status_code in (400, 403, 410, 422), kind
        good = client.get(path)
        assert good.status_code == 200
        wrong = client.get(path.replace("secret", "guess"), headers={"Authorization": "Bearer wrong"})
        assert wrong.json().get("ok", wrong.status_code) in (False, 401, 404)
        strange = client.get(path.rstrip("/") + "/there/is/no/such/path")
        assert strange.json().get("ok", strange.status_code) in (False, 403, 404)
        assert client.get("/_world").json()["counts"]
        seen = client.get("/_stats").json()
    assert seen["rejected"] == 0
    assert f"GET {path}" in seen["by_path"]
    assert f"AIMD_{name.upper()}_BASE_URL" in vendor.environment


@pytest.mark.parametrize("name", [name for name in VENDORS if name not in ("zapier", "airtable")])
def test_records_may_lose_their_id_or_come_twice(start, name):
    path = PATHS[name]
    faults = [f"{kind}@GET {path}#{place}" for place, kind in enumerate(("no-id", "same-ids"), 2)]
    vendor, _ = start(api=name, faults=faults)
    sizes = ({"pageSize": 3}, {"per_page": 3}, {"page_size": 3}, {"limit": 3})
    query = {key: value for size in sizes for key, value in size.items()}
    with httpx.Client(base_url=vendor.url, headers=headers(vendor)) as client:
        good, nameless, again = (records_of(client.get(path, params=query).json()) for _ in range(3))
    assert nameless[1:] == good[1:] == again[1:]
    assert len(nameless[0]) == len(good[0]) - 1
    assert again == nameless


@pytest.mark.parametrize("name", [name for name in VENDORS if name != "zapier"])
def test_the_seed_decides_the_data(name):
    first, same, other = (make_world(name, seed) for seed in (3, 3, 4))
    assert first.overview() == same.overview()
    assert first.overview() != other.overview()
    with pytest.raises(ValueError, match="there is no kind 'wishes'; known: "):
        make_world(name, wishes=1)
    [kind, *_] = make_vendor(name).data.overview()["ids"]
    assert first.ids(kind)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"api": "acme"}, "there is no vendor 'acme'; known: notion, vanta,"),
        ({"api": "github", "world": make_world("slack")}, "the world is not one of GitHub: make it with make_world("),
        ({"api": "notion", "world": make_world("slack")}, "the world must be a World, not a Dataset"),
        ({"api": "slack", "world": make_world("notion")}, "the world must be a Dataset, not a World"),
        ({"api": make_vendor("slack"), "world": make_world("slack")}, "give the world to the vendor"),
        ({"api": "vanta", "limits": {"token": "tokens"}}, "bad policy 'tokens'"),
    ],
)
def test_what_does_not_go_together_is_refused(options, reason):
    with pytest.raises(ValueError, match=r".") as refused:
        Simulator("none", **options)
    assert str(refused.value).startswith(reason)


def test_a_policy_object_is_one_limit_for_all_buckets_and_a_spec_one_for_each():
    from simulator import TokenBucket

    vendor = Simulator(TokenBucket(0.0001, 1), api="slack", latency=(0, 0))
    with vendor, httpx.Client(base_url=vendor.base_url, headers=headers(vendor)) as client:
        assert [client.get(path).status_code for path in ("/users.list", "/team.accessLogs")] == [200, 429]
