"""The simulator: a vendor on a socket of this machine."""

import math
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

from starlette.types import ASGIApp, Receive, Scope, Send

from simulator.background import BackgroundServer
from simulator.control import Control
from simulator.faults import Fault, parse_fault
from simulator.gate import RETRY_AFTER_MODES, Gate
from simulator.limits import Limits
from simulator.meter import Meter
from simulator.vendor import Data, RetryAfter, Vendor, of_type
from simulator.vendors import make_vendor
from simulator.vendors.notion import ROW_CAP, Notion, World
from simulator.verdict import Policy

DEFAULT_TOKEN = "secret_simulator"

_POLL = 0.2
"""Seconds between looks at whether a signal came: on Windows a wait without end cannot be interrupted."""


class Simulator:
    """A vendor's API over made-up data, behind limits that it does not tell.

    A stopped simulator can be started again, on the same port: an outage.

    Args:
        policy: The hidden limit, or its spec, for each of the vendor's buckets (a spec) or for all together (an
            object); `documented` for the limits that the vendor documents.
        world: The data, as the vendor needs it; by default a small world made from the seed.
        token: The secret that is accepted; None accepts any that is not empty.
        retry_after: How a 429 says how long to wait: whole `seconds` (rounded up, at least 1), HTTP
            `date` (rounded up), `exact` (decimal seconds), or `none`: not at all. None for the vendor's own way.
        latency: Least and most seconds that an answer takes; half of it before the limit is checked.
        seed: Decides the latencies and the default world.
        faults: What goes wrong, or specs of it.
        port: 0 for any that is free.
        host: Address to bind. Anything but loopback lets others in: the control endpoints have no auth.
        row_cap: Rows that one query of Notion returns over all its pages.
        api: Whose API: a name, or a vendor that was made with options of its own.
        limits: Limits or specs by family of buckets, which win over the policy: `{"token": "none"}` for Vanta.

    Raises:
        ValueError: If an argument is out of range or a spec is bad.

    Example:
        >>> import urllib.request
        >>> with Simulator("token:rate=5,burst=5") as simulator:
        ...     with urllib.request.urlopen(simulator.url + "/_stats") as answer:
        ...         answer.status
        200
    """

    def __init__(
        self,
        policy: Policy | str,
        world: Data | None = None,
        token: str | None = DEFAULT_TOKEN,
        retry_after: RetryAfter | None = None,
        latency: tuple[float, float] = (0.05, 0.15),
        seed: int = 0,
        faults: Sequence[Fault | str] = (),
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        row_cap: int = ROW_CAP,
        api: str | Vendor = "notion",
        limits: Mapping[str, Policy | str] | None = None,
    ) -> None:
        if retry_after is not None and retry_after not in RETRY_AFTER_MODES:
            modes = ", ".join(RETRY_AFTER_MODES)
            raise ValueError(f"retry_after must be one of {modes}, not {retry_after!r}")
        least, most = latency
        if not (0 <= least <= most < math.inf):
            raise ValueError(f"latency must be two numbers with 0 <= least <= most, not {latency!r}")
        if isinstance(api, Vendor):
            if world is not None:
                raise ValueError("give the world to the vendor, or give the vendor's name")
            self.vendor: Vendor = api
        elif api == "notion":
            self.vendor = Notion(of_type(World, world) or World(seed), row_cap)
        else:
            self.vendor = make_vendor(api, seed, world)
        self._meter = Meter()
        self._limits = Limits(self.vendor, policy, limits or {})
        self.vendor.attach(self._limits.of)
        self._gate = Gate(
            self.vendor,
            self._limits,
            self._meter,
            faults=[parse_fault(fault) if isinstance(fault, str) else fault for fault in faults],
            token=token,
            retry_after=retry_after or self.vendor.retry_after,
            latency=(least, most),
            seed=seed,
        )
        self._control = Control(self.vendor.data, self.stats, self.set_policy).app
        self._token = token
        self._host = host
        self._port = port
        self._server: BackgroundServer | None = None

    @property
    def app(self) -> ASGIApp:
        """The simulator as an ASGI application, for those who bring their own server."""
        return self._app

    @property
    def url(self) -> str:
        """Where it listens, for example `http://127.0.0.1:49152`; port 0 before the first start."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def base_url(self) -> str:
        """What a client takes for the vendor's address, for example for `https://api.notion.com/v1`."""
        return self.url + self.vendor.prefix

    @property
    def world(self) -> Data:
        """The data."""
        return self.vendor.data

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which `aimd` finds the simulator and is let in."""
        return self.vendor.variables(self.url, self._token or DEFAULT_TOKEN)

    @property
    def policy(self) -> Policy:
        """The hidden limit."""
        return self._limits.general

    def set_policy(self, policy: Policy | str) -> None:
        """Change the hidden limit, or give its spec, from the next request on.

        Raises:
            ValueError: If the spec is bad.
        """
        self._limits.set(policy)

    def stats(self) -> dict[str, Any]:
        """Return what happened so far, as `GET /_stats` does.

        Times are epoch seconds, and 0.0 where there is none. `requests` are those to the vendor; each that is
        finished was `accepted` (`by_path`: per method and path), `rejected` (by a limit; `by_bucket` says which) or
        `refused` (another 4xx). `early` ones came although an answer had said to wait longer. `limit` is the true
        rate in requests/s now, None if there is none. `arrivals` and `rejections` are the times of the last 10,000.
        Whatever else the vendor counts is under `vendor`.
        """
        rate = self.policy.rate(time.monotonic())
        limit = rate if math.isfinite(rate) else None
        by_bucket = dict(self._limits.rejections)
        own = {"by_bucket": by_bucket, "vendor": self.vendor.counts()}
        return {"policy": str(self._limits), "limit": limit, **self._meter.report(), **own}

    def start(self) -> Self:
        """Listen, serve in a daemon thread, and return once it is ready.

        Raises:
            OSError: If the port is taken.
            RuntimeError: If it is running already.
        """
        if self._server is not None:
            raise RuntimeError("the simulator is running already")
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.create_server((self._host, self._port), family=family, backlog=1024)
        self._port = listener.getsockname()[1]
        server = BackgroundServer(self._app, listener)
        server.start()
        self._server = server
        return self

    def stop(self) -> None:
        """Stop at once: open connections are closed, requests in flight get no answer."""
        if (server := self._server) is not None:
            server.request_stop()
            server.join()
            self._server = None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        """Stop."""
        self.stop()

    def serve(self, ready: Callable[[str], None] | None = None) -> None:
        """Serve in the foreground until SIGINT or SIGTERM, or until `stop` is called, then return.

        Signals are only looked for if this is the main thread; no other can.

        Args:
            ready: Called once with the URL when it listens.

        Raises:
            OSError: If the port is taken.
        """
        asked = False

        def on_signal(number: int, frame: FrameType | None) -> None:
            # A plain flag: the handler interrupts this very thread, which may be holding a lock.
            nonlocal asked
            asked = True

        with _handled(on_signal):
            self.start()
            try:
                if ready is not None:
                    ready(self.url)
                server = self._server
                while server is not None and not asked and not server.join(_POLL):
                    pass
            finally:
                self.stop()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        ours = scope["type"] == "http" and self.vendor.owns(path)
        await (self._gate if ours else self._control)(scope, receive, send)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets only the main thread set handlers
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
