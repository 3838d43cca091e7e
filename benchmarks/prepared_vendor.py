"""A Notion of any size on a socket, in a process of its own: its pages are made of a template when they are asked for.

So a million records take no memory, and a page of 100 KB is ready before it is asked for: a sync is measured, not the
simulator.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import httpx
from starlette.types import Receive, Scope, Send

from simulator import Simulator, World
from simulator.server import DEFAULT_TOKEN
from simulator.vendors.notion import Notion
from simulator.vendors.notion.record import Record
from simulator.vendors.notion.shapes import as_object, timestamp
from simulator.vendors.notion.world import EPOCH

SIZE = 100
"""Records a page."""
BYTES = 1024
"""Of a record, as it is sent."""
_ID, _TIME = "00000000-0000-4000-8000-000000000000", timestamp(0)


class Prepared(Notion):
    """Notion's users, pages and data sources, so many pages of each, newest first.

    Args:
        pages: Of each listing.
        ordered: Whether ids grow from record to record, as those of many vendors do; Notion's are in no order, and
            then each record goes to another place of the store's indexes.
    """

    def __init__(self, pages: int, *, ordered: bool = False) -> None:
        super().__init__(World(users=0, pages=0, data_sources=0, rows=0))
        self.app = self._answer
        self._pages = pages
        self._ordered = ordered
        self._template = _template()
        self._ready: dict[tuple[str, int], bytes] = {}

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/users"):
            kind, cursor = "user", parse_qs(scope["query_string"].decode()).get("start_cursor", ["0"])[0]
        else:
            asked = json.loads((await receive())["body"])
            kind, cursor = asked["filter"]["value"], asked.get("start_cursor", "0")
        number = int(cursor)
        body = self._ready.pop((kind, number), b"") or self._page(kind, number)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        # The next one while the client works on this one.
        self._ready[kind, number + 1] = self._page(kind, number + 1)

    def _page(self, kind: str, number: int) -> bytes:
        records = [
            self._template.replace(_ID, self._name(kind, place)).replace(_TIME, timestamp(EPOCH - 60 * place))
            for place in range(number * SIZE, (number + 1) * SIZE)
        ]
        following = f'"{number + 1}"' if number + 1 < self._pages else "null"
        more = "true" if number + 1 < self._pages else "false"
        return (
            f'{{"object":"list","results":[{",".join(records)}],"next_cursor":{following},"has_more":{more}}}'.encode()
        )

    def _name(self, kind: str, place: int) -> str:
        digest = hashlib.md5(f"{kind} {place}".encode(), usedforsecurity=False).digest()
        return str(uuid.UUID(bytes=place.to_bytes(6, "big") + digest[6:] if self._ordered else digest, version=4))


def _template() -> str:
    """A page of Notion with a text that makes it as long as wanted; id and time are put in later."""
    shown: dict[str, Any] = as_object(Record("page", _ID, "Access control policy", 0, 0, str(uuid.UUID(int=1))))
    text = "Whoever leaves the company loses every access on the last day; é, ü and 漢 included. "
    short = BYTES - len(json.dumps({**shown, "text": ""}, ensure_ascii=False).encode())
    while len(text.encode()) < short:
        text += text
    return json.dumps({**shown, "text": text.encode()[:short].decode(errors="ignore")}, ensure_ascii=False)


@contextmanager
def prepared_vendor(
    pages: int, *, policy: str = "none", latency: tuple[float, float], ordered: bool = False
) -> Iterator[str]:
    """Run it.

    Args:
        pages: Of each listing.
        ordered: See `Prepared`.
        policy: The hidden limit, for `simulator.parse_policy`.
        latency: Shortest and longest, seconds.

    Yields:
        Its base URL.
    """
    command = [sys.executable, "-m", __name__, str(pages), policy, *map(str, latency), *["--ordered"] * ordered]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def stats(base_url: str) -> dict[str, Any]:
    """What it has seen; see `Simulator.stats`."""
    found: dict[str, Any] = httpx.get(httpx.URL(base_url).join("/_stats"), trust_env=False).json()
    return found


def _serve() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pages", type=int)
    parser.add_argument("policy")
    parser.add_argument("latency", type=float, nargs=2)
    parser.add_argument("--ordered", action="store_true")
    given = parser.parse_args()
    vendor = Prepared(given.pages, ordered=given.ordered)
    simulator = Simulator(given.policy, token=DEFAULT_TOKEN, latency=tuple(given.latency), api=vendor)
    simulator.serve(lambda url: print(url + vendor.prefix, flush=True))


if __name__ == "__main__":
    _serve()
