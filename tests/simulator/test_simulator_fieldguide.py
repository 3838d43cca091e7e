"""Fieldguide: links in the body, scopes by name, signed files, and an export that takes a while."""

import io
import time
import zipfile
from datetime import datetime

import httpx
import pytest

from simulator import make_world
from simulator.vendors.fieldguide import Fieldguide

HEADERS = {"Authorization": "Bearer secret_simulator"}


@pytest.fixture(scope="module")
def connect(start):
    """Start a vendor; gives it and a client of it."""

    def connecting(*arguments, **options):
        vendor, _ = start(*arguments, **{"api": "fieldguide", **options})
        return vendor, httpx.Client(base_url=vendor.base_url, headers=HEADERS)

    return connecting


@pytest.fixture(scope="module")
def fieldguide(connect):
    return connect()


def every(client, path, **query):
    """All records of a listing, following `_links.next`, or else until a page is not full."""
    answer, found, page = client.get(path, params=query).json(), [], 1
    while True:
        found += answer["data"]
        if "_links" in answer:
            if "next" not in answer["_links"]:
                return found
            answer = client.get(answer["_links"]["next"]["href"]).json()
        elif len(answer["data"]) < query.get("per_page", 50):
            return found
        else:
            page += 1
            answer = client.get(path, params={**query, "page": page}).json()


def test_every_listing_gives_what_the_world_has(fieldguide):
    _, client = fieldguide
    world = client.get("/_world").json()
    for kind in ("companies", "engagements"):
        assert [each["uuid"] for each in every(client, f"/v1/{kind}")] == world["ids"][kind]
    for of, below in (
        ("engagements", ("users", "milestones", "requests", "folders", "sheets")),
        ("requests", ("files", "controls", "comments")),
    ):
        for name in below:
            children = world["children"]["request_files" if name == "files" else name]
            assert children
            for parent, ids in list(children.items())[:8]:
                assert [each["uuid"] for each in every(client, f"/v1/{of}/{parent}/{name}", per_page=1)] == ids
    one = every(client, "/v1/engagements")[0]
    assert client.get(f"/v1/engagements/{one['uuid']}").json() == one
    assert len(every(client, f"/v1/engagements/{one['uuid']}/files")) == 24


def test_links_say_where_a_page_is(fieldguide):
    vendor, client = fieldguide
    first = client.get("/v1/companies", params={"sort_order": "desc"}).json()
    assert (len(first["data"]), first["_links"].keys()) == (50, {"self", "first", "last", "next"})
    assert first["_links"]["next"]["href"] == f"{vendor.url}/v1/companies?sort_order=desc&page=2&per_page=50"
    last = client.get(first["_links"]["last"]["href"]).json()
    assert (len(last["data"]), last["_links"].keys()) == (10, {"self", "first", "last", "previous"})
    assert last["data"][-1]["uuid"] == vendor.world.ids("companies")[0]
    for query in ({"per_page": 201}, {"per_page": 0}, {"page": 0}, {"sort_order": "up"}):
        assert client.get("/v1/companies", params=query).status_code == 400


def test_requests_are_filtered_and_do_not_say_when_they_were_changed(fieldguide):
    vendor, client = fieldguide
    path = f"/v1/engagements/{vendor.world.ids('engagements')[0]}/requests"
    requests = every(client, path)
    assert not any("updated_at" in each for each in requests)
    statuses = {each["status"] for each in requests}
    assert len(statuses) > 1
    some = [each for each in requests if each["status"] == "Open"]
    assert every(client, path, status="Open") == some
    dates = sorted(each["due_date"] for each in requests)
    due = every(client, path, due_date_before=dates[5])
    assert due == [each for each in requests if each["due_date"] < dates[5]]
    assert client.get(path, params={"due_date_before": "soon"}).status_code == 400


