"""Every form of Retry-After that is seen in the wild, and every malformed one."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.retry_after import parse_retry_after

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        (" 30 ", 30.0),
        ("1.5", 1.5),
        ("2.", 2.0),
        (".25", 0.25),
        ("0", 0.0),
        ("00000030", 30.0),
        ("86400", 86_400.0),
        ("Wed, 25 Nov 2026 12:00:49 GMT", 49.0),
        ("Wed, 25 Nov 2026 13:00:49 +0100", 49.0),
        ("Wednesday, 25-Nov-26 12:00:49 GMT", 49.0),
        ("Wed Nov 25 12:00:49 2026", 49.0),
        ("2026-11-25T12:00:49Z", 49.0),
        ("2026-11-25T12:00:49.500Z", 49.5),
        ("2026-11-25T14:30:49+02:30", 49.0),
        ("2026-11-25T12:00:49", 49.0),
        ("2026-11-25 12:00:49", 49.0),
    ],
)
def test_the_forms_that_vendors_send(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value", ["Wed, 25 Nov 2026 11:59:59 GMT", "2026-11-25T11:59:59Z", "0001-01-01T00:00:00+14:00"]
)
def test_a_date_gone_by_is_no_wait(value: str) -> None:
    assert parse_retry_after(value, NOW) == 0.0


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "   ",
        "soon",
        "NaN",
        "nan",
        "inf",
        "Infinity",
        "1e999",
        "1e3",
        "-5",
        "-0",
        "+5",
        "5s",
        "5 seconds",
        "0x10",
        "1_0",
        "1,5",
        "30, 30",
        "12345678901234567890",
        "86401",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
        "Wed, 25 Nov 2027 12:00:00 GMT",
        "Wed, 99 Nov 2026 12:00:00 GMT",
        "2026-13-45T00:00:00Z",
        "\u0663\u0660",  # digits, but not ASCII's
    ],
)
def test_what_is_malformed_counts_as_absent(value: str | None) -> None:
    assert parse_retry_after(value, NOW) is None


def test_the_longest_wait_is_the_configurations() -> None:
    assert parse_retry_after("3600", NOW, max_cooldown=3600.0) == 3600.0
    assert parse_retry_after("3601", NOW, max_cooldown=3600.0) is None


@given(st.floats(0.0, 86_000.0))
def test_a_duration_and_both_kinds_of_date_agree(wait: float) -> None:
    wait = round(wait)
    moment = datetime.fromtimestamp(NOW + wait, UTC)
    forms = [str(wait), format_datetime(moment, usegmt=True), moment.isoformat()]
    assert [parse_retry_after(form, NOW) for form in forms] == [wait] * 3


@given(st.text() | st.from_regex(r"[-+0-9.,:eTZ /GMTaNovFri]{0,40}", fullmatch=True))
def test_nothing_a_vendor_can_send_raises_or_stops_us_for_long(value: str) -> None:
    wait = parse_retry_after(value, NOW)
    assert wait is None or 0.0 <= wait <= 86_400.0
