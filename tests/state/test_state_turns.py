"""Turns: in the order in which they were asked for, and none that is waited for for ever."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from state import patience
from state.errors import DatabaseBusy
from state.turns import Turns


def until_waiting(turns: Turns, number: int) -> None:
    while len(turns._queue) <= number:
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
    assert (worst, len(turns._queue)) == (1, 0)


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
        assert len(turns._queue) == 1
    assert not turns._queue


@pytest.mark.parametrize("handed_over", [False, True])
def test_ctrl_c_while_waiting_loses_no_turn(monkeypatch: pytest.MonkeyPatch, handed_over: bool) -> None:
    """In the worst moment, too: when the turn has just been handed over to the one that is interrupted."""
    turns = Turns("sqlite:///aimd.db")

    class Interrupted:
        def acquire(self, timeout: float = -1) -> bool:
            if timeout != -1:
                if handed_over:
                    turns._queue.popleft()
                raise KeyboardInterrupt
            return True

        def release(self) -> None:
            pass

    turns._queue.append(holder := threading.Lock())
    monkeypatch.setattr(threading, "Lock", Interrupted)
    with pytest.raises(KeyboardInterrupt), turns.turn():
        pytest.fail("it is taken")
    assert list(turns._queue) == ([] if handed_over else [holder])


def test_an_error_passes_the_turn_on() -> None:
    turns = Turns("sqlite:///aimd.db")
    with pytest.raises(ZeroDivisionError), turns.turn():
        _ = 1 / 0
    with turns.turn():
        pass
