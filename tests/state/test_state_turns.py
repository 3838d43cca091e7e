"""Turns: in the order in which they were asked for, and none that is waited for for ever."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from state import patience
from state.errors import DatabaseBusy
from state.turns import Turns


def until_waiting(turns: Turns, number: int) -> None:
    while len(turns._waiting) < number:
        threading.Event().wait(0.001)


def test_turns_are_taken_in_the_order_in_which_they_were_asked_for() -> None:
    turns, order = Turns("sqlite:///aimd.db"), []

    def take(number: int) -> None:
        with turns.turn():
            order.append(number)

    with ThreadPoolExecutor(8) as pool, turns.turn():
        for number in range(8):
            pool.submit(take, number)
            until_waiting(turns, number + 1)
    assert order == list(range(8))


def test_one_at_a_time() -> None:
    turns, inside, worst = Turns("sqlite:///aimd.db"), 0, 0

    def take(_: int) -> None:
        nonlocal inside, worst
        for _ in range(200):
            with turns.turn():
                inside += 1
                worst = max(worst, inside)
                inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, range(8)))
    assert (worst, turns._taken, len(turns._waiting)) == (1, False, 0)


def test_a_turn_that_does_not_come_is_told_and_the_next_one_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a transaction that hangs in a file system which does not answer."""
    turns = Turns("sqlite:///aimd.db")
    with turns.turn():
        monkeypatch.setattr(patience, "BUSY_TIMEOUT", 0.01)
        with (
            pytest.raises(DatabaseBusy, match="does not answer: a transaction before this one"),
            turns.turn(),
        ):
            pytest.fail("it is taken")
    with turns.turn():
        assert turns._taken
    assert not turns._taken


@pytest.mark.parametrize("handed_over", [False, True])
def test_ctrl_c_while_waiting_loses_no_turn(monkeypatch: pytest.MonkeyPatch, handed_over: bool) -> None:
    """In the worst moment, too: when the turn has just been handed over to the one that is interrupted."""
    turns = Turns("sqlite:///aimd.db")

    class Interrupted:
        def acquire(self, timeout: float = -1) -> bool:
            if timeout != -1:
                if handed_over:
                    turns._pass_on()
                raise KeyboardInterrupt
            return True

        def release(self) -> None:
            pass

    turns._taken = True
    monkeypatch.setattr(threading, "Lock", Interrupted)
    with pytest.raises(KeyboardInterrupt), turns.turn():
        pytest.fail("it is taken")
    assert (turns._taken, len(turns._waiting)) == (not handed_over, 0)


def test_an_error_passes_the_turn_on() -> None:
    turns = Turns("sqlite:///aimd.db")
    with pytest.raises(ZeroDivisionError), turns.turn():
        _ = 1 / 0
    with turns.turn():
        pass
