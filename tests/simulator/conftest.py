"""A simulator on a real socket, stopped when the test ends."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from simulator import Simulator, World

HEADERS = {"Authorization": "Bearer secret_simulator", "Notion-Version": "2025-09-03"}

Start = Callable[..., tuple[Simulator, httpx.Client]]


@pytest.fixture(scope="session")
def headers() -> dict[str, str]:
    """What a simulator wants to see."""
    return HEADERS


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Start a simulator, by default without limit or latency; gives it and a client that it accepts."""
    vendors: list[Simulator] = []
    with ExitStack() as stack, ThreadPoolExecutor(16) as pool:

        def starting(policy="none", world=None, **options) -> tuple[Simulator, httpx.Client]:
            vendor = Simulator(policy, world, **{"latency": (0, 0), **options}).start()
            vendors.append(vendor)
            return vendor, stack.enter_context(httpx.Client(base_url=vendor.base_url, headers=HEADERS))

        yield starting
        list(pool.map(Simulator.stop, vendors))  # a tenth of a second each, but not one after the other


@pytest.fixture(scope="module")
def small_world() -> World:
    return World(seed=7, users=3, pages=12, data_sources=2, rows=7)


@pytest.fixture(scope="module")
def notion(start: Start, small_world: World) -> httpx.Client:
    """A client of a vendor without limit; the tests of a module share it and only read."""
    return start(world=small_world)[1]
