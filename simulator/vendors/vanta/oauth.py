"""Vanta's tokens: client credentials, and one active token for each application.

Asking for a new token revokes the one before at once: two processes that each ask lock each other out.
Source: developer.vanta.com, "Authentication". Error words follow RFC 6749, section 5.2.
"""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

LIFETIME = 3599.0
"""Seconds that a token is valid; Vanta answers `expires_in: 3599`."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token is good for.

    Attributes:
        application: The client id.
        scopes: What it may do.
        until: When it expires, in seconds on the clock.
    """

    application: str
    scopes: frozenset[str]
    until: float


class Tokens:
    """Mints tokens and knows which are active. Belongs to one event loop; not locked.

    Args:
        scopes: What an application may ask for.
        lifetime: Seconds that a token is valid.
        clock: Seconds, on any clock that does not run backwards.
    """

    def __init__(
        self, scopes: frozenset[str], lifetime: float = LIFETIME, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._scopes = scopes
        self._lifetime = lifetime
        self._clock = clock
        self._grants: dict[str, Grant] = {}
        self.minted = 0
        """How many were asked for and given."""
        self.revoked = 0
        """How many were revoked before their time by a newer one."""

    def grant(self, token: str) -> Grant | None:
        """Return what a token is good for; None if it is not active."""
        found = self._grants.get(token)
        return found if found and self._clock() < found.until else None

    async def mint(self, request: Request, secret: str | None) -> Response:
        """Answer `POST /oauth/token`.

        Args:
            request: The request.
            secret: The client secret that is accepted; None accepts any that is not empty.
        """
        try:
            body = json.loads(await request.body())
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            return refusal(400, "invalid_request", "The body must be a JSON object.")
        if body.get("grant_type") != "client_credentials":
            return refusal(400, "unsupported_grant_type", "grant_type must be client_credentials.")
        application, given = body.get("client_id"), body.get("client_secret")
        if not (isinstance(application, str) and application and isinstance(given, str) and given):
            return refusal(401, "invalid_client", "Client authentication failed.")
        if secret not in (None, given):
            return refusal(401, "invalid_client", "Client authentication failed.")
        scopes = frozenset(str(body.get("scope") or "").split())
        if not scopes or not scopes <= self._scopes:
            return refusal(400, "invalid_scope", "The requested scope is not allowed for this application.")
        return self._give(application, scopes)

    def _give(self, application: str, scopes: frozenset[str]) -> Response:
        now = self._clock()
        for token, grant in list(self._grants.items()):
            if grant.application == application:
                del self._grants[token]
                self.revoked += now < grant.until
        token = f"vat_{secrets.token_hex(16)}"
        self._grants[token] = Grant(application, scopes, now + self._lifetime)
        self.minted += 1
        return JSONResponse({"access_token": token, "expires_in": int(self._lifetime), "token_type": "Bearer"})


def refusal(status: int, code: str, message: str) -> Response:
    """Return an error as Vanta's are assumed to be; see `simulator.vendors.vanta.manage`."""
    return JSONResponse({"error": code, "error_description": message, "message": message}, status)
