"""Streams that are listed once for each parent: what is asked, what goes on after a stop, who is buried with whom."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from flows.listing import as_text
from flows.outcome import Chunk, SyncReport
from flows.paginators import CursorPaginator
from flows.sources import plan
from flows.stopping import Stop
from flows.stream import Parameter, Parent, Source, Stream
from limiter import ConfigurationError

PAGING = CursorPaginator("query", "after", "next")
REPOSITORIES = Stream(
    "repositories", "GET", "/orgs/{org}/repos", PAGING, records="data", parameters=(Parameter("org"),), controls=("x",)
)
BRANCHES = Stream(
    "branches",
    "GET",
    "/repos/{owner.login}/{name}/branches",
    PAGING,
    records="data",
    parent=Parent("repositories"),
    controls=("x",),
)
RULES = Stream(
    "rules",
    "GET",
    "/rules/{org}/{repositories}/{branches}",
    PAGING,
    records="data",
    parent=Parent("branches", changed=lambda record: record.get("sha")),
    on_request=True,
    controls=("x",),
)
BLOCKS = Stream(
    "blocks",
    "GET",
    "/blocks/{container}",
    PAGING,
    records="data",
    parent=Parent("repositories", changed=lambda record: record["at"], nested=lambda record: record["inside"]),
    on_request=True,
    controls=("x",),
)
ACME = Source("acme", "Acme", (REPOSITORIES, BRANCHES, RULES))
ORG = {"org": "acme"}


class Vendor:
    """Answers from a table of lists by path, two records a page, and keeps what it was asked."""

    def __init__(self, **lists):
        self.lists, self.asked, self.refuses = dict(lists), [], {}
        self.transport = httpx.MockTransport(self.answer)

    def answer(self, request):
        path = request.url.path.removeprefix("/v1")
        self.asked.append(path)
        if path in self.refuses:
            answer = self.refuses[path]
            return answer if isinstance(answer, httpx.Response) else httpx.Response(answer, json={"message": "No."})
        if path not in self.lists:
            return httpx.Response(404, json={"message": "Not found."})
        start = int(request.url.params.get("after", 0))
        records = self.lists[path]
        more = str(start + 2) if start + 2 < len(records) else None
        return httpx.Response(200, json={"data": records[start : start + 2], "next": more})

    def times(self, path):
        return self.asked.count(path)


def repository(number, org="acme", **more):
    return {"id": number, "name": f"r{number}", "owner": {"login": org}, **more}


def named(*ids, **more):
    return [{"id": each, **more} for each in ids]


@pytest.fixture
def vendor():
    return Vendor(
        **{
            "/orgs/acme/repos": [repository(number) for number in (1, 2, 3)],
            "/repos/acme/r1/branches": named("main", "dev", "old"),
            "/repos/acme/r2/branches": named("main"),
            "/repos/acme/r3/branches": [],
            "/orgs/other/repos": [repository(9, "other")],
            "/repos/other/r9/branches": named("main"),
        }
    )


@pytest.fixture
def collector(collector_of, vendor):
    return collector_of(transport=vendor.transport, source=ACME)


def there(collector, stream):
    """What is not gone, by parent."""
    found = {}
    for version in collector.versions(stream):
        lineage = json.loads(version.collection.partition)
        parent = lineage.get("blocks", lineage["repositories"])
        found.setdefault(parent, {})[version.external_id] = version.deleted
    return {parent: sorted(k for k, gone in ids.items() if not gone) for parent, ids in found.items()}


def sync(collector, *streams, **wanted):
    """A sync of several streams in their order; gives the last one's outcome."""
    collector.clock.now += 60
    collector.run += 1
    since, total = collector.store.evidence.now(), Chunk()
    for stream in streams:
        total = Chunk()
        for _ in range(100):
            chunk = collector.chunk(stream, since=since, **{"params": ORG, **wanted})
            total = replace(chunk, counts=total.counts + chunk.counts)
            if not chunk.more:
                break
        else:
            pytest.fail(f"{stream} does not end")
    return total


