"""Over a socket: Notion's endpoints and shapes, for good requests and bad ones."""

import re
import uuid

import httpx
import pytest

from simulator import World

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00\.000Z")
PAGES, SOURCES = {"property": "object", "value": "page"}, {"property": "object", "value": "data_source"}


def listing(notion, path, **body):
    """All pages of a POST listing, and its records."""
    answers = [notion.post(path, json=body).json()]
    while answers[-1]["has_more"]:
        answers.append(notion.post(path, json={**body, "start_cursor": answers[-1]["next_cursor"]}).json())
    return answers, [record for answer in answers for record in answer["results"]]


def error(answer, status, code, message):
    assert answer.status_code == status
    assert answer.json() == {"object": "error", "status": status, "code": code, "message": message}


# --- good requests


def test_users(notion, small_world):
    answer = notion.get("/users", params={"page_size": 2})
    assert answer.headers["content-type"] == "application/json"
    first = answer.json()
    assert {key: value for key, value in first.items() if key not in ("results", "next_cursor")} == {
        "object": "list",
        "has_more": True,
        "type": "user",
        "user": {},
    }
    last = notion.get("/users", params={"page_size": 2, "start_cursor": first["next_cursor"]}).json()
    assert (last["has_more"], last["next_cursor"]) == (False, None)
    users = first["results"] + last["results"]
    assert {user["id"] for user in users} == set(small_world.ids("user"))
    for user in users:
        email = user["person"]["email"]
        assert email.endswith("@example.com")
        assert {**user, "id": "", "name": ""} == {
            "object": "user",
            "id": "",
            "type": "person",
            "name": "",
            "avatar_url": None,
            "person": {"email": email},
        }


def test_me(notion, small_world):
    me = notion.get("/users/me").json()
    assert (me["object"], me["type"], me["id"]) == ("user", "bot", small_world.bot_id)


def test_search_finds_pages_rows_and_data_sources_last_edited_first(notion, small_world):
    answers, found = listing(notion, "/search", page_size=10)
    assert [len(answer["results"]) for answer in answers] == [10, 10, 8]
    expected = [record for record in small_world.records() if record.kind != "user"]
    assert {record["id"] for record in found} == {record.id for record in expected}
    times = [record["last_edited_time"] for record in found]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) > 1


@pytest.mark.parametrize(("wanted", "kind", "count"), [(PAGES, "page", 26), (SOURCES, "data_source", 2)])
def test_search_filters_by_object(notion, wanted, kind, count):
    _, found = listing(notion, "/search", filter=wanted)
    assert [record["object"] for record in found] == [kind] * count


def test_search_sorts_both_ways(notion):
    sort = {"timestamp": "last_edited_time", "direction": "ascending"}
    _, up = listing(notion, "/search", filter=PAGES, sort=sort, page_size=7)
    times = [record["last_edited_time"] for record in up]
    assert times == sorted(times)
    _, down = listing(notion, "/search", filter=PAGES, sort={**sort, "direction": "descending"})
    assert [record["last_edited_time"] for record in down] == times[::-1]


def test_search_looks_for_words_in_titles(notion, small_world):
    title = small_world.records("page")[0].title
    _, found = listing(notion, "/search", query=title.upper())
    assert {record["id"] for record in found} == {
        record.id for record in small_world.records() if title in record.title and record.kind != "user"
    }


def test_a_page_looks_the_same_in_a_listing_and_alone(notion, small_world):
    _, found = listing(notion, "/search", filter=PAGES)
    pages = {page["id"]: page for page in found}
    record = small_world.records("page")[0]
    page = notion.get(f"/pages/{record.id.replace('-', '')}").json()
    assert page == pages[record.id]
    assert page["object"] == "page"
    assert STAMP.fullmatch(page["created_time"])
    assert STAMP.fullmatch(page["last_edited_time"])
    assert page["in_trash"] is False
    assert page["parent"] == {"type": "workspace", "workspace": True}
    assert page["properties"]["title"]["title"][0]["plain_text"] == record.title
    assert page["url"] == f"https://www.notion.so/{record.id.replace('-', '')}"
    assert page["created_by"] == page["last_edited_by"] == {"object": "user", "id": record.author}


