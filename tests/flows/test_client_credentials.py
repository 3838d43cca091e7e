"""One token at a time for all clients of a store, blocking and async, through the clients that everybody uses."""

import asyncio
import json
import logging
import pickle
import threading

import httpx
import pytest

from flows import minting
from flows.client_credentials import ClientCredentialsAuth, Grant
from limiter import (
    AsyncAimdClient,
    ConfigurationError,
    Limiter,
    Terminal,
    WaitTooLong,
    api_config,
    make_async_client_for,
    make_client_from_config,
)
from state import Bucket
from state.memory import MemoryStore
from state.tokens import TokenKey

SECRET = "vcs_0123456789"
PRESET = api_config("vanta").with_changes({"base_url": "https://api.vanta.test"})
UNPACED = PRESET.with_changes({"scopes": (), "breaker": None, "initial_rate": 1000.0, "max_rate": 1000.0})
"""Without the limiter's own care for the endpoint of the tokens, so that the row alone is seen at work."""
KEY = TokenKey("https://api.vanta.test/oauth/token", "vci")


class Vendor:
    """One with one active token.

    Attributes:
        answers: What the next requests for a token are answered with, before it gives any: responses or exceptions.
        asked: The requests for tokens.
        refused: How often it answered 401.
    """

    def __init__(self, clock):
        self.clock = clock
        self.active = None
        self.lasts = 3599
        self.answers, self.asked, self.tokens_seen = [], [], []
        self.refused = 0
        self.before_answering = lambda: None

    def __call__(self, request):
        if request.url.path == "/oauth/token":
            self.asked.append((self.clock(), request))
            self.before_answering()
            if self.answers:
                answer = self.answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return answer
            self.active = f"vat_{len(self.asked)}"
            return httpx.Response(200, content=json.dumps({"access_token": self.active, "expires_in": self.lasts}))
        self.tokens_seen.append(request.headers.get("Authorization"))
        good = request.headers.get("Authorization") == f"Bearer {self.active}"
        self.refused += not good
        return httpx.Response(200 if good else 401)

    @property
    def minted(self):
        return len(self.asked)

    def minted_by_another(self):
        self.active = "of another"


@pytest.fixture
def vendor(clock):
    return Vendor(clock)


def auth_of(clock, secret=SECRET):
    grant = Grant("vci", secret, "all", "/oauth/token", "the test")
    return ClientCredentialsAuth(grant, clock)


@pytest.fixture
def client(vendor, clock, store):
    """Makes a client, each as one of another program on the same database."""

    def make(secret=SECRET, config=PRESET, **options):
        options = {"transport": httpx.MockTransport(vendor), "sleep": clock.sleep, "store": store, **options}
        return make_client_from_config(config, auth=auth_of(clock, secret), **options)

    return make


def row_of(store):
    return store.tokens.transact(KEY, lambda row, now: (row, row))


def change_row(store, change):
    store.tokens.transact(KEY, lambda row, now: (change(row, now), None))