class TestWhatIsPlanned:
    def test_parents_come_first_and_once(self):
        names = [each.stream.name for each in plan(ACME, ["rules", "branches"], "t", ORG)]
        assert names == ["repositories", "branches", "rules"]

    def test_a_sync_of_everything_leaves_out_what_is_only_on_request(self):
        assert [each.stream.name for each in plan(ACME, None, "t", ORG)] == ["repositories", "branches"]

    def test_a_child_needs_its_parents_parameters(self):
        with pytest.raises(ConfigurationError, match="branches of Acme needs --param org=VALUE"):
            plan(ACME, ["branches"], "t", None)

    def test_nothing_to_list_is_a_mistake(self):
        with pytest.raises(ConfigurationError, match="Acme lists nothing without a parameter: add --param org=VALUE"):
            plan(ACME, None, "t", None)

    @pytest.mark.parametrize("value", ["", ".", ".."])
    def test_a_value_that_would_change_the_path_is_none(self, value):
        with pytest.raises(ConfigurationError, match="must name something"):
            plan(ACME, None, "t", {"org": value})


@pytest.mark.parametrize("pages", [1, 3, 20])
def test_the_children_of_every_parent_are_one_stream(collector, vendor, pages):
    came = sync(collector, "repositories", "branches", pages=pages)
    assert came.complete
    assert (came.counts.records, came.counts.new, came.counts.pages) == (4, 4, 4)
    assert there(collector, "branches") == {"1": ["dev", "main", "old"], "2": ["main"]}
    assert {version.collection.partition for version in collector.versions("branches")} == {
        '{"org":"acme","repositories":"1"}',
        '{"org":"acme","repositories":"2"}',
    }


def test_a_second_sync_lists_them_again_and_adds_nothing(collector, vendor):
    sync(collector, "repositories", "branches")
    again = sync(collector, "repositories", "branches")
    assert again.complete
    assert (again.counts.unchanged, again.counts.new, again.counts.deleted) == (4, 0, 0)
    assert vendor.times("/repos/acme/r2/branches") == 2


def test_no_parents_are_a_complete_listing_of_nothing(collector, vendor):
    vendor.lists["/orgs/acme/repos"] = []
    came = sync(collector, "repositories", "branches")
    assert came.complete
    assert came.counts.records == 0


class TestAStop:
    def test_goes_on_with_what_was_not_reached(self, collector, vendor):
        since = collector.store.evidence.now()
        collector.sync("repositories", params=ORG)
        first = collector.chunk("branches", since=since, params=ORG, pages=1)
        assert first.more
        done = vendor.times("/repos/acme/r1/branches")
        assert done == 1, "half of the first parent's"
        assert sync(collector, "repositories", "branches").complete
        assert there(collector, "branches") == {"1": ["dev", "main", "old"], "2": ["main"]}

    def test_what_was_listed_longest_ago_comes_first(self, collector, vendor):
        """Or a sync that is always killed would never get round."""
        collector.sync("repositories", params=ORG)
        for expected in ("r1", "r1", "r2", "r3") * 2:  # the second of the first parent's pages, then the others
            vendor.asked.clear()
            collector.run += 1
            collector.clock.now += 60
            collector.chunk("branches", params=ORG, pages=1)
            assert vendor.asked[0] == f"/repos/acme/{expected}/branches"


class TestBurials:
    def test_a_child_that_is_gone_is_buried_in_its_own_parent_only(self, collector, vendor):
        sync(collector, "repositories", "branches")
        vendor.lists["/repos/acme/r1/branches"] = named("dev")
        assert sync(collector, "repositories", "branches").counts.deleted == 2
        assert there(collector, "branches") == {"1": ["dev"], "2": ["main"]}

    def test_the_children_of_a_parent_that_is_gone_are_gone_with_it(self, collector, vendor):
        sync(collector, "repositories", "branches")
        del vendor.lists["/orgs/acme/repos"][0]
        before = len(vendor.asked)
        came = sync(collector, "repositories", "branches")
        assert came.complete
        assert came.counts.deleted == 3
        assert "/repos/acme/r1/branches" not in vendor.asked[before:]
        assert there(collector, "branches") == {"1": [], "2": ["main"]}
        assert sync(collector, "repositories", "branches").counts.deleted == 0, "once"

    def test_half_a_listing_of_one_that_is_gone_spares_nobody(self, collector, vendor):
        sync(collector, "repositories", "branches")
        collector.clock.now += 60
        collector.run += 1
        collector.chunk("branches", params=ORG, pages=1)  # met two of the first parent's
        del vendor.lists["/orgs/acme/repos"][0]
        assert sync(collector, "repositories", "branches").counts.deleted == 3

    def test_a_parent_that_comes_back_is_listed_again(self, collector, vendor):
        sync(collector, "repositories", "branches")
        gone = vendor.lists["/orgs/acme/repos"].pop(0)
        sync(collector, "repositories", "branches")
        vendor.lists["/orgs/acme/repos"].append(gone)
        assert sync(collector, "repositories", "branches").counts.new == 3

    def test_what_belongs_to_another_parameter_is_not_touched(self, collector, vendor):
        sync(collector, "repositories", "branches")
        sync(collector, "repositories", "branches", params={"org": "other"})
        sync(collector, "repositories", "branches")
        assert there(collector, "branches") == {"1": ["dev", "main", "old"], "2": ["main"], "9": ["main"]}
        assert vendor.times("/repos/other/r9/branches") == 1, "nor asked for"


