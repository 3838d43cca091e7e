"""What stands in the way of collecting is said, stores nothing false, and leaves the rest to go on with."""

import json
import threading

import httpx
import pytest
from sqlalchemy import event

from flows.stopping import Stop, Stopped
from limiter.testing import ScriptedVendor
from state import open_store

NOW = "2027-01-01T00:00:00.000Z"
USERS = [{"object": "user", "id": f"user-{n}"} for n in range(6)]


def page(*records, cursor=None, **more):
    return httpx.Response(
        200, json={"results": list(records), "has_more": cursor is not None, "next_cursor": cursor, **more}
    )


@pytest.fixture
def scripted(clock, collector_of):
    """A collector of a vendor that answers from a script, and the vendor."""

    def make(*script):
        vendor = ScriptedVendor(script, clock)
        return collector_of(transport=vendor.transport), vendor

    return make


class TestRefusals:
    def test_a_wrong_token_stores_nothing(self, collector):
        came = collector.sync("users", token="wrong")
        assert not came.complete
        assert came.problem.message.startswith("Notion does not accept the token (401)")
        assert came.counts.records == 0
        assert collector.versions("users") == []
        cursor = collector.cursor("users")
        assert (cursor.watermark, cursor.completed_at, cursor.listing.pages) == (None, 0.0, 0)

    def test_a_token_revoked_between_two_pages_leaves_the_cursor(self, collector):
        collector.chunk("users", pages=1)
        before = collector.cursor("users")
        assert collector.chunk("users", token="revoked", since=before.listing.began_at).problem is not None
        assert collector.cursor("users") == before
        assert collector.sync("users").complete
        assert len(collector.versions("users")) == 210

    @pytest.mark.parametrize(
        ("status", "body", "says"),
        [
            (
                403,
                {"message": "Insufficient  permissions\nfor this endpoint."},
                "refused to list users (403: Insufficient permissions for this endpoint.)",
            ),
            (404, {"message": "Could not find it."}, "refused to list users (404: Could not find it.)"),
            (404, None, "refused to list users (404)"),
            (302, None, "refused to list users (302)"),
            (400, {"message": ["odd"]}, "refused to list users (400)"),
            (400, ["odd"], "refused to list users (400)"),
            (403, {"message": "x" * 5000}, "(403: " + "x" * 200 + ")"),
        ],
    )
    def test_others_are_said_in_the_vendors_words(self, scripted, status, body, says):
        collector, vendor = scripted(httpx.Response(status, **({"json": body} if body else {"text": "no"})))
        came = collector.sync("users")
        assert says in came.problem.message
        assert "\n" not in came.problem.message
        assert len(vendor.requests) == 1, "what is refused is not asked again"

    def test_a_quota_that_is_used_up_says_so(self, start_vendor, collector_of):
        vendor = start_vendor(faults=["blocked@GET /v1/users#1"])
        came = collector_of(vendor.base_url).sync("users")
        assert "Waiting will not help" in came.problem.message
        assert came.problem.retry_at == 0.0
        assert vendor.stats()["requests"] == 1

    def test_a_wait_that_is_too_long_says_until_when(self, clock, collector_of):
        vendor = ScriptedVendor([(429, {"Retry-After": "600"})], clock)
        came = collector_of(transport=vendor.transport, max_wait=60).sync("users")
        assert came.problem.retry_at == pytest.approx(clock() + 600, abs=1)
        assert (came.sent.requests, came.sent.throttled) == (1, 1)


class TestFaults:
    @pytest.mark.parametrize("kind", ["not-json", "truncated", "no-results", "error-500", "error-503", "reset"])
    def test_one_stream_is_said_to_be_incomplete_and_the_others_are_collected(
        self, kind, start_vendor, world, collector_of
    ):
        vendor = start_vendor(world=world, faults=[f"{kind}@POST /v1/search#2x3"])
        collector = collector_of(vendor.base_url)
        came = collector.sync("pages")
        assert not came.complete
        assert "kept" in came.problem.message
        assert came.counts.records == 100, "the page before the fault is kept"
        assert vendor.stats()["requests"] == 1 + 3, "three tries and not more"
        listing = collector.cursor("pages").listing
        assert (listing.pages, listing.records) == (1, 100)
        assert collector.sync("users").complete
        # And it goes on where it was.
        rest = collector.sync("pages")
        assert rest.complete
        assert sorted(collector.current("pages")) == sorted(world.ids("page") + world.ids("row"))
        assert len(collector.versions("pages")) == 310

    def test_a_vendor_that_is_not_there(self, collector_of):
        came = collector_of("http://127.0.0.1:1/v1").sync("users")
        assert "Notion could not be reached for users (ConnectError" in came.problem.message
        assert came.sent.requests == 3

    def test_a_vendor_that_has_been_down_for_a_while_is_not_asked_and_says_when(self, clock, scripted):
        collector, vendor = scripted(*[503] * 5)
        first, second, third = (collector.sync(stream) for stream in ("users", "pages", "users"))
        assert "failed to list users (503)" in first.problem.message
        assert "(503)" in second.problem.message, "the fifth fault in a row opens the circuit"
        assert third.problem.message.startswith("notion failed 5 times in a row, so nothing is sent to it now.")
        assert third.problem.retry_at == pytest.approx(clock() + 30, abs=1)
        assert (third.complete, third.sent.requests, len(vendor.requests)) == (False, 0, 5)