def test_a_file_is_fetched_from_a_signed_address_without_a_token(fieldguide):
    vendor, client = fieldguide
    request = vendor.world.ids("requests")[0]
    file = every(client, f"/v1/requests/{request}/files")[0]
    assert datetime.fromisoformat(file["url_expiration"]).timestamp() > time.time() + 3500
    content = httpx.get(file["url"])
    assert (content.status_code, len(content.content)) == (200, file["size"])
    assert file["name"].encode() in content.content
    for changed in (file["url"][:-1] + "x", file["url"].partition("?")[0]):
        assert httpx.get(changed).status_code == 403
    assert client.get(f"/v1/files/{file['uuid']}").json()["name"] == file["name"]


def test_an_export_is_a_job_that_names_the_time_to_look_again(connect):
    vendor, client = connect(api=Fieldguide(make_world("fieldguide"), polls=2, delay=0.05))
    engagement = vendor.world.ids("engagements")[0]
    before = time.time()
    begun = client.post(f"/v1/engagements/{engagement}/export")
    assert (begun.status_code, begun.json()["status"]) == (202, "In Progress")
    looks = [begun]
    while looks[-1].status_code == 202:
        due = datetime.fromisoformat(looks[-1].headers["retry-after"]).timestamp()
        assert due >= before + 0.05
        export = looks[-1].headers["location"].replace("/v1/jobs", "/v1/engagements/exports")
        assert client.get(export).status_code == 404
        time.sleep(max(0.0, due - time.time()))
        looks.append(client.get(looks[-1].headers["location"]))
    assert [look.status_code for look in looks] == [202, 202, 200]
    archive = client.get(looks[-1].json()["_links"]["export"]["href"])
    assert archive.headers["content-type"] == "application/zip"
    names = zipfile.ZipFile(io.BytesIO(archive.content)).namelist()
    assert (names[0], len(names)) == ("engagement.json", 13)
    assert vendor.stats()["vendor"] == {"early_polls": 0}


def test_a_job_that_is_looked_at_too_early_does_not_get_on(connect):
    vendor, client = connect(api=Fieldguide(make_world("fieldguide"), polls=1, delay=3600))
    job = client.post(f"/v1/engagements/{vendor.world.ids('engagements')[0]}/export").headers["location"]
    assert [client.get(job).status_code for _ in range(3)] == [202] * 3
    assert vendor.stats()["vendor"] == {"early_polls": 3}
    assert client.get("/v1/jobs/nothing").status_code == 404


def test_a_missing_scope_is_named(connect):
    vendor, client = connect(api=Fieldguide(make_world("fieldguide"), scopes=frozenset({"requests:read"})))
    request = vendor.world.ids("requests")[0]
    assert client.get(f"/v1/requests/{request}").status_code == 200
    refused = client.get(f"/v1/requests/{request}/files")
    assert (refused.status_code, refused.json()["message"]) == (403, "Missing required scope: requests.files:read")


def test_refusals_say_little(connect):
    vendor, client = connect("token:rate=0.0001,burst=1")
    assert client.get("/v1/companies").status_code == 200
    refused = client.get("/v1/companies")
    assert refused.status_code == 429
    assert "retry-after" not in refused.headers
    assert refused.json() == {"statusCode": 429, "message": "Too many requests", "error": "Too Many Requests"}
    assert client.get("/v1/companies", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert vendor.stats()["by_bucket"] == {"api": 1}


def test_changes_are_seen_at_once(connect):
    vendor, client = connect()
    engagement = vendor.world.ids("engagements")[0]
    path = f"/v1/engagements/{engagement}/requests"
    before = {each["uuid"]: each for each in every(client, path)}
    edited, gone, *_ = before
    client.post("/_edit", json={"id": edited, "set": {"status": "Complete", "due_date": "2026-12-31"}})
    client.post("/_remove", json={"id": gone})
    added = client.post("/_add", json={"kind": "requests", "parent": engagement}).json()["id"]
    after = {each["uuid"]: each for each in every(client, path)}
    assert after.keys() == before.keys() - {gone} | {added}
    assert {each for each in before if after.get(each) != before[each]} == {edited, gone}
    assert client.get(f"/v1/requests/{gone}/files").status_code == 404
    assert gone not in client.get("/_world").json()["children"]["comments"]
