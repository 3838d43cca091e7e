"""A process whose callers ask a vendor as often as they are let: `python -m benchmarks.live_caller ARGUMENTS`.

The arguments are a `Calling` as JSON. It says `ready`, begins at a line on stdin, and prints its replies as JSON.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import httpx

from benchmarks.core import CONFIG
from benchmarks.virtual import Log
from simulator.server import DEFAULT_TOKEN

HEADERS = {"Authorization": f"Bearer {DEFAULT_TOKEN}", "Notion-Version": "2022-06-28"}


@dataclass(frozen=True)
class Calling:
    """What a process does.

    Attributes:
        vendor: Base URL.
        callers: How many at a time.
        seconds: For how long.
        database: Of the row that it shares with others; empty to ask Prefect.
        limit: Name of Prefect's global concurrency limit; its server is that of the environment.
    """

    vendor: str
    callers: int
    seconds: float
    database: str = ""
    limit: str = ""


class Noting(httpx.HTTPTransport):
    """Keeps when which reply came, epoch seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and note."""
        response = super().handle_request(request)
        (self.log.accepted if response.is_success else self.log.rejected).append(time.time())
        return response


def learning(calling: Calling, inner: Noting) -> Callable[[], None]:
    """Asks at the rate that all who share a row have learned; knows nothing at first."""
    from limiter import AimdTransport, Limiter
    from state import Bucket, open_store

    config = replace(CONFIG, base_url=calling.vendor)
    transport = AimdTransport(inner, Limiter(config, Bucket("live"), open_store(calling.database)))
    client = httpx.Client(transport=transport, base_url=calling.vendor, headers=HEADERS)
    return lambda: client.get("users").close()


def told(calling: Calling, inner: Noting) -> Callable[[], None]:
    """Asks Prefect's server for a slot each time, as a flow does that knows its vendor's limit."""
    from prefect.concurrency.sync import rate_limit

    client = httpx.Client(transport=inner, base_url=calling.vendor, headers=HEADERS)

    def ask() -> None:
        rate_limit(calling.limit, strict=True)
        if (reply := client.get("users")).status_code == 429:
            time.sleep(float(reply.headers["retry-after"]))

    return ask


def main(calling: Calling) -> None:
    """Ask, and print."""
    inner = Noting()
    ask = (learning if calling.database else told)(calling, inner)

    def again_and_again() -> None:
        while True:
            ask()

    _say("ready")
    sys.stdin.readline()
    for _ in range(calling.callers):
        threading.Thread(target=again_and_again, daemon=True).start()
    time.sleep(calling.seconds)
    _say(json.dumps(asdict(inner.log)))
    os._exit(0)  # those who wait for a slot would wait on


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Calling(**json.loads(sys.argv[1])))