class TestOddRecords:
    def test_half_of_a_character_is_kept(self, scripted):
        """Text that a vendor cut in the middle of an emoji."""
        body = b'{"results":[{"id":"a","name":"half \\ud83d"}],"has_more":false,"next_cursor":null}'
        collector, _ = scripted(httpx.Response(200, content=body))
        assert collector.sync("users").counts.new == 1
        assert collector.current("users")["a"]["name"] == "half \ud83d"

    def dated(self, key, edited):
        return {"object": "page", "id": key, **({} if edited is None else {"last_edited_time": edited})}

    def test_a_record_without_a_time_is_collected_and_hides_nothing(self, scripted):
        odd, old = self.dated("odd", None), self.dated("old", "2026-01-01T00:00:00Z")
        new = self.dated("new", "2026-02-01T00:00:00Z")
        collector, _ = scripted(page(old, odd), page(new, old, cursor="b"), page(odd))
        assert collector.sync("pages").complete
        assert collector.cursor("pages").watermark is None
        assert collector.sync("pages").counts.pages == 2, "everything is listed, since nothing tells what is new"
        assert set(collector.current("pages")) == {"odd", "old", "new"}

    def test_a_record_of_the_future_hides_nothing(self, scripted):
        future, old = self.dated("future", "2099-01-01T00:00:00Z"), self.dated("old", "2026-01-01T00:00:00Z")
        edited = self.dated("old", "2026-06-01T00:00:00Z")
        collector, _ = scripted(page(future, old), page(future, cursor="b"), page(edited))
        assert collector.sync("pages").complete
        assert collector.cursor("pages").watermark == "2026-01-01T00:00:00.000Z"
        assert collector.sync("pages").counts.changed == 1

    def test_a_vendor_that_does_not_sort_hides_nothing(self, scripted):
        records = [self.dated(str(n), f"2026-0{n}-01T00:00:00Z") for n in range(1, 5)]
        unsorted = [records[1], records[3], records[0]]
        collector, _ = scripted(page(*reversed(records)), page(*unsorted, cursor="b"), page(records[2]))
        collector.sync("pages")
        assert collector.sync("pages").counts.records == 4


class TestCircles:
    @pytest.mark.parametrize("pages_per_task", [1, 2, 3, 20])
    @pytest.mark.parametrize("length", [1, 2, 5])
    def test_a_vendor_that_pages_in_circles_is_left(self, collector_of, length, pages_per_task):
        asked = []

        def circle(request):
            at = int(request.url.params.get("start_cursor", 0))
            asked.append(at)
            return page({"id": f"user-{at}"}, cursor=str(at % length + 1))

        collector = collector_of(transport=httpx.MockTransport(circle))
        came = collector.sync("users", pages=pages_per_task)
        assert f"page {length + 1} points to a page that came before" in came.problem.message
        assert asked == list(range(length + 1)), "no page is asked for twice"
        assert sorted(collector.current("users")) == [f"user-{n}" for n in range(length + 1)], "what came is kept"

    def test_the_next_run_begins_anew(self, scripted):
        collector, vendor = scripted(page(USERS[0], cursor="b"), page(USERS[1], cursor="b"), page(*USERS[:2]))
        assert not collector.sync("users").complete
        assert collector.sync("users").complete
        assert len(collector.versions("users")) == 2
        assert "start_cursor" not in vendor.requests[-1].url.params


