"""What was learned, and a cooldown that was met, survive in the database: the next process goes on from there."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from limiter import API_RATE_CONFIGS, AimdClient, Throttled, make_client_for
from limiter.testing import FakeClock, ScriptedVendor
from state import open_store


class Machine:
    """A database file, and processes that open it one after the other."""

    def __init__(self, path: Path, clock: FakeClock) -> None:
        self.url = f"sqlite:///{path / 'aimd.db'}"
        self.clock = clock

    def process(self, script: list[Any], **options: Any) -> tuple[AimdClient, ScriptedVendor]:
        vendor = ScriptedVendor(script, self.clock)
        store = open_store(self.url, clock=self.clock)
        client = make_client_for("notion", store=store, transport=vendor.transport, sleep=self.clock.sleep, **options)
        return client, vendor


@pytest.fixture
def machine(tmp_path: Path, clock: FakeClock) -> Machine:
    return Machine(tmp_path, clock)


def end(client: AimdClient) -> None:
    client.close()
    client.limiter.store.close()


def test_the_learned_rate_survives(machine: Machine) -> None:
    client, _ = machine.process([])
    for _ in range(20):
        client.get("/users")
    learned = client.limiter.snapshot()
    assert learned["current_rate"] == pytest.approx(3.9)
    end(client)

    machine.clock.now += 3600.0
    client, vendor = machine.process([])
    assert client.limiter.snapshot()["current_rate"] == learned["current_rate"]
    assert client.limiter.snapshot()["requests"] == 0, "the figures are the client's own"
    for _ in range(3):
        client.get("/users")
    first, second, _ = vendor.times
    assert second - first == pytest.approx(1 / learned["current_rate"], rel=1e-3)
    end(client)


def test_a_cooldown_survives_and_is_waited_out(machine: Machine) -> None:
    client, _ = machine.process([(429, {"Retry-After": "120"})], max_retries=0)
    with pytest.raises(Throttled) as caught:
        client.get("/users")
    end(client)

    machine.clock.now += 50.0
    client, vendor = machine.process([])
    assert client.limiter.snapshot()["cooldown_until"] == caught.value.until
    assert client.get("/users").status_code == 200
    assert vendor.times == [pytest.approx(70.0)]
    assert client.limiter.snapshot()["current_rate"] == pytest.approx(1.34)
    end(client)


def test_a_process_that_died_after_reserving_costs_one_slot(machine: Machine) -> None:
    client, _ = machine.process([KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        client.get("/users")
    # Nothing is closed: the process is gone.
    successor, vendor = machine.process([])
    successor.get("/users")
    assert vendor.times == [0.5]
    end(successor)
    end(client)


def test_the_next_process_counts_on_with_the_history(machine: Machine) -> None:
    for retry_after in ("5", "9"):
        client, _ = machine.process([(429, {"Retry-After": retry_after})])
        client.get("/users")
        end(client)
    with open_store(machine.url, clock=machine.clock) as store:
        ((bucket, state),) = store.buckets()
        kinds = [(event.kind, event.status, event.retry_after) for event in store.history(bucket)]
    assert kinds == [
        ("start", None, None),
        ("backoff", 429, 5.0),
        ("recovered", None, None),
        ("backoff", 429, 9.0),
        ("recovered", None, None),
    ]
    assert state.throttles == 2


def test_a_clock_set_back_between_processes_lengthens_no_wait(machine: Machine) -> None:
    client, _ = machine.process([(429, {"Retry-After": "120"})], max_retries=0)
    with pytest.raises(Throttled):
        client.get("/users")
    end(client)
    machine.clock.now -= 7200.0
    client, vendor = machine.process([])
    client.get("/users")
    assert vendor.times == [pytest.approx(120.0)]
    end(client)


def test_a_clock_that_jumps_ahead_ends_one_hold_early_once(machine: Machine) -> None:
    client, _ = machine.process([(429, {"Retry-After": "3600"})], max_retries=0)
    with pytest.raises(Throttled):
        client.get("/users")
    end(client)
    machine.clock.now += 3600.0
    client, vendor = machine.process([(429, {"Retry-After": "3600"})])
    client.get("/users")
    assert vendor.times == [0.0, pytest.approx(3600.0)]
    machine.clock.now -= 3600.0  # and back: what was met meanwhile moves with it
    client.get("/users")
    assert vendor.times[-1] - vendor.times[-2] < 10.0
    end(client)


def test_a_maximum_that_was_lowered_below_the_learned_rate_counts_from_the_next_request_on(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = machine.process([])
    for _ in range(20):
        client.get("/users")
    assert client.limiter.snapshot()["current_rate"] > 3.0
    end(client)
    lowered = API_RATE_CONFIGS["notion"].with_changes({"max_rate": 2.5})
    monkeypatch.setitem(API_RATE_CONFIGS, "notion", lowered)
    machine.clock.now += 60.0
    client, vendor = machine.process([])
    assert client.limiter.snapshot()["current_rate"] == 2.5
    for _ in range(4):
        client.get("/users")
    gaps = [b - a for a, b in itertools.pairwise(vendor.times)]
    assert min(gaps) == pytest.approx(0.4)
    end(client)


@pytest.mark.parametrize(
    "edit",
    [
        "cooldown_until = 9e999, next_slot = 9e999",
        "cooldown_until = 1e300, next_slot = -1e300",
        "updated_at = 9e999",
        "updated_at = 1e12, cooldown_until = 1e12",
        "rate = 9e999, ceiling = -9e999",
        "rate = -1",
        "learner = '{'",
        """learner = '{"v": 1, "rounds": 1e99}'""",
        """learner = '{"v": 99}'""",
    ],
)
def test_a_row_edited_by_hand_stops_nobody_for_longer_than_a_day(machine: Machine, edit: str) -> None:
    client, _ = machine.process([(429, {"Retry-After": "5"})])
    client.get("/users")
    end(client)
    with sqlite3.connect(machine.url.removeprefix("sqlite:///")) as database:
        database.execute(f"UPDATE limiter SET {edit}")
    database.close()
    client, vendor = machine.process([429, 200])
    assert client.get("/users").status_code == 200
    assert vendor.times[0] <= client.limiter.config.max_cooldown + 60.0
    assert 0.05 <= client.limiter.snapshot()["current_rate"] <= 10.0
    end(client)
