"""Processes that share the one active token of an application, against a vendor on a socket that revokes the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from token_worker import Worker, workers_at_hand

from flows import minting
from simulator import Simulator
from simulator.server import DEFAULT_TOKEN
from simulator.vendors import make_world
from simulator.vendors.vanta import Vanta
from simulator.vendors.vanta.api import CLIENT_ID, TOKEN_PATH
from state import open_store
from state.tokens import TokenKey, VendorToken

PROCESSES = 8


@pytest.fixture(scope="module", autouse=True)
def _workers_at_hand() -> Iterator[None]:
    with workers_at_hand():
        yield


@pytest.fixture
def start(database: str) -> Iterator[Callable[..., list[Worker]]]:
    """Starts workers, which begin together. What still runs at the end of the test is killed."""
    with ExitStack() as stack:

        def started(vendor: Simulator, number: int = 1, **how: float) -> list[Worker]:
            workers = [Worker(database, vendor.base_url, **how) for _ in range(number)]
            for worker in workers:
                stack.callback(worker.kill)
            for worker in workers:
                worker.ready()
            for worker in workers:
                worker.go()
            return workers

        yield started


def vendor_of(lifetime: float = 3599.0) -> Simulator:
    return Simulator("none", api=Vanta(make_world("vanta", 5, people=9), lifetime), latency=(0.01, 0.01))


def keeping_back_the_first_token(vendor: Simulator) -> Simulator:
    """The first is given and never arrives."""
    tokens = vendor.vendor.tokens
    mint, second = tokens.mint, asyncio.Event()

    async def kept_back(*request: Any) -> Any:
        answer = await mint(*request)
        if tokens.minted > 1:
            second.set()
        await second.wait()
        return answer

    tokens.mint = kept_back
    return vendor


def wait_for(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.01)


def answers(vendor: Simulator) -> int:
    return vendor.stats()["by_path"].get("GET /v1/people", 0)


def minted(vendor: Simulator) -> int:
    return vendor.stats()["vendor"]["minted"]


def fine(done: list[dict[str, Any]]) -> int:
    """How many answers came, none of which was anything but fine."""
    assert [each["errors"] for each in done] == [[]] * len(done)
    assert [list(each["statuses"]) for each in done] == [[200]] * len(done)
    return sum(each["statuses"][200] for each in done)


def row(
    database: str, vendor: Simulator, change: Callable[[VendorToken], VendorToken] = lambda row: row
) -> VendorToken:
    with open_store(database) as store:
        key = TokenKey(vendor.url + TOKEN_PATH, CLIENT_ID)
        return store.tokens.transact(key, lambda row, now: (change(row), row))


def test_eight_processes_ask_for_one_token_and_no_401_reaches_a_stream(database: str, start) -> None:
    """Nor does one when another program, which knows nothing of the database, takes the token away."""
    with vendor_of() as vendor:
        workers = start(vendor, PROCESSES)
        wait_for(lambda: answers(vendor) > 10 * PROCESSES)
        stats = vendor.stats()
        assert (stats["vendor"], stats["refused"]) == ({"minted": 1, "revoked": 0}, 0)

        row(database, vendor, lambda found: replace(found, given_at=found.given_at - minting.SOON))
        body = {"client_id": CLIENT_ID, "client_secret": DEFAULT_TOKEN, "scope": "vanta-api.all:read"}
        body["grant_type"] = "client_credentials"
        assert httpx.post(vendor.url + TOKEN_PATH, json=body).status_code == 200
        wait_for(lambda: minted(vendor) == 3)
        before = answers(vendor)
        wait_for(lambda: answers(vendor) > before + 10 * PROCESSES)
        done = [worker.end() for worker in workers]
        assert fine(done) == answers(vendor)
        assert vendor.stats()["vendor"] == {"minted": 3, "revoked": 2}
        assert vendor.stats()["rejected"] == 0


def test_eight_processes_renew_it_together_and_not_more_than_five_times_a_minute(database: str, start) -> None:
    """Tokens that last for three seconds: five of them, and then nobody asks until the minute is over."""
    with vendor_of(lifetime=3.0) as vendor:
        workers = start(vendor, PROCESSES, max_wait=15.0)
        wait_for(lambda: minted(vendor) == minting.MOST)
        before = answers(vendor)
        wait_for(lambda: answers(vendor) > before + PROCESSES)
        wait_for(lambda: row(database, vendor).renew_at < time.time())
        done = [worker.end() for worker in workers]
        stats = vendor.stats()
        assert stats["vendor"]["minted"] == minting.MOST
        assert stats["rejected"] == 0, "the vendor gives no sixth, but was not asked for one"
        assert {status for each in done for status in each["statuses"]} == {200}
        errors = [error for each in done for error in each["errors"]]
        # Who waited longer than 15 s for a slot of the API itself says so: eight of them share it.
        expected = ("5 were asked for within 60 s", "cannot be asked within 15 s")
        assert [error for error in errors if not any(words in error for words in expected)] == []


def test_one_that_is_killed_while_it_asks_keeps_the_others_no_longer_than_its_lease(database: str, start) -> None:
    with keeping_back_the_first_token(vendor_of()) as vendor:
        (asking,) = start(vendor)
        wait_for(lambda: minted(vendor) == 1)
        asking.kill()  # the vendor has given a token, which nobody will ever know
        held = row(database, vendor)
        assert held.lease
        assert held.sealed is None

        (waiting,) = start(vendor, max_wait=0.5)
        told = waiting.end()
        assert told["statuses"] == {}
        assert all("another program asks for one just now" in error for error in told["errors"])
        assert minted(vendor) == 1

        others = start(vendor, 3, ahead=minting.LEASE)
        wait_for(lambda: answers(vendor) > 9)
        assert fine([worker.end() for worker in others]) == answers(vendor)
        assert minted(vendor) == 2
        assert len(row(database, vendor).mints) == 2


def test_no_token_and_no_secret_is_in_the_database(database: str, start) -> None:
    with vendor_of() as vendor:
        (worker,) = start(vendor)
        wait_for(lambda: answers(vendor) > 0)
        worker.end()
        sealed = row(database, vendor).sealed
        given = list(vendor.vendor.tokens._grants)
    secrets = [DEFAULT_TOKEN, *given]
    assert len(secrets) == 2
    assert not any(secret.encode() in sealed for secret in secrets)
    if database.startswith("sqlite"):
        files = Path(database.removeprefix("sqlite:///")).parent.iterdir()
        kept = b"".join(file.read_bytes() for file in files)
        assert CLIENT_ID.encode() in kept
        assert not any(secret.encode() in kept for secret in secrets)
