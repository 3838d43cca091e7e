"""Airtable: a limit for each base that locks everyone out, offsets that expire, empty cells left out."""

import httpx
import pytest

from simulator import make_world
from simulator.vendors.airtable import Airtable

HEADERS = {"Authorization": "Bearer secret_simulator"}


@pytest.fixture(scope="module")
def connect(start):
    """Start a vendor; gives it and a client of it."""

    def connecting(*arguments, **options):
        vendor, _ = start(*arguments, **{"api": "airtable", **options})
        return vendor, httpx.Client(base_url=vendor.base_url, headers=HEADERS)

    return connecting


@pytest.fixture(scope="module")
def airtable(connect):
    return connect()


def places(vendor):
    """Pairs of base and table."""
    return [(base, table) for base, tables in vendor.world.overview()["children"]["tables"].items() for table in tables]


def every(client, path, **query):
    answer = client.get(path, params=query).json()
    found = answer["records"]
    while "offset" in answer:
        answer = client.get(path, params={**query, "offset": answer["offset"]}).json()
        found += answer["records"]
    return found


def error(answer):
    return answer.status_code, answer.json()["error"]["type"]


def test_every_listing_gives_what_the_world_has(airtable):
    vendor, client = airtable
    world = vendor.world.overview()
    assert [base["id"] for base in client.get("/meta/bases").json()["bases"]] == world["ids"]["bases"]
    for base, ids in world["children"]["tables"].items():
        tables = client.get(f"/meta/bases/{base}/tables").json()["tables"]
        assert [table["id"] for table in tables] == ids
        for table in tables:
            records = every(client, f"/{base}/{table['id']}")
            assert [record["id"] for record in records] == world["children"]["records"][table["id"]]
            assert records == every(client, f"/{base}/{table['name']}", pageSize=50)


def test_empty_cells_are_left_out_and_columns_chosen(airtable):
    vendor, client = airtable
    base, table = places(vendor)[0]
    records = every(client, f"/{base}/{table}")
    assert {len(record["fields"]) for record in records} >= {3, 5}
    assert None not in [cell for record in records for cell in record["fields"].values()]
    chosen = every(client, f"/{base}/{table}", **{"fields[]": ["Name", "Score"]})
    assert {name for record in chosen for name in record["fields"]} == {"Name", "Score"}
    scored = every(client, f"/{base}/{table}", **{"sort[0][field]": "Name", "sort[0][direction]": "desc"})
    names = [record["fields"]["Name"] for record in scored]
    assert names == sorted(names, reverse=True)
    one = records[7]
    assert client.get(f"/{base}/{table}/{one['id']}").json() == one


def test_a_view_hides_records(airtable):
    vendor, client = airtable
    base, table = places(vendor)[0]
    seen = every(client, f"/{base}/{table}", view="Open")
    assert 0 < len(seen) < 130
    assert {record["fields"]["Status"] for record in seen} == {"Open"}
    assert len(every(client, f"/{base}/{table}", view="Grid view")) == 130
    assert error(client.get(f"/{base}/{table}", params={"view": "Mine"})) == (422, "VIEW_NAME_NOT_FOUND")


def test_what_changed_is_found_by_a_formula_and_a_listing_under_way_does_not_change(connect):
    vendor, client = connect()
    base, table = places(vendor)[0]
    path = f"/{base}/{table}"
    before = [record["id"] for record in every(client, path)]
    first = client.get(path).json()
    edited, gone = before[0], before[-1]
    client.post(f"{vendor.url}/_edit", json={"id": edited, "set": {"Status": "Late", "Notes": None}})
    client.post(f"{vendor.url}/_remove", json={"id": gone})
    added = client.post(f"{vendor.url}/_add", json={"kind": "records", "parent": table}).json()["id"]
    rest = client.get(path, params={"offset": first["offset"]}).json()["records"]
    assert [record["id"] for record in first["records"] + rest] == before
    after = every(client, path)
    assert [record["id"] for record in after] == [*before[:-1], added]
    assert (after[0]["fields"]["Status"], "Notes" in after[0]["fields"]) == ("Late", False)
    formula = "IS_AFTER(LAST_MODIFIED_TIME(),'2026-01-02T00:00:00Z')"
    changed = every(client, path, filterByFormula=formula)
    assert {record["id"] for record in changed} == {edited, added}
    bad = client.get(path, params={"filterByFormula": "TRUE("})
    assert error(bad) == (422, "INVALID_FILTER_BY_FORMULA")


def test_an_offset_expires_and_is_of_one_listing(connect):
    vendor, client = connect(api=Airtable(make_world("airtable"), lifetime=0.0))
    base, table = places(vendor)[0]
    offset = client.get(f"/{base}/{table}").json()["offset"]
    assert offset.startswith("itr")
    late = client.get(f"/{base}/{table}", params={"offset": offset})
    assert error(late) == (422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE")
    vendor, client = connect(faults=[f"cursor-expired@GET /v0/{base}/{table}#3"])
    offset = client.get(f"/{base}/{table}").json()["offset"]
    other = client.get(f"/{base}/{table}", params={"offset": offset, "pageSize": 100, "view": "Open"})
    assert error(other) == (422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE")
    assert error(client.get(f"/{base}/{table}", params={"offset": offset})) == error(other)
    assert len(client.get(f"/{base}/{table}", params={"offset": offset}).json()["records"]) == 30


def test_one_base_locks_out_only_itself(connect):
    vendor, client = connect("penalty:count=2,window=36000,lockout=36000")
    (base, table), _, (other, another), _ = places(vendor)
    answers = [
        client.get(path) for path in [f"/{base}/{table}"] * 3 + [f"/{other}/{another}", f"/meta/bases/{base}/tables"]
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 200, 429]
    assert error(answers[2]) == (429, "RATE_LIMIT_REACHED")
    assert "retry-after" not in answers[2].headers
    assert vendor.stats()["by_bucket"] == {f"base:{base}": 2}


def test_a_month_is_used_up_but_not_for_the_schema(connect):
    vendor, client = connect(limits={"month": "fixed:count=1,window=2592000"})
    base, table = places(vendor)[0]
    answers = [client.get(f"/{base}/{table}") for _ in range(2)]
    assert answers[0].status_code == 200
    assert error(answers[1]) == (429, "PUBLIC_API_BILLING_LIMIT_EXCEEDED")
    assert client.get(f"/meta/bases/{base}/tables").status_code == 200


def test_mistakes_are_worded_as_airtable_words_them(airtable):
    vendor, client = airtable
    base, table = places(vendor)[0]
    for path in (f"/{base}/nothing", f"/appNothing/{table}", f"/{base}/{table}/recNothing", "/meta/bases/app1/tables"):
        assert error(client.get(path)) == (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")
    for query in ({"pageSize": 101}, {"pageSize": 0}, {"sort[0][field]": "Nothing"}):
        assert error(client.get(f"/{base}/{table}", params=query)) == (422, "INVALID_REQUEST_UNKNOWN")
    assert error(client.get(f"/{base}/{table}", params={"fields[]": "Nothing"})) == (422, "UNKNOWN_FIELD_NAME")
    assert client.get("/nothing").json() == {"error": "NOT_FOUND"}
    wrong = client.get("/meta/bases", headers={"Authorization": "Bearer wrong"})
    assert error(wrong) == (401, "AUTHENTICATION_REQUIRED")
