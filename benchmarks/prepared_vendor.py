"""A Notion of any size on a socket, in a process of its own: its pages are made of a template when they are asked for.

So a million records take no memory, and a page of 100 KB costs the vendor a millisecond: a sync is measured, not the
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
    """Notion's users, pages and data sources, so many pages of each, newest first; ids are UUIDs in no order.

    Args:
        pages: Of each listing.
    """

    def __init__(self, pages: int) -> None:
        super().__init__(World(users=0, pages=0, data_sources=0, rows=0))
        self.app = self._answer
        self._pages = pages
        self._template = _template()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/users"):
            kind, cursor = "user", parse_qs(scope["query_string"].decode()).get("start_cursor", ["0"])[0]
        else:
            asked = json.loads((await receive())["body"])
            kind, cursor = asked["filter"]["value"], asked.get("start_cursor", "0")
        body = self._page(kind, int(cursor))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _page(self, kind: str, number: int) -> bytes:
        records = []
        for place in range(number * SIZE, (number + 1) * SIZE):
            name = uuid.UUID(bytes=hashlib.md5(f"{kind} {place}".encode(), usedforsecurity=False).digest(), version=4)
            records.append(self._template.replace(_ID, str(name)).replace(_TIME, timestamp(EPOCH - 60 * place)))
        following = f'"{number + 1}"' if number + 1 < self._pages else "null"
        more = "true" if number + 1 < self._pages else "false"
        return (
            f'{{"object":"list","results":[{",".join(records)}],"next_cursor":{following},"has_more":{more}}}'.encode()
        )


def _template() -> str:
    """A page of Notion with a text that makes it as long as wanted; id and time are put in later."""
    shown: dict[str, Any] = as_object(Record("page", _ID, "Access control policy", 0, 0, str(uuid.UUID(int=1))))
    text = "Whoever leaves the company loses every access on the last day; é, ü and 漢 included. "
    short = BYTES - len(json.dumps({**shown, "text": ""}, ensure_ascii=False).encode())
    while len(text.encode()) < short:
        text += text
    return json.dumps({**shown, "text": text.encode()[:short].decode(errors="ignore")}, ensure_ascii=False)


@contextmanager
def prepared_vendor(pages: int, *, policy: str = "none", latency: tuple[float, float]) -> Iterator[str]:
    """Run it.

    Args:
        pages: Of each listing.
        policy: The hidden limit, for `simulator.parse_policy`.
        latency: Shortest and longest, seconds.

    Yields:
        Its base URL.
    """
    command = [sys.executable, "-m", __name__, str(pages), policy, *map(str, latency)]
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
    given = parser.parse_args()
    vendor = Prepared(given.pages)
    simulator = Simulator(given.policy, token=DEFAULT_TOKEN, latency=tuple(given.latency), api=vendor)
    simulator.serve(lambda url: print(url + vendor.prefix, flush=True))


if __name__ == "__main__":
    _serve()
