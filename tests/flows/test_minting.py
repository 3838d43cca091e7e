"""The rules of `flows.minting`, whatever the programs do and whoever is killed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows import minting
from flows.minting import LEASE, MOST, SOON, WINDOW, Contested, Mint, Usable, UsedUp, Wait, ask, failed
from state.tokens import VendorToken

NOW = 1_700_000_000.0


def tokens(row: VendorToken, now: float, **how) -> VendorToken:
    """The row after somebody asked at `now` and was answered at once."""
    row, answer = ask(row, now, lease="x", **how)
    assert answer == Mint()
    return minting.given(row, now, lease="x", sealed=b"%f" % now, lasts=3600.0)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3),  # who
        st.sampled_from(["ask", "refused", "given", "failed", "not sent", "killed"]),
        st.floats(0.0, 40.0),  # seconds later
    ),
    max_size=80,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_one_asks_at_a_time_and_five_a_minute_at_most(steps) -> None:
    """A program sends at any moment of its lease; here at the one that is worst for each rule."""
    row, now = VendorToken(), NOW
    asking: dict[int, tuple[str, float]] = {}
    sends: list[tuple[float, float]] = []  # the earliest and the latest moment of each
    for number, (who, what, later) in enumerate(steps):
        now += later
        if what in ("ask", "refused") and who not in asking:
            lease = f"{who}-{number}"
            row, answer = ask(row, now, lease=lease, bad=row.serial, refused=what == "refused")
            if answer == Mint():
                assert all(now >= until for _, until in asking.values()), "two at a time"
                asking[who] = (lease, now + LEASE)
                sends.append((now, now + LEASE))
            elif isinstance(answer, UsedUp | Wait):
                assert answer.seconds > 0
        elif who in asking and now < asking[who][1]:
            lease, until = asking.pop(who)
            begun, _ = sends.pop()
            if what == "given":
                row = minting.given(row, now, lease=lease, sealed=b"%d" % number, lasts=3600.0)
            elif what != "killed":
                row = failed(row, now, lease=lease, sent=what != "not sent")
            if what == "killed":
                asking[who] = (lease, until)
                sends.append((begun, until))
            elif what != "not sent":
                sends.append((begun, now))
        asking = {each: (lease, until) for each, (lease, until) in asking.items() if now < until}
    for (_, latest), (earliest, _) in zip(sends, sends[MOST:], strict=False):
        assert earliest >= latest + WINDOW - 1e-3
    assert len(row.mints) <= MOST


def test_a_token_is_used_until_shortly_before_its_end() -> None:
    row = tokens(VendorToken(), NOW)
    assert ask(row, NOW + 3539.0, lease="b")[1] == Usable(1, row.sealed, 1.0)
    assert ask(row, NOW + 3540.0, lease="b")[1] == Mint()


def test_a_token_of_a_short_life_is_used_for_nine_tenths_of_it() -> None:
    row, _ = ask(VendorToken(), NOW, lease="a")
    row = minting.given(row, NOW, lease="a", sealed=b"t", lasts=100.0)
    assert row.renew_at == NOW + 90.0


def test_nobody_uses_the_old_one_while_the_next_is_asked_for() -> None:
    row, answer = ask(tokens(VendorToken(), NOW), NOW + SOON, lease="b", bad=1, refused=True)
    assert answer == Mint()
    assert ask(row, NOW + SOON + 1.0, lease="c")[1] == Wait(LEASE - 1.0, NOW + SOON + LEASE)


def test_a_newer_one_is_read_and_not_asked_for() -> None:
    row = tokens(tokens(VendorToken(), NOW), NOW + 100.0, bad=1, refused=True)
    assert ask(row, NOW + 101.0, lease="b", bad=1, refused=True)[1] == Usable(2, row.sealed, 3539.0)


@pytest.mark.parametrize(
    ("age", "refused", "answer"), [(3.0, True, Contested(3.0)), (3.0, False, Mint()), (13.0, True, Mint())]
)
def test_one_that_was_taken_away_at_once_is_contested_unless_it_only_could_not_be_opened(age, refused, answer) -> None:
    assert ask(tokens(VendorToken(), NOW), NOW + age, lease="b", bad=1, refused=refused)[1] == answer


def test_one_that_has_come_to_its_end_is_not_contested() -> None:
    row = replace(tokens(VendorToken(), NOW), renew_at=NOW + 2.0)
    assert ask(row, NOW + 3.0, lease="b", bad=1, refused=True)[1] == Mint()


def test_a_commit_that_was_not_heard_of_is_done_again_without_harm() -> None:
    row, _ = ask(VendorToken(), NOW, lease="a")
    assert ask(row, NOW + 1.0, lease="a") == (row, Mint())
    row = minting.given(row, NOW + 1.0, lease="a", sealed=b"t", lasts=3600.0)
    assert minting.given(row, NOW + 2.0, lease="a", sealed=b"t", lasts=3600.0) == row
    row = failed(ask(VendorToken(), NOW, lease="a")[0], NOW, lease="a", sent=True)
    assert failed(row, NOW, lease="a", sent=True) == row


def test_a_token_that_came_after_the_lease_leaves_the_newer_one_and_counts() -> None:
    row, _ = ask(VendorToken(), NOW, lease="late")
    row, _ = ask(row, NOW + LEASE, lease="b")
    row = minting.given(row, NOW + LEASE + 1.0, lease="b", sealed=b"b", lasts=3600.0)
    row = minting.given(row, NOW + LEASE + 2.0, lease="late", sealed=b"late", lasts=3600.0)
    assert row.sealed == b"b"
    assert len(row.mints) == 3
    assert ask(row, NOW + LEASE + 3.0, lease="c", bad=1, refused=True)[1] == Mint(), (
        "it may have been ended by the late one"
    )


@pytest.mark.parametrize("back", [1.0, 3600.0, 1e8])
def test_a_clock_that_was_set_back_holds_up_nobody(back: float) -> None:
    now = NOW - back
    row, _ = ask(VendorToken(), NOW, lease="killed")
    assert ask(row, now, lease="b")[1].seconds <= LEASE
    row = tokens(VendorToken(), NOW)
    row, answer = ask(row, now, lease="b")
    assert answer == Usable(1, row.sealed, 3540.0)
    assert ask(row, now + 1.0, lease="b", bad=1, refused=True)[1] == Mint()
    used_up, answer = ask(replace(row, renew_at=0.0, mints=(NOW,) * MOST), now, lease="b")
    assert 0 < answer.seconds <= WINDOW + LEASE
    assert ask(used_up, answer.until, lease="b")[1] == Mint()


def test_one_that_was_killed_counts_from_the_end_of_its_lease() -> None:
    """Until then it may have sent its request."""
    row, _ = ask(VendorToken(), NOW, lease="killed")
    for second in range(MOST - 1):
        row = replace(tokens(row, NOW + LEASE + second), renew_at=0.0)
    assert ask(row, NOW + LEASE + 10.0, lease="b")[1] == UsedUp(WINDOW - 10.0, NOW + LEASE + WINDOW)
