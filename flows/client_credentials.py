"""OAuth client credentials: a token is asked for once and shared by everything in the process.

Vanta has one active token for each application: asking for another revokes the one before, and what is under way with
it fails. So there is one token in a process, minted under a lock; whoever finds it refused first looks whether another
thread has a newer one. Source: developer.vanta.com, "Authentication".
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field

import anyio.to_thread
import httpx

from flows.errors import Refused
from limiter.redaction import hide
from limiter.transport import origin

MARGIN = 60.0
"""Seconds before its end that a token is renewed."""
SOON = 12.0
"""Seconds: a token that is refused so soon after it was given was revoked by another holder, who would lose the next
one in turn. The endpoint gives five a minute."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token is asked for with.

    Attributes:
        client_id: Names the application.
        client_secret: Not in the repr.
        scope: What the token is for.
        token_path: Where tokens are given, at the API's host.
        origin: The variables or block it came from, for messages.
    """

    client_id: str
    client_secret: str = field(repr=False)
    scope: str
    token_path: str
    origin: str


class _Token:
    """The token of one application, as this process has it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.value = ""
        self.given_at = -math.inf
        self.until = -math.inf

    def usable(self, refused: str, now: float, grant: Grant) -> bool:
        """Whether there is one that is not the refused one."""
        if refused and self.value == refused:
            if now - self.given_at < SOON:
                raise Refused(
                    f"A token was revoked {now - self.given_at:.0f} s after it was given: another program uses the "
                    f"same application ({grant.origin}), and each new token ends the one before. Give each its own",
                    status=401,
                )
            return False
        return bool(self.value) and now < self.until

    def keep(self, response: httpx.Response, now: float, grant: Grant) -> None:
        """Take the token from the answer to its request."""
        try:
            answer = response.json()
        except (ValueError, RecursionError):
            answer = None
        answer = answer if isinstance(answer, dict) else {}
        value = answer.get("access_token")
        if not response.is_success or not isinstance(value, str) or not value.isprintable() or not value.isascii():
            said = answer.get("error_description") or answer.get("message") or answer.get("error") or "no token in it"
            words = hide(str(said), [grant.client_secret, str(value)])[:200]
            raise Refused(
                f"{response.request.url.host} gives no token ({response.status_code}: {words}); look at "
                f"{grant.origin}",
                status=401,
            )
        lasts = answer.get("expires_in")
        known = isinstance(lasts, int | float) and not isinstance(lasts, bool) and 0 < lasts < 1e9
        seconds = float(lasts) if known and lasts else 600.0
        self.value, self.given_at = value, now
        self.until = now + seconds - min(MARGIN, seconds / 10)


_tokens: dict[tuple[str, str, str, str], _Token] = {}
_making = threading.Lock()


def _in_child() -> None:
    global _making
    _making = threading.Lock()
    _tokens.clear()  # their locks may be held by threads that are not there


os.register_at_fork(after_in_child=_in_child)


class ClientCredentialsAuth(httpx.Auth):
    """Authorizes requests to one host with a token that it asks for when it has to.

    Args:
        grant: What to ask for it with.
        base_url: The API's address; requests to other hosts get no token.
        monotonic: Seconds of a clock that is never set.
    """

    def __init__(self, grant: Grant, base_url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._grant = grant
        url = httpx.URL(base_url)
        self._origin = origin(url)
        self._url = url.copy_with(raw_path=grant.token_path.encode())
        self._now = monotonic
        secret = hashlib.sha256(grant.client_secret.encode()).hexdigest()
        key = (str(self._url), grant.client_id, secret, grant.scope)
        with _making:
            self._token = _tokens.setdefault(key, _Token())

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See `httpx.Auth`."""
        if origin(request.url) != self._origin:
            yield request
            return
        refused = ""
        for last in (False, True):
            with self._token.lock:  # held while one is asked for: everybody else waits for that one
                if not self._token.usable(refused, self._now(), self._grant):
                    response = yield self._asking()
                    response.read()
                    self._token.keep(response, self._now(), self._grant)
                refused = self._token.value
            request.headers["Authorization"] = f"Bearer {refused}"
            response = yield request
            if response.status_code != 401 or last:
                return

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """See `httpx.Auth`."""
        if origin(request.url) != self._origin:
            yield request
            return
        refused = ""
        for last in (False, True):
            await anyio.to_thread.run_sync(self._token.lock.acquire)  # a thread may hold it, or another task
            try:
                if not self._token.usable(refused, self._now(), self._grant):
                    response = yield self._asking()
                    await response.aread()
                    self._token.keep(response, self._now(), self._grant)
                refused = self._token.value
            finally:
                self._token.lock.release()
            request.headers["Authorization"] = f"Bearer {refused}"
            response = yield request
            if response.status_code != 401 or last:
                return

    def _asking(self) -> httpx.Request:
        grant = self._grant
        body = {
            "client_id": grant.client_id,
            "client_secret": grant.client_secret,
            "grant_type": "client_credentials",
            "scope": grant.scope,
        }
        # A fault may have hidden the answer; whoever asks again holds the newest token.
        return httpx.Request("POST", self._url, json=body, extensions={"safe": True})
