"""What can go wrong with a request, grouped by what the caller does next.

    AimdError
    |-- ConfigurationError (ValueError)      fix the configuration; nothing was sent
    |   `-- UnknownApi
    `-- VendorError (httpx.HTTPError)        has .request, .response (or None), .api, .bucket
        |-- TryLater                         come back at .until
        |   |-- WaitTooLong                  not sent, or not again: it would take longer than max_wait
        |   |-- Throttled                    the vendor kept refusing: max_retries used up, or no way to send again
        |   `-- CircuitOpen                  not sent, or not again: the vendor has answered with faults only
        `-- Terminal                         do not come back by yourself: .reason says why, someone must act

Replies that are neither throttled nor terminal (401, 404, 500 after its retries) are responses as always with httpx:
`response.raise_for_status()` raises for them. Errors can be pickled, and then leave the request behind with its
credentials.
"""

from __future__ import annotations

from typing import Any

import httpx


class AimdError(Exception):
    """Anything the limiter package raises by itself."""


class ConfigurationError(AimdError, ValueError):
    """A value that cannot work; the message names it and says what would."""


class UnknownApi(ConfigurationError):
    """No preset and no configuration of that name.

    Attributes:
        name: What was asked for.
        known: What there is.
    """

    def __init__(self, message: str, *, name: str = "", known: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.name = name
        self.known = known


class VendorError(AimdError, httpx.HTTPError):
    """The vendor's limit stood in the way of a request.

    Attributes:
        api: The preset's name.
        bucket: Which limit, as `api/scope/quota_key`.
        until: When a request would pass, epoch seconds; 0.0 if nobody knows.
        retry_after: What the vendor asked for last, seconds, or None.
        reason: The vendor's own word for it, if it gave one.
        response: The last reply, closed, with up to 64 KiB of its body; None if nothing was sent.
    """

    def __init__(
        self,
        message: str,
        *,
        api: str = "",
        bucket: str = "",
        until: float = 0.0,
        retry_after: float | None = None,
        reason: str = "",
        request: httpx.Request | None = None,
        response: httpx.Response | None = None,
    ) -> None:
        super().__init__(message)
        self.api = api
        self.bucket = bucket
        self.until = until
        self.retry_after = retry_after
        self.reason = reason
        self._request = request
        self.response = response

    def __reduce__(self) -> tuple[Any, ...]:
        kept = {name: getattr(self, name) for name in ("api", "bucket", "until", "retry_after", "reason")}
        return _rebuilt, (type(self), str(self), kept)


def _rebuilt(kind: type[VendorError], message: str, kept: dict[str, Any]) -> VendorError:
    return kind(message, **kept)


class TryLater(VendorError):
    """It will work again; `.until` says when."""


class WaitTooLong(TryLater):
    """The wait would be longer than `max_wait`: no slot was taken. `.response` is the refusal before it, if any."""


class Throttled(TryLater):
    """The vendor still refused after the last retry."""


class CircuitOpen(TryLater):
    """The circuit is open: no slot was taken. `.response` is the refusal before it, if any."""


class Terminal(VendorError):
    """Waiting will not help: a quota is used up, or the vendor has blocked the client or gives it no token."""