class TestWhatStandsInTheWay:
    def test_of_one_parent_is_said_and_keeps_nobody_else(self, collector, vendor):
        vendor.refuses["/repos/acme/r1/branches"] = 403
        came = sync(collector, "repositories", "branches", pages=1)
        assert not came.complete
        assert "Acme refused to list branches of 1 (403: No.)" in came.problem.message
        assert there(collector, "branches") == {"2": ["main"]}
        assert vendor.times("/repos/acme/r1/branches") == 1

    def test_several_are_counted(self, collector, vendor):
        vendor.refuses |= {
            "/repos/acme/r1/branches": 403,
            "/repos/acme/r2/branches": httpx.Response(200, text="<html>"),
        }
        came = sync(collector, "repositories", "branches")
        assert "(and 1 more of repositories failed)" in came.problem.message

    def test_refused_for_everybody_is_asked_for_ten_times_and_not_more(self, collector, vendor):
        vendor.lists["/orgs/acme/repos"] = [repository(number) for number in range(100, 130)]
        came = sync(collector, "repositories", "branches")
        assert "after 10 in a row the rest was not asked for" in came.problem.message
        assert sum("branches" in path for path in vendor.asked) == 10

    def test_a_token_that_is_not_accepted_is_tried_once(self, collector, vendor):
        vendor.refuses["/repos/acme/r1/branches"] = 401
        came = sync(collector, "repositories", "branches")
        assert "does not accept the token" in came.problem.message
        assert vendor.times("/repos/acme/r2/branches") == 0

    def test_parents_that_are_not_all_known(self, collector, vendor):
        sync(collector, "repositories", "branches")
        vendor.refuses["/orgs/acme/repos"] = 403
        came = sync(collector, "repositories", "branches")
        assert came.counts.unchanged == 4
        assert not came.complete
        assert "only of those repositories that are known" in came.problem.message

    def test_a_parent_without_what_the_path_needs(self, collector, vendor):
        vendor.lists["/orgs/acme/repos"][0]["name"] = None
        came = sync(collector, "repositories", "branches")
        assert "needs 'name' in its path, and branches of 1 has none" in came.problem.message
        assert there(collector, "branches") == {"2": ["main"]}


class TestManyThatAreAlwaysRefused:
    """More than are asked for in a row."""

    @pytest.fixture
    def repositories(self, vendor):
        vendor.lists["/orgs/acme/repos"] = []

        def make(*numbers, refused=False):
            """Repositories with a branch each, or whose branches are refused; gives the paths of their branches."""
            vendor.lists["/orgs/acme/repos"] += [repository(number) for number in numbers]
            paths = [f"/repos/acme/r{number}/branches" for number in numbers]
            vendor.lists |= {path: named("main") for path in paths}
            vendor.refuses |= dict.fromkeys(paths if refused else (), 403)
            return paths

        return make

    def listed(self, collector, vendor, fine):
        """How many of those that can be listed a sync lists."""
        vendor.asked.clear()
        assert not sync(collector, "repositories", "branches").complete
        return sum(path in vendor.asked for path in fine)

    def test_keep_from_a_later_sync_nothing_that_can_be_had(self, collector, vendor, repositories):
        fine = []
        for number in range(10, 34, 2):
            repositories(number, refused=True)
            fine += repositories(number + 1)
        assert [self.listed(collector, vendor, fine) for _ in range(3)] == [12, 12, 12]

    def test_nor_do_those_that_came_later(self, collector, vendor, repositories):
        fine = repositories(*range(10, 22))
        sync(collector, "repositories", "branches")
        refused, asked = repositories(*range(30, 70), refused=True), set()
        for _ in range(2):
            assert self.listed(collector, vendor, fine) == 12
            assert sum(path in vendor.asked for path in refused) == 12 + 10, "one before each, and then ten in a row"
            asked |= set(vendor.asked)
        assert asked >= set(refused), "each has its turn"

    def test_nor_do_those_that_are_refused_half_way(self, collector, vendor, repositories, collector_of):
        fine, broken = repositories(10, 11), repositories(*range(20, 32))
        vendor.lists |= {path: named("a", "b", "c") for path in broken}

        def answer(request):
            if request.url.params.get("after") and request.url.path.removeprefix("/v1") in broken:
                return httpx.Response(422, json={"message": "Too deep."})
            return vendor.answer(request)

        collector = collector_of(transport=httpx.MockTransport(answer), source=ACME)
        assert [self.listed(collector, vendor, fine) for _ in range(2)] == [2, 2]


