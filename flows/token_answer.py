"""What a vendor answers who is asked for a token: one, or in its words why there is none. Pure."""

from __future__ import annotations

from typing import Any

import httpx

from limiter.redaction import hide

REFUSED_FOR = 30.0
"""Seconds for which a refusal is an answer for everybody: the streams of a sync must not each ask for another."""
UNSAID = 600.0
"""Seconds that a token is taken to last whose answer does not say it."""


def kept(response: httpx.Response, secret: str) -> tuple[dict[str, Any], float]:
    """What is kept of an answer, and for how many seconds it is good.

    Args:
        response: Read.
        secret: Which the vendor was sent, and may repeat.

    Returns:
        `token`, or `status` and what was `said` instead.

    Example:
        >>> kept(httpx.Response(200, json={"access_token": "vat_1", "expires_in": 3599}), "s3cret")
        ({'token': 'vat_1'}, 3599.0)
        >>> kept(httpx.Response(401, json={"message": "s3cret is wrong"}), "s3cret")
        ({'status': 401, 'said': '[credential] is wrong'}, 30.0)
    """
    answer = _object(response)
    token = answer.get("access_token")
    if not response.is_success or not isinstance(token, str) or not _may_be_sent(token):
        return {"status": response.status_code, "said": said(response, secret)}, REFUSED_FOR
    lasts = answer.get("expires_in")
    known = isinstance(lasts, int | float) and not isinstance(lasts, bool) and 0 < lasts < 1e9
    return {"token": token}, float(lasts) if known and lasts else UNSAID


def said(response: httpx.Response, secret: str) -> str:
    """What the vendor says instead of a token, without the secret or what should have been one."""
    answer = _object(response)
    words = answer.get("error_description") or answer.get("message") or answer.get("error") or "no token in it"
    return hide(str(words), [secret, str(answer.get("access_token", secret))])[:200]


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _may_be_sent(token: str) -> bool:
    return bool(token) and token.isprintable() and token.isascii() and " " not in token
