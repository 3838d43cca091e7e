"""Each source against its simulated vendor: everything, nothing twice, what changed, what is gone."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from flows.credentials import credential_for
from flows.sources import SOURCES, plan
from limiter.testing import FakeClock, ScriptedVendor
from simulator import World
from simulator.vendors import make_world
from simulator.vendors.slack import Slack

PARAMS = {"github": {"org": "example-org"}}
SMALL = {"fieldguide": {"engagements": 2, "requests": 4}, "vanta": {"people": 9, "tests": 9, "controls": 3}}


@pytest.fixture
def vendor_of(start_vendor, collector_of, monkeypatch):
    """A vendor with data of its own, and a collector of it."""

    def make(api, **options):
        world = make_world(api, 5, **SMALL.get(api, {}))
        vendor = start_vendor(world=world, api=api, **options)
        for name, value in vendor.environment.items():
            monkeypatch.setenv(name, value)
        collector = collector_of(base_url=vendor.base_url, source=SOURCES[api], credential=credential_for(api))
        return vendor, world, collector

    return make


def everything(collector, params=None, **wanted):
    """A sync of all streams that need no more than these parameters; gives what came of each."""
    collector.clock.now += 60
    collector.run += 1
    since, came = collector.store.evidence.now(), {}
    names = [stream.name for stream in collector.source.streams if stream.job is None]  # whose time is real
    for task in plan(collector.source, names, "default", params):
        while (chunk := collector.chunk(task.stream.name, since=since, pages=500, params=params, **wanted)).more:
            pass
        came[task.stream.name] = chunk
    return came


def problems(came):
    return {name: chunk.problem and chunk.problem.message for name, chunk in came.items() if not chunk.complete}


@pytest.mark.parametrize("api", ["vanta_auditor", "fieldguide", "github", "slack", "airtable", "openai"])
def test_everything_once(vendor_of, api):
    _, _, collector = vendor_of(api)
    first = everything(collector, PARAMS.get(api))
    assert problems(first) == {}
    assert {name for name, chunk in first.items() if not chunk.counts.records} == set()
    versions = len(collector.versions(None))
    second = everything(collector, PARAMS.get(api))
    assert problems(second) == {}
    assert {name: chunk.counts.new + chunk.counts.changed + chunk.counts.deleted for name, chunk in second.items()} == (
        dict.fromkeys(second, 0)
    )
    assert len(collector.versions(None)) == versions


@pytest.mark.parametrize(
    ("api", "kind", "stream"),
    [
        ("fieldguide", "requests", "requests"),
        ("fieldguide", "request_files", "request_files"),
        ("github", "members", "members"),
        ("github", "outside_collaborators", "outside_collaborators"),
        ("airtable", "records", "records"),
        ("airtable", "bases", "bases"),
        ("openai", "users", "users"),
        ("openai", "admin_api_keys", "admin_api_keys"),
    ],
)
def test_what_is_gone_is_buried_and_nothing_else(vendor_of, api, kind, stream, clock):
    _, world, collector = vendor_of(api)
    everything(collector, PARAMS.get(api))
    gone = world.ids(kind)[0]
    before = {key for key, body in collector.current(stream).items() if body is not None}
    world.remove(gone, clock())
    assert problems(everything(collector, PARAMS.get(api))) == {}
    there = {key for key, body in collector.current(stream).items() if body is not None}
    assert before - there == {gone}


def test_the_children_of_a_base_that_is_gone_are_gone_with_it(vendor_of, clock):
    _, world, collector = vendor_of("airtable")
    everything(collector)
    base = world.ids("bases")[0]
    world.remove(base, clock())
    assert problems(everything(collector)) == {}
    left = {json.loads(v.collection.partition)["bases"]: v.deleted for v in collector.versions("records")}
    assert left.pop(base) is True
    assert not any(left.values())


def test_githubs_factors_and_rulesets(vendor_of):
    _, world, collector = vendor_of("github")
    assert problems(everything(collector, PARAMS["github"])) == {}
    factors = {item.id: item.fields["_2fa"] for item in world.records("members")}
    for stream, factor in (("members_without_2fa", "disabled"), ("members_with_insecure_2fa", "insecure")):
        found = set(collector.current(stream))
        assert found == {each for each, has in factors.items() if has == factor}
        assert found
    assert sorted(collector.current("rulesets")) == sorted(world.ids("rulesets"))


def test_what_lies_in_an_audits_scope(vendor_of):
    _, world, collector = vendor_of("vanta_auditor")
    assert problems(everything(collector)) == {}
    in_scope = [stream.name for stream in collector.source.streams if stream.name.startswith("audit_")]
    assert len(in_scope) == 7
    for stream in in_scope:
        assert sorted(collector.current(stream)) == sorted(world.ids(stream))


class TestSlacksAccessLogs:
    """They give so many pages from one moment back; what is older is asked for by a moment."""

    @pytest.fixture
    def logs(self, start_vendor, collector_of):
        """Logs of which three pages of ten are given at a time."""

        def make(world):
            vendor = start_vendor(api=Slack(world, deepest=3))
            stream = SOURCES["slack"].stream("access_logs")
            inner = replace(stream.paginator.inner, size=10)
            stream = replace(stream, paginator=replace(stream.paginator, inner=inner, most=3))
            source = replace(SOURCES["slack"], streams=(stream,))
            return vendor, collector_of(base_url=vendor.base_url, source=source)

        return make

    def test_are_read_to_the_last_one_behind_the_cap_and_then_only_what_is_new(self, logs, clock):
        world = make_world("slack", 5, users=9, access_logs=130)
        vendor, collector = logs(world)
        came = collector.sync("access_logs")
        assert came.complete
        assert len(collector.current("access_logs")) == 130
        assert came.counts.records > 130, "what lies at a seam comes twice"
        assert vendor.stats()["refused"] == 0
        before = vendor.stats()["requests"]
        world.add("access_logs", {}, clock())
        clock.now += 60
        came = collector.sync("access_logs")
        assert (came.complete, came.counts.new) == (True, 1)
        assert vendor.stats()["requests"] - before < 14

    def test_of_one_second_that_no_moment_divides_are_said_to_be_incomplete(self, logs):
        world = make_world("slack", 5, users=9, access_logs=40)
        for each in world.ids("access_logs"):
            world.change(each, {"date_last": 1_760_000_000}, 1_760_000_000)
        _, collector = logs(world)
        came = collector.sync("access_logs")
        assert "page 4 brings just what a page before it brought" in came.problem.message
        assert len(collector.current("access_logs")) == 30, "what came is kept"


def test_airtables_changed_records_are_listed_on_request(vendor_of, clock):
    _, world, collector = vendor_of("airtable")
    assert "changed_records" not in {task.stream.name for task in plan(collector.source, None, "default", None)}
    assert problems(everything(collector)) == {}
    assert sorted(collector.current("changed_records")) == sorted(world.ids("records"))
    edited, gone, *_ = world.ids("records")
    world.change(edited, {"Name": "Another"}, clock())
    world.remove(gone, clock())
    came = everything(collector)
    assert problems(came) == {}
    assert (came["records"].counts.changed, came["records"].counts.deleted) == (1, 1)
    changed = came["changed_records"].counts
    assert (changed.changed, changed.deleted) == (1, 0), "what is gone is found by listing all"
    assert changed.records < came["records"].counts.records / 4
    assert everything(collector, full=True)["changed_records"].counts.deleted == 1


def test_what_github_knows_by_its_etag_costs_nothing_of_the_quota(vendor_of):
    vendor, _, collector = vendor_of("github")
    first = everything(collector, PARAMS["github"])
    before = vendor.stats()
    second = everything(collector, PARAMS["github"])
    after = vendor.stats()
    free = after["vendor"]["unchanged"] - before["vendor"]["unchanged"]
    assert free > 10
    assert second["branch_protection"].counts.unchanged == first["branch_protection"].counts.records
    everything(collector, PARAMS["github"], full=True)
    assert vendor.stats()["vendor"] == after["vendor"], "a full sync asks for everything"


class TestSlacksRefusals:
    @pytest.fixture
    def slack(self, collector_of):
        def make(*answers):
            script = [httpx.Response(200, json=answer) for answer in answers]
            vendor = ScriptedVendor(script, FakeClock())
            return collector_of(transport=vendor.transport, source=SOURCES["slack"]), vendor

        return make

    def test_come_with_200_and_are_no_empty_listing(self, slack):
        collector, vendor = slack({"ok": False, "error": "missing_scope", "needed": "users:read", "provided": "chat"})
        came = collector.sync("users")
        assert not came.complete
        assert "Slack refused to list users (200: missing_scope, it needs users:read)" in came.problem.message
        assert len(vendor.requests) == 1

    def test_that_pass_are_asked_again(self, slack):
        good = {"ok": True, "members": [{"id": "U1"}], "response_metadata": {"next_cursor": ""}}
        collector, _ = slack({"ok": False, "error": "internal_error"}, good)
        assert collector.sync("users").counts.new == 1

    def test_of_a_cursor_begin_anew(self, slack):
        first = {"ok": True, "members": [{"id": "U1"}], "response_metadata": {"next_cursor": "c"}}
        last = {"ok": True, "members": [{"id": "U1"}], "response_metadata": {"next_cursor": ""}}
        collector, _ = slack(first, {"ok": False, "error": "invalid_cursor"}, last)
        assert "no longer accepts the page cursor" in collector.sync("users").problem.message
        assert collector.sync("users").complete


def test_airtables_iterator_that_expired_begins_the_listing_anew(collector_of):
    def answer(request):
        if request.url.path.endswith("/meta/bases"):
            return httpx.Response(200, json={"bases": [{"id": "app1"}]})
        if request.url.path.endswith("/tables"):
            return httpx.Response(200, json={"tables": [{"id": "tbl1"}]})
        asked.append(request.url.params.get("offset"))
        if len(asked) == 2:
            return httpx.Response(422, json={"error": {"type": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}})
        more = {"offset": "itr/2"} if asked[-1] is None else {}
        return httpx.Response(200, json={"records": [{"id": f"rec{len(more)}"}], **more})

    asked = []
    collector = collector_of(transport=httpx.MockTransport(answer), source=SOURCES["airtable"])
    came = everything(collector)
    assert "no longer accepts the page cursor of records of tbl1" in problems(came)["records"]
    assert problems(everything(collector)) == {}
    assert sorted(collector.current("records")) == ["rec0", "rec1"]


class TestFiles:
    def contents(self, collector, stream):
        return {key: body["_content"] for key, body in collector.current(stream).items() if body}

    @pytest.mark.parametrize(
        ("api", "stream"),
        [("vanta_auditor", "evidence_urls"), ("fieldguide", "request_files"), ("vanta", "document_uploads")],
    )
    def test_come_with_their_records_and_once(self, vendor_of, api, stream):
        vendor, _, collector = vendor_of(api)
        assert problems(everything(collector)) == {}
        contents = self.contents(collector, stream)
        assert contents
        for content in contents.values():
            data = base64.b64decode(content["base64"])
            assert (content["sha256"], content["size"]) == (hashlib.sha256(data).hexdigest(), len(data))
            assert data
        downloads = self.downloads(vendor)
        everything(collector)
        assert self.downloads(vendor) == downloads, "what has not changed is not downloaded again"
        assert not any("X-Amz" in version.text for version in collector.versions(stream))

    def downloads(self, vendor):
        counted = vendor.stats()["by_path"].items()
        return sum(n for path, n in counted if "download" in path or "storage" in path or "/content" in path)


def test_the_blocks_of_every_page_down_to_the_last(start_vendor, collector_of, clock):
    world = World(seed=3, users=1, pages=6, data_sources=0, blocks=12)
    collector = collector_of(base_url=start_vendor(world=world).base_url)

    def sync():
        collector.clock.now += 120
        collector.run += 1
        since = collector.store.evidence.now()
        for stream in ("pages", "blocks"):
            while (chunk := collector.chunk(stream, since=since, pages=7)).more:
                pass
        return chunk

    assert sync().complete
    assert sorted(collector.current("blocks")) == sorted(world.ids("block"))
    clock.now += 3600
    page = world.ids("page")[0]
    gone = {each.id for each in world.below(page)[:1]}
    for each in gone:
        gone |= {below.id for below in world.below(each)}
        world.remove(each, clock())
        break
    assert sync().complete
    assert {key for key, body in collector.current("blocks").items() if body is None} == gone


class TestABinder:
    """Fieldguide makes it while one waits: 202, a time to look again, then a zip."""

    @pytest.fixture
    def export(self, collector_of, clock):
        """A sync of the binder of one engagement, from a script of answers to looking at the job."""

        def run(*looks, began=None):
            script = list(looks)

            def vendor(request):
                asked.append((clock() - start, f"{request.method} {request.url.path}"))
                if request.url.path == "/v1/engagements":
                    return httpx.Response(200, json={"data": [{"uuid": "e1"}]})
                if request.method == "POST":
                    headers = {"Location": "/v1/jobs/j1", "Retry-After": later(30)}
                    return began or httpx.Response(202, headers=headers)
                if request.url.path.startswith("/v1/jobs/"):
                    return script.pop(0)
                return httpx.Response(200, content=b"PK binder", headers={"Content-Type": "application/zip"})

            def later(seconds):
                return datetime.fromtimestamp(clock() + seconds, UTC).isoformat()

            asked, start = [], clock()
            collector = collector_of(
                base_url="https://api.fieldguide.test",
                transport=httpx.MockTransport(vendor),
                source=SOURCES["fieldguide"],
            )
            since = collector.store.evidence.now()
            collector.chunk("engagements", since=since)
            return collector.chunk("binders", since=since), asked[1:], collector

        return run

    def test_is_waited_for_and_kept(self, export):
        done = httpx.Response(200, json={"uuid": "j1", "status": "Complete"})
        came, asked, collector = export(httpx.Response(202, headers={"Retry-After": "40"}), done)
        assert came.complete
        assert [path for _, path in asked] == [
            "POST /v1/engagements/e1/export",
            "GET /v1/jobs/j1",
            "GET /v1/jobs/j1",
            "GET /v1/engagements/exports/j1",
        ]
        began, first, second, _ = [at for at, _ in asked]
        assert first - began >= 30
        assert second - first >= 40
        content = collector.current("binders")["e1"]["_content"]
        assert (base64.b64decode(content["base64"]), content["media_type"]) == (b"PK binder", "application/zip")

    def test_that_is_somewhere_else_is_not_fetched(self, export):
        done = httpx.Response(200, json={"uuid": "j1", "_links": {"export": {"href": "https://evil.test/x"}}})
        came, asked, _ = export(done)
        assert "another host (https://evil.test)" in came.problem.message
        assert len(asked) == 2

    @pytest.mark.parametrize(
        ("looks", "said"),
        [
            ([httpx.Response(202, headers={"Retry-After": "4000"})], "is not done with binders of e1 after 60 minutes"),
            ([httpx.Response(404)], "refused to list binders of e1 (404)"),
            ([httpx.Response(200, json={})], "does not say where it is"),
        ],
    )
    def test_that_does_not_come_is_said(self, export, looks, said):
        came, _, collector = export(*looks)
        assert said in came.problem.message
        assert collector.versions("binders") == []

    def test_begun_nobody_knows_where(self, export):
        came, _, _ = export(began=httpx.Response(202))
        assert "does not say where to look" in came.problem.message
