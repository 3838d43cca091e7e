"""What a reply means: the table of the design, class by class, and what single vendors do otherwise."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter import API_RATE_CONFIGS, ApiRateConfig
from limiter.rate_headers import Told
from limiter.replies import BODY_LIMIT, GITHUB_SECONDARY, Kind, Reply, classify, wants_body

NOW = 1_800_000_000.0
ACME = ApiRateConfig("acme", "https://api.acme.test")
KINDS = {
    Kind.THROTTLED: [429, 529],
    Kind.FAULT: [500, 502, 503, 504],
    Kind.REFUSED: [401, 403, 404, 422],
    Kind.FINE: [200, 201, 202, 204, 301, 304, 307, 400, 405, 409, 410, 412, 415, 501],
}


def read(
    api: str | ApiRateConfig,
    status: int,
    body: Any = b"",
    codes: tuple[int, ...] = (429, 529),
    **headers: str,
) -> Reply:
    config = API_RATE_CONFIGS[api] if isinstance(api, str) else api
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return classify(config, status, named, content, NOW, codes)


@pytest.mark.parametrize("api", sorted(API_RATE_CONFIGS))
@pytest.mark.parametrize(("kind", "status"), [(kind, status) for kind, codes in KINDS.items() for status in codes])
def test_the_table_holds_for_every_vendor(api: str, kind: Kind, status: int) -> None:
    assert read(api, status) == Reply(kind)


@pytest.mark.parametrize("status", [429, 529])
def test_a_refusal_carries_its_advice(status: int) -> None:
    assert read(ACME, status, Retry_After="49") == Reply(Kind.THROTTLED, 49.0)
    assert read(ACME, status, Retry_After="1e999") == Reply(Kind.THROTTLED, None)


@pytest.mark.parametrize(
    ("value", "reply"),
    [
        ("30", Reply(Kind.OVERLOADED, 30.0)),
        ("2027-01-15T08:00:30Z", Reply(Kind.OVERLOADED, 30.0)),
        ("0", Reply(Kind.FAULT)),
        ("soon", Reply(Kind.FAULT)),
        ("99999999", Reply(Kind.FAULT)),
    ],
)
def test_a_503_is_an_overload_only_if_it_says_how_long(value: str, reply: Reply) -> None:
    assert read(ACME, 503, Retry_After=value) == reply


def test_other_statuses_count_as_throttled_where_the_caller_says_so() -> None:
    assert read(ACME, 420, codes=(420,), Retry_After="5") == Reply(Kind.THROTTLED, 5.0)
    assert read(ACME, 503, codes=(503,)).kind is Kind.THROTTLED
    assert read(ACME, 429, codes=(420,)).kind is Kind.THROTTLED, "the caller adds, the vendor's own stay"


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("notion", {"code": "rate_limited", "additional_data": {"rate_limit_reason": "public_api_request_blocked"}}),
        ("airtable", {"error": {"type": "PUBLIC_API_BILLING_LIMIT_EXCEEDED", "message": "..."}}),
        ("openai", {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}),
    ],
)
def test_some_refusals_are_terminal_and_only_with_their_vendor(api: str, body: dict[str, Any]) -> None:
    reply = read(api, 429, body, Retry_After="5")
    assert reply.kind is Kind.TERMINAL
    assert reply.reason in json.dumps(body)
    assert read(ACME, 429, body).kind is Kind.THROTTLED
    assert read(api, 200, body).kind is Kind.FINE


def notion(**details: Any) -> dict[str, Any]:
    return {"object": "error", "status": 429, "code": "rate_limited", "additional_data": details}


def test_notion_repeats_retry_after_in_the_body() -> None:
    body = notion(rate_limit_reason="public_api_space_request_rate_limit", retry_after="49")
    reason = "public_api_space_request_rate_limit"
    assert read("notion", 429, body) == Reply(Kind.THROTTLED, 49.0, reason)
    assert read("notion", 429, body, Retry_After="7") == Reply(Kind.THROTTLED, 7.0, reason), "the header goes first"
    assert read("notion", 529, {"code": "service_overload"}) == Reply(Kind.THROTTLED)
    assert read(ACME, 429, body).retry_after is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Too many requests</html>",
        b"\xff\xfe\x00",
        b"[1, 2",
        b"[]",
        b"null",
        b'"additional_data"',
        b'{"additional_data": []}',
        b'{"additional_data": {"retry_after": null}}',
        b'{"additional_data": {"retry_after": "NaN"}}',
        b'{"additional_data": {"retry_after": -5}}',
        b'{"additional_data": {"retry_after": {"x": 1}}}',
        b"[" * BODY_LIMIT,
    ],
)
def test_a_body_that_is_not_as_expected_is_a_plain_refusal(body: bytes) -> None:
    reply = read("notion", 429, body)
    assert (reply.kind, reply.retry_after) == (Kind.THROTTLED, None)


SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
PRIMARY = {"message": "API rate limit exceeded for user ID 1."}


@pytest.mark.parametrize("status", [403, 429])
def test_github_limits(status: int) -> None:
    reset = str(int(NOW) + 1200)
    used_up = {"x_ratelimit_remaining": "0", "x_ratelimit_reset": reset}
    told = Told(0.0, NOW + 1200, epoch=True, window=3600.0)
    assert read("github", status, PRIMARY, **used_up) == Reply(Kind.THROTTLED, 1200.0, told=told)
    assert read("github", status, SECONDARY, Retry_After="60", x_ratelimit_remaining="17") == Reply(
        Kind.THROTTLED, 60.0
    )
    assert read("github", status, SECONDARY) == Reply(Kind.THROTTLED, GITHUB_SECONDARY)
    assert read("github", status, PRIMARY, Retry_After="5", **used_up).retry_after == 5.0


@pytest.mark.parametrize("reset", ["soon", "-1", "0", str(int(NOW) - 1), str(int(NOW) + 86_401), "9" * 20, "1e999", ""])
def test_a_reset_that_cannot_be_is_none(reset: str) -> None:
    reply = read("github", 403, PRIMARY, x_ratelimit_remaining="0", x_ratelimit_reset=reset)
    assert reply.kind is Kind.THROTTLED
    assert not reply.retry_after


def test_github_403_without_a_limit_is_about_permissions() -> None:
    denied = {"message": "Resource not accessible by personal access token"}
    assert read("github", 403, denied, x_ratelimit_remaining="4999").kind is Kind.REFUSED
    assert read("notion", 403, SECONDARY, Retry_After="60", x_ratelimit_remaining="0").kind is Kind.REFUSED


def test_a_new_api_may_speak_a_known_vendors_dialect() -> None:
    enterprise = ApiRateConfig("ghes", "https://ghe.acme.test/api/v3", dialect="github")
    assert wants_body(enterprise, 403, ())
    assert read(enterprise, 403, SECONDARY).kind is Kind.THROTTLED


def test_a_body_is_read_only_where_it_decides() -> None:
    github, acme = API_RATE_CONFIGS["github"], ACME
    assert [wants_body(acme, status, (420,)) for status in (200, 401, 403, 420, 429, 500, 503, 529)] == [
        *(False, False, False, True, True, False, False, True)
    ]
    assert wants_body(github, 403, ())
    assert not wants_body(github, 404, ())


@given(
    st.sampled_from(sorted(API_RATE_CONFIGS)),
    st.integers(100, 599),
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text(), st.lists).map(lambda value: json.dumps(value).encode()),
    st.dictionaries(
        st.sampled_from(["retry-after", "x-ratelimit-reset", "x-ratelimit-remaining"]), st.text(max_size=30)
    ),
)
def test_no_reply_raises(api: str, status: int, body: bytes, headers: dict[str, str]) -> None:
    reply = classify(API_RATE_CONFIGS[api], status, headers, body, NOW)
    assert reply.retry_after is None or 0.0 <= reply.retry_after <= 86_400.0


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"ok": True}, Kind.FINE),
        ({"ok": False, "error": "ratelimited"}, Kind.THROTTLED),
        ({"ok": False, "error": "missing_scope"}, Kind.REFUSED),
        ({"ok": False}, Kind.REFUSED),
        ([], Kind.FINE),
    ],
)
def test_slack_says_in_the_body_whether_an_answer_is_one(body: Any, kind: Kind) -> None:
    content = json.dumps(body, separators=(",", ":")).encode()
    assert classify(API_RATE_CONFIGS["slack"], 200, {}, content, NOW).kind is kind
    assert classify(API_RATE_CONFIGS["notion"], 200, {}, content, NOW).kind is Kind.FINE