def test_a_data_source_and_its_rows(notion, small_world):
    wanted = small_world.ids("data_source")[0]
    source = notion.get(f"/data_sources/{wanted}").json()
    assert (source["object"], source["id"]) == ("data_source", wanted)
    assert source["title"][0]["plain_text"] == small_world.get(wanted).title
    assert source["parent"]["type"] == "database_id"
    answers, rows = listing(notion, f"/data_sources/{wanted}/query", page_size=3)
    assert [answer["request_status"] for answer in answers] == [{"type": "complete"}] * 3
    assert {row["id"] for row in rows} == {row.id for row in small_world.records("row", wanted)}
    assert all(row["parent"] == {"type": "data_source_id", "data_source_id": wanted} for row in rows)
    created = [row["created_time"] for row in rows]
    assert created == sorted(created)


def test_a_query_filters_and_sorts_by_time(notion, small_world):
    path = f"/data_sources/{small_world.ids('data_source')[0]}/query"
    times = sorted(notion.post(path, json={}).json()["results"], key=lambda row: row["last_edited_time"])
    times = [row["last_edited_time"] for row in times]
    middle = times[3]
    for condition, expected in {
        "on_or_after": [at for at in times if at >= middle],
        "after": [at for at in times if at > middle],
        "on_or_before": [at for at in times if at <= middle],
        "before": [at for at in times if at < middle],
        "equals": [middle],
    }.items():
        _, rows = listing(
            notion,
            path,
            filter={"timestamp": "last_edited_time", "last_edited_time": {condition: middle}},
            sorts=[{"timestamp": "last_edited_time", "direction": "ascending"}],
            page_size=2,
        )
        assert [row["last_edited_time"] for row in rows] == expected


def test_filters_combine(notion, small_world):
    path = f"/data_sources/{small_world.ids('data_source')[0]}/query"
    rows = notion.post(path, json={}).json()["results"]
    low, high = rows[2]["created_time"], rows[4]["created_time"]

    def within(word):
        parts = [
            {"timestamp": "created_time", "created_time": {"on_or_after": low}},
            {"timestamp": "created_time", "created_time": {"on_or_before": high}},
        ]
        return [row["id"] for row in listing(notion, path, filter={word: parts})[1]]

    assert within("and") == [row["id"] for row in rows[2:5]]
    assert within("or") == [row["id"] for row in rows]


def test_a_query_that_hits_the_row_cap_says_that_it_is_incomplete(start, small_world):
    _, capped = start(world=small_world, row_cap=5)
    answers, rows = listing(capped, f"/data_sources/{small_world.ids('data_source')[0]}/query", page_size=3)
    assert len(rows) == 5
    assert [answer["has_more"] for answer in answers] == [True, False]
    assert answers[0]["request_status"] == {"type": "complete"}
    assert answers[1]["request_status"] == {"type": "incomplete", "incomplete_reason": "query_result_limit_reached"}
    assert len(listing(capped, "/search", page_size=10)[1]) == 28, "only a query is capped"


def test_every_answer_has_a_request_id_of_its_own(notion):
    answers = [notion.get("/users"), notion.get("/nothing"), httpx.get(notion.base_url.join("users"))]
    ids = [answer.headers["x-notion-request-id"] for answer in answers]
    assert len({uuid.UUID(each) for each in ids}) == 3


# --- bad requests


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", "Basic secret_simulator", "secret_simulator"]
)
def test_a_wrong_or_missing_token(notion, headers, authorization):
    headers = {"Notion-Version": headers["Notion-Version"]}
    if authorization is not None:
        headers["Authorization"] = authorization
    for answer in (
        httpx.get(f"{notion.base_url}users", headers=headers),
        httpx.post(f"{notion.base_url}search", headers=headers, json={}),
    ):
        error(answer, 401, "unauthorized", "API token is invalid.")