class TestOneForAll:
    def test_clients_one_after_the_other_share_it(self, client, vendor):
        assert [client().get("/x").status_code for _ in range(5)] == [200] * 5
        assert vendor.minted == 1

    def test_many_threads_and_clients_share_one(self, vendor):
        store, second = MemoryStore(), threading.Event()
        vendor.before_answering = lambda: second.set() if vendor.minted > 1 else second.wait(0.3)
        statuses = []

        def work():
            options = {"transport": httpx.MockTransport(vendor), "sleep": lambda _: second.wait(0.01), "store": store}
            with make_client_from_config(UNPACED, auth=auth_of(vendor.clock), **options) as one:
                statuses.append(one.get("/x").status_code)

        threads = [threading.Thread(target=work) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert statuses == [200] * 12
        assert vendor.minted == 1

    def test_async_tasks_share_it_with_blocking_clients(self, client, vendor, clock, store):
        async def answer(request):
            await asyncio.sleep(0)
            return vendor(request)

        async def sleep(seconds):  # the clock stands still: no lease ends while a thread is slow
            await asyncio.sleep(0)

        async def run():
            limiter = Limiter(UNPACED, Bucket("vanta"), store)
            options = {"transport": httpx.MockTransport(answer), "sleep": sleep, "auth": auth_of(clock)}
            async with AsyncAimdClient(limiter, **options) as together:
                return await asyncio.gather(*(together.get("/x") for _ in range(8)))

        assert [each.status_code for each in asyncio.run(run())] == [200] * 8
        assert client().get("/x").status_code == 200
        assert vendor.minted == 1

    def test_another_host_gets_none(self, client, vendor):
        client().get("https://files.test/a.pdf")
        assert vendor.tokens_seen == [None]
        assert vendor.minted == 0

    def test_a_client_of_another_kind_is_told_so(self, clock, vendor):
        with (
            httpx.Client(auth=auth_of(clock), transport=httpx.MockTransport(vendor)) as plain,
            pytest.raises(ConfigurationError, match="make_client_for"),
        ):
            plain.get("https://api.vanta.test/x")
        assert vendor.minted == 0


class TestItsEnd:
    def test_it_is_renewed_before_its_end(self, client, vendor, clock):
        one = client()
        one.get("/x")
        given = clock.now
        clock.now = given + 3599 - 62.0
        one.get("/x")
        assert vendor.minted == 1
        clock.now = given + 3599 - 59.0
        assert one.get("/x").status_code == 200
        assert vendor.minted == 2
        assert vendor.refused == 0

    @pytest.mark.parametrize("lasts", [None, 0, -5, "soon", True, 1e300, float("1e12")])
    def test_an_odd_life_time_is_ten_minutes(self, client, vendor, clock, lasts):
        vendor.lasts = lasts
        one = client()
        assert one.get("/x").status_code == 200
        given = clock.now
        clock.now = given + 538.0
        one.get("/x")
        assert vendor.minted == 1
        clock.now = given + 541.0
        one.get("/x")
        assert vendor.minted == 2

    def test_what_another_program_asked_for_is_read_and_not_asked_for_again(self, client, vendor, clock):
        one, other = client(), client()
        one.get("/x")
        clock.now += 3599 - 30.0
        other.get("/x")  # renewed by it
        one.auth._held = None
        assert one.get("/x").status_code == 200
        assert (vendor.minted, vendor.refused) == (2, 0)

    def test_a_call_that_meets_401_reads_the_newer_one_and_asks_for_none(self, client, vendor, clock, store):
        one, other = client(), client()
        one.get("/x")
        other.get("/x")
        vendor.minted_by_another()
        clock.now += 100.0
        assert other.get("/x").status_code == 200
        assert vendor.minted == 2
        assert one.get("/x").status_code == 200, "with the old one first"
        assert (vendor.minted, vendor.refused) == (2, 2)

    def test_two_that_revoke_each_other_are_told(self, client, vendor, clock):
        one = client()
        one.get("/x")
        vendor.minted_by_another()
        clock.now += 3.0
        with pytest.raises(Terminal, match="another program uses the same application"):
            one.get("/x")
        assert vendor.minted == 1

    def test_a_request_whose_body_is_gone_is_not_sent_again(self, client, vendor, clock):
        class Unread(httpx.BaseTransport):  # httpx.MockTransport would read the body first
            def handle_request(self, request):
                return vendor(request)

        one = client(transport=Unread())
        one.get("/x")
        vendor.minted_by_another()
        clock.now += 100.0
        assert one.post("/x", content=iter([b"once"])).status_code == 401
        assert vendor.minted == 1


class TestTheBudget:
    def test_a_sixth_waits_until_the_minute_is_over(self, client, vendor, store):
        for _ in range(6):
            assert client(config=UNPACED).get("/x").status_code == 200
            change_row(store, lambda row, now: minting.replace(row, renew_at=now))
        times = [at for at, _ in vendor.asked]
        assert times[4] < times[0] + 1.0
        assert times[0] + 60.0 <= times[5] < times[0] + 61.0

    def test_a_sixth_is_an_error_for_who_will_not_wait(self, client, vendor, clock, store):
        for _ in range(5):
            change_row(store, lambda row, now: minting.replace(row, mints=(*row.mints, now)))
        with pytest.raises(WaitTooLong, match="gives no token within 10 s: 5 were asked for within 60 s") as caught:
            client(config=UNPACED, max_wait=10.0).get("/x")
        assert caught.value.until == pytest.approx(clock.now + 60.0)
        assert vendor.minted == 0

    @pytest.mark.parametrize("on", ["client", "request"])
    def test_a_sixth_does_not_outlast_the_deadline_of_the_request_that_needs_it(self, client, vendor, store, on):
        for _ in range(5):
            change_row(store, lambda row, now: minting.replace(row, mints=(*row.mints, now)))
        options, extensions = ({"deadline": 10.0}, {}) if on == "client" else ({}, {"deadline": 10.0})
        with pytest.raises(WaitTooLong, match="gives no token within 10 s"):
            client(config=UNPACED, **options).get("/x", extensions=extensions)
        assert vendor.minted == 0

    @pytest.mark.parametrize(("spacing", "waits"), [(2.0, 6.0), (4.0, 12.0)])
    def test_all_that_is_waited_for_one_counts_with_what_the_request_waits_later(self, client, vendor, spacing, waits):
        """Twice a pause after a fault and what is left to the next slot, then a slot of its own."""
        slow = UNPACED.with_changes({"initial_rate": 1.0 / spacing, "max_rate": 1.0 / spacing, "burst": 1})
        vendor.answers = [httpx.Response(503)] * 2
        with pytest.raises(WaitTooLong):
            client(config=slow, max_wait=waits - 0.1).get("/x")
        assert client(config=slow).get("/x").status_code == 200

    @pytest.mark.parametrize(("spacing", "waits"), [(2.0, 6.0), (4.0, 12.0)])
    def test_and_may_be_all_that_it_may_wait(self, client, vendor, spacing, waits):
        slow = UNPACED.with_changes({"initial_rate": 1.0 / spacing, "max_rate": 1.0 / spacing, "burst": 1})
        vendor.answers = [httpx.Response(503)] * 2
        assert client(config=slow, max_wait=waits + 0.1).get("/x").status_code == 200

    def test_the_request_for_one_gets_no_time_out_beyond_the_deadline(self, client, vendor):
        assert client(deadline=2.0).get("/x").status_code == 200
        [(_, request)] = vendor.asked
        assert all(1.0 < seconds <= 2.0 for seconds in request.extensions["timeout"].values())

    def test_five_a_minute_whatever_the_vendor_says(self, client, vendor, clock):
        vendor.answers = [httpx.Response(503, text=f"not {SECRET}") for _ in range(9)]
        for _ in range(3):
            with pytest.raises(httpx.HTTPStatusError, match="gives no token") as caught:
                client(config=UNPACED).get("/x")
            assert caught.value.response.status_code == 503
            assert SECRET not in f"{caught.value} {caught.value.response.text}"
            assert caught.value.request.url.path == caught.value.response.request.url.path == "/x"
        times = [at for at, _ in vendor.asked]
        assert len(times) >= 9
        assert all(late - early >= 60.0 for early, late in zip(times, times[5:], strict=False))

    def test_what_was_never_sent_does_not_count(self, client, vendor, store):
        vendor.answers = [httpx.ConnectError("no") for _ in range(3)]
        with pytest.raises(httpx.ConnectError):
            client().get("/x")
        assert row_of(store).mints == ()


class TestWhatGoesWrong:
    @pytest.mark.parametrize("fault", [httpx.Response(502), httpx.ReadTimeout("slow"), httpx.ConnectError("no")])
    def test_a_fault_is_tried_again(self, client, vendor, fault):
        vendor.answers = [fault]
        assert client().get("/x").status_code == 200
        assert vendor.minted == 2

    def test_a_fault_that_lasts_is_an_error_of_the_request_that_was_made(self, client, vendor, store):
        vendor.answers = [httpx.ReadTimeout("slow") for _ in range(3)]
        with pytest.raises(httpx.ReadTimeout) as caught:
            client().get("/x")
        assert caught.value.request.url.path == "/x"
        assert row_of(store).lease == ""

    def test_a_refusal_is_told_to_all_and_asked_for_once(self, client, vendor, clock):
        vendor.answers = [httpx.Response(401, json={"error_description": f"no {SECRET}"})]
        for _ in range(4):
            with pytest.raises(
                Terminal, match=r"gives no token \(401: no \[credential\]\); look at the test"
            ) as caught:
                client().get("/x")
            assert isinstance(caught.value, httpx.HTTPError)
            assert (caught.value.api, caught.value.reason) == ("vanta", "no [credential]")
            assert caught.value.request.url.path == "/x"
            assert SECRET.encode() not in pickle.dumps(caught.value)
        assert vendor.minted == 1
        clock.now += 60.0
        assert client().get("/x").status_code == 200

    def test_a_right_secret_is_not_kept_waiting_by_a_wrong_one(self, client, vendor):
        vendor.answers = [httpx.Response(401)]
        with pytest.raises(Terminal):
            client("vcs_wrong_and_long").get("/x")
        assert client().get("/x").status_code == 200

    def test_a_secret_that_was_changed_asks_for_its_own(self, client, vendor, clock):
        client("vcs_old_and_long").get("/x")
        assert client("vcs_new_and_long").get("/x").status_code == 200
        assert vendor.minted == 2
        assert client("vcs_new_and_long").get("/x").status_code == 200
        assert vendor.minted == 2

    def test_a_cooldown_of_the_token_endpoint_is_waited_for_without_the_lease(self, client, vendor, store, clock):
        vendor.answers = [httpx.Response(429, headers={"Retry-After": "300"})]
        leases = []

        def sleep(seconds):
            leases.append((seconds, row_of(store).lease))
            clock.now += seconds

        assert client(sleep=sleep).get("/x").status_code == 200
        assert max(leases)[0] > 200
        assert max(leases)[1] == "", "another may take it meanwhile"
        assert vendor.asked[1][0] >= vendor.asked[0][0] + 300

    def test_a_cooldown_that_is_too_long_is_the_limiters_error(self, client, vendor, clock):
        vendor.answers = [httpx.Response(429, headers={"Retry-After": "300"})]
        with pytest.raises(WaitTooLong) as caught:
            client(max_wait=20.0).get("/x")
        assert caught.value.until >= clock.now + 299
        assert caught.value.request.url.path == caught.value.response.request.url.path == "/x"

    @pytest.mark.parametrize("wait", [KeyboardInterrupt, RuntimeError])
    def test_who_is_interrupted_lets_the_next_one_ask(self, client, vendor, store, wait):
        def interrupted():
            raise wait

        vendor.before_answering = interrupted
        with pytest.raises(wait):
            client().get("/x")
        assert row_of(store).lease == ""
        vendor.before_answering = lambda: None
        assert client(max_wait=15.0).get("/x").status_code == 200

    def test_a_cancelled_task_lets_the_next_one_ask(self, client, vendor, store, clock):
        async def run():
            begun = asyncio.Event()

            async def answer(request):
                begun.set()
                await asyncio.Event().wait()

            options = {"transport": httpx.MockTransport(answer), "store": store}
            url = "https://api.vanta.test"
            async with make_async_client_for("vanta", base_url=url, auth=auth_of(clock), **options) as one:
                task = asyncio.ensure_future(one.get("/x"))
                await begun.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

        asyncio.run(run())
        assert row_of(store).lease == ""
        assert client(max_wait=15.0).get("/x").status_code == 200

    def test_while_another_asks_who_will_not_wait_hears_until_when(self, client, vendor, store, clock):
        change_row(store, lambda row, now: minting.ask(row, now, lease="another")[0])
        with pytest.raises(WaitTooLong, match="another program asks for one just now") as caught:
            client(max_wait=2.0).get("/x")
        assert caught.value.until == pytest.approx(clock.now + 30.0, abs=2.1)
        assert vendor.minted == 0

    def test_one_that_was_killed_is_waited_for_no_longer_than_its_lease(self, client, vendor, store, clock):
        change_row(store, lambda row, now: minting.ask(row, now, lease="killed")[0])
        began = clock.now
        assert client().get("/x").status_code == 200
        assert minting.LEASE <= clock.now - began <= minting.LEASE + 1.0


def test_nothing_secret_is_shown_or_kept_in_the_clear(client, vendor, store, clock, caplog):
    caplog.set_level(logging.DEBUG)
    one = client()
    one.get("/x")
    row = row_of(store)
    shown = f"{one!r} {one.auth!r} {one.auth._held!r} {row!r} {caplog.text}"
    assert SECRET not in shown
    assert "vat_1" not in shown
    assert b"vat_1" not in row.sealed
    assert SECRET.encode() not in row.sealed
    assert row.sealed not in shown.encode()
