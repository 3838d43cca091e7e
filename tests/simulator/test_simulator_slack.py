"""Slack: errors that come as 200, a limit for each method, and cursors that end as an empty string."""

import httpx
import pytest

from simulator import make_world
from simulator.vendors.slack import Slack

HEADERS = {"Authorization": "Bearer secret_simulator"}


@pytest.fixture(scope="module")
def connect(start):
    """Start a vendor; gives it and a client of it."""

    def connecting(*arguments, **options):
        vendor, _ = start(*arguments, **{"api": "slack", **options})
        return vendor, httpx.Client(base_url=vendor.url, headers=HEADERS)

    return connecting


@pytest.fixture(scope="module")
def slack(connect):
    return connect()


def every(client, path, name, **query):
    """All records of a listing, from cursor to cursor; and how many pages."""
    found, pages, cursor = [], 0, None
    while cursor != "":
        answer = client.get(path, params={**query, **({"cursor": cursor} if cursor else {})}).json()
        found, pages, cursor = found + answer[name], pages + 1, answer["response_metadata"]["next_cursor"]
    return found, pages


def error(client, path, **query):
    answer = client.get(path, params=query)
    assert answer.json()["ok"] is False
    return answer.status_code, answer.json()["error"]


def test_users_are_listed_with_those_who_left(slack):
    vendor, client = slack
    users, pages = every(client, "/api/users.list", "members", limit=200)
    assert ([each["id"] for each in users], pages) == (vendor.world.ids("users"), 3)
    assert any(each["deleted"] for each in users)
    whole = client.post("/api/users.list").json()
    assert (whole["ok"], whole["members"], whole["response_metadata"]["next_cursor"]) == (True, users, "")
    posted = client.post("/api/users.list", data={"limit": "7"}).json()
    assert posted["members"] == users[:7]


def test_a_user_who_is_removed_stays_listed_as_deleted(connect):
    vendor, client = connect()
    gone, edited, *_ = vendor.world.ids("users")
    before = {each["id"]: each for each in every(client, "/api/users.list", "members", limit=999)[0]}
    client.post("/_remove", json={"id": gone})
    client.post("/_edit", json={"id": edited, "set": {"is_admin": True, "has_2fa": False}})
    added = client.post("/_add", json={"kind": "users"}).json()["id"]
    after = {each["id"]: each for each in every(client, "/api/users.list", "members", limit=999)[0]}
    assert after.keys() == before.keys() | {added}
    assert {each for each in before if before[each] != after[each]} == {gone, edited}
    assert after[gone]["deleted"] is True
    assert min(after[each]["updated"] for each in (gone, edited)) > max(each["updated"] for each in before.values())
    world = client.get("/_world").json()
    assert (gone in world["ids"]["users"], world["deleted"]["users"]) == (False, [gone])


def test_access_logs_are_paged_by_cursor_or_by_number_and_walk_back(slack):
    _, client = slack
    by_cursor, pages = every(client, "/api/team.accessLogs", "logins", limit=100)
    assert (len(by_cursor), pages) == (260, 3)
    times = [each["date_last"] for each in by_cursor]
    assert times == sorted(times, reverse=True)
    numbered = client.get("/api/team.accessLogs", params={"count": 200, "page": 2}).json()
    assert numbered["logins"] == by_cursor[200:]
    assert numbered["paging"] == {"count": 200, "total": 260, "page": 2, "pages": 2}
    earlier, _ = every(client, "/api/team.accessLogs", "logins", limit=1000, before=times[50])
    assert earlier == by_cursor[50:]
    assert error(client, "/api/team.accessLogs", count=1, page=101) == (200, "over_pagination_limit")


@pytest.mark.parametrize("path", ["/audit/v1/logs", "/api/audit/v1/logs"])
def test_audit_logs_are_read_from_a_moment_on(slack, path):
    vendor, client = slack
    entries, pages = every(client, path, "entries", limit=150)
    assert ({each["id"] for each in entries}, pages) == (set(vendor.world.ids("audit_logs")), 3)
    oldest, latest = entries[300]["date_create"], entries[100]["date_create"]
    assert every(client, path, "entries", oldest=oldest, latest=latest)[0] == entries[100:301]
    logins, _ = every(client, path, "entries", action="user_login", limit=9999)
    assert 0 < len(logins) < len(entries)
    assert logins == [each for each in entries if each["action"] == "user_login"]


def test_errors_come_as_200(slack, connect):
    _, client = slack
    assert error(client, "/api/users.list", cursor="bm9uZQ==") == (200, "invalid_cursor")
    assert error(client, "/api/users.list", limit=1000) == (200, "invalid_limit")
    assert error(client, "/api/users.listen") == (200, "unknown_method")
    with httpx.Client(base_url=client.base_url) as nobody:
        assert error(nobody, "/api/users.list") == (200, "not_authed")
        assert error(nobody, "/audit/v1/logs") == (401, "missing_authentication")
        nobody.headers["Authorization"] = "Bearer wrong"
        assert error(nobody, "/api/users.list") == (200, "invalid_auth")
    paths = ("/api/users.list", "/audit/v1/logs")
    _, narrow = connect(faults=[f"forbidden@GET {path}#1" for path in paths])
    assert narrow.get(paths[0]).json() == {
        "ok": False, "error": "missing_scope", "needed": "users:read", "provided": "identify",
    }  # fmt: skip
    assert error(narrow, paths[1]) == (403, "missing_scope")


def test_plans_and_sizes_refuse(connect):
    _, client = connect(api=Slack(make_world("slack"), paid=False, large=100))
    assert error(client, "/api/team.accessLogs") == (200, "paid_only")
    assert error(client, "/api/users.list") == (200, "limit_required")
    assert client.get("/api/users.list", params={"limit": 10}).json()["ok"] is True


def test_each_method_has_a_limit_of_its_own(connect):
    vendor, client = connect("token:rate=0.0001,burst=1")
    paths = ("/api/users.list", "/api/team.accessLogs", "/audit/v1/logs", "/api/users.list", "/api/audit/v1/logs")
    answers = [client.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[3].json() == {"ok": False, "error": "ratelimited"}
    assert answers[3].headers["retry-after"] in ("9999", "10000")
    assert vendor.stats()["by_bucket"] == {"users.list": 1, "audit": 1}


def test_the_documented_limits_are_by_tier(connect):
    vendor, client = connect("documented", limits={"users.list": "fixed:count=20,window=36000"})
    assert [client.get("/api/users.list").status_code for _ in range(21)] == [200] * 20 + [429]
    assert vendor.stats()["policy"] == "documented"
    client.post("/_policy", json={"policy": "none"})
    assert client.get("/api/users.list").status_code == 429, "what the limits say stays"
    with pytest.raises(ValueError, match=r"Slack has no limit 'user'; known: audit, team\.accessLogs, users\.list"):
        connect(limits={"user": "none"})
