"""Files that come with records: where they are asked for, how often, and what becomes of a page that has many."""

import base64
import hashlib
from dataclasses import replace
from functools import partial

import httpx
import pytest

from flows.sources import SOURCES
from flows.stopping import Stop
from flows.tries import Tries

HERE, THERE = "https://api.fieldguide.test", "https://files.test"
SIGNED = f"{THERE}/a?X-Amz-Signature=s"


class Vendor:
    """Lists records with files at these addresses; `answer` gives the files.

    Attributes:
        asked: Requests for files.
    """

    def __init__(self, collector_of):
        source = SOURCES["fieldguide"]
        companies = replace(source.stream("companies"), content="url")
        self.collector = collector_of(
            base_url=HERE,
            transport=httpx.MockTransport(self._serve),
            source=replace(source, streams=(companies,)),
        )
        self.addresses = [SIGNED]
        self.asked = []
        self.answer = lambda request: httpx.Response(200, content=b"content")

    def _serve(self, request):
        if request.url.path == "/v1/companies":
            listed = [{"uuid": f"c{n}", "url": address} for n, address in enumerate(self.addresses)]
            return httpx.Response(200, json={"data": listed})
        self.asked.append(request)
        return self.answer(request)

    def script(self, *answers):
        script = list(answers)

        def answer(request):
            found = script.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        self.answer = answer

    def sync(self):
        return self.collector.sync("companies")

    @property
    def contents(self):
        return {key: body["_content"] for key, body in self.collector.current("companies").items()}


@pytest.fixture
def vendor(collector_of):
    return Vendor(collector_of)


def to(address, status=302):
    return httpx.Response(status, headers={"Location": address})


class Broken(httpx.SyncByteStream):
    """A body that ends too soon."""

    def __iter__(self):
        yield b"con"
        raise httpx.ReadError("reset")


def test_a_file_is_kept_with_its_record(vendor):
    vendor.script(httpx.Response(200, content=b"content", headers={"Content-Type": "text/plain; charset=utf-8"}))
    assert vendor.sync().complete
    assert vendor.contents == {
        "c0": {
            "sha256": hashlib.sha256(b"content").hexdigest(),
            "size": 7,
            "media_type": "text/plain",
            "base64": base64.b64encode(b"content").decode(),
        }
    }


def test_one_too_large_to_keep_leaves_its_hash(vendor, monkeypatch):
    monkeypatch.setattr("flows.files.KEPT", 6)
    vendor.sync()
    assert vendor.contents["c0"] == {"sha256": hashlib.sha256(b"content").hexdigest(), "size": 7, "media_type": ""}


def test_none_is_none(vendor):
    vendor.addresses = [None]
    assert vendor.sync().complete
    assert vendor.contents == {"c0": None}


