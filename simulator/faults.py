"""Scripted misbehaviour: at the n-th accepted request, the vendor does something wrong.

`Fault` and `Script` decide when; `answer_of` and `break_off` are what happens then.
"""

import re
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from simulator.checks import whole
from simulator.mangling import Mangle
from simulator.vendor import Vendor

FaultKind = Literal[
    "not-json",
    "truncated",
    "no-results",
    "error-500",
    "error-503",
    "overload-529",
    "blocked",
    "forbidden",
    "cursor-expired",
    "reset",
    "slow",
    Mangle,
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

SLOW = 1.0
"""Seconds for which `slow` holds an answer back."""

_SPEC = re.compile(r"(?P<kind>[^@]*)@(?P<match>[^#]*)#(?P<nth>\d{1,9})(x(?P<times>\d{1,9}))?")
_MATCH = re.compile(r"[A-Z]+ /\S*")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: What.
        match: Where: a method and the beginning of a path, for example `POST /v1/search`.
        nth: At which of the matching requests that the limit admits, from 1.
        times: For how many of them in a row.

    Raises:
        ValueError: If the kind is unknown, the match has another form, or a number is below 1.
    """

    kind: FaultKind
    match: str
    nth: int
    times: int = 1

    def __post_init__(self) -> None:
        """Check the values."""
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}; known kinds: {', '.join(KINDS)}")
        if not _MATCH.fullmatch(self.match):
            raise ValueError(f"match must be a method and a path, as POST /v1/search, not {self.match!r}")
        whole("nth", self.nth)
        whole("times", self.times)

    def __str__(self) -> str:
        """Return the spec."""
        return f"{self.kind}@{self.match}#{self.nth}" + (f"x{self.times}" if self.times > 1 else "")


def parse_fault(spec: str) -> Fault:
    """Make the fault that a spec describes.

    Args:
        spec: `KIND@METHOD /path-prefix#N`, or `#NxT` for T times in a row.

    Raises:
        ValueError: If the spec is not understood; the message says why and lists the known kinds.

    Example:
        >>> parse_fault("reset@POST /v1/search#3x2")
        Fault(kind='reset', match='POST /v1/search', nth=3, times=2)
    """
    found = _SPEC.fullmatch(spec.strip())
    try:
        if not found:
            raise ValueError(f"it is not of the form KIND@METHOD /path#N; known kinds: {', '.join(KINDS)}")
        kind = found["kind"].strip()
        known = next((each for each in KINDS if each == kind), None)
        if known is None:
            raise ValueError(f"unknown kind {kind!r}; known kinds: {', '.join(KINDS)}")
        return Fault(known, found["match"].strip(), int(found["nth"]), int(found["times"] or 1))
    except ValueError as error:
        raise ValueError(f"bad fault {spec!r}: {error}") from None


class Script:
    """Counts requests and says which of them go wrong. Belongs to one event loop; not locked."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults)
        self._seen = [0] * len(self._faults)

    @property
    def mangles(self) -> bool:
        """Whether an answer will be changed after what came before."""
        return any(fault.kind in ("same-ids", "stuck") for fault in self._faults)

    def next(self, method: str, path: str) -> FaultKind | None:
        """Count an admitted request and return what goes wrong with it; the first fault listed wins."""
        due: FaultKind | None = None
        for index, fault in enumerate(self._faults):
            wanted, prefix = fault.match.split(" ", 1)
            if method != wanted or not path.startswith(prefix):
                continue
            self._seen[index] += 1
            if due is None and fault.nth <= self._seen[index] < fault.nth + fault.times:
                due = fault.kind
        return due


def answer_of(kind: FaultKind, vendor: Vendor, request: Request) -> Response | None:
    """Return the vendor's answer when this goes wrong; None if the connection breaks instead."""
    match kind:
        case "not-json":
            return vendor.page_of_html()
        case "no-results":
            return vendor.empty()
        case "error-500" | "error-503" | "overload-529":
            return vendor.failed(request, int(kind.rpartition("-")[2]))
        case "blocked":
            return vendor.blocked()
        case "forbidden":
            return vendor.forbidden(request)
        case "cursor-expired":
            return vendor.expired(request)
    return None


async def break_off(kind: FaultKind, scope: Scope, receive: Receive, send: Send) -> None:
    """Break the connection: before the answer (`reset`) or in its middle (`truncated`).

    Raises:
        ConnectionResetError: On a server that gives no access to the connection (another one than the
            simulator's own).
    """
    if kind == "truncated":
        start = b'{"object":"list","results":[{"object":"page","id":"'
        headers = [(b"content-type", b"application/json"), (b"content-length", b"4096")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": start, "more_body": True})
    await _hang_up(scope, receive, reset=kind == "reset")


async def _hang_up(scope: Scope, receive: Receive, reset: bool) -> None:
    transport = scope.get("state", {}).get("transport")
    if transport is None:
        raise ConnectionResetError("simulated fault")
    if reset:
        # Closing with a linger time of 0 sends RST rather than FIN: "connection reset by peer".
        linger = struct.pack("ii" if hasattr(socket, "AF_UNIX") else "hh", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    else:
        transport.close()  # after what has been written is sent
    # Returning before the server has noticed would make it send, and log, a 500 of its own.
    while (await receive())["type"] != "http.disconnect":
        pass
