"""Vanta: one active token for each application, scopes, minutes as windows, and the envelope of a listing."""

import httpx
import pytest

from simulator import Simulator
from simulator.vendors.vanta import Vanta

ASK = {
    "client_id": "vci_simulator",
    "client_secret": "secret_simulator",
    "grant_type": "client_credentials",
    "scope": "vanta-api.all:read",
}


def mint(vendor, **changes):
    return httpx.post(f"{vendor.url}/oauth/token", json={**ASK, **changes})


def bearer(answer):
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture(scope="module")
def vanta(start):
    vendor, _ = start(api="vanta")
    with httpx.Client(base_url=vendor.url, headers=bearer(mint(vendor))) as client:
        yield vendor, client


def every(client, path, **query):
    """All records of a listing, page by page."""
    found, cursor = [], {}
    while True:
        results = client.get(path, params={"pageSize": 100, **query, **cursor}).json()["results"]
        found += results["data"]
        if not results["pageInfo"]["hasNextPage"]:
            return found
        cursor = {"pageCursor": results["pageInfo"]["endCursor"]}


def test_every_listing_gives_what_the_world_has(vanta):
    vendor, client = vanta
    world = httpx.get(f"{vendor.url}/_world").json()
    listed = {"test_entities", "document_uploads"}
    for kind in world["counts"].keys() - listed:
        assert [record["id"] for record in every(client, f"/v1/{kind.replace('_', '-')}")] == world["ids"][kind]
    for kind, path in (("test_entities", "/v1/tests/{}/entities"), ("document_uploads", "/v1/documents/{}/uploads")):
        for parent, ids in list(world["children"][kind].items())[:10]:
            assert [record["id"] for record in every(client, path.format(parent))] == ids
    for kind in ("tests", "documents"):
        for control, ids in world["links"]["controls"][kind].items():
            assert {record["id"] for record in every(client, f"/v1/controls/{control}/{kind}")} == set(ids)


def test_a_page_says_where_it_is(vanta):
    _, client = vanta
    first = client.get("/v1/people").json()["results"]
    assert (len(first["data"]), first["pageInfo"]["hasNextPage"], first["pageInfo"]["hasPreviousPage"]) == (
        10,
        True,
        False,
    )
    cursor = first["pageInfo"]["endCursor"]
    second = client.get("/v1/people", params={"pageCursor": cursor, "pageSize": 5}).json()["results"]
    assert (len(second["data"]), second["pageInfo"]["hasPreviousPage"]) == (5, True)
    assert not {each["id"] for each in first["data"]} & {each["id"] for each in second["data"]}
    assert client.get("/v1/tests", params={"pageCursor": cursor}).status_code == 400, "another listing's cursor"
    for size in ("0", "101", "ten", "-1"):
        assert client.get("/v1/people", params={"pageSize": size}).status_code == 400
    nothing = client.get("/v1/tests", params={"statusFilter": "INVALID"}).json()["results"]
    assert nothing["data"] == []
    assert nothing["pageInfo"] == {
        "startCursor": None, "endCursor": None, "hasNextPage": False, "hasPreviousPage": False,
    }  # fmt: skip


def test_filters_select_and_unknown_ones_are_ignored(vanta):
    _, client = vanta
    tests = every(client, "/v1/tests")
    failing = [test for test in tests if test["status"] == "NEEDS_ATTENTION"]
    assert 0 < len(failing) < len(tests)
    assert every(client, "/v1/tests", statusFilter="NEEDS_ATTENTION") == failing
    assert every(client, "/v1/tests", changedSinceDate="2030-01-01T00:00:00Z") == tests
    both = [test for test in tests if test["status"] in ("OK", "DEACTIVATED")]
    assert every(client, "/v1/tests", statusFilter="OK,DEACTIVATED") == both
    all_of_them = every(client, "/v1/vulnerabilities")
    due = [each for each in all_of_them if each["remediateByDate"] < "2025-01-01T00:00:00Z" and each["isFixable"]]
    query = {"slaDeadlineBeforeDate": "2025-01-01T00:00:00Z", "isFixAvailable": "true"}
    assert 0 < len(due) < len(all_of_them)
    assert every(client, "/v1/vulnerabilities", **query) == due
    assert client.get("/v1/vulnerabilities", params={"slaDeadlineBeforeDate": "soon"}).status_code == 400


def test_one_control_has_details_and_an_upload_has_content(vanta):
    _, client = vanta
    control = every(client, "/v1/controls")[0]
    one = client.get(f"/v1/controls/{control['id']}").json()
    assert {**one, **control} == one
    assert one["numTestsTotal"] == len(every(client, f"/v1/controls/{control['id']}/tests"))
    document = every(client, "/v1/documents")[0]
    upload = every(client, f"/v1/documents/{document['id']}/uploads")[0]
    content = client.get(f"/v1/document-uploads/{upload['id']}/download")
    assert content.headers["content-type"] == upload["mimeType"]
    assert upload["id"].encode() in content.content
    assert client.get("/v1/controls/nobody").status_code == 404
    assert client.get("/v1/nothing").status_code == 404