def test_any_token_will_do_if_none_is_set(start, headers):
    vendor, _ = start(token=None)
    for authorization, status in (("Bearer anything", 200), ("bearer x", 200), ("Bearer", 401), ("Basic x", 401)):
        answer = httpx.get(vendor.base_url + "/users/me", headers={**headers, "Authorization": authorization})
        assert answer.status_code == status


@pytest.mark.parametrize("method", ["GET /users", "GET /users/me", "POST /search", "GET /pages/x"])
def test_a_missing_version(notion, headers, method):
    verb, path = method.split()
    url, bearer = f"{notion.base_url}{path[1:]}", {"Authorization": headers["Authorization"]}
    message = "Notion-Version header failed validation: it should be defined."
    error(httpx.request(verb, url, headers=bearer), 400, "missing_version", message)
    error(httpx.request(verb, url, headers={**bearer, "Notion-Version": ""}), 400, "missing_version", message)


@pytest.mark.parametrize("cursor", ["", "nonsense", "ünï", "W10=", 7, {"a": 1}])
def test_an_invalid_cursor(notion, cursor):
    error(
        notion.post("/search", json={"start_cursor": cursor}),
        400,
        "validation_error",
        f"The start_cursor provided is invalid: {cursor!r}",
    )


def test_a_cursor_of_another_listing(notion):
    cursor = notion.post("/search", json={"page_size": 1}).json()["next_cursor"]
    error(
        notion.get("/users", params={"start_cursor": cursor}),
        400,
        "validation_error",
        f"The start_cursor provided is invalid: {cursor!r}",
    )


@pytest.mark.parametrize("size", [0, -1, 101, 1.5, "10", True, [1]])
def test_a_page_size_out_of_range(notion, size):
    error(
        notion.post("/search", json={"page_size": size}),
        400,
        "validation_error",
        f"page_size should be a whole number from 1 to 100, instead was {size!r}.",
    )


@pytest.mark.parametrize("size", ["0", "101", "-1", "ten", "1.0", "9" * 5000])
def test_a_page_size_out_of_range_in_the_query(notion, size):
    answer = notion.get("/users", params={"page_size": size})
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b"nul"])
def test_a_body_that_is_not_json(notion, body):
    error(notion.post("/search", content=body), 400, "invalid_json", "Error parsing JSON body.")


def test_a_body_that_is_no_object(notion):
    error(notion.post("/search", content=b"[]"), 400, "validation_error", "body should be an object.")


def test_a_body_may_be_missing(notion):
    assert notion.post("/search").json()["object"] == "list"