class TestTheRowCap:
    """More rows of one and the same moment than a query gives: no window of time can pass them."""

    @pytest.fixture
    def capped(self, collector_of):
        rows = [{"id": f"r{n}", "created_time": NOW, "last_edited_time": NOW} for n in range(5)]
        cap = {"request_status": {"type": "incomplete", "incomplete_reason": "query_result_limit_reached"}}
        more = [cap]

        def answer(request):
            body = {"results": rows[: 3 if more else 5], "has_more": False, "next_cursor": None}
            return httpx.Response(200, json={**body, **(more[0] if more else {})})

        return collector_of(transport=httpx.MockTransport(answer)), more, {"data_source": "0" * 32}

    def test_is_said_and_what_came_is_kept(self, capped):
        collector, _, params = capped
        came = collector.sync("rows", params=params)
        assert not came.complete
        assert "records of rows and not all" in came.problem.message
        assert "query_result_limit_reached" in came.problem.message
        assert (came.counts.new, came.counts.pages) == (3, 2), "once more, from that moment on"
        assert len(collector.versions("rows")) == 3

    def test_the_next_run_begins_anew_and_no_watermark_moves(self, capped):
        collector, more, params = capped
        collector.sync("rows", params=params)
        cursor = collector.cursor("rows", params=params)
        assert (cursor.watermark, cursor.completed_at) == (None, 0.0)
        assert (cursor.listing.page_cursor, cursor.listing.pages, cursor.listing.candidate) == (None, 0, None)
        more.clear()
        came = collector.sync("rows", params=params)
        assert came.complete
        assert (came.counts.records, came.counts.new) == (5, 2)


class TestAnExpiredCursor:
    def vendor(self, refuse):
        """A vendor of three pages that refuses some cursors as Notion does."""
        asked = []

        def answer(request):
            at = request.url.params.get("start_cursor")
            asked.append(at)
            if at is not None and refuse(len(asked), at):
                message = f"The start_cursor provided is invalid: {at}"
                return httpx.Response(400, json={"object": "error", "code": "validation_error", "message": message})
            n = int(at or 0)
            return page(*USERS[2 * n : 2 * n + 2], cursor=str(n + 1) if n < 2 else None)

        return httpx.MockTransport(answer), asked

    def test_of_an_earlier_run_begins_the_listing_anew(self, collector_of):
        transport, asked = self.vendor(lambda n, at: n == 2)
        collector = collector_of(transport=transport)
        assert collector.chunk("users", pages=1).more
        came = collector.sync("users")
        assert came.complete
        assert asked == [None, "1", None, "1", "2"]
        assert came.counts.records == 6
        assert len(collector.versions("users")) == 6

    @pytest.mark.parametrize("pages_per_task", [1, 2, 20])
    def test_of_this_run_is_said_and_the_next_run_begins_anew(self, collector_of, pages_per_task):
        """Beginning anew within the run could go on for ever."""
        transport, asked = self.vendor(lambda n, at: at == "2" and n < 6)
        collector = collector_of(transport=transport)
        came = collector.sync("users", pages=pages_per_task)
        assert "no longer accepts the page cursor of users" in came.problem.message
        assert "the next run lists it from the beginning" in came.problem.message
        assert asked == [None, "1", "2"]
        assert collector.sync("users", pages=pages_per_task).complete
        assert len(collector.versions("users")) == 6

    def test_without_a_cursor_it_is_a_refusal_like_any_other(self, scripted):
        collector, vendor = scripted(httpx.Response(400, json={"message": "start_cursor"}))
        assert collector.sync("users").problem is not None
        assert len(vendor.requests) == 1


class TestTwoAtOnce:
    def test_one_that_is_overtaken_stops_and_nothing_is_doubled(self, collector, collector_of, in_threads):
        """Both fetch the first page before either stores it."""
        meet = threading.Barrier(2, timeout=20)

        def hook(response):
            if response.request.url.params.get("start_cursor") is None:
                meet.wait()

        collector.client = {"event_hooks": {"response": [hook]}}
        chunks = in_threads(*[lambda: collector.chunk("users", pages=1)] * 2)
        problems = [chunk.problem for chunk in chunks if chunk.problem]
        assert len(problems) == 1
        assert "Another sync is collecting notion users" in problems[0].message
        assert len(collector.versions("users")) == 100
        collector.client = {}
        assert collector.sync("users").complete
        assert len(collector.versions("users")) == 210


