"""What every store does with the tokens that programs share."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from state import open_store
from state.store import Store
from state.tokens import TokenKey, VendorToken

ACME = TokenKey("https://api.vanta.test/oauth/token", "vci_acme")
KNOWN = VendorToken(
    serial=7,
    sealed=b"\x00\xff sealed",
    given_at=1_700_000_000.25,
    renew_at=1_700_003_539.25,
    lease="0a1b",
    lease_until=1_700_000_030.5,
    mints=(1_700_000_000.125, 1_700_000_001.5),
)


def keep(row: VendorToken):
    return lambda before, now: (row, None)


def look(row: VendorToken, now: float) -> tuple[VendorToken, tuple[VendorToken, float]]:
    return row, (row, now)


def test_the_first_transaction_meets_an_empty_row_and_the_time_of_the_clock(store: Store, clock) -> None:
    assert store.tokens.transact(ACME, look) == (VendorToken(), clock.now)


def test_the_next_one_meets_what_the_last_one_left(store: Store, clock) -> None:
    for row in (KNOWN, replace(KNOWN, serial=8, sealed=None, lease="", mints=())):
        store.tokens.transact(ACME, keep(row))
        clock.now += 12.5
        assert store.tokens.transact(ACME, look) == (row, clock.now)


def test_a_closed_store_opens_itself_again(store: Store) -> None:
    store.tokens.transact(ACME, keep(KNOWN))
    store.close()
    assert store.tokens.transact(ACME, look)[0] == KNOWN


def test_rows_are_told_apart_by_issuer_and_client(store: Store) -> None:
    store.tokens.transact(ACME, keep(KNOWN))
    for key in (replace(ACME, client_id="vci_birch"), replace(ACME, issuer="https://api.other.test/oauth/token")):
        assert store.tokens.transact(key, look)[0] == VendorToken()


def test_an_exception_leaves_the_row_as_it_was_and_the_store_in_working_order(store: Store) -> None:
    store.tokens.transact(ACME, keep(KNOWN))

    def fail(before: VendorToken, now: float) -> tuple[VendorToken, None]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.tokens.transact(ACME, fail)
    assert store.tokens.transact(ACME, look)[0] == KNOWN


def test_many_threads_on_one_row_lose_nothing(store: Store) -> None:
    threads, times = 8, 12
    gate = threading.Barrier(threads)

    def work(_: int) -> list[int]:
        gate.wait(timeout=30)
        one_more = lambda before, now: (replace(before, serial=before.serial + 1), before.serial + 1)  # noqa: E731
        return [store.tokens.transact(ACME, one_more) for _ in range(times)]

    with ThreadPoolExecutor(threads) as pool:
        reached = [number for numbers in pool.map(work, range(threads)) for number in numbers]
    assert sorted(reached) == list(range(1, threads * times + 1))


def test_what_was_sealed_is_not_shown(store: Store) -> None:
    assert "sealed" not in repr(KNOWN)


@pytest.mark.parametrize("store_url", ["sqlite-file", "postgres"], indirect=True)
def test_two_programs_on_one_database_see_one_row(store: Store, store_url: str) -> None:
    store.tokens.transact(ACME, keep(KNOWN))
    with open_store(store_url) as other:
        assert other.tokens.transact(ACME, look)[0] == KNOWN
