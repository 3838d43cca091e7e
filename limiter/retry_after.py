"""Reading Retry-After in every form that vendors send it.

RFC 9110 section 10.2.3 knows seconds and an HTTP-date. Seen besides: decimals, and ISO 8601 (Fieldguide's export job).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"\d{1,15}(\.\d{0,9})?|\.\d{1,9}", re.ASCII)


def parse_retry_after(value: str | None, now: float, max_cooldown: float = 86_400.0) -> float | None:
    """How long a vendor asks us to wait.

    Args:
        value: The header, or None.
        now: Epoch seconds, to make a duration of a date.
        max_cooldown: Seconds; what is longer is malformed.

    Returns:
        Seconds, at least 0.0 (a date that has passed); None for no header and for a malformed one.

    Example:
        >>> parse_retry_after("1.5", now=0.0), parse_retry_after("Thu, 01 Jan 1970 00:00:30 GMT", now=10.0)
        (1.5, 20.0)
        >>> parse_retry_after("1970-01-01T00:00:30.000Z", now=10.0), parse_retry_after("1e999", now=0.0)
        (20.0, None)
    """
    text = (value or "").strip()
    if not text:
        return None
    if _SECONDS.fullmatch(text):
        wait = float(text)
    elif (moment := moment_of(text)) is not None:
        wait = max(0.0, moment - now)
    else:
        return None
    return wait if math.isfinite(wait) and wait <= max_cooldown else None


def moment_of(text: str) -> float | None:
    """A date-time as epoch seconds. ISO first: the mail parser raises on it, or reads it wrongly."""
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None