class TestStopping:
    @pytest.fixture
    def stop(self, collector):
        """Asked of in place of every wait, between two pages also."""
        stop = Stop()
        collector.clock = type("Clock", (), {"sleep": staticmethod(lambda seconds: stop.sleep(0))})
        return stop

    def test_a_sync_that_is_asked_to_stop_says_so_and_keeps_what_it_has(self, collector, stop):
        since = collector.store.evidence.now()
        assert collector.chunk("users", pages=1, since=since).more
        before = collector.cursor("users")
        stop.set()
        came = collector.chunk("users", since=since)
        assert came.problem.message.startswith("The sync was stopped. What was collected is kept")
        assert collector.cursor("users") == before

    def test_and_sends_nothing_more_even_if_it_need_not_wait(self, collector, stop, vendor):
        stop.set()
        assert collector.chunk("users").problem is not None
        assert vendor.stats()["requests"] == 0

    def test_whoever_waits_wakes_at_once(self, in_threads):
        stop = Stop()

        def wait():
            with pytest.raises(Stopped):
                stop.sleep(600)
            return True

        assert in_threads(wait, wait, stop.set) == [True, True, None]

    def test_nobody_waits_afterwards(self):
        stop = Stop()
        stop.sleep(0)
        stop.set()
        with pytest.raises(Stopped):
            stop.sleep(0)


class TestTheDatabase:
    @pytest.fixture
    def on_disk(self, tmp_path, clock, collector):
        with open_store(f"sqlite:///{tmp_path / 'aimd.db'}", clock=clock) as store:
            collector.store = store
            yield collector

    def test_one_that_fails_between_two_pages_is_a_problem_with_what_was_kept(self, on_disk):
        full = []

        @event.listens_for(on_disk.store.evidence._engine, "before_cursor_execute", retval=True)
        def fail(connection, cursor, statement, parameters, context, executemany):
            if full and statement.startswith("INSERT INTO evidence"):
                statement = "INSERT INTO no_such_table VALUES (1)"
            return statement, parameters

        assert on_disk.chunk("users", pages=1).problem is None
        before = on_disk.cursor("users")
        full.append(True)
        came = on_disk.chunk("users", since=before.listing.began_at)
        assert "cannot be used" in came.problem.message
        assert came.counts.records == 0
        assert on_disk.cursor("users") == before
        full.clear()
        assert on_disk.sync("users").complete
        assert len(on_disk.versions("users")) == 210

    def test_one_that_is_gone_is_a_problem(self, on_disk, tmp_path):
        on_disk.store.evidence.now()
        on_disk.store.close()
        path = tmp_path / "aimd.db"
        path.write_bytes(b"this is not a database, and longer than a header would be" * 20)
        for left in tmp_path.glob("aimd.db-*"):
            left.unlink()
        came = on_disk.chunk("users", since=0.0)
        assert came.problem is not None
        assert "aimd.db" in came.problem.message
        assert path.read_bytes().startswith(b"this is not")


class TestSignedLinks:
    def signed(self, signature, expiry):
        link = f"https://files.test/a/photo.png?X-Amz-Signature={signature}&X-Amz-Expires=3600"
        file = {"type": "file", "file": {"url": link, "expiry_time": expiry}}
        return {"object": "user", "id": "a", "icon": file, "properties": {"Files": {"files": [{"name": "f", **file}]}}}

    def test_make_no_new_version_and_are_not_kept(self, tmp_path, clock, scripted):
        collector, _ = scripted(
            page(self.signed("s3cr3t1", "2027-01-15T09:00:00.000Z")),
            page(self.signed("s3cr3t2", "2027-01-15T10:00:00.000Z")),
        )
        with open_store(f"sqlite:///{tmp_path / 'aimd.db'}", clock=clock) as store:
            collector.store = store
            collector.sync("users")
            assert collector.sync("users").counts.unchanged == 1
            kept = collector.current("users")["a"]
        assert kept["icon"]["file"] == {"url": "https://files.test/a/photo.png"}
        assert kept["properties"]["Files"]["files"][0]["file"] == {"url": "https://files.test/a/photo.png"}
        stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"photo.png" in stored
        assert b"s3cr3t" not in stored

    def test_another_file_is_another_version(self, scripted):
        other = json.loads(json.dumps(self.signed("x", "2027")).replace("photo", "other"))
        collector, _ = scripted(page(self.signed("x", "2027")), page(other))
        collector.sync("users")
        assert collector.sync("users").counts.changed == 1

    def test_a_column_that_somebody_called_expiry_time_stays(self, scripted):
        record = {
            "id": "a",
            "properties": {"expiry_time": {"date": "2027-01-01"}, "url": {"url": "https://a.test/?q=1"}},
        }
        collector, _ = scripted(page(record))
        collector.sync("users")
        assert collector.current("users")["a"] == record
