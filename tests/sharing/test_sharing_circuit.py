"""An outage that one process has met spares all who share its database, also after a restart."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import httpx

from limiter import AimdClient, ApiRateConfig, CircuitBreakerConfig, CircuitOpen, Limiter, make_client_from_config
from state import Bucket, open_store

ASK = """
import json, sys
import httpx
from limiter import AimdClient, ApiRateConfig, CircuitBreakerConfig, CircuitOpen, make_client_from_config
from state import open_store

database, interval, answer, times = sys.argv[1], float(sys.argv[2]), sys.argv[3], int(sys.argv[4])
breaker = CircuitBreakerConfig(failure_threshold=3, open_interval=interval)
config = ApiRateConfig("acme", "https://api.acme.test", initial_rate=10.0, max_rate=10.0, breaker=breaker)

def vendor(request):
    if answer == "never":
        print("sent", flush=True)
        sys.stdin.read()  # until it is killed
    return httpx.Response(int(answer))

became = []
with open_store(database) as store, make_client_from_config(
    config, store=store, transport=httpx.MockTransport(vendor)
) as client:
    for _ in range(times):
        try:
            became.append(client.post("/things").status_code)
        except CircuitOpen as error:
            became.append("open")
print(json.dumps(became))
"""


def asking(database: str, interval: float, answer: str, times: int = 1) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ASK, database, str(interval), answer, str(times)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def asked(database: str, interval: float, answer: str, times: int = 1) -> list[Any]:
    with asking(database, interval, answer, times) as process:
        return list(json.loads(process.communicate(timeout=60)[0]))


def test_an_outage_that_one_process_met_spares_the_next(database: str) -> None:
    assert asked(database, 600.0, "503", times=5) == [503, 503, 503, "open", "open"]
    assert asked(database, 600.0, "200", times=2) == ["open", "open"]
    with open_store(database) as store:
        assert [event.kind for event in store.history(Bucket("acme"))] == ["start", "opened"]
        config = ApiRateConfig("acme", "https://api.acme.test", breaker=CircuitBreakerConfig(3, 600.0))
        assert Limiter(config, Bucket("acme"), store).snapshot()["circuit_open_until"] > 0.0


def test_the_one_that_asks_may_be_killed_and_another_asks_then(database: str) -> None:
    interval = 1.0
    assert asked(database, interval, "503", times=3) == [503] * 3
    while True:  # until the circuit lets one ask
        with asking(database, interval, "never") as killed:
            assert killed.stdout is not None
            said = killed.stdout.readline()
            killed.kill()
        if said == "sent\n":
            break
        assert json.loads(said) == ["open"]
    config = ApiRateConfig("acme", "https://api.acme.test", breaker=CircuitBreakerConfig(3, interval))
    vendor = httpx.MockTransport(lambda request: httpx.Response(200))
    with open_store(database) as store, make_client_from_config(config, store=store, transport=vendor) as client:
        while (left := _left(client)) > 0.0:
            assert left <= interval
            time.sleep(left)
        assert [event.kind for event in store.history(Bucket("acme"))] == ["start", "opened", "closed"]


def _left(client: AimdClient) -> float:
    """Send a request: seconds until one may ask again, or 0.0 if the vendor has answered."""
    try:
        assert client.post("/things").status_code == 200
    except CircuitOpen as error:
        _, now = client.limiter.store.read(client.limiter.bucket)
        return max(1e-3, error.until - now)
    return 0.0
