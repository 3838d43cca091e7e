"""What a reply means: one default, and a table of what single vendors do otherwise. Pure."""

from __future__ import annotations

import enum
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from limiter import rate_headers
from limiter.config import ApiRateConfig
from limiter.rate_headers import Told
from limiter.retry_after import parse_retry_after

BODY_LIMIT = 64 * 1024
"""Bytes of a refused reply that are read to classify it."""


class Kind(enum.Enum):
    """What the limiter does with a reply."""

    FINE = "fine"
    THROTTLED = "throttled"
    OVERLOADED = "overloaded"
    FAULT = "fault"
    TERMINAL = "terminal"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Reply:
    """A classified reply.

    Attributes:
        kind: What to do.
        retry_after: Seconds the vendor asks us to wait, or None.
        reason: The vendor's own word for a refusal, `""` if it has none.
        told: What it says of a quota, if it does.
    """

    kind: Kind
    retry_after: float | None = None
    reason: str = ""
    told: Told | None = None

    @property
    def word(self) -> str:
        """The vendor's word for the limit that it is about; `""` if it has none."""
        return self.reason or (self.told.resource if self.told else "")


# A refusal that waiting does not end, by a mark in its body. Notion: the client was blocked, "retrying will not help";
# Airtable: the month's calls are used up; OpenAI: nothing is left to pay with.
_TERMINAL: Mapping[str, tuple[str, ...]] = {
    "notion": ("public_api_request_blocked",),
    "airtable": ("PUBLIC_API_BILLING_LIMIT_EXCEEDED",),
    "openai": ("insufficient_quota",),
}
GITHUB_SECONDARY = 60.0
"""Seconds to wait at a secondary limit without a header. Source: docs.github.com, rate limits for the REST API."""

THROTTLED = (429, 529)
"""Statuses that count as throttled in any case: a limiter that took one for a success would go faster."""
_SECONDARY = b"secondary rate limit"
_NOT_OK = b'{"ok":false'
"""How Slack begins an answer that is an error, whatever its status. Source: docs.slack.dev, Web API."""
_FAULTS = frozenset({500, 502, 503, 504})


def wants_body(config: ApiRateConfig, status: int, backoff_status_codes: Collection[int]) -> bool:
    """Whether a reply can only be classified with its body at hand."""
    if status in THROTTLED or status in backoff_status_codes:
        return True
    return (status, _dialect(config)) in ((403, "github"), (200, "slack"))


def classify(
    config: ApiRateConfig,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    backoff_status_codes: Collection[int] = THROTTLED,
) -> Reply:
    """What a reply means.

    Args:
        config: The API; its dialect chooses the vendor's table.
        status: The HTTP status.
        headers: Of the reply, with case-insensitive keys as httpx gives them.
        body: Up to `BODY_LIMIT` bytes, decompressed; empty where `wants_body` is false.
        now: Epoch seconds, for dates in headers.
        backoff_status_codes: What counts as throttled besides `THROTTLED`.
    """
    dialect = _dialect(config)
    told = rate_headers.read(config.rate_headers, headers)
    retry_after = parse_retry_after(headers.get("retry-after"), now, config.max_cooldown)
    is_github_limit = (status, dialect) == (403, "github") and _is_github_limit(headers, body)
    if status in THROTTLED or status in backoff_status_codes or is_github_limit:
        text = body.decode("utf-8", "replace")
        for mark in _TERMINAL.get(dialect, ()):
            if mark in text:
                return Reply(Kind.TERMINAL, retry_after, mark, told)
        details = _object(_object(_json(text)).get("additional_data"))
        if retry_after is None:
            retry_after = _advice(config, headers, body, details, told, now)
        return Reply(Kind.THROTTLED, retry_after, str(details.get("rate_limit_reason", "")), told)
    if status == 503 and retry_after:  # to wait for no time is no advice: an ordinary fault, with its few tries
        return Reply(Kind.OVERLOADED, retry_after, told=told)
    if status in _FAULTS:
        return Reply(Kind.FAULT, told=told)
    if status in (401, 403, 404, 422):
        return Reply(Kind.REFUSED, told=told)
    if status == 200 and dialect == "slack" and body.startswith(_NOT_OK):
        error = str(_object(_json(body.decode("utf-8", "replace"))).get("error", ""))
        if error == "ratelimited":
            return Reply(Kind.THROTTLED, retry_after, told=told)
        return Reply(Kind.REFUSED, reason=error, told=told)
    return Reply(Kind.FINE, told=told)


def _advice(
    config: ApiRateConfig,
    headers: Mapping[str, str],
    body: bytes,
    details: Mapping[str, Any],
    told: Told | None,
    now: float,
) -> float | None:
    """Seconds that a refusal asks for elsewhere than in Retry-After."""
    if _dialect(config) == "notion":  # as a string in its body
        wait = parse_retry_after(str(details.get("retry_after", "")), now, config.max_cooldown)
        if wait is not None:
            return wait
    if "retry-after-ms" in headers:  # OpenAI
        milliseconds = parse_retry_after(headers["retry-after-ms"], now, 1000 * config.max_cooldown)
        if milliseconds is not None:
            return milliseconds / 1000
    if told is not None and told.left < 1.0:
        left = told.until(now) - now
        if 0.0 <= left <= config.max_cooldown:
            return left
    return GITHUB_SECONDARY if _dialect(config) == "github" and _SECONDARY in body else None


def _is_github_limit(headers: Mapping[str, str], body: bytes) -> bool:
    """GitHub answers 403 for its limits and for missing permissions; only the former slow us down.

    Source: docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api.
    """
    return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0" or _SECONDARY in body


def _dialect(config: ApiRateConfig) -> str:
    return config.dialect or config.name


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
