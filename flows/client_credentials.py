"""OAuth client credentials: one token at a time, shared by all programs that use an application.

Vanta has one active token for each application: asking for another revokes the one before, and what is under way with
it fails. So the token is a row of the database, sealed with the client secret; who asks for the next one is decided in
`flows.minting`, and written down here once for blocking and for async clients. Source: developer.vanta.com,
"Authentication".
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import httpx

from flows import minting, token_answer
from flows.sealing import Seal
from limiter import (
    AimdClient,
    AsyncAimdClient,
    Bounds,
    ConfigurationError,
    Terminal,
    TryLater,
    VendorError,
    WaitTooLong,
)
from limiter.bounds import fault_delay, is_replayable, may_try_again
from limiter.clock_time import clock_time
from limiter.effects import Send, Sleep, arun, run
from limiter.transport import origin
from state.errors import StateError
from state.tokens import Decide, TokenKey

SENDS = 3
"""Of a request that is refused with one token after the other."""
PATIENCE = 5.0
"""Seconds that a request for a token may wait in the limiter, where nobody sees that its lease ends."""
TIMEOUT = 5.0
"""Seconds for each of its steps: a place in the pool, connecting, sending, the answer. With `PATIENCE`, less than
`minting.LEASE`."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
"""Seconds between two looks at whether another program has the token by now."""
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


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


@dataclass(frozen=True, slots=True)
class _Held:
    """A token that this client uses until it is refused, or until so many seconds on the monotonic clock."""

    serial: int
    token: str = field(repr=False)
    until: float


@dataclass(frozen=True, slots=True)
class _Transact:
    decide: Decide[Any]


_Step = _Transact | Sleep | Send