@pytest.mark.parametrize(
    "body",
    [
        {"query": 5},
        {"filter": "page"},
        {"filter": {"property": "object", "value": "database"}},
        {"filter": {"property": "object", "value": ["page"]}},
        {"sort": {"timestamp": "created_time", "direction": "ascending"}},
        {"sort": {"timestamp": "last_edited_time", "direction": "up"}},
        {"sort": []},
    ],
)
def test_a_search_that_is_not_valid(notion, body):
    answer = notion.post("/search", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")


EDITED = {"timestamp": "last_edited_time", "last_edited_time": {"after": "2026-01-01"}}


@pytest.mark.parametrize(
    "body",
    [
        {"filter": {"property": "Name", "title": {"equals": "x"}}},
        {"filter": {"timestamp": "last_edited_time", "created_time": {"after": "2026-01-01"}}},
        {"filter": {**EDITED, "last_edited_time": {"since": "2026-01-01"}}},
        {"filter": {**EDITED, "last_edited_time": {"after": "yesterday"}}},
        {"filter": {**EDITED, "last_edited_time": {"after": 5}}},
        {"filter": {**EDITED, "last_edited_time": {}}},
        {"filter": {"and": [{"and": [{"or": [EDITED]}]}]}},
        {"filter": {"or": EDITED}},
        {"sorts": {"timestamp": "created_time", "direction": "ascending"}},
        {"sorts": [{"property": "Name", "direction": "ascending"}]},
    ],
)
def test_a_query_that_is_not_valid(notion, small_world, body):
    answer = notion.post(f"/data_sources/{small_world.ids('data_source')[0]}/query", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")


def test_what_does_not_exist(notion, small_world):
    page, source = small_world.ids("page")[0], small_world.ids("data_source")[0]
    unknown = str(uuid.uuid4())
    shared = "Make sure the relevant pages and databases are shared with your integration."
    for path, what in {
        f"/pages/{unknown}": f"page with ID: {unknown}",
        f"/pages/{source}": f"page with ID: {source}",
        "/pages/none": "page with ID: none",
        f"/data_sources/{page}": f"data_source with ID: {page}",
        "/blocks": "GET /v1/blocks",
        "/search": "GET /v1/search",
        "/users/": "GET /v1/users/",
        "": "GET /v1/",
    }.items():
        error(notion.get(path), 404, "object_not_found", f"Could not find {what}. {shared}")
    error(
        notion.post(f"/data_sources/{unknown}/query", json={}),
        404,
        "object_not_found",
        f"Could not find data_source with ID: {unknown}. {shared}",
    )


def depth_first(client, holder):
    """All blocks of a page, each before those in it; their children are read page by page."""
    found, cursor = [], {}
    while True:
        answer = client.get(f"/blocks/{holder}/children", params={"page_size": 2, **cursor}).json()
        assert (answer["object"], answer["type"], answer["block"]) == ("list", "block", {})
        for block in answer["results"]:
            found += [block, *(depth_first(client, block["id"]) if block["has_children"] else [])]
        if not answer["has_more"]:
            return found
        cursor = {"start_cursor": answer["next_cursor"]}


def test_blocks_are_read_level_by_level(start):
    vendor, client = start(world=World(seed=7, users=1, pages=2, data_sources=1, rows=1, blocks=5))
    world = vendor.world.overview()
    assert world["counts"]["block"] == 2 * 11
    for page in vendor.world.ids("page"):
        blocks = depth_first(client, page)
        assert [block["id"] for block in blocks] == world["blocks"][page]
        assert [block["has_children"] for block in blocks] == [True, True] + [False] * 5 + [True, True, False, False]
        assert blocks[0]["parent"] == {"type": "page_id", "page_id": page}
        assert blocks[1]["parent"] == {"type": "block_id", "block_id": blocks[0]["id"]}
        assert client.get(f"/blocks/{blocks[2]['id']}").json() == blocks[2]
    found = client.post("/search").json()["results"]
    assert {each["object"] for each in found} == {"page", "data_source"}
    assert client.get(f"/blocks/{vendor.world.ids('row')[0]}/children").json()["results"] == []
    assert client.get(f"/blocks/{vendor.world.ids('user')[0]}/children").status_code == 404


def test_a_change_of_a_block_is_one_of_its_page(start):
    vendor, client = start(world=World(seed=7, users=1, pages=2, data_sources=0, blocks=5))
    page = vendor.world.ids("page")[0]
    inner, last = vendor.world.overview()["blocks"][page][2], vendor.world.overview()["blocks"][page][-1]
    for path, body in (
        ("/_edit", {"id": inner}),
        ("/_remove", {"id": last}),
        ("/_add", {"kind": "block", "parent": page}),
    ):
        vendor.world.edit(page, now=0.0)
        assert httpx.post(f"{vendor.url}{path}", json=body).status_code == 200
        assert client.get(f"/pages/{page}").json()["last_edited_time"] > "2026-01-02", path
    blocks = depth_first(client, page)
    assert last not in [block["id"] for block in blocks]
    assert (
        "revision 2"
        in next(block for block in blocks if block["id"] == inner)["paragraph"]["rich_text"][0]["plain_text"]
    )
    vendor.world.remove(page)
    assert page not in vendor.world.overview()["blocks"]
    assert len(vendor.world.ids("block")) == 11
