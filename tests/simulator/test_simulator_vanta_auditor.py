"""Vanta's auditor: what changed since, what was deleted, addresses that work for an hour, limits by what is done."""

from urllib.parse import urlencode

import httpx
import pytest

ASK = {
    "client_id": "vci_auditor",
    "client_secret": "secret_simulator",
    "grant_type": "client_credentials",
    "scope": "auditor-api.audit:read auditor-api.audit:write",
}


@pytest.fixture(scope="module")
def connect(start):
    """Start a vendor; gives it and a client with a token."""

    def connecting(*arguments, **options):
        vendor, _ = start(*arguments, **{"api": "vanta_auditor", **options})
        client = httpx.Client(base_url=vendor.base_url)
        answer = client.post("/oauth/token", json={**ASK, "scope": options.get("scope", ASK["scope"])})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return vendor, client

    return connecting


def every(client, path, **query):
    found, cursor = [], {}
    while True:
        results = client.get(path, params={"pageSize": 4, **query, **cursor}).json()["results"]
        found += results["data"]
        if not results["pageInfo"]["hasNextPage"]:
            return found
        cursor = {"pageCursor": results["pageInfo"]["endCursor"]}


def test_every_listing_gives_what_the_world_has(connect):
    vendor, client = connect()
    world = vendor.world.overview()
    audits = every(client, "/v1/audits")
    assert [each["id"] for each in audits] == world["ids"]["audits"]
    in_scope = {kind.removeprefix("audit_").replace("_", "-"): kind for kind in world["children"] if "audit_" in kind}
    assert len(in_scope) == 7
    for name, kind in {"evidence": "evidence", "comments": "comments", **in_scope}.items():
        for audit, ids in world["children"][kind].items():
            assert [each["id"] for each in every(client, f"/v1/audits/{audit}/{name}")] == ids
    active = every(client, "/v1/audits", isActiveAudit="true")
    assert active == [each for each in audits if each["completionDate"] is None]
    token = client.headers["Authorization"]
    assert client.get("/v1/audits", headers={"Authorization": token + "x"}).status_code == 401
    assert client.get("/v1/people").status_code == 404
    refused = client.post("/oauth/token", json={**ASK, "scope": "vanta-api.all:read"})
    assert refused.json()["error"] == "invalid_scope"


def test_only_what_changed_since_is_listed_and_what_was_deleted_with_its_date(connect):
    vendor, client = connect()
    audit, gone_audit = vendor.world.ids("audits")[:2]
    path = f"/v1/audits/{audit}/evidence"
    edited, gone, *_ = [each["id"] for each in every(client, path)]
    since = {"changedSinceDate": "2026-01-02T00:00:00Z"}
    assert every(client, path, **since) == every(client, "/v1/audits", **since) == []
    client.post("/_edit", json={"id": edited, "set": {"status": "Flagged"}})
    client.post("/_remove", json={"id": gone})
    client.post("/_remove", json={"id": gone_audit})
    added = client.post("/_add", json={"kind": "evidence", "parent": audit}).json()["id"]
    changed = {each["id"]: each for each in every(client, path, **since)}
    assert changed.keys() == {edited, gone, added}
    assert (changed[edited]["status"], changed[edited]["deletionDate"]) == ("Flagged", None)
    assert changed[gone]["deletionDate"] == changed[gone]["statusUpdatedDate"] > "2026-01-02"
    assert len(every(client, path)) == 16, "a deleted one stays listed"
    [audit_gone] = every(client, "/v1/audits", **since)
    assert (audit_gone["id"], audit_gone["deletionDate"] is None) == (gone_audit, False)
    world = client.get("/_world").json()
    assert gone not in world["ids"]["evidence"]
    assert gone in world["deleted"]["evidence"]
    assert client.get(f"{path}/{gone}/urls").status_code == 404
    assert client.get(path, params={"changedSinceDate": "soon"}).status_code == 400


def test_an_address_works_without_a_token_until_it_expires(connect):
    vendor, client = connect()
    audit = vendor.world.ids("audits")[0]
    evidence = every(client, f"/v1/audits/{audit}/evidence")[0]["id"]
    [address] = every(client, f"/v1/audits/{audit}/evidence/{evidence}/urls")
    assert address.keys() == {"id", "url", "filename", "isDownloadable"}
    assert address["filename"] in httpx.get(address["url"]).text
    url = httpx.URL(address["url"])
    assert httpx.get(url.copy_with(query=None)).status_code == 403
    old = {**url.params, "X-Amz-Date": "20200101T000000Z"}
    assert httpx.get(url.copy_with(query=urlencode(old).encode())).status_code == 403
    other = vendor.world.ids("audits")[1]
    assert client.get(f"/v1/audits/{other}/evidence/{evidence}/urls").status_code == 404


def test_an_evidence_is_accepted_with_the_scope_to_write(connect):
    vendor, client = connect()
    audit = vendor.world.ids("audits")[0]
    evidence = next(each for each in every(client, f"/v1/audits/{audit}/evidence") if each["status"] != "Accepted")
    path = f"/v1/audits/{audit}/evidence/{evidence['id']}"
    accepted = client.patch(path, json={"auditEvidenceUpdateType": "ACCEPT"}).json()
    assert (accepted["status"], accepted["statusUpdatedDate"] > evidence["statusUpdatedDate"]) == ("Accepted", True)
    assert client.patch(path, json={"auditEvidenceUpdateType": "PRAISE"}).status_code == 400
    answer = client.post("/oauth/token", json={**ASK, "scope": "auditor-api.audit:read"})
    reader = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert client.patch(path, json={"auditEvidenceUpdateType": "FLAG"}, headers=reader).status_code == 403


def test_reading_writing_and_addresses_have_limits_of_their_own(connect):
    vendor, client = connect("fixed:count=1,window=36000")
    audit = vendor.world.ids("audits")[0]
    evidence = vendor.world.overview()["children"]["evidence"][audit][0]
    path = f"/v1/audits/{audit}/evidence/{evidence}"
    asked = [client.get("/v1/audits"), client.get(f"{path}/urls"), client.patch(path), client.get("/v1/audits")]
    assert [answer.status_code for answer in asked] == [200, 200, 400, 429]
    assert [client.get(f"{path}/urls").status_code, client.patch(path).status_code] == [429, 429]
    assert vendor.stats()["by_bucket"] == {"read": 1, "urls": 1, "write": 1}
