"""One for each key: made once, whoever asks at the same time, and whatever else goes on at a fork."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from state.once import Once
from state.store import shared_store
from tests.forking import status_of_child


def test_what_is_there_is_not_made_again() -> None:
    once = Once[str, list[int]]({})
    made = once.get("a", list)
    assert once.get("a", lambda: pytest.fail("it is there")) is made
    assert once.get("b", list) is not made


def test_a_forked_child_does_not_wait_for_what_a_thread_of_its_parent_was_making() -> None:
    once = Once[str, str]({})
    inside, done = threading.Event(), threading.Event()

    def slowly() -> str:
        inside.set()
        assert done.wait(30)
        return "the parent's"

    def child() -> None:
        assert once.get("a", lambda: "the child's") == "the child's"

    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(once.get, "a", slowly)
        assert inside.wait(30)
        assert status_of_child(child) == 0
        done.set()
        assert making.result(timeout=30) == once.get("a", str) == "the parent's"


def test_threads_that_ask_at_once_get_one_shared_store(tmp_path: Path) -> None:
    for number in range(5):
        gate = threading.Barrier(4)

        def ask(_: int, number: int = number, gate: threading.Barrier = gate) -> object:
            gate.wait(timeout=30)
            return shared_store(f"sqlite:///{tmp_path / str(number)}")

        with ThreadPoolExecutor(4) as pool:
            assert len({id(each) for each in pool.map(ask, range(4))}) == 1
