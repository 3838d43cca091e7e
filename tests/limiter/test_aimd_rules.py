"""The rules of the core one by one, with the figures of `limiter/aimd.py`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from limiter import ApiRateConfig, aimd
from state.records import LimiterState

CONFIG = ApiRateConfig(
    "acme", "https://api.acme.test", initial_rate=2.0, min_rate=0.1, max_rate=10.0, increase_step=0.1
)
SENT = aimd.Ticket(1000.0, 0, paced=True)


def known(**values: float) -> LimiterState:
    """A limiter that has met its limit at 5 requests/s some time ago."""
    state = LimiterState(rate=5.0, ceiling=5.0, next_slot=1000.0, since=900.0, updated_at=1000.0, cut_at=900.0)
    return replace(state, **values)  # type: ignore[arg-type]


def test_slots_are_one_interval_apart_and_the_rest_of_a_queue_looks_again() -> None:
    state = aimd.fresh(CONFIG, 1000.0)
    tickets = []
    for _ in range(7):
        state, ticket = aimd.reserve(state, CONFIG, 1000.0)
        tickets.append((ticket.at - 1000.0, ticket.generation is not None, ticket.paced))
    taken = [(0.0, True, False), (0.5, True, True), (1.0, True, True)]
    assert tickets == [*taken, *[(aimd.HORIZON, False, True)] * 4]


def test_a_waiter_that_looks_again_still_teaches() -> None:
    state = aimd.fresh(CONFIG, 1000.0)
    assert not aimd.reserve(state, CONFIG, 1000.0)[1].paced
    assert aimd.reserve(state, CONFIG, 1000.0, waited=True)[1].paced


def test_a_rested_bucket_starts_with_a_burst_and_none_follows_a_refusal() -> None:
    config = replace(CONFIG, burst=3)
    state = aimd.fresh(config, 1000.0)

    def starts(state: LimiterState, now: float) -> list[float]:
        times, begin = [], now
        while len(times) < 5:
            state, ticket = aimd.reserve(aimd.at_time(state, config, now), config, now)
            if ticket.generation is None:
                now = ticket.at
            else:
                times.append(ticket.at - begin)
        return times

    assert starts(state, 1000.0) == [0.0, 0.0, 0.0, 0.5, 1.0]
    assert starts(aimd.held(state, config, 1000.0, 10.0), 1010.0) == [0.0, 0.5, 1.0, 1.5, 2.0]
    cut = aimd.throttled(state, config, 1000.0, SENT, 10.0)
    apart = 1 / cut.rate
    assert starts(cut, 1010.0)[:3] == pytest.approx([0.0, apart, 2 * apart]), "nor one at the old rate after a cut"
    assert aimd.earliest(cut, config, 1000.0) == 1010.0


def test_tokens_are_what_could_go_at_once() -> None:
    config = replace(CONFIG, burst=4)
    state = aimd.fresh(config, 1000.0)
    assert aimd.tokens(state, config, 1000.0) == 4.0
    state, _ = aimd.reserve(state, config, 1000.0)
    assert aimd.tokens(state, config, 1000.0) == 3.0
    assert aimd.tokens(state, config, 1000.25) == 3.5
    assert aimd.tokens(aimd.held(state, config, 1000.0, 5.0), config, 1004.9) == 0.0


def test_slow_start_adds_a_step_per_success_until_the_cap() -> None:
    state = aimd.succeeded(aimd.fresh(CONFIG, 999.0), CONFIG, 1000.0, SENT)
    assert state.rate == pytest.approx(2.1)
    for _ in range(200):
        state = aimd.succeeded(state, CONFIG, 1000.0, SENT)
    assert state.rate == CONFIG.max_rate


def test_a_step_is_at_most_a_small_part_of_a_slow_rate() -> None:
    config = replace(CONFIG, initial_rate=0.1)
    assert aimd.succeeded(aimd.fresh(config, 999.0), config, 1000.0, SENT).rate == pytest.approx(
        0.1 * (1 + aimd.STEEPEST)
    )


@pytest.mark.parametrize(
    ("state", "ticket"),
    [
        (aimd.fresh(CONFIG, 999.0), replace(SENT, paced=False)),
        (known(hold_until=1000.5), SENT),
        (known(cut_at=1000.5), SENT),
        (known(rate=10.0, ceiling=0.0), SENT),
    ],
    ids=["it had not waited", "the rate is held", "sent before the last cut", "as fast as allowed"],
)
def test_a_success_that_teaches_nothing_leaves_the_very_same_state(state: LimiterState, ticket: aimd.Ticket) -> None:
    assert aimd.succeeded(state, CONFIG, 1000.0, ticket) is state


def test_what_was_let_go_is_counted_and_each_request_knows_how_many_went_before_it() -> None:
    state = aimd.fresh(CONFIG, 1000.0)
    counts = []
    for _ in range(3):
        state, ticket = aimd.reserve(state, CONFIG, 1000.0)
        counts.append((ticket.before, state.delivered))
    assert counts == [(0, 1), (1, 2), (2, 3)]
    assert aimd.throttled(state, CONFIG, 1001.0, replace(ticket, at=1000.9), 1.0).delivered == 0


def test_near_the_ceiling_growth_is_per_second_and_waits_for_the_end_of_the_hold() -> None:
    held = known(hold_until=1000.5)
    assert aimd.succeeded(held, CONFIG, 1000.0, SENT).rate == 5.0
    now, state = 1000.5, held
    for _ in range(25):  # five seconds of successes at about 5 requests/s
        state = aimd.succeeded(state, CONFIG, now, SENT)
        now += 1 / state.rate
    assert state.trusted == 5.0
    assert state.rate == pytest.approx(5.0 * (1 + aimd.GROWTH) ** (now - 1000.5), rel=0.01)


def test_a_ceiling_left_far_behind_is_forgotten() -> None:
    state = aimd.succeeded(known(rate=5.0 * aimd.STALE + 0.01), CONFIG, 1000.0, SENT)
    assert state.rate == pytest.approx(5.0 * aimd.STALE + 0.01 + CONFIG.increase_step)


def test_far_below_the_ceiling_the_search_goes_on_hold_or_not() -> None:
    state = aimd.succeeded(known(rate=3.85, hold_until=9000.0), CONFIG, 1000.0, SENT)
    assert state.rate == pytest.approx(3.95)
    for _ in range(10):
        state = aimd.succeeded(state, CONFIG, 1000.0, SENT)
    assert state.rate == pytest.approx(4.05), "up to FAR_BELOW; what is above waits for the end of the hold"
    assert not state.trusted, "a refusal now would be a surprise"


def test_a_slow_rate_is_probed_in_small_steps() -> None:
    slow = known(rate=0.2, ceiling=0.2)
    assert aimd.succeeded(slow, CONFIG, 1000.0, SENT).rate == pytest.approx(0.2 * (1 + aimd.GENTLEST))


@pytest.mark.parametrize(
    ("trusted", "left"),
    [(4.8, 4.8), (4.0, 5.0 * CONFIG.decrease_factor)],
    ids=["where the probe began", "or what decrease_factor leaves"],
)
def test_an_expected_refusal_leaves_what_was_quiet(trusted: float, left: float) -> None:
    state = aimd.throttled(known(trusted=trusted, delivered=10), CONFIG, 1000.0, SENT, 1.0)
    assert state.rate == pytest.approx(left)
    assert (state.ceiling, state.trusted) == (5.0, 0.0)


def test_a_rate_that_somebody_lowered_under_the_trusted_one_is_cut_all_the_same() -> None:
    assert aimd.throttled(known(trusted=5.5), CONFIG, 1000.0, SENT, 1.0).rate == pytest.approx(aimd.DEEPEST * 5.0)


@pytest.mark.parametrize(
    ("delivered", "left"),
    [(4.0, 4.0), (0.5, aimd.DEEPEST * 5.0), (6.0, 5.0)],
    ids=["onto what was delivered", "no deeper than DEEPEST", "no higher than it was"],
)
def test_a_surprise_lands_on_what_was_delivered(delivered: float, left: float) -> None:
    # A hundred seconds and one of hold since counting began.
    before = round(delivered * 101)
    state = aimd.throttled(known(delivered=before + 9), CONFIG, 1000.0, replace(SENT, before=before), 1.0)
    assert state.rate == pytest.approx(left, rel=1e-3)


def test_a_refusal_within_the_first_second_leaves_a_tenth_and_the_search_begins_again() -> None:
    third = replace(SENT, before=2)
    far_off = aimd.throttled(known(rate=9.0, since=999.5, delivered=3), CONFIG, 1000.0, third, 30.0)
    assert far_off.rate == pytest.approx(aimd.FAR_OFF * 9.0)
    assert (
        aimd.throttled(known(rate=9.0, since=999.5, delivered=1), CONFIG, 1000.0, SENT, 30.0).rate == aimd.DEEPEST * 9.0
    ), "nothing was delivered at all: somebody else has used the quota up, or a lockout of before goes on"
    now = far_off.cooldown_until
    back = far_off
    for _ in range(2):  # the first ends the outage
        back = aimd.succeeded(back, CONFIG, now, replace(SENT, at=now))
    assert back.rate > far_off.rate, "no hold that far below the ceiling"
    assert back.hold_until > now


def test_a_spared_refusal_holds_but_costs_no_rate_and_the_search_goes_on() -> None:
    before = known(trusted=4.8, delivered=10)
    spared = aimd.throttled(before, CONFIG, 1000.0, SENT, 3.0, spared=True)
    assert (spared.rate, spared.ceiling) == (before.rate, 0.0)
    assert (spared.cooldown_until, spared.outage_since, spared.cut_at) == (1003.0, 1000.0, 1000.0)
    assert not aimd.is_event(spared, replace(SENT, at=1001.0)), "the rest of those in flight are the same event"


def test_one_request_asks_whether_a_long_outage_is_over() -> None:
    state, _ = outage(known(), 3)  # waits of 1, 2 and 4 s, and still refused
    now = state.cooldown_until
    state, asks = aimd.reserve(state, CONFIG, now)
    assert asks.at == now
    assert aimd.earliest(state, CONFIG, now) == pytest.approx(now + 4.0), "the next only after another wait"
    over = aimd.succeeded(state, CONFIG, now + 0.2, asks)
    assert aimd.earliest(over, CONFIG, now + 0.2) == pytest.approx(now + 1 / state.rate), "or when it was answered"


def test_after_the_first_cooldown_everybody_goes_on() -> None:
    state, _ = outage(known(), 1)
    state, _ = aimd.reserve(state, CONFIG, state.cooldown_until)
    assert aimd.earliest(state, CONFIG, 1001.0) == pytest.approx(1001.0 + 1 / state.rate)


def test_the_floor_holds() -> None:
    state = aimd.throttled(known(rate=0.1), CONFIG, 1000.0, SENT, None)
    assert state.rate == CONFIG.min_rate


def test_a_refusal_of_what_was_sent_before_the_cut_only_lengthens_the_hold() -> None:
    first = aimd.throttled(known(), CONFIG, 1001.0, SENT, 5.0)
    second = aimd.throttled(first, CONFIG, 1002.0, replace(SENT, at=1000.5), 30.0)
    assert (second.rate, second.cut_at, second.rounds) == (first.rate, first.cut_at, first.rounds)
    assert (first.cooldown_until, second.cooldown_until) == (1006.0, 1032.0)
    third = aimd.throttled(second, CONFIG, 1003.0, replace(SENT, at=1000.7), 1.0)
    assert (third.cooldown_until, third.generation) == (1032.0, second.generation)


def test_a_late_success_of_what_was_sent_before_the_cut_ends_no_outage() -> None:
    cut = aimd.throttled(known(), CONFIG, 1001.0, SENT, 5.0)
    assert aimd.succeeded(cut, CONFIG, 1002.0, SENT).outage_since == 1001.0
    assert aimd.succeeded(cut, CONFIG, 1007.0, replace(SENT, at=1006.0)).outage_since == 0.0


def test_a_late_refusal_of_what_was_sent_before_the_cut_cuts_nothing_even_after_the_outage() -> None:
    cut = aimd.throttled(known(), CONFIG, 1001.0, SENT, 5.0)
    recovered = aimd.succeeded(cut, CONFIG, 1007.0, replace(SENT, at=1006.0))
    late = aimd.throttled(recovered, CONFIG, 1008.0, SENT, 5.0)
    assert (late.rate, late.cut_at) == (recovered.rate, 1001.0)
    assert late.cooldown_until == 1013.0


@pytest.mark.parametrize("field", ["cut_at", "outage_since", "hold_until", "next_slot", "cooldown_until"])
def test_a_time_of_a_row_that_cannot_be_is_bounded(field: str) -> None:
    state = aimd.at_time(known(**{field: 1e12}), CONFIG, 1000.0)
    longest = CONFIG.max_cooldown + aimd.HORIZON + aimd.LONGEST_BACKOFF + CONFIG.burst / CONFIG.min_rate
    assert getattr(state, field) <= 1000.0 + longest
    if field in ("cut_at", "outage_since"):
        assert getattr(state, field) == 1000.0


def outage(state: LimiterState, waits: int, retry_after: float | None = None) -> tuple[LimiterState, list[float]]:
    """Ask again at the end of each cooldown, and be refused again."""
    now, found = state.updated_at, []
    for _ in range(waits):
        state = aimd.throttled(state, CONFIG, now, aimd.Ticket(now, state.generation, paced=True), retry_after)
        found.append(state.cooldown_until - now)
        now = state.cooldown_until
    return state, found


@pytest.mark.parametrize("retry_after", [None, 0.0])
def test_without_advice_the_wait_doubles_up_to_a_minute(retry_after: float | None) -> None:
    assert outage(known(), 9, retry_after)[1] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_those_in_flight_do_not_double_the_wait_again() -> None:
    state = known()
    for _ in range(10):
        state = aimd.throttled(state, CONFIG, 1000.0, SENT, None)
    assert state.cooldown_until == 1001.0


def test_the_next_outage_starts_two_doublings_lower() -> None:
    state, waits = outage(known(), 5)
    assert waits[-1] == 16
    recovered = aimd.succeeded(state, CONFIG, state.cooldown_until, aimd.Ticket(state.cooldown_until, 1, paced=True))
    assert outage(replace(recovered, updated_at=state.cooldown_until), 2)[1] == [8, 16]


def test_an_outage_of_a_week_neither_overflows_nor_takes_as_long_to_forget() -> None:
    state, waits = outage(known(), 5000)
    assert waits[-1] == aimd.LONGEST_BACKOFF
    for _ in range(aimd.MOST_ROUNDS - 1):
        now = state.cooldown_until
        recovered = aimd.succeeded(state, CONFIG, now, aimd.Ticket(now, state.generation, paced=True))
        state, waits = outage(replace(recovered, updated_at=now), 1)
    assert waits == [1.0]


def test_advice_is_followed_but_never_beyond_max_cooldown() -> None:
    assert aimd.throttled(known(), CONFIG, 1000.0, SENT, 49.0).cooldown_until == 1049.0
    assert aimd.throttled(known(), CONFIG, 1000.0, SENT, 1e9).cooldown_until == 1000.0 + CONFIG.max_cooldown


@pytest.mark.parametrize(
    ("rate", "length", "hold"),
    [(5.0, 30.0, 600.0), (2.0, 1.0, aimd.HOLD_REQUESTS / 2.0), (5.0, 90_000.0, 86_400.0)],
    ids=["20 times the outage", "or some requests", "at most max_cooldown"],
)
def test_the_hold_after_an_outage(rate: float, length: float, hold: float) -> None:
    state = known(rate=rate, outage_since=1000.0, cut_at=1000.0)
    now = 1000.0 + length
    after = aimd.succeeded(state, CONFIG, now, replace(SENT, at=now))
    assert after.hold_until - now == pytest.approx(hold)
    assert (after.rate, after.outage_since) == (rate, 0.0)


def test_a_cooldown_voids_what_was_reserved_before_it() -> None:
    state, ticket = aimd.reserve(known(next_slot=1000.4), CONFIG, 1000.0)
    assert not aimd.is_void(state, ticket)
    held = aimd.held(state, CONFIG, 1000.1, 10.0)
    assert aimd.is_void(held, ticket)
    _, again = aimd.reserve(held, CONFIG, 1000.4)
    assert again.at == 1010.1


@pytest.mark.parametrize("wait", [0.0, 3.0])
def test_a_hold_that_ends_sooner_changes_nothing(wait: float) -> None:
    held = aimd.held(known(), CONFIG, 1000.0, 10.0)
    assert aimd.held(held, CONFIG, 1001.0, wait) is held


def test_a_clock_set_back_takes_every_time_with_it() -> None:
    state = aimd.throttled(known(hold_until=1700.0), CONFIG, 1000.0, SENT, 40.0)
    back = aimd.at_time(state, CONFIG, 400.0)
    moved = ("next_slot", "cooldown_until", "since", "hold_until", "cut_at", "outage_since", "updated_at")
    assert {name: getattr(back, name) for name in moved} == {name: getattr(state, name) - 600.0 for name in moved}
    assert aimd.earliest(back, CONFIG, 400.0) == 440.0


def test_a_clock_that_jumps_forward_ends_one_hold_once() -> None:
    state = aimd.throttled(known(), CONFIG, 1000.0, SENT, 40.0)
    assert aimd.earliest(aimd.at_time(state, CONFIG, 5000.0), CONFIG, 5000.0) == 5000.0


def test_the_configuration_of_today_bounds_the_rate_of_yesterday() -> None:
    assert aimd.at_time(known(rate=50.0), CONFIG, 1000.0).rate == 10.0
    assert aimd.at_time(known(rate=0.001), CONFIG, 1000.0).rate == 0.1
    assert aimd.at_time(known(), replace(CONFIG, initial_rate=1.0, max_rate=3.0), 1000.0).rate == 3.0
