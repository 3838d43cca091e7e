"""No secret in what is kept of an answer: some vendors repeat the token that they refuse, in words or in a link."""

from __future__ import annotations

import base64
import functools
import json
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import AnyStr
from urllib.parse import quote, quote_plus

import httpx

CREDENTIALS = re.compile(r"auth|cookie|token|secret|passw|session|api-?key|access-?key", re.IGNORECASE)
"""Headers whose name has one of these in it never leave for another host."""
HIDDEN = "[credential]"
"""What stands where a secret stood."""
SHORTEST = 8
"""Characters of a secret: what is shorter may be an ordinary word."""


def hide(content: AnyStr, secrets: Iterable[str]) -> AnyStr:
    """Text or bytes without the secrets, as they are or spelled for a URL, for JSON or in base64.

    Args:
        content: What somebody else wrote.
        secrets: What may not stand in it.

    Example:
        >>> hide("ntn_0123 is wrong", ["ntn_0123"])
        '[credential] is wrong'
    """
    for secret in secrets:
        for form in _forms(secret):
            if isinstance(content, bytes):
                content = content.replace(form.encode(), HIDDEN.encode())
            else:
                content = content.replace(form, HIDDEN)
    return content


def secrets_of(request: httpx.Request) -> list[str]:
    """What authorizes a request: a bearer token without the word before it, a user and a password as they are.

    Example:
        >>> secrets_of(httpx.Request("GET", "https://api.test", headers={"Authorization": "Bearer ntn_0123"}))
        ['ntn_0123']
    """
    values = [value for name, value in request.headers.items() if CREDENTIALS.search(name)]
    words = [word for value in values for word in (*value.split(), *_user_and_password(value))]
    return [word for word in words if len(word) >= SHORTEST]


def _user_and_password(value: str) -> list[str]:
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        return base64.b64decode(encoded).decode().split(":", 1)
    except ValueError:
        return []


_sent: ContextVar[tuple[str, ...]] = ContextVar("aimd_sent", default=())


@contextmanager
def sending(request: httpx.Request) -> Iterator[None]:
    """While a request is sent: httpcore writes the headers of its answer into its log, where DEBUG is asked for."""
    before = _sent.set(tuple(secrets_of(request)))
    try:
        yield
    finally:
        _sent.reset(before)


def _hide_in_log(record: logging.LogRecord) -> bool:
    if secrets := _sent.get():
        record.msg, record.args = hide(record.getMessage(), secrets), ()
    return True


for _name in ("connection", "http11", "http2", "proxy", "socks"):
    logging.getLogger(f"httpcore.{_name}").addFilter(_hide_in_log)


class Unshown(httpx.URL):
    """An address that is itself a secret and shows only its host: httpx writes where it asks into its log.

    Example:
        >>> Unshown("https://files.test/a.pdf?X-Amz-Signature=1f")
        URL('https://files.test/...')
    """

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}/..."

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"


def without_credentials(request: httpx.Request) -> httpx.Request:
    """The request as it may go to another host than the API's (a redirect, an absolute link), or be kept."""
    headers = [(name, value) for name, value in request.headers.raw if not CREDENTIALS.search(name.decode("latin-1"))]
    bare = httpx.Request(
        request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
    )
    bare.url = request.url  # and not a copy that shows what it is
    return bare


def leave_credentials_behind(error: httpx.HTTPError, secrets: Iterable[str] = ()) -> None:
    """Take from an error what authorized its request, and what the answer repeats of it.

    Args:
        error: Of any client; a copy of its request and of its answer takes their places.
        secrets: What authorized it otherwise than by a header.
    """
    if error._request is None:
        return
    secrets, error.request = [*secrets, *secrets_of(error.request)], without_credentials(error.request)
    if any(hide(said, secrets) != said for said in map(str, _chain(error))):
        # It quotes an answer that breaks HTTP's rules, as does what it came from.
        error.args, error.__cause__, error.__context__ = (hide(str(error), secrets),), None, None
    if isinstance(error, httpx.HTTPStatusError) and error.response.is_closed:
        answer = error.response
        raw = [(name, hide(value, secrets)) for name, value in answer.headers.raw]
        kept = [(name, value) for name, value in raw if name.lower() not in (b"content-encoding", b"content-length")]
        try:
            content = hide(answer.content, secrets)
        except httpx.ResponseNotRead:  # refused by a hook, which has it before its body is read
            content = b""
        error.response = httpx.Response(answer.status_code, headers=kept, content=content, request=error.request)


def _chain(error: BaseException) -> list[BaseException]:
    """An error, and all that it came from."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and each not in found:
            found.append(each)
            waiting += [each.__cause__, each.__context__]
    return found


@functools.lru_cache(maxsize=32)
def _forms(secret: str) -> tuple[str, ...]:
    in_json = json.dumps(secret)[1:-1]
    in_base64 = base64.b64encode(secret.encode()).decode().rstrip("=")
    in_url = (quote(secret), quote(secret, safe=""), quote_plus(secret))
    forms = (secret, in_json, in_json.replace("/", "\\/"), *in_url, in_base64)
    return tuple(sorted(set(forms), key=len, reverse=True))
