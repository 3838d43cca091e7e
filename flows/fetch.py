"""One page over the network: sent, read, and asked for again where the answer is broken."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from flows.answer import Answer, PageRequest
from flows.errors import BadPage, CursorExpired, ForeignLink, Refused, TooLarge
from flows.listing import Page, read_page
from flows.reading import strict_json
from flows.sources import Task
from flows.tries import Tries
from limiter import AimdClient
from limiter.redaction import hide, leave_credentials_behind, secrets_of
from limiter.transport import origin

LARGEST = 64 * 1024 * 1024
"""Bytes of one answer, decompressed, that are read. A record of 20 MB is kept whole; this is for what has no end."""


def fetch_page(
    client: AimdClient,
    task: Task,
    request: PageRequest,
    *,
    cursor: str | None = None,
    etag: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Page:
    """Fetch a page.

    The transport has the throttles and the faults of the connection; what it cannot see, a body that is cut short, no
    JSON or not a page, is asked for again here by the same rule.

    Args:
        client: Of the task's source.
        task: What is listed.
        request: For this page.
        cursor: Where the page is; None for the first.
        etag: What the vendor recognizes an earlier answer by; None for nothing.
        sleep: Waits between tries, seconds.
        monotonic: Seconds of a clock that is never set.

    Raises:
        BadPage: Still broken after the last try.
        TooLarge: The answer is larger than `LARGEST`.
        ForeignLink: The page is at another host; nothing was sent.
        Refused: The vendor said no.
        httpx.HTTPError: As `limiter.exchange.exchange`.
    """
    broken = f"{_answered(task, request)} with something that is not a page"
    tries = Tries(broken, safe=task.stream.safe, monotonic=monotonic)
    while True:
        try:
            return _try(client, task, request, cursor, etag)
        except BadPage as error:
            sleep(tries.pause(error))


def _try(client: AimdClient, task: Task, request: PageRequest, cursor: str | None, etag: str | None) -> Page:
    built = client.build_request(
        request.method,
        request.path,
        params=dict(request.query) or None,
        json=request.body,
        headers={"If-None-Match": etag} if etag else None,
        extensions={"safe": task.stream.safe},
    )
    if origin(built.url) != origin(client.base_url):  # a cursor from a row that somebody edited
        raise ForeignLink(f"The next page of {task.stream.name} is at another host: nothing was sent there")
    response = client.send(built, stream=True)
    body = Body(_answered(task, request))
    try:
        for part in response.iter_bytes():
            body.add(part)
    except (httpx.TransportError, httpx.DecodingError) as error:
        leave_credentials_behind(error)
        raise BadPage(f"the body was cut short ({type(error).__name__})") from error
    finally:
        response.close()
    secrets = secrets_of(built)  # of a token that was asked for just now, too
    content = hide(body.content(), secrets)
    headers = httpx.Headers([(name, hide(value, secrets)) for name, value in response.headers.multi_items()])
    if response.status_code == 304 and etag:
        return Page((), (), None, etag=etag, unchanged=True)
    if not response.is_success:
        # What was read of it by hand, so that a source's rules can look at it.
        read = httpx.Response(response.status_code, headers=plain(headers), content=content, request=built)
        if task.stream.empty(read):
            return Page((), (), None)
        raise refused(task, read)
    answer = strict_json(content, headers.get("content-type", ""))
    if said := task.source.refusal(answer):
        raise refused(task, httpx.Response(200, content=content, request=built), said)
    url, base = str(response.url), str(client.base_url)
    return read_page(task.stream, Answer(answer, (), headers, url, base, cursor))


class Body:
    """The body of an answer, which comes in parts, up to `LARGEST`.

    Args:
        what: Who answered what, as the beginning of a sentence.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        """Put a part behind what came.

        Raises:
            TooLarge: It is too much.
        """
        self._size += len(part)
        if self._size > LARGEST:
            raise TooLarge(
                f"{self._what} with more than {LARGEST // 2**20} MiB, which is not read: a smaller page size or a "
                "filter may help"
            )
        self._parts.append(part)

    def content(self) -> bytes:
        """All that came."""
        return b"".join(self._parts)


def plain(headers: httpx.Headers) -> list[tuple[str, str]]:
    """Headers without those of how the body came, for a body that was read already."""
    return [(k, v) for k, v in headers.multi_items() if k not in ("content-encoding", "content-length")]


def _answered(task: Task, request: PageRequest) -> str:
    return f"{task.source.title} answered {request.method} {request.path}"


def refused(task: Task, response: httpx.Response, said: str = "") -> Refused:
    """What to raise for a refusal.

    Args:
        task: What was listed.
        response: The refusal, read.
        said: Why, where the status does not say.
    """
    title, status = task.source.title, response.status_code
    if task.source.cursor_expired(response):
        return CursorExpired(f"{title} no longer accepts the page cursor of {task.what}", status=status)
    if status == 401:
        return Refused(f"{title} does not accept the token (401): it is wrong or was revoked", status=status)
    said = said or _vendors_words(response)
    said = f": {said}" if said else ""
    did = "failed" if status >= 500 else "refused"
    hint = "; the token may lack the right to read it" if status == 403 else ""
    return Refused(f"{title} {did} to list {task.what} ({status}{said}){hint}", status=status)


def _vendors_words(response: httpx.Response) -> str:
    """What the vendor says of a refusal, on one line and not longer than a line."""
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return ""
    if not isinstance(answer, dict):
        return ""
    error = answer.get("error")
    found = [answer.get("message"), error.get("message") if isinstance(error, dict) else error, answer.get("detail")]
    words = next((each for each in found if isinstance(each, str)), "")
    return " ".join(hide(words, secrets_of(response.request)).split())[:200]
