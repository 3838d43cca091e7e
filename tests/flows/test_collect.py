"""Collecting from a real HTTP vendor into a real store: what is added, what is not, and what it takes."""

import hashlib
import json

import httpx
import pytest

from flows import walk
from flows.links import LinkPaginator
from flows.progress import Listener
from flows.stream import Source, Stream
from limiter.testing import FakeClock
from simulator import World
from state import open_store
from state.memory import MemoryStore
from state.records import Counts

TOKEN = "secret_simulator"


def test_a_first_sync_stores_everything_once(collector, world, vendor):
    came = collector.sync("users")
    assert came.complete
    assert came.counts == Counts(records=210, new=210, pages=3)
    assert (came.listed, came.expected) == (210, 210)
    assert sorted(collector.current("users")) == sorted(world.ids("user"))
    assert (came.sent.requests, vendor.stats()["requests"]) == (3, 3)


def test_a_second_sync_of_unchanged_data_adds_no_version(collector):
    collector.sync("users")
    before = collector.versions("users")
    again = collector.sync("users")
    assert again.complete
    assert again.counts == Counts(records=210, unchanged=210, pages=3)
    assert collector.versions("users") == before


def test_an_edit_adds_a_version_and_keeps_the_old_one(collector, world, clock):
    collector.sync("pages")
    edited = world.ids("page")[7]
    clock.now += 3600
    title = world.edit(edited, clock()).title
    again = collector.sync("pages")
    assert (again.counts.new, again.counts.changed) == (0, 1)
    first, second = [version for version in collector.versions("pages") if version.external_id == edited]
    assert (first.version, second.version) == (1, 2)
    assert title not in first.text
    assert title in second.text


def test_an_incremental_listing_stops_at_what_is_known(collector, world, vendor, clock):
    """100 pages and 210 rows, which a search calls pages too, on four pages of answers; only the first is needed."""
    assert collector.sync("pages").counts.pages == 4
    before = vendor.stats()["requests"]
    clock.now += 3600
    world.add_page("New", now=clock())
    again = collector.sync("pages")
    assert again.complete
    assert (again.counts.new, again.counts.pages) == (1, 1)
    assert vendor.stats()["requests"] == before + 1


def test_an_edit_in_the_minute_of_the_watermark_is_met(collector, world, clock):
    """Notion rounds its times down to the minute, so an edit after the listing may carry the time of one before it."""
    clock.now += 60 - clock.now % 60 + 5
    first, second = world.ids("page")[:2]
    world.edit(first, clock())
    collector.sync("pages")
    clock.now += 10
    title = world.edit(second, clock()).title
    assert collector.sync("pages").counts.changed == 1
    assert title in json.dumps(collector.current("pages")[second])


def test_a_user_who_is_gone_gets_a_tombstone(collector, world):
    collector.sync("users")
    gone = world.ids("user")[100]
    world.remove(gone)
    again = collector.sync("users")
    assert (again.counts.records, again.counts.deleted) == (209, 1)
    assert collector.current("users")[gone] is None
    assert sum(each is None for each in collector.current("users").values()) == 1
    assert collector.sync("users").counts.deleted == 0, "a tombstone is set once"


@pytest.mark.parametrize("full", [False, True])
def test_a_page_that_a_search_does_not_show_is_not_gone(collector, world, full):
    collector.sync("pages")
    hidden = world.ids("page")[3]
    world.remove(hidden)
    again = collector.sync("pages", full=full)
    assert again.complete
    assert again.counts.deleted == 0
    assert collector.current("pages")[hidden] is not None


class TestRows:
    @pytest.fixture
    def sources(self, world):
        return world.ids("data_source")

    def test_of_one_data_source(self, collector, world, sources):
        came = collector.sync("rows", params={"data_source": sources[0].replace("-", "").upper()})
        assert came.counts == Counts(records=105, new=105, pages=2)
        wanted = {row.id for row in world.records("row", sources[0])}
        assert set(collector.current("rows")) == wanted
        assert {version.collection.partition for version in collector.versions("rows")} == {
            json.dumps({"data_source": sources[0]}, separators=(",", ":"))
        }

    def test_a_later_sync_asks_only_for_what_is_new(self, collector, world, sources, clock):
        params = {"data_source": sources[0]}
        collector.sync("rows", params=params)
        clock.now += 3600
        edited = world.records("row", sources[0])[5].id
        world.edit(edited, clock())
        new = world.add_row(sources[0], now=clock())
        again = collector.sync("rows", params=params)
        # And the newest of the first listing once more, since the vendor's clock is coarse.
        assert again.counts == Counts(records=3, new=1, changed=1, unchanged=1, pages=1)
        assert {edited, new} <= set(collector.current("rows"))

    def test_only_a_full_listing_buries_and_only_in_its_partition(self, collector, world, sources):
        for source in sources:
            collector.sync("rows", params={"data_source": source})
        gone = world.records("row", sources[0])[5].id
        world.remove(gone)
        assert collector.sync("rows", params={"data_source": sources[0]}).counts.deleted == 0
        assert collector.sync("rows", params={"data_source": sources[0]}, full=True).counts.deleted == 1
        assert [key for key, record in collector.current("rows").items() if record is None] == [gone]
        assert len(collector.current("rows")) == 210


