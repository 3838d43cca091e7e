"""The endpoints beside the vendor's own: change the world and the limit while it runs."""

import httpx
import pytest

from simulator import World


@pytest.fixture
def controlled(start):
    """A vendor with a world of its own, a client of its API, and one of its control endpoints."""
    vendor, client = start(world=World(users=2, pages=3, data_sources=2, rows=2))
    with httpx.Client(base_url=vendor.url) as control:
        yield vendor, client, control


def pages(client):
    found = client.post("/search", json={"filter": {"property": "object", "value": "page"}}).json()["results"]
    return {page["id"]: page for page in found}


def test_the_world_can_be_seen(controlled):
    vendor, _, control = controlled
    seen = control.get("/_world").json()
    assert seen["counts"] == {"user": 2, "page": 3, "row": 4, "data_source": 2, "block": 0}
    assert seen["ids"] == {kind: vendor.world.ids(kind) for kind in seen["counts"]}
    assert seen["rows"] == {
        source: [row.id for row in vendor.world.records("row", source)] for source in vendor.world.ids("data_source")
    }


def test_an_edit_is_seen_at_once(controlled):
    vendor, client, control = controlled
    before = pages(client)
    edited = vendor.world.ids("page")[0]
    answer = control.post("/_edit", json={"id": edited})
    assert answer.status_code == 200
    after = pages(client)
    assert {page for page in after if after[page] != before[page]} == {edited}
    assert after[edited]["properties"]["title"]["title"][0]["plain_text"] == answer.json()["title"]
    assert after[edited]["last_edited_time"] > max(page["last_edited_time"] for page in before.values())
    assert next(iter(after)) == edited, "last edited first"


def test_a_removal_is_seen_at_once(controlled):
    vendor, client, control = controlled
    page = vendor.world.ids("page")[0]
    assert page in pages(client)
    assert control.post("/_remove", json={"id": page}).json() == {"id": page}
    assert page not in pages(client)
    assert client.get(f"/pages/{page}").json()["in_trash"] is True
    source = vendor.world.ids("data_source")[0]
    assert client.post(f"/data_sources/{source}/query").status_code == 200
    control.post("/_remove", json={"id": source})
    assert client.post(f"/data_sources/{source}/query").status_code == 404


def test_what_is_added_is_seen_at_once(controlled):
    vendor, client, control = controlled
    source = vendor.world.ids("data_source")[0]
    users = client.get("/users").json()["results"]
    page = control.post("/_add", json={"kind": "page"}).json()["id"]
    row = control.post("/_add", json={"kind": "row", "data_source": source}).json()["id"]
    user = control.post("/_add", json={"kind": "user"}).json()["id"]
    assert {page, row} <= set(pages(client))
    assert row in {row["id"] for row in client.post(f"/data_sources/{source}/query").json()["results"]}
    assert {each["id"] for each in client.get("/users").json()["results"]} == {each["id"] for each in users} | {user}


def test_the_limit_can_be_changed(controlled):
    vendor, client, control = controlled
    answer = control.post("/_policy", json={"policy": "token:rate=0.0001,burst=2"})
    assert answer.json() == {"policy": "token:rate=0.0001,burst=2"}
    assert [client.get("/users/me").status_code for _ in range(3)] == [200, 200, 429]
    vendor.set_policy("none")
    assert client.get("/users/me").status_code == 200
    assert (str(vendor.policy), vendor.stats()["policy"]) == ("none", "none")


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("/_edit", {"id": "nobody"}, 404, "there is no 'nobody'"),
        ("/_edit", {}, 400, 'the body must be a JSON object with a string "id"'),
        ("/_edit", {"id": 5}, 400, 'the body must be a JSON object with a string "id"'),
        ("/_edit", [], 400, 'the body must be a JSON object with a string "id"'),
        ("/_remove", {"id": "nobody"}, 404, "there is no 'nobody'"),
        ("/_add", {"kind": "comment"}, 400, "kind must be page, user, row or block, not 'comment'"),
        ("/_add", {"kind": "row"}, 400, 'the body must be a JSON object with a string "data_source"'),
        ("/_add", {"kind": "row", "data_source": "nobody"}, 404, "there is no 'nobody'"),
        ("/_policy", {"policy": "tokens"}, 400, "bad policy 'tokens': unknown kind 'tokens'"),
        ("/_nothing", {}, 404, "Not Found"),
        ("/_stats", {}, 405, "Method Not Allowed"),
    ],
)
def test_a_mistake_is_answered_with_a_sentence(controlled, path, body, status, sentence):
    vendor, _, control = controlled
    before = vendor.world.version
    answer = control.post(path, json=body)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(sentence)
    assert vendor.world.version == before


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_not_json(controlled, raw):
    answer = controlled[2].post("/_edit", content=raw)
    assert (answer.status_code, answer.json()["error"]) == (400, 'the body must be a JSON object with a string "id"')


def test_the_control_endpoints_are_no_requests_to_the_vendor(controlled):
    _, _, control = controlled
    control.get("/_world")
    assert control.get("/_stats").json()["requests"] == 0
    assert "x-notion-request-id" not in control.get("/_stats").headers
