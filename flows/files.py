"""Files that belong to records: downloaded with them, since their addresses work for an hour.

A record then has a field `_content` besides the vendor's own: the SHA-256, the size in bytes, the media type, and the
bytes in base64, unless there are more of them than `KEPT`. A file whose record has not changed is not downloaded again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from flows.errors import BadPage, Refused
from flows.listing import Page
from flows.sources import Task
from flows.stream import Record
from limiter import AimdClient
from limiter.exchange import fault_delay, may_try_again
from limiter.redaction import Unshown
from limiter.transport import origin
from state.canonical import canonical_json
from state.evidence import EvidenceStore

FIELD = "_content"
KEPT = 16 * 1024 * 1024
"""Bytes of a file that are kept; of a larger one only the hash and the size."""


def with_files(
    client: AimdClient, evidence: EvidenceStore, task: Task, page: Page, sleep: Callable[[float], None]
) -> tuple[tuple[str, Record], ...]:
    """A page's records with their files.

    Raises:
        Refused: A file that was listed cannot be had.
        BadPage: Its address is none, or it is cut short each time.
        httpx.HTTPError: As `limiter.exchange.exchange`.
    """
    found = []
    for (key, record), address in zip(page.records, page.files, strict=True):
        content = _known(evidence, task, key, record) or _downloaded(client, task, address, sleep)
        found.append((key, {**record, FIELD: content}))
    return tuple(found)


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
    tries = 0
    while True:
        tries += 1
        try:
            return _try(client, task, address)
        except (httpx.TransportError, httpx.DecodingError) as error:
            if not may_try_again(tries, 0.0):
                raise BadPage(f"A file of {task.what} was cut short ({type(error).__name__})") from error
            sleep(fault_delay(tries))


def _try(client: AimdClient, task: Task, address: str) -> Mapping[str, Any]:
    try:
        built = client.build_request("GET", address)
    except httpx.InvalidURL:
        raise BadPage(f"A file of {task.what} has an address that is none") from None
    own = origin(built.url) == origin(client.base_url)
    if not own and built.url.scheme != "https":
        raise BadPage(f"A file of {task.what} is at an address that is not https; nothing was sent there")
    # Another host's address carries its own permission; nothing else goes there (see `limiter.transport`).
    auth = httpx.USE_CLIENT_DEFAULT if own else None
    built.url = built.url if own else Unshown(built.url)
    response = client.send(built, stream=True, auth=auth, follow_redirects=True)
    try:
        if not response.is_success:
            raise Refused(
                f"{task.source.title} listed a file of {task.what} that cannot be had ({response.status_code})",
                status=response.status_code if own else 404,
            )
        digest, size, parts = hashlib.sha256(), 0, list[bytes]()
        for part in response.iter_bytes():
            digest.update(part)
            size += len(part)
            if size <= KEPT:
                parts.append(part)
    finally:
        response.close()
    content = {
        "sha256": digest.hexdigest(),
        "size": size,
        "media_type": response.headers.get("content-type", "").partition(";")[0],
    }
    return {**content, "base64": base64.b64encode(b"".join(parts)).decode()} if size <= KEPT else content
