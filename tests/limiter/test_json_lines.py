"""Figures for machines: lines of JSON from the hook, and the same figures in every record of the log."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from limiter import LimiterEvent, make_client_for
from limiter.hooks import log_event
from limiter.json_lines import JsonLines
from limiter.testing import START, FakeClock, ScriptedVendor
from state import Bucket
from state.memory import MemoryStore

BACKOFF = {
    "event": "backoff",
    "api": "notion",
    "scope": "default",
    "quota_key": "acme",
    "bucket": "notion/default/acme",
    "tenant": "acme",
    "at": START,
    "rate_before": 2.0,
    "rate_after": pytest.approx(1.34),
    "ceiling": 2.0,
    "retry_after": 30.0,
    "cooldown_until": START + 30.0,
    "status": 429,
    "reason": "",
}


def send(clock: FakeClock, *hooks: Any) -> None:
    vendor = ScriptedVendor([(429, {"Retry-After": "30"})], clock)
    options = {"store": MemoryStore(clock=clock), "transport": vendor.transport, "sleep": clock.sleep}
    with make_client_for("notion", tenant="acme", hooks=hooks, **options) as client:  # type: ignore[arg-type]
        client.get("/users")


def test_each_change_is_a_line_that_any_json_parser_reads(clock: FakeClock) -> None:
    out = io.StringIO()
    send(clock, JsonLines(out))
    lines = out.getvalue().splitlines()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    backoff, recovered = (json.loads(line, parse_constant=refuse) for line in lines)
    assert backoff == BACKOFF
    assert {*recovered} == {*BACKOFF}
    assert (recovered["event"], recovered["status"]) == ("recovered", None)


def test_a_line_is_one_write_and_stays_a_line_whatever_the_vendor_says() -> None:
    written: list[str] = []

    class Out(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    JsonLines(Out())(LimiterEvent(Bucket("notion"), "ä\n", "terminal", START, 2.0, 2.0, reason='"\n\u2028 {"'))
    [line] = written
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert json.loads(line)["reason"] == '"\n\u2028 {"'


@pytest.fixture
def record(caplog: pytest.LogCaptureFixture, clock: FakeClock) -> logging.LogRecord:
    caplog.set_level(logging.WARNING, "limiter")
    send(clock)
    [record] = caplog.records
    return record


def test_a_record_of_the_log_has_the_same_figures(record: logging.LogRecord) -> None:
    assert {name: getattr(record, name) for name in BACKOFF} == BACKOFF


def test_a_json_formatter_writes_them(record: logging.LogRecord) -> None:
    formatters = pytest.importorskip("pythonjsonlogger.json")
    line = json.loads(formatters.JsonFormatter("%(levelname)s %(name)s").format(record))
    assert {name: line[name] for name in BACKOFF} == BACKOFF
    assert (line["levelname"], line["name"]) == ("WARNING", "limiter")


@pytest.mark.parametrize(
    ("kind", "level", "said"),
    [
        ("opened", "WARNING", "notion/default/default: the circuit opened, status 503, nothing is sent for 30.0 s"),
        ("closed", "INFO", "notion/default/default: the circuit closed"),
    ],
)
def test_a_circuit_is_told_in_words(kind: str, level: str, said: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "limiter")
    until = {"status": 503, "cooldown_until": START + 30.0} if kind == "opened" else {}
    log_event(LimiterEvent(Bucket("notion"), "acme", kind, START, 2.0, 2.0, **until))  # type: ignore[arg-type]
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == (level, said)