class TestFull:
    def test_lists_everything_anew(self, collector):
        collector.sync("pages")
        again = collector.sync("pages", full=True)
        assert again.counts == Counts(records=310, unchanged=310, pages=4)

    def test_once_a_run_in_however_many_tasks(self, collector):
        collector.sync("pages")
        assert collector.sync("pages", full=True, pages=1).counts.pages == 4

    def test_of_an_earlier_run_that_goes_on_is_not_begun_again(self, collector, clock):
        collector.sync("pages")
        clock.now += 3600
        assert collector.chunk("pages", full=True, pages=2).more
        assert collector.sync("pages", full=True).counts.pages == 2 + 1, "the rest, and what is newer"

    def test_gives_up_a_listing_of_what_is_new(self, collector, world, clock):
        collector.sync("pages")
        clock.now += 3600
        for page in world.ids("page") + world.ids("row")[:50]:
            world.edit(page, clock())
        assert collector.chunk("pages", pages=1).more
        assert not collector.cursor("pages").listing.full
        assert collector.sync("pages", full=True).counts.records == 310

    def test_even_where_the_clock_was_ahead(self, collector, clock):
        clock.now += 86_400
        collector.sync("pages")
        clock.now -= 86_400
        assert collector.sync("pages", full=True).counts.records == 310


class TestGoingOn:
    def test_a_listing_goes_on_where_a_task_left_it(self, collector, vendor):
        since = collector.clock()
        chunks = [collector.chunk("pages", since=since, pages=2) for _ in range(2)]
        assert [(chunk.counts.pages, chunk.listed) for chunk in chunks] == [(2, 200), (2, 310)]
        assert [chunk.more for chunk in chunks] == [True, False]
        assert vendor.stats()["requests"] == 4

    def test_a_listing_of_an_earlier_run_is_followed_by_one_of_what_is_newer(self, collector, world, clock):
        """What is edited between two runs moves to a page that has gone by."""
        assert collector.chunk("pages", pages=2).more
        clock.now += 3600
        edited = world.ids("page")[30]
        title = world.edit(edited, clock()).title
        came = collector.sync("pages")
        assert came.complete
        assert title in json.dumps(collector.current("pages")[edited])
        assert came.counts.pages == 2 + 1, "the rest, and the first page again"

    def test_also_where_all_has_to_be_listed(self, collector, world, clock):
        assert collector.chunk("users", pages=2).more
        clock.now += 3600
        changed, gone = world.ids("user")[:2]
        name = world.edit(changed, clock()).title
        world.remove(gone)
        came = collector.sync("users")
        assert came.complete
        assert name in json.dumps(collector.current("users")[changed])
        assert collector.current("users")[gone] is None

    def test_a_listing_that_came_to_nothing_is_not_followed_by_another(self, collector, vendor):
        assert collector.chunk("users", token="wrong").problem is not None
        before = vendor.stats()["requests"]
        assert collector.sync("users").counts.pages == 3
        assert vendor.stats()["requests"] == before + 3

    def test_a_clock_that_is_set_back_lists_nothing_for_ever(self, collector, clock):
        since = collector.store.evidence.now()
        clock.now -= 3600
        chunks = [collector.chunk("pages", since=since)]
        assert chunks[0].complete

    def test_also_not_in_many_tasks(self, collector, clock):
        collector.run += 1
        since = collector.store.evidence.now()
        clock.now -= 3600
        chunks = [collector.chunk("pages", since=since, pages=1) for _ in range(4)]
        assert [chunk.complete for chunk in chunks] == [False, False, False, True]

    def test_nothing_of_a_listing_is_kept_in_memory_once_it_has_ended(self, collector):
        evidence = collector.store.evidence
        assert collector.chunk("users", pages=2).more
        assert walk._progress[evidence], "for its circles"
        assert collector.chunk("users").complete
        assert walk._progress[evidence] == {}

    def test_two_stores_are_not_taken_for_a_circle(self, collector, clock):
        here, elsewhere = collector.store, MemoryStore(clock=clock)
        for pages in (1, 1, 2):
            for collector.store in (here, elsewhere):
                came = collector.chunk("pages", since=clock(), pages=pages)
                assert came.problem is None
        assert came.complete

    def test_each_tenant_has_its_own(self, collector):
        collector.sync("users", tenant="a")
        assert collector.sync("users", tenant="b").counts.new == 210
        assert collector.sync("users", tenant="a").counts.new == 0
        assert {version.collection.tenant for version in collector.versions("users")} == {"a", "b"}