class TestWhereItIsAskedFor:
    def test_another_host_gets_no_token_and_its_address_is_in_no_log(self, vendor, caplog):
        caplog.set_level("DEBUG")
        assert vendor.sync().complete
        assert vendor.asked[0].url.query == b"X-Amz-Signature=s"
        assert "Authorization" not in vendor.asked[0].headers
        assert "GET https://files.test/..." in caplog.text
        assert "X-Amz" not in caplog.text

    @pytest.mark.parametrize("address", ["http://files.test/a", "ftp://files.test/a", "http://169.254.169.254/latest"])
    def test_what_is_not_https_is_not_asked_for(self, vendor, address):
        vendor.addresses = [address]
        assert "not https; nothing was sent there" in vendor.sync().problem.message
        assert vendor.asked == []

    def test_what_is_no_address_is_not_asked_for(self, vendor):
        vendor.addresses = ["https://files.test:port/a"]
        assert "has an address that is none" in vendor.sync().problem.message
        assert vendor.asked == []

    def test_a_redirect_to_a_signed_address_is_in_no_log_either(self, vendor, caplog):
        caplog.set_level("DEBUG")
        vendor.addresses = ["/v1/files/1"]
        vendor.script(to("/v1/files/1/here?X-Amz-Signature=s"), to(SIGNED), httpx.Response(200, content=b"content"))
        assert vendor.sync().complete
        assert [str(request.url.copy_with()) for request in vendor.asked][2] == SIGNED
        assert ["Authorization" in request.headers for request in vendor.asked] == [True, True, False]
        assert vendor.contents["c0"]["size"] == 7
        assert "X-Amz" not in caplog.text

    @pytest.mark.parametrize(
        ("location", "asked"),
        [("b?v=1", f"{THERE}/dir/b?v=1"), ("/b", f"{THERE}/b"), ("//other.test/b", "https://other.test/b")],
    )
    def test_a_redirect_may_be_relative(self, vendor, location, asked):
        vendor.addresses = [f"{THERE}/dir/a?X-Amz-Signature=s"]
        vendor.script(to(location, 307), httpx.Response(200, content=b"content"))
        assert vendor.sync().complete
        assert str(vendor.asked[1].url.copy_with()) == asked

    @pytest.mark.parametrize("location", ["http://files.test/a", "http://169.254.169.254/latest", "file:///etc/passwd"])
    def test_a_redirect_to_what_is_not_https_is_not_followed(self, vendor, location):
        vendor.script(to(location))
        assert "not https; nothing was sent there" in vendor.sync().problem.message
        assert len(vendor.asked) == 1
        assert vendor.contents == {}

    def test_another_host_cannot_send_the_token_back_to_the_api(self, vendor):
        vendor.script(to(f"{HERE}/v1/secrets"), httpx.Response(200))
        vendor.sync()
        assert "Authorization" not in vendor.asked[1].headers

    def test_redirects_end(self, vendor):
        vendor.answer = lambda request: to(SIGNED)
        assert "redirected more than 5 times" in vendor.sync().problem.message
        assert len(vendor.asked) == 6
        assert vendor.contents == {}


class TestFaults:
    @pytest.mark.parametrize(
        "fault",
        [
            httpx.Response(503),
            httpx.Response(500),
            httpx.Response(429),
            httpx.Response(200, stream=Broken()),
            httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip")),
            httpx.ConnectError("no"),
            httpx.ReadTimeout("slow"),
        ],
        ids=str,
    )
    def test_of_another_host_are_tried_again(self, vendor, clock, fault):
        vendor.script(fault, httpx.Response(200, content=b"content"))
        assert vendor.sync().complete
        assert vendor.contents["c0"]["size"] == 7
        assert 1.0 in clock.sleeps

    @pytest.mark.parametrize("fault", [503, 429, httpx.ConnectError("no")])
    def test_of_another_host_that_last_are_said(self, vendor, fault):
        def answer(request):
            if isinstance(fault, int):
                return httpx.Response(fault)
            raise fault

        vendor.answer = answer
        said = vendor.sync().problem.message
        why = f"its host answered {fault}" if isinstance(fault, int) else "its host cannot be reached (ConnectError)"
        assert said.startswith(f"A file of companies cannot be had: {why}. What was collected is kept")
        assert len(vendor.asked) == 3
        assert vendor.contents == {}

    def test_that_last_too_long_are_not_tried_again(self, vendor, monkeypatch):
        times = iter([100.0, 131.0])
        monkeypatch.setattr("flows.files.Tries", partial(Tries, monotonic=lambda: next(times)))
        vendor.answer = lambda request: httpx.Response(503)
        assert "its host answered 503" in vendor.sync().problem.message
        assert len(vendor.asked) == 2

    @pytest.mark.parametrize("fault", [503, httpx.ConnectError("no")])
    def test_of_the_api_are_the_transports_to_try_again(self, vendor, fault):
        def answer(request):
            if isinstance(fault, int):
                return httpx.Response(fault)
            raise fault

        vendor.addresses, vendor.answer = ["/v1/files/1"], answer
        assert vendor.sync().problem is not None
        assert len(vendor.asked) == 3
        assert vendor.contents == {}

    def test_a_body_of_the_api_that_is_cut_short_is_tried_again(self, vendor):
        vendor.addresses = ["/v1/files/1"]
        vendor.script(httpx.Response(200, stream=Broken()), httpx.Response(200, content=b"content"))
        assert vendor.sync().complete
        assert vendor.contents["c0"]["size"] == 7

    def test_a_body_that_is_cut_short_each_time_is_no_content(self, vendor):
        vendor.answer = lambda request: httpx.Response(200, stream=Broken())
        assert "A file of companies cannot be had: it was cut short (ReadError)" in vendor.sync().problem.message
        assert vendor.contents == {}

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_what_cannot_be_had_is_said_and_nothing_is_stored_without_it(self, vendor, status):
        vendor.script(httpx.Response(status))
        assert f"a file of companies that cannot be had ({status})" in vendor.sync().problem.message
        assert vendor.contents == {}


