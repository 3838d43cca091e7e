"""Pages of a listing: all of it once, whatever else changes meanwhile."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import World
from simulator.vendors.notion.listing import Listings, Order, paginate
from simulator.vendors.notion.record import Record
from simulator.vendors.notion.shapes import NotionError

ORDERS = [
    Order(),
    Order((("last_edited_time", True),)),
    Order((("last_edited_time", False), ("created_time", True))),
]
# Few different times, so that ties are the rule.
records = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30).map(
    lambda times: [
        Record("page", f"id-{n:02}", "title", created * 60, edited * 60) for n, (created, edited) in enumerate(times)
    ]
)


def read(records, order, size, cap=None, between=lambda page: None):
    """All pages; `between` may return other records to go on with."""
    pages, cursor = [], None
    while True:
        page = paginate(sorted(records, key=order.key), order, "pages", cursor, size, cap)
        pages.append(page)
        cursor = page.next_cursor
        if cursor is None:
            return pages
        assert len(pages) < 100, "a listing that does not end"
        records = between(page) or records


@given(records, st.sampled_from(ORDERS), st.integers(1, 7))
def test_every_record_comes_once_and_in_order(records, order, size):
    pages = read(records, order, size)
    assert [record for page in pages for record in page.records] == sorted(records, key=order.key)
    assert all(len(page.records) == size for page in pages[:-1])
    assert all(page.complete for page in pages)


@given(records, st.integers(1, 5), st.integers(1, 20))
def test_a_capped_listing_ends_early_and_says_so(records, size, cap):
    pages = read(records, Order(), size, cap)
    found = [record for page in pages for record in page.records]
    assert found == sorted(records, key=Order().key)[:cap]
    assert [page.complete for page in pages] == [True] * (len(pages) - 1) + [len(records) <= cap]


@given(records, st.integers(1, 5), st.data())
def test_removing_others_neither_skips_nor_repeats(records, size, data):
    gone = set()

    def remove_one(page):
        if left := [record.id for record in records if record.id not in gone]:
            gone.add(data.draw(st.sampled_from(left)))
        return [record for record in records if record.id not in gone]

    pages = read(records, Order(), size, between=remove_one)
    ids = [record.id for page in pages for record in page.records]
    assert len(ids) == len(set(ids))
    assert {record.id for record in records} - gone <= set(ids)


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()), st.integers()))
def test_anything_else_than_a_cursor_is_refused(cursor):
    with pytest.raises(NotionError, match="The start_cursor provided is invalid"):
        paginate([], Order(), "pages", cursor)


@pytest.mark.parametrize(
    "forged",
    [
        None,
        [],
        ["pages", [1], "id"],
        ["pages", [1], "id", "3"],
        ["pages", ["1"], "id", 3],
        ["pages", 1, "id", 3],
        {"pages": 1},
    ],
)
def test_a_forged_cursor_is_refused(forged):
    cursor = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode()
    with pytest.raises(NotionError, match="The start_cursor provided is invalid"):
        paginate([], Order(), "pages", cursor)


def test_a_cursor_of_another_listing_or_another_order_is_refused():
    world = World(users=0, data_sources=0)
    listing = sorted(world.records(), key=Order().key)
    cursor = paginate(listing, Order(), "pages", None, 10).next_cursor
    assert len(paginate(listing, Order(), "pages", cursor, 10).records) == 10
    for order, name in ((Order(), "users"), (ORDERS[1], "pages")):
        with pytest.raises(NotionError):
            paginate(listing, order, name, cursor, 10)


def test_a_listing_is_sorted_once_until_the_world_changes():
    world = World(users=2, pages=5, data_sources=1, rows=3)
    listings, selections = Listings(world), []

    def select():
        selections.append(world.version)
        return world.records("page")

    first = listings.sorted("pages", Order(), select)
    assert listings.sorted("pages", Order(), select) is first
    assert len(selections) == 1
    listings.sorted("pages", ORDERS[1], select)
    assert len(selections) == 2, "another order is another listing"
    page = first[0].id
    for change in (
        lambda: world.edit(page, 1e9),
        lambda: world.add_page(now=1e9),
        lambda: world.remove(page),
        lambda: world.remove(world.ids("user")[0]),
    ):
        change()
        before = len(selections)
        again = listings.sorted("pages", Order(), select)
        assert len(selections) == before + 1
        assert list(again) == sorted(world.records("page"), key=Order().key)


def test_only_so_many_listings_are_kept():
    listings, selected = Listings(World(users=1, pages=1, data_sources=0)), []
    for text in [*range(1000), 0]:
        listings.sorted(text, Order(), lambda: selected.append(1) or [])
    assert len(selected) == 1001
