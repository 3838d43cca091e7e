"""How long a sync waits: out any pace and any short cooldown, and no long one."""

import threading

import pytest

from flows.release import Patience, patience_for
from flows.stopping import Stopped
from limiter import Limiter, TryLater, WaitTooLong, api_config, make_client_for
from limiter.clock_time import clock_time
from state.memory import MemoryStore
from state.records import Bucket, Decision, LimiterState

NOTION = Bucket("notion")


def hold(
    store: MemoryStore, seconds: float, rate: float = 2.0, next_slot: float = 0.0, bucket: Bucket = NOTION
) -> float:
    """Hold Notion's bucket; gives until when."""
    until = store.evidence.now() + seconds
    state = LimiterState(rate, cooldown_until=until, next_slot=next_slot or until, updated_at=store.evidence.now())
    store.transact(bucket, lambda found, now: Decision(state, None))
    return until


@pytest.fixture
def patience(store) -> Patience:
    return patience_for("notion", "Notion", "default", store, release_after=120)


def test_a_long_cooldown_is_refused_with_its_end(store, patience):
    until = hold(store, 3540)
    with pytest.raises(WaitTooLong) as refused:
        patience.sleep(3540)
    assert refused.value.until == patience.until == until
    assert (refused.value.api, refused.value.bucket) == ("notion", "notion/default/default")
    assert str(refused.value).startswith("Notion asked for 59 min; what was collected is kept. Run again from ")
    assert patience.reason.startswith("Notion asked for 59 min; resumes ")


@pytest.mark.parametrize("seconds", [0.0, 119.0])
def test_a_short_cooldown_is_waited_out(store, patience, seconds):
    hold(store, seconds)
    patience.look()
    patience.sleep(0.0)
    assert patience.until == 0.0


def test_another_tenants_cooldown_is_not_ours(store):
    hold(store, 3540)
    patience_for("notion", "Notion", "other", store, release_after=120).look()


def test_a_long_cooldown_of_another_limit_of_the_api_holds_those_who_meet_it(store, patience):
    until = hold(store, 3540, bucket=Bucket("notion", "workspace"))
    patience.look()
    with pytest.raises(WaitTooLong) as refused:
        patience.sleep(3540)
    assert refused.value.until == until


def test_a_slow_pace_is_waited_out_however_slow(store, patience, monkeypatch):
    hold(store, 0.0, rate=0.05)
    waited = []
    monkeypatch.setattr("flows.stopping.Stop.sleep", lambda self, seconds: waited.append(seconds))
    patience.sleep(200.0)
    assert waited == [200.0]
    assert patience.until == 0.0


def test_whoever_meets_a_long_cooldown_wakes_all_who_wait(store, patience):
    hold(store, 3540)
    told, ready = [], threading.Barrier(4)

    def wait() -> None:
        ready.wait(30)
        try:
            patience.sleep(100.0)  # for its slot, begun before the cooldown
        except WaitTooLong as error:
            told.append(error.until)

    waiting = [threading.Thread(target=wait) for _ in range(3)]
    for thread in waiting:
        thread.start()
    ready.wait(30)
    with pytest.raises(WaitTooLong):
        patience.look()
    for thread in waiting:
        thread.join(30)
    assert told == [patience.until] * 3
    with pytest.raises(TryLater):
        patience.sleep(0.0)  # and whoever comes later


def test_one_that_is_stopped_is_stopped(patience):
    patience.set()
    with pytest.raises(Stopped):
        patience.sleep(0.0)


def test_a_request_ends_at_a_long_cooldown_and_was_not_sent(store, respx_mock):
    until = hold(store, 3540)
    waits = patience_for("notion", "Notion", "default", store, release_after=120)
    route = respx_mock.get("https://api.notion.com/v1/users").respond(json={})
    with make_client_for("notion", store=store, sleep=waits.sleep) as client, pytest.raises(WaitTooLong) as refused:
        client.get("/users")
    assert refused.value.until == until
    assert not route.called


def test_a_hand_edited_cooldown_is_no_longer_than_a_day(store, patience):
    hold(store, 1e9)
    with pytest.raises(WaitTooLong) as refused:
        patience.look()
    assert refused.value.until == store.evidence.now() + api_config("notion").max_cooldown
    assert Limiter(api_config("notion"), Bucket("notion"), store).snapshot()["cooldown_until"] == refused.value.until


def test_a_time_is_never_told_too_early():
    assert clock_time(1_764_079_375.2, now=1_764_079_300.0) == "14:02:56 UTC"
    assert clock_time(1_764_079_375.2, now=1_764_075_000.0) == "14:03 UTC"
    assert clock_time(1_764_079_375.2, now=1_764_000_000.0) == "25 Nov 14:03 UTC"