def test_counts_of_requests_are_of_this_call(clock, store, vendor, collector_of):
    """A client that is used again has sent more than this."""
    from flows.collect import Wanted, collect
    from limiter import make_client_for
    from state.records import Provenance

    collector = collector_of(vendor.base_url)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with make_client_for("notion", store=store, base_url=vendor.base_url, headers=headers, sleep=clock.sleep) as client:
        wanted = Wanted(full=False, pages=2, since=clock())
        sent = [
            collect(client, store, collector.task("users"), wanted, Provenance("", "", ""), sleep=clock.sleep).sent
            for _ in range(2)
        ]
    assert [each.requests for each in sent] == [2, 1]


class TestListeners:
    def test_hear_of_every_page(self, collector):
        heard = []

        class Ear(Listener):
            def page(self, stream, chunk, rate):
                heard.append((stream, chunk.listed, chunk.complete, rate() > 0))

        collector.chunk("users", listener=Ear())
        assert heard == [
            ("users", 100, False, True),
            ("users", 200, False, True),
            ("users", 210, True, True),
        ]


class TestETags:
    """Of a vendor whose ETag is a hash of the body, with two records a page."""

    @pytest.fixture
    def people(self):
        return ["a"]

    @pytest.fixture
    def tagged(self, collector_of, people):
        def answer(request):
            number = int(request.url.params.get("page", 1))
            body = json.dumps([{"id": each} for each in people[2 * number - 2 : 2 * number]])
            headers = {"ETag": f'"{hashlib.sha256(body.encode()).hexdigest()}"'}
            if len(people) > 2 * number:
                headers["Link"] = f'<{request.url.copy_set_param("page", number + 1)}>; rel="next"'
            statuses.append(304 if request.headers.get("if-none-match") == headers["ETag"] else 200)
            return httpx.Response(statuses[-1], text=body if statuses[-1] == 200 else "", headers=headers)

        statuses = []
        stream = Stream("people", "GET", "/people", LinkPaginator(size=2), records="", etag=True, controls=("x",))
        source = Source("acme", "Acme", (stream,))
        return collector_of(transport=httpx.MockTransport(answer), source=source), statuses

    def test_spare_a_listing_of_one_page(self, tagged):
        collector, statuses = tagged
        collector.sync("people")
        assert [collector.sync("people").counts for _ in range(2)] == [Counts(records=1, unchanged=1, pages=1)] * 2
        assert statuses == [200, 304, 304]

    def test_but_not_of_a_full_one_which_may_have_got_another_behind_it(self, tagged, people):
        collector, _ = tagged
        people.append("b")
        collector.sync("people")
        people.append("c")
        assert collector.sync("people").complete
        assert sorted(collector.current("people")) == ["a", "b", "c"]


class TestWhereItCameFrom:
    def test_stands_with_each_version(self, collector, vendor):
        collector.sync("users")
        version = collector.versions("users")[0]
        assert version.provenance.base_url == vendor.base_url
        assert version.provenance.run_id == "run-1"
        assert len(version.provenance.credential) == 16

    def test_the_token_is_nowhere_in_the_database(self, tmp_path, collector_of, vendor):
        clock = FakeClock()
        with open_store(f"sqlite:///{tmp_path / 'aimd.db'}", clock=clock) as store:
            collector = collector_of(vendor.base_url)
            collector.store, collector.clock = store, clock
            assert collector.sync("users").counts.new == 210
            assert collector.chunk("pages", token="secret_of_another").problem is not None
            stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"user-" in stored
        assert TOKEN.encode() not in stored
        assert b"secret_of_another" not in stored


class TestMoreRowsThanAQueryGives:
    """Notion ends a query at 10,000 rows and says so; here at 25, of 105."""

    @pytest.fixture
    def world(self):
        return World(seed=3, users=1, pages=1, data_sources=1, rows=105)

    @pytest.fixture
    def rows(self, world, start_vendor, collector_of):
        vendor = start_vendor(world=world, row_cap=25)
        [source] = world.ids("data_source")
        collector = collector_of(base_url=vendor.base_url)
        return collector, lambda **wanted: collector.sync("rows", params={"data_source": source}, **wanted)

    def test_are_listed_in_windows(self, rows, world):
        collector, sync = rows
        came = sync(pages=1)
        assert came.complete
        assert sorted(collector.current("rows")) == sorted(world.ids("row"))

    def test_also_where_only_what_is_new_is_wanted(self, rows, world, clock):
        _, sync = rows
        sync()
        clock.now += 3600
        edited = world.ids("row")[10:70]
        for each in edited:
            world.edit(each, clock())
        assert sync().counts.changed == 60

    def test_and_a_full_listing_buries_what_is_gone(self, rows, world):
        collector, sync = rows
        sync()
        gone = world.ids("row")[50]
        world.remove(gone)
        assert sync(full=True).counts.deleted == 1
        assert collector.current("rows")[gone] is None