class TestAClockThatIsSetBack:
    @pytest.mark.parametrize("pages", [1, 20])
    def test_lists_no_child_again(self, collector_of, vendor, clock, pages):
        def answer(request):
            if not any("branches" in path for path in vendor.asked):
                clock.now -= 600 if "branches" in request.url.path else 0
            return vendor.answer(request)

        collector = collector_of(transport=httpx.MockTransport(answer), source=ACME)
        came = sync(collector, "repositories", "branches", pages=pages)
        assert (came.counts.records, came.counts.pages, came.listed) == (4, 4, 4)
        assert not came.complete, "nobody can tell any more that the parents' listing was of this sync"


class TestAStopOfTheSync:
    @pytest.fixture
    def stop(self, collector, monkeypatch):
        """Asked of in place of every wait, between two pages also."""
        stop = Stop()
        monkeypatch.setattr(collector.clock, "sleep", lambda _: stop.sleep(0))
        return stop

    def test_is_no_refusal_of_one_parent(self, collector, vendor, stop):
        collector.client |= {"event_hooks": {"response": [lambda _: "branches" in vendor.asked[-1] and stop.set()]}}
        came = sync(collector, "repositories", "branches")
        assert came.problem.message.startswith("The sync was stopped. What was collected is kept")
        assert sum("branches" in path for path in vendor.asked) == 1

    def test_is_heard_before_the_first_parent_is_looked_for(self, collector, stop):
        stop.set()
        assert collector.chunk("branches", params=ORG).problem.message.startswith("The sync was stopped.")


def test_a_wait_for_the_parents_is_one_for_their_children(collector, vendor):
    """Whether waiting helps is for the parents' own listing to say."""
    vendor.refuses["/orgs/acme/repos"] = httpx.Response(429, headers={"Retry-After": "600"})
    collector.client |= {"max_wait": 60}
    report = SyncReport("acme", "default", {name: sync(collector, name) for name in ("repositories", "branches")})
    assert [chunk.complete for chunk in report.streams.values()] == [False, False]
    assert report.retry_at == report.streams["repositories"].problem.retry_at > 0


