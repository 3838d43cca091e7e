"""OpenAI: listings by the id of the last object, costs by day, limits told as durations."""

import httpx
import pytest

from simulator.vendors.openai.vendor import duration

HEADERS = {"Authorization": "Bearer secret_simulator"}
START = 1_767_225_600 - 120 * 86_400


@pytest.fixture(scope="module")
def connect(start):
    """Start a vendor; gives it and a client of it."""

    def connecting(*arguments, **options):
        vendor, _ = start(*arguments, **{"api": "openai", **options})
        return vendor, httpx.Client(base_url=f"{vendor.base_url}/organization", headers=HEADERS)

    return connecting


@pytest.fixture(scope="module")
def openai(connect):
    return connect()


def every(client, path, **query):
    found, place = [], {}
    while True:
        answer = client.get(path, params={"limit": 100, **query, **place}).json()
        found += answer["data"]
        assert answer["last_id"] == found[-1]["id"]
        if not answer["has_more"]:
            return found
        place = {"after": answer["last_id"]}


def error(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_every_listing_gives_what_the_world_has(openai):
    vendor, client = openai
    world = vendor.world.overview()
    for kind in ("users", "admin_api_keys", "invites"):
        assert [each["id"] for each in every(client, f"/{kind}", limit=7)] == world["ids"][kind]
    projects = every(client, "/projects", include_archived="true")
    assert [each["id"] for each in projects] == world["ids"]["projects"]
    active = every(client, "/projects")
    assert active == [each for each in projects if each["status"] == "active"]
    for name in ("users", "api_keys", "service_accounts"):
        for project, ids in world["children"][f"project_{name}"].items():
            assert [each["id"] for each in every(client, f"/projects/{project}/{name}")] == ids


def test_audit_logs_are_read_from_a_moment_on(openai):
    vendor, client = openai
    entries = every(client, "/audit_logs")
    assert {each["id"] for each in entries} == set(vendor.world.ids("audit_logs"))
    times = [each["effective_at"] for each in entries]
    assert times == sorted(times, reverse=True)
    assert all(each["type"] in each for each in entries)
    assert every(client, "/audit_logs", **{"effective_at[gte]": times[99]}) == entries[:100]
    assert every(client, "/audit_logs", **{"effective_at[gt]": times[99]}) == entries[:99]
    some = ["login.succeeded", "user.added"]
    assert every(client, "/audit_logs", **{"event_types[]": some}) == [each for each in entries if each["type"] in some]
    assert len(client.get("/audit_logs").json()["data"]) == 20


def test_costs_are_pages_of_days(openai):
    _, client = openai
    first = client.get("/costs", params={"start_time": START + 86_400, "limit": 100}).json()
    assert (first["object"], len(first["data"]), first["has_more"]) == ("page", 100, True)
    query = {"start_time": START + 86_400, "limit": 100, "page": first["next_page"]}
    second = client.get("/costs", params=query).json()
    assert (len(second["data"]), second["has_more"], second["next_page"]) == (19, False, None)
    days = first["data"] + second["data"]
    assert [day["start_time"] for day in days] == [START + number * 86_400 for number in range(1, 120)]
    assert {day["end_time"] - day["start_time"] for day in days} == {86_400}
    assert days[0]["results"][0]["amount"]["currency"] == "usd"
    some = client.get("/costs", params={"start_time": START, "end_time": START + 2 * 86_400}).json()
    assert len(some["data"]) == 2
    assert error(client.get("/costs")) == (400, "missing_required_parameter")
    assert error(client.get("/costs", params={"start_time": START, "limit": 181})) == (400, "invalid_value")


def test_changes_are_seen_at_once(connect):
    vendor, client = connect()
    before = {each["id"]: each for each in every(client, "/users")}
    edited, gone, *_ = before
    client.post(f"{vendor.url}/_edit", json={"id": edited, "set": {"role": "owner", "name": "Someone"}})
    client.post(f"{vendor.url}/_remove", json={"id": gone})
    added = client.post(f"{vendor.url}/_add", json={"kind": "users"}).json()["id"]
    entry = client.post(f"{vendor.url}/_add", json={"kind": "audit_logs"}).json()["id"]
    after = {each["id"]: each for each in every(client, "/users")}
    assert after.keys() == before.keys() - {gone} | {added}
    assert {each for each in before if after.get(each) != before[each]} == {edited, gone}
    assert [each["id"] for each in every(client, "/audit_logs", **{"effective_at[gt]": 1_767_225_600})] == [entry]
    assert error(client.get("/users", params={"after": gone})) == (400, "invalid_value")


def test_a_limit_that_can_be_told_is_told(connect):
    _, client = connect("fixed:count=2,window=36000")
    answers = [client.get("/users") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["1", "0", "0"]
    assert answers[0].headers["x-ratelimit-limit-requests"] == "2"
    assert answers[0].headers["x-ratelimit-reset-requests"].endswith("s")
    assert error(answers[2]) == (429, "rate_limit_exceeded")
    assert int(answers[2].headers["retry-after"]) > 0
    assert [duration(each) for each in (1, 360, 3_661)] == ["1s", "6m0s", "1h1m1s"]


def test_a_used_up_quota_comes_without_advice(connect):
    _, client = connect(faults=["blocked@GET /v1/organization/users#1"])
    answer = client.get("/users")
    assert error(answer) == (429, "insufficient_quota")
    assert "retry-after" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


def test_mistakes_are_worded_as_openai_words_them(openai):
    _, client = openai
    assert error(client.get("/users", headers={"Authorization": "Bearer wrong"})) == (401, "invalid_api_key")
    assert error(client.get("/users", params={"limit": 101})) == (400, "invalid_value")
    assert error(client.get("/nothing")) == (404, None)
    assert client.get("/projects/proj_nothing/users").status_code == 404
    assert error(client.get("/audit_logs", params={"effective_at[gt]": "soon"})) == (400, "invalid_value")
