"""What an operator reads: DEBUG as the rate grows, WARNING as it is cut, figures for machines, no secrets."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from limiter import make_client_for
from limiter.testing import START

FIGURES = {"api", "bucket", "event", "rate_before", "rate_after", "ceiling", "retry_after", "cooldown_until", "status"}


def figures(record: logging.LogRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in FIGURES}


def test_a_backoff_is_a_warning_with_its_figures(play: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "limiter")
    play([(429, {"Retry-After": "30"})])
    backoff, recovered = caplog.records
    assert (backoff.name, backoff.levelname) == ("limiter", "WARNING")
    assert backoff.getMessage() == (
        "notion/default/default: backoff 2 -> 1.34 requests/s, status 429, nothing is sent for 30.0 s"
    )
    assert figures(backoff) == {
        "api": "notion",
        "bucket": "notion/default/default",
        "event": "backoff",
        "rate_before": 2.0,
        "rate_after": pytest.approx(1.34),
        "ceiling": 2.0,
        "retry_after": 30.0,
        "cooldown_until": START + 30.0,
        "status": 429,
    }
    assert (recovered.levelname, recovered.event) == ("DEBUG", "recovered")  # type: ignore[attr-defined]


def test_every_increase_is_told_at_debug(play: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "limiter")
    play([], times=3)
    assert [(r.levelname, r.event) for r in caplog.records] == [("DEBUG", "increase")] * 2  # type: ignore[attr-defined]
    assert [record.getMessage() for record in caplog.records] == [
        "notion/default/default: increase 2 -> 2.1 requests/s",
        "notion/default/default: increase 2.1 -> 2.2 requests/s",
    ]


@pytest.mark.parametrize("status", [429, 503])
def test_a_hold_without_a_cut_is_a_warning_too(play: Any, caplog: pytest.LogCaptureFixture, status: int) -> None:
    play([(429, {"Retry-After": "5"}), (status, {"Retry-After": "7"})])
    events = [(r.levelname, r.event, r.status, r.retry_after) for r in caplog.records]  # type: ignore[attr-defined]
    assert events == [("WARNING", "backoff", 429, 5.0), ("WARNING", "cooldown", status, 7.0)]


def test_a_quiet_logger_costs_and_says_nothing(play: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "limiter")
    play([429], times=3)
    assert caplog.records == []


def test_the_loggers_are_under_limiter() -> None:
    import limiter.client
    import limiter.transport  # noqa: F401 - every module is loaded

    ours = [name for name in logging.root.manager.loggerDict if name == "limiter" or name.startswith("limiter.")]
    assert "limiter" in ours


def test_no_secret_is_logged_shown_or_raised(
    play: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = {"Authorization": "Bearer hunter2", "Cookie": "s=hunter2"}
    refused = play([429] * 9, bounds={"max_retries": 1}, client={"headers": secrets})
    blocked = play([httpx.Response(429, text="public_api_request_blocked")], client={"headers": secrets})
    late = play([(429, {"Retry-After": "60"})], bounds={"max_wait": 1.0}, client={"headers": secrets})
    shown = [str(record.__dict__) for record in caplog.records]
    for played in (refused, blocked, late):
        shown += [str(played.error), repr(played.error), repr(played.limiter), repr(played.limiter.tally)]
        shown += [str(played.limiter.snapshot())]
    with make_client_for("notion", headers=secrets, auth=("auditor", "hunter2")) as client:
        shown += [repr(client), repr(client.limiter.config)]
    assert "limiter" in {record.name for record in caplog.records}
    assert "hunter2" not in "\n".join(shown)