class ClientCredentialsAuth(httpx.Auth):
    """Authorizes a client's requests to its API with a token that all who use its database share.

    Args:
        grant: What to ask for it with.
        monotonic: Seconds of a clock that is never set.
    """

    def __init__(self, grant: Grant, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._grant = grant
        self._monotonic = monotonic

    def __repr__(self) -> str:
        return f"ClientCredentialsAuth({self._grant!r})"

    def of_client(
        self, client: AimdClient | AsyncAimdClient, bounds: Bounds, sleep: Callable[[float], Any]
    ) -> ClientCredentialsAuth:
        """See `limiter.client.ClientAuth`."""
        return _OfClient(self._grant, client, bounds, sleep, self._monotonic)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:  # noqa: ARG002
        """See `httpx.Auth`.

        Raises:
            ConfigurationError: Always: the client has no database.
        """
        raise self._homeless()

    def _homeless(self) -> ConfigurationError:
        return ConfigurationError(
            f"The client id and secret of {self._grant.origin} work in a client of limiter.make_client_for or "
            "make_async_client_for only, with whose database the token is shared. Nothing was sent."
        )


class _OfClient(ClientCredentialsAuth):
    """The same of one client, whose requests to other hosts get no token."""

    def __init__(
        self,
        grant: Grant,
        client: AimdClient | AsyncAimdClient,
        bounds: Bounds,
        sleep: Callable[[float], Any],
        monotonic: Callable[[], float],
    ) -> None:
        super().__init__(grant, monotonic)
        self._client = client
        self._bounds = bounds
        self._sleep = sleep
        url = httpx.URL(client.limiter.config.base_url)
        self._origin = origin(url)
        self._url = url.copy_with(raw_path=grant.token_path.encode())
        self._key = TokenKey(str(self._url.copy_with(userinfo=b"")), grant.client_id)
        self._seal = Seal(grant.client_secret, f"{self._key.issuer}\0{grant.client_id}\0{grant.scope}")
        self._held: _Held | None = None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See `httpx.Auth`."""
        if origin(request.url) != self._origin:
            yield request
            return
        refused = 0
        for left in reversed(range(SENDS)):
            held = self._at_hand(refused) or self._obtain(request, refused)
            response = yield _with(request, held.token)
            if response.status_code != 401 or not left or not is_replayable(request):
                return
            refused = held.serial

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """See `httpx.Auth`."""
        if origin(request.url) != self._origin:
            yield request
            return
        refused = 0
        for left in reversed(range(SENDS)):
            held = self._at_hand(refused) or await self._aobtain(request, refused)
            response = yield _with(request, held.token)
            if response.status_code != 401 or not left or not is_replayable(request):
                return
            refused = held.serial

    def _at_hand(self, refused: int) -> _Held | None:
        held = self._held
        good = held is not None and held.serial != refused and self._monotonic() < held.until
        return held if good else None

    def _obtain(self, request: httpx.Request, refused: int) -> _Held:
        client = self._client
        if not isinstance(client, AimdClient):
            raise self._homeless()
        lease, tokens = secrets.token_hex(8), client.limiter.store.tokens

        def perform(step: _Step) -> Any:
            match step:
                case _Transact(decide):
                    return tokens.transact(self._key, decide)
                case Sleep(seconds):
                    return self._sleep(seconds)
                case Send(asking):
                    return client.send(asking, auth=None, follow_redirects=False)

        try:
            self._held = run(self._steps(request, refused, lease), perform)
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C: the others need not wait for the end of the lease
                with contextlib.suppress(StateError):
                    tokens.transact(self._key, _failing(lease))
            raise
        return self._held

    async def _aobtain(self, request: httpx.Request, refused: int) -> _Held:
        client = self._client
        if not isinstance(client, AsyncAimdClient):
            raise self._homeless()
        lease, tokens = secrets.token_hex(8), client.limiter.store.tokens

        async def perform(step: _Step) -> Any:
            match step:
                case _Transact(decide):
                    return await anyio.to_thread.run_sync(tokens.transact, self._key, decide)
                case Sleep(seconds):
                    return await self._sleep(seconds)
                case Send(asking):
                    return await client.send(asking, auth=None, follow_redirects=False)

        try:
            self._held = await arun(self._steps(request, refused, lease), perform)
        except BaseException as error:
            if not isinstance(error, Exception):  # a cancelled task, too
                with anyio.CancelScope(shield=True), contextlib.suppress(StateError):
                    await anyio.to_thread.run_sync(tokens.transact, self._key, _failing(lease))
            raise
        return self._held

    def _steps(self, request: httpx.Request, refused: int, lease: str) -> Generator[_Step, Any, _Held]:
        """Find a token, waiting for others or asking for it.

        Args:
            request: What it is for; errors show this one, and not the one with the secret in it.
            refused: The serial of the token that was refused; 0 for none.
            lease: A name for this need.

        Raises:
            Terminal: The vendor gives none, or another program takes it away.
            WaitTooLong: It would have to wait longer than the client may.
            httpx.HTTPStatusError: The vendor answers with faults.
            httpx.TransportError: The vendor cannot be reached.
        """
        bounds, begun = self._bounds.of(request), self._bounds.begun(request)
        bad, by_vendor = refused, bool(refused)
        pause, faults, first_fault = FIRST_PAUSE, 0, 0.0
        while True:
            answer = yield _Transact(partial(minting.ask, lease=lease, bad=bad, refused=by_vendor))
            match answer:
                case minting.Usable(serial, sealed, seconds):
                    opened = self._seal.open(sealed)
                    if opened is None:  # sealed with a secret that has been changed since
                        bad, by_vendor = serial, False
                        continue
                    return _Held(serial, self._token_in(opened, request), self._monotonic() + seconds)
                case minting.Contested(age):
                    raise self._contested(age, request)
                case minting.Wait(seconds, until):
                    delay, pause = min(pause, seconds), min(pause * 2, LONGEST_PAUSE)
                    yield from self._wait(request, bounds, delay, until, "another program asks for one just now")
                case minting.UsedUp(seconds, until):
                    why = f"{minting.MOST} were asked for within {minting.WINDOW:g} s, which is all it gives"
                    yield from self._wait(request, bounds, seconds, until, why)
                case minting.Mint():
                    asking = self._asking(bounds, begun.waited)
                    try:
                        response: httpx.Response = yield Send(asking)
                    except Exception as error:
                        begun.waited += bounds.begun(asking).waited
                        now = yield _Transact(_failing(lease, sent=_may_have_been_sent(error)))
                        if isinstance(error, WaitTooLong):
                            delay = max(FIRST_PAUSE, error.until - now)
                            yield from self._wait(request, bounds, delay, error.until, "", error)
                            continue
                        failure = error
                    else:
                        begun.waited += bounds.begun(asking).waited
                        if response.status_code < 500:
                            kept, lasts = token_answer.kept(response, self._grant.client_secret)
                            sealed = self._seal.close(json.dumps(kept).encode())
                            yield _Transact(partial(_keeping, lease=lease, sealed=sealed, lasts=lasts))
                            continue
                        yield _Transact(_failing(lease))
                        failure = self._fault(response, request)
                    faults += 1
                    first_fault = first_fault if faults > 1 else self._monotonic()
                    again = may_try_again(faults, self._monotonic() - first_fault)
                    if not (again and isinstance(failure, httpx.TransportError | httpx.HTTPStatusError)):
                        raise _about(request, failure)
                    yield from self._wait(request, bounds, fault_delay(faults), 0.0, "", failure)

    def _wait(
        self,
        request: httpx.Request,
        bounds: Bounds,
        seconds: float,
        until: float,
        why: str,
        error: Exception | None = None,
    ) -> Generator[Sleep, Any, None]:
        """Wait, if the request may wait for so long; what it waits for its token counts with what it waits later."""
        begun = bounds.begun(request)
        left = bounds.patience(begun.waited)
        if seconds <= left:
            yield Sleep(seconds)
            begun.waited += seconds
        elif error is not None:
            raise _about(request, error)
        else:
            raise WaitTooLong(
                f"{self._url.host} gives no token within {round(begun.waited + left, 1):g} s: {why}. Nothing was sent; "
                f"there may be one from {clock_time(until)} on.",
                until=until,
                request=request,
            )

    def _asking(self, bounds: Bounds, waited: float) -> httpx.Request:
        grant = self._grant
        body = {
            "client_id": grant.client_id,
            "client_secret": grant.client_secret,
            "grant_type": "client_credentials",
            "scope": grant.scope,
        }
        # Not "safe": each send may end the token before, and has to be counted. So faults are this module's to retry.
        extensions = {"max_wait": max(0.0, min(PATIENCE, bounds.patience(waited)))}
        if bounds.deadline is not None:
            extensions["deadline"] = max(0.0, bounds.left())
        return self._client.build_request("POST", self._url, json=body, timeout=TIMEOUT, extensions=extensions)

    def _token_in(self, opened: bytes, request: httpx.Request) -> str:
        content = json.loads(opened)
        if "token" not in content:
            status, said = content["status"], content["said"]
            raise self._terminal(f"{self._no_token(status, said)}. What was collected is kept.", said, request)
        token: str = content["token"]
        return token

    def _fault(self, response: httpx.Response, request: httpx.Request) -> httpx.HTTPStatusError:
        message = self._no_token(response.status_code, token_answer.said(response, self._grant.client_secret))
        answer = httpx.Response(response.status_code, request=request)
        return httpx.HTTPStatusError(message, request=request, response=answer)

    def _no_token(self, status: int, said: str) -> str:
        return f"{self._url.host} gives no token ({status}: {said}); look at {self._grant.origin}"

    def _contested(self, age: float, request: httpx.Request) -> Terminal:
        return self._terminal(
            f"A token was revoked {age:.0f} s after it was given: another program uses the same application "
            f"({self._grant.origin}) with another database, and each new token ends the one before. What was collected "
            "is kept. Let them share AIMD_DATABASE_URL, or give each an application of its own.",
            "token revoked",
            request,
        )

    def _terminal(self, message: str, reason: str, request: httpx.Request) -> Terminal:
        bucket = self._client.limiter.bucket
        return Terminal(message, api=bucket.api, bucket=str(bucket), reason=reason, request=request)


def _keeping(row: Any, now: float, *, lease: str, sealed: bytes, lasts: float) -> tuple[Any, None]:
    return minting.given(row, now, lease=lease, sealed=sealed, lasts=lasts), None


def _failing(lease: str, *, sent: bool = True) -> Decide[float]:
    """Gives the store's time."""
    return lambda row, now: (minting.failed(row, now, lease=lease, sent=sent), now)


def _with(request: httpx.Request, token: str) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _may_have_been_sent(error: Exception) -> bool:
    if isinstance(error, TryLater):
        return error.response is not None
    return not isinstance(error, NOT_SENT)


def _about(request: httpx.Request, error: Exception) -> Exception:
    """The error as one of the request that the token was for: the other has the secret in its body."""
    if isinstance(error, httpx.HTTPError):
        error.request = request
    if isinstance(error, VendorError) and error.response is not None:
        error.response.request = request
    return error