class TestManyOnAPage:
    @pytest.fixture(autouse=True)
    def many(self, vendor, monkeypatch):
        """Ten files of 1,000 bytes each, of which two are held in memory at a time."""
        vendor.addresses = [f"{THERE}/{n}" for n in range(10)]
        vendor.answer = lambda request: httpx.Response(200, content=request.url.path.encode().ljust(1000))
        monkeypatch.setattr("flows.files.KEPT", 2000)

    def test_are_stored_while_the_next_are_downloaded(self, vendor):
        stored = []
        answer = vendor.answer
        vendor.answer = lambda request: stored.append(len(vendor.contents)) or answer(request)
        came = vendor.sync()
        assert came.complete
        assert (came.counts.records, came.counts.new, came.counts.pages, came.listed) == (10, 10, 1, 10)
        assert stored == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8]
        assert all("base64" in content for content in vendor.contents.values())

    def test_of_which_one_cannot_be_had_keep_the_others_and_are_not_downloaded_again(self, vendor):
        answer = vendor.answer
        vendor.answer = lambda request: httpx.Response(404) if request.url.path == "/5" else answer(request)
        came = vendor.sync()
        assert not came.complete
        assert (came.counts.new, len(vendor.contents)) == (4, 4)
        assert vendor.collector.cursor("companies").listing.pages == 0, "the page comes again"
        vendor.asked.clear()
        vendor.answer = answer
        came = vendor.sync()
        assert came.complete
        assert (came.counts.new, came.counts.unchanged, came.listed) == (6, 4, 10)
        assert [request.url.path for request in vendor.asked] == ["/4", "/5", "/6", "/7", "/8", "/9"]

    def test_that_are_gone_get_a_tombstone_and_the_others_none(self, vendor):
        vendor.sync()
        vendor.addresses = vendor.addresses[:9]
        came = vendor.sync()
        assert (came.counts.unchanged, came.counts.deleted) == (9, 1)

    def test_end_with_the_sync_that_is_stopped(self, vendor, clock, monkeypatch):
        stop = Stop()
        monkeypatch.setattr(clock, "sleep", stop.sleep)
        vendor.answer = lambda request: stop.set() or httpx.Response(200)
        assert "The sync was stopped" in vendor.sync().problem.message
        assert len(vendor.asked) == 1

    def test_a_file_without_end_ends_with_it_too(self, vendor, clock, monkeypatch):
        class Endless(httpx.SyncByteStream):
            def __iter__(self):
                for n in range(1_000_000):
                    if n == 9:
                        stop.set()
                    yield b"x"

        stop = Stop()
        monkeypatch.setattr(clock, "sleep", stop.sleep)
        vendor.addresses = [SIGNED]
        vendor.answer = lambda request: httpx.Response(200, stream=Endless())
        assert "The sync was stopped" in vendor.sync().problem.message
        assert len(vendor.asked) == 1
