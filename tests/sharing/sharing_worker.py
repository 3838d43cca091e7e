"""A process that asks a vendor as often as its limiter lets it: `sharing_worker.py DATABASE BASE_URL CALLERS`.

It says `ready`, begins at a first line on stdin, ends at a second one, and tells what it did as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from limiter import AimdTransport, Limiter
from limiter.presets import API_RATE_CONFIGS
from state import Bucket, open_store


class Logging(httpx.HTTPTransport):
    """Notes when each request goes out."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[float] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(time.time())
        return super().handle_request(request)


def main(database: str, base_url: str, callers: int) -> None:
    config = API_RATE_CONFIGS["notion"].with_changes({"base_url": base_url, "max_rate": 100.0})
    inner, stop, fine = Logging(), threading.Event(), [0] * callers
    with open_store(database) as store:
        transport = AimdTransport(inner, Limiter(config, Bucket("notion"), store))
        headers = {"Authorization": "Bearer secret_simulator", "Notion-Version": "2022-06-28"}
        with httpx.Client(transport=transport, base_url=base_url, headers=headers) as client:

            def caller(number: int) -> None:
                while not stop.is_set():
                    fine[number] += client.get("users").is_success

            _say("ready")
            sys.stdin.readline()
            with ThreadPoolExecutor(callers) as pool:
                working = [pool.submit(caller, number) for number in range(callers)]
                sys.stdin.readline()
                stop.set()
                for each in working:
                    each.result()
    _say(json.dumps({"fine": sum(fine), "sent": inner.sent}))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