class TestOnlyWhatChanged:
    @pytest.fixture
    def rules(self, vendor):
        vendor.lists |= {
            "/repos/acme/r1/branches": named("main", sha="s1"),
            "/repos/acme/r2/branches": named("main", sha="s1") + named("idle", sha=None),
            "/rules/acme/1/main": named("a"),
            "/rules/acme/2/main": named("a", "b"),
        }
        return lambda collector, **wanted: sync(collector, "repositories", "branches", "rules", **wanted)

    def test_grandchildren_of_parents_that_changed(self, collector, vendor, rules):
        assert rules(collector).counts.new == 3
        vendor.lists["/repos/acme/r2/branches"][0]["sha"] = "s2"
        before = vendor.times("/rules/acme/1/main")
        came = rules(collector)
        assert came.complete
        assert came.counts.unchanged == 2
        assert vendor.times("/rules/acme/1/main") == before
        assert vendor.times("/rules/acme/2/main") == 2

    def test_a_full_sync_lists_all(self, collector, vendor, rules):
        vendor.lists["/rules/acme/2/idle"] = []
        rules(collector)
        assert rules(collector, full=True).counts.unchanged == 3

    def test_one_that_has_no_children_now_is_listed_once_more_if_it_had(self, collector, vendor, rules):
        rules(collector)
        vendor.lists["/repos/acme/r2/branches"][0]["sha"] = None
        vendor.lists["/rules/acme/2/main"] = []
        assert rules(collector).counts.deleted == 2
        assert rules(collector).counts.pages == 0
        assert vendor.times("/rules/acme/2/idle") == 0

    def test_a_listing_that_began_before_the_parent_changed_does_not_stand_for_it(self, collector, vendor, rules):
        vendor.lists["/rules/acme/2/main"] = named("a", "b", "c")
        vendor.lists["/rules/acme/1/main"] = []
        sync(collector, "repositories", "branches")

        def one_page():
            """A run that is killed after a page of rules."""
            collector.run += 1
            collector.clock.now += 60
            since = collector.store.evidence.now()
            for stream, pages in (("repositories", 20), ("branches", 20), ("rules", 1)):
                collector.chunk(stream, since=since, params=ORG, pages=pages)

        while vendor.times("/rules/acme/2/main") == 0:
            one_page()
        vendor.lists["/repos/acme/r2/branches"][0]["sha"] = "s2"
        vendor.lists["/rules/acme/2/main"][0]["edited"] = True
        one_page()  # the second half of the old listing, and then it is killed
        assert vendor.times("/rules/acme/2/main") == 2
        assert rules(collector).complete
        assert any("edited" in version.text for version in collector.versions("rules"))

    def test_a_change_in_the_minute_of_the_last_listing_is_met(self, collector_of, vendor, clock):
        """Where the vendor's clock is coarse, both have the same time."""
        minute = as_text(datetime.fromtimestamp(clock() + 60 - clock() % 60, UTC))
        vendor.lists |= {"/orgs/acme/repos": [repository(1, at=minute)], "/blocks/1": [{"id": "a", "inside": False}]}
        source = Source("acme", "Acme", (REPOSITORIES, replace(BLOCKS, overlap=60.0)))
        collector = collector_of(transport=vendor.transport, source=source)
        assert sync(collector, "repositories", "blocks").counts.new == 1
        vendor.lists["/blocks/1"][0]["edited"] = True
        assert sync(collector, "repositories", "blocks").counts.changed == 1
        clock.now += 60
        sync(collector, "repositories", "blocks")
        assert sync(collector, "repositories", "blocks").counts.pages == 0, "by now it would show"


class TestNests:
    @pytest.fixture
    def nest(self, collector_of):
        vendor = Vendor(
            **{
                "/orgs/acme/repos": [repository("p", at="2026-01-01T00:00:00Z")],
                "/blocks/p": [{"id": "a", "inside": True}, {"id": "b", "inside": False}],
                "/blocks/a": [{"id": "c", "inside": True}],
                "/blocks/c": [{"id": "d", "inside": False}],
            }
        )
        source = Source("acme", "Acme", (REPOSITORIES, BLOCKS))
        return collector_of(transport=vendor.transport, source=source), vendor

    @pytest.mark.parametrize("pages", [1, 20])
    def test_down_to_the_last(self, nest, pages):
        collector, _ = nest
        came = sync(collector, "repositories", "blocks", pages=pages)
        assert came.complete
        assert there(collector, "blocks") == {"p": ["a", "b"], "a": ["c"], "c": ["d"]}
        assert sync(collector, "repositories", "blocks").counts.pages == 0, "nothing changed"

    def test_what_hangs_on_something_that_is_gone_is_gone(self, nest):
        collector, vendor = nest
        sync(collector, "repositories", "blocks")
        vendor.lists["/blocks/p"] = [{"id": "b", "inside": False}]
        vendor.lists["/orgs/acme/repos"][0]["at"] = "2026-01-02T00:00:00Z"
        came = sync(collector, "repositories", "blocks")
        assert came.complete
        assert came.counts.deleted == 3
        assert there(collector, "blocks") == {"p": ["b"], "a": [], "c": []}

    def test_a_circle_ends(self, nest):
        collector, vendor = nest
        vendor.lists["/blocks/c"] = [{"id": "a", "inside": True}]
        assert sync(collector, "repositories", "blocks").complete