def test_edits_additions_and_removals_are_seen_at_once(start):
    vendor, _ = start(api="vanta")
    with httpx.Client(base_url=vendor.url, headers=bearer(mint(vendor))) as client:
        before = {test["id"]: test for test in every(client, "/v1/tests")}
        changed, failed, gone, *_ = before
        client.post("/_edit", json={"id": changed})
        client.post("/_edit", json={"id": failed, "set": {"status": "INVALID"}})
        client.post("/_remove", json={"id": gone})
        added = client.post("/_add", json={"kind": "tests", "set": {"status": "OK"}}).json()["id"]
        entity = client.post("/_add", json={"kind": "test_entities", "parent": changed}).json()["id"]
        after = {test["id"]: test for test in every(client, "/v1/tests")}
        assert after.keys() == before.keys() - {gone} | {added}
        assert {each for each in before if after.get(each) != before[each]} == {changed, failed, gone}
        assert after[failed]["status"] == "INVALID"
        assert after[changed]["lastTestRunDate"] > max(test["lastTestRunDate"] for test in before.values())
        assert entity in [each["id"] for each in every(client, f"/v1/tests/{changed}/entities")]
        assert not set(vendor.world.overview()["children"]["test_entities"]) & {gone}
        assert client.get(f"/v1/tests/{gone}").status_code == 404
        assert client.post("/_edit", json={"id": changed, "set": {"nothing": 1}}).status_code == 400
        assert client.post("/_add", json={"kind": "test_entities", "parent": gone}).status_code == 404
        assert client.post("/_add", json={"kind": "audits"}).status_code == 400


def test_a_new_token_revokes_the_one_before_of_the_same_application(start):
    vendor, _ = start(api="vanta")
    first, other = bearer(mint(vendor)), bearer(mint(vendor, client_id="vci_other"))
    ask = lambda headers: httpx.get(f"{vendor.url}/v1/people", headers=headers).status_code  # noqa: E731
    assert (ask(first), ask(other)) == (200, 200)
    answer = mint(vendor)
    assert answer.json() == {"access_token": answer.json()["access_token"], "expires_in": 3599, "token_type": "Bearer"}
    assert (ask(first), ask(other), ask(bearer(answer))) == (401, 200, 200)
    assert vendor.stats()["vendor"] == {"minted": 3, "revoked": 1}


def test_the_sixth_token_within_a_minute_is_refused_whatever_the_policy(start):
    vendor, _ = start(api="vanta", limits={"token": "fixed:count=5,window=36000"})
    assert [mint(vendor).status_code for _ in range(5)] == [200] * 5
    refused = mint(vendor)
    assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (429, True)
    assert refused.json()["message"] == "Too many requests"
    assert vendor.stats()["by_bucket"] == {"token": 1}
    assert Vanta.always == {"token": "fixed:count=5,window=60"}


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": ""}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "auditor-api.audit:read"}, 400, "invalid_scope"),
        ({"scope": ""}, 400, "invalid_scope"),
    ],
)
def test_a_bad_request_for_a_token_is_refused(start, changes, status, code):
    vendor, _ = start(api="vanta", limits={"token": "none"})
    answer = mint(vendor, **changes)
    assert (answer.status_code, answer.json()["error"]) == (status, code)


def test_a_token_must_be_active_and_of_the_right_scope(start):
    vendor, _ = start(api=Vanta(Vanta.world(people=1), lifetime=0.0))
    expired = bearer(mint(vendor))
    for headers in (expired, {}, {"Authorization": "Bearer secret_simulator"}):
        answer = httpx.get(f"{vendor.url}/v1/people", headers=headers)
        assert (answer.status_code, answer.json()["message"]) == (401, "Unauthorized")
    vendor, _ = start(api="vanta")
    upload = bearer(mint(vendor, scope="vanta-api.documents:upload"))
    assert httpx.get(f"{vendor.url}/v1/people", headers=upload).status_code == 403
    assert vendor.stats()["refused"] == 1


def test_the_documented_limit_is_fifty_a_minute():
    vendor = Simulator("documented", api="vanta")
    assert vendor.stats()["policy"] == "documented"
    assert vendor.stats()["limit"] == pytest.approx(50 / 60)


def test_the_limit_is_of_the_api_and_not_of_the_token(start):
    vendor, _ = start("token:rate=0.0001,burst=1", api="vanta")
    headers = [bearer(mint(vendor)), bearer(mint(vendor, client_id="vci_other"))]
    answers = [httpx.get(f"{vendor.url}/v1/{path}", headers=each) for each in headers for path in ("tests", "people")]
    assert [answer.status_code for answer in answers] == [200, 429, 429, 429]
    assert answers[1].headers["retry-after"] in ("9999", "10000")
    assert vendor.stats()["by_path"] == {"POST /oauth/token": 2, "GET /v1/tests": 1}
