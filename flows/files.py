"""Files that belong to records: downloaded with them, since their addresses work for an hour.

A record then has a field `_content` besides the vendor's own: the SHA-256, the size in bytes, the media type, and the
bytes in base64, unless there are more of them than `KEPT`. A file whose record has not changed is not downloaded again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from flows.errors import BadPage, ForeignLink, Refused
from flows.listing import Page
from flows.sources import Task
from flows.stream import Record
from flows.tries import Tries
from limiter import AimdClient
from limiter.redaction import Unshown, leave_credentials_behind, without_credentials
from limiter.transport import origin
from state.canonical import body, canonical_json
from state.evidence import EvidenceStore
from state.records import Body

FIELD = "_content"
KEPT = 16 * 1024 * 1024
"""Bytes of a file that are kept; of a larger one only the hash and the size. Records that hold so many are stored."""
REDIRECTS = 5
"""How many are followed for one file."""


def with_files(
    client: AimdClient, evidence: EvidenceStore, task: Task, page: Page, sleep: Callable[[float], None]
) -> Iterator[tuple[list[Body], bool]]:
    """A page's records with the files that they have, in parts that fit into memory.

    Yields:
        Records to store before one goes on, and whether more of the page follow. If that breaks off and the page comes
        again, what was stored of it is known.

    Raises:
        Stopped: By `sleep`.
        Refused: A file that was listed cannot be had.
        ForeignLink: It is where nothing is asked for: not at https.
        BadPage: Its address is none, or it comes broken each time.
        httpx.HTTPError: As `limiter.exchange.exchange`.
    """
    if not page.files:
        yield [body(key, record) for key, record in page.records], False
        return
    found, held = list[Body](), 0
    for (key, record), address in zip(page.records, page.files, strict=True):
        if held >= KEPT:
            yield found, True
            found.clear()  # in place, since whoever stored them holds the list
            held = 0
        sleep(0.0)  # where a sync that is stopped ends between two files
        content = _known(evidence, task, key, record) or _downloaded(client, task, address, sleep)
        found.append(body(key, {**record, FIELD: content}))
        held += len(found[-1].text)
    yield found, False


def _known(evidence: EvidenceStore, task: Task, key: str, record: Record) -> Mapping[str, Any] | None:
    """The content that is stored with the same record."""
    place = task.collection
    last = list(
        evidence.versions(
            source=place.source,
            stream=place.stream,
            tenant=place.tenant,
            partition=place.partition,
            external_id=key,
            limit=1,
            with_text=True,
        )
    )
    before = json.loads(last[0].text or "null") if last else None
    content = before.pop(FIELD, None) if isinstance(before, dict) else None
    return content if content and canonical_json(before) == canonical_json(record) else None


def _downloaded(
    client: AimdClient, task: Task, address: str, sleep: Callable[[float], None]
) -> Mapping[str, Any] | None:
    if not address:
        return None
    tries = Tries(f"A file of {task.what} cannot be had", safe=True)
    try:
        url = client.build_request("GET", address).url
    except httpx.InvalidURL:
        raise BadPage(f"A file of {task.what} has an address that is none") from None
    while True:
        try:
            return _try(client, task, url, sleep)
        except BadPage as error:
            sleep(tries.pause(error))


def _try(client: AimdClient, task: Task, url: httpx.URL, sleep: Callable[[float], None]) -> Mapping[str, Any]:
    own = True  # and not again, once it has led elsewhere
    for _ in range(REDIRECTS + 1):
        own = own and origin(url) == origin(client.base_url)
        if not own and url.scheme != "https":
            raise ForeignLink(f"A file of {task.what} is at an address that is not https; nothing was sent there")
        response = _asked(client, url, own=own)
        try:
            if not response.has_redirect_location:
                return _content(task, response, sleep, own=own)
        finally:
            response.close()
        url = url.join(response.headers["location"])
    raise Refused(f"A file of {task.what} was redirected more than {REDIRECTS} times", status=response.status_code)


def _asked(client: AimdClient, url: httpx.URL, *, own: bool) -> httpx.Response:
    """The answer of the API, which the transport asks again after a fault, or of another host, which it does not."""
    request = client.build_request("GET", url)
    request.url = Unshown(url)
    if own:
        return client.send(request, stream=True, follow_redirects=False)
    try:
        # The address carries its own permission; nothing else goes there.
        response = client.send(without_credentials(request), stream=True, auth=None, follow_redirects=False)
    except httpx.TransportError as error:
        raise BadPage(f"its host cannot be reached ({type(error).__name__})") from error
    if response.status_code >= 500 or response.status_code == 429:
        response.close()
        raise BadPage(f"its host answered {response.status_code}")
    return response


def _content(task: Task, response: httpx.Response, sleep: Callable[[float], None], *, own: bool) -> Mapping[str, Any]:
    if not response.is_success:
        raise Refused(
            f"{task.source.title} listed a file of {task.what} that cannot be had ({response.status_code})",
            status=response.status_code if own else 404,
        )
    digest, size, parts = hashlib.sha256(), 0, list[bytes]()
    try:
        for part in response.iter_bytes():
            sleep(0.0)  # a sync that is stopped does not wait for its end
            digest.update(part)
            size += len(part)
            if size <= KEPT:
                parts.append(part)
    except (httpx.TransportError, httpx.DecodingError) as error:
        leave_credentials_behind(error)
        raise BadPage(f"it was cut short ({type(error).__name__})") from error
    content = {
        "sha256": digest.hexdigest(),
        "size": size,
        "media_type": response.headers.get("content-type", "").partition(";")[0],
    }
    return {**content, "base64": base64.b64encode(b"".join(parts)).decode()} if size <= KEPT else content
