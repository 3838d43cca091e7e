"""`aimd simulator`: a vendor with a hidden limit, on a socket of this machine."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from flows.cli.output import Exit, Json, emit, fail, friendly, say

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Api(StrEnum):
    """Whose API it speaks."""

    NOTION = "notion"


class RetryAfter(StrEnum):
    """How a 429 says how long to wait."""

    SECONDS = "seconds"
    DATE = "date"
    EXACT = "exact"
    NONE = "none"


def simulator(
    api: Annotated[Api, typer.Option(help="Whose API to speak.")] = Api.NOTION,
    policy: Annotated[str, typer.Option(metavar="SPEC", help="The hidden limit; see above.")] = "token:rate=5,burst=5",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0 for any that is free.")] = 0,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    token: Annotated[str | None, typer.Option(metavar="TOKEN", help="The only token accepted; any by default.")] = None,
    retry_after: Annotated[RetryAfter, typer.Option(help="How a 429 says when to come back.")] = RetryAfter.SECONDS,
    latency: Annotated[str, typer.Option(metavar="MIN,MAX", help="Seconds that an answer takes.")] = "0.05,0.15",
    users: Annotated[int, typer.Option(min=0, metavar="N", help="How many users there are.")] = 20,
    pages: Annotated[int, typer.Option(min=0, metavar="N", help="How many pages outside of data sources.")] = 60,
    data_sources: Annotated[int, typer.Option(min=0, metavar="N", help="How many data sources.")] = 3,
    rows: Annotated[int, typer.Option(min=0, metavar="N", help="How many rows in each data source.")] = 50,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="SPEC", help="What goes wrong and when; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Decides the data and the latencies.")] = 0,
    as_json: Json = False,
) -> None:
    """Run a vendor with a hidden rate limit until Ctrl-C.

    The first line of stdout is the base URL, and comes once it listens. What it has seen is at /_stats.

    Policies, in requests per second and seconds:

    \b
      token:rate=5,burst=5
      fixed:count=50,window=10
      sliding:count=50,window=10
      penalty:count=5,window=1,lockout=30
      inflight:cap=4
      drift:rate=10,burst=10,at=300/600,factor=0.5/1.0
      none

    Faults, as KIND@METHOD /path#N for the N-th request, or #NxT for T from there on. Kinds: not-json, truncated,
    no-results, error-500, error-503, overload-529, blocked, reset, slow.
    """  # noqa: D301  (the backspace is meant)
    from simulator import Simulator, World

    with friendly(as_json):
        try:
            vendor = Simulator(
                policy,
                World(seed, users=users, pages=pages, data_sources=data_sources, rows=rows),
                token=token,
                retry_after=retry_after.value,
                latency=_latency(latency),
                seed=seed,
                faults=fault or [],
                port=port,
                host=host,
            )
        except ValueError as error:
            fail(f"{str(error)[0].upper()}{str(error)[1:]}.", Exit.USAGE)

        def ready(url: str) -> None:
            if as_json:
                policy_spec = str(vendor.policy)
                emit({"url": url, "base_url": vendor.base_url, "policy": policy_spec, "token": token}, as_json=True)
                return
            typer.echo(vendor.base_url)
            say(f"{api.value} behind {vendor.policy}; what it has seen: {url}/_stats; Ctrl-C stops it. Elsewhere:")
            say(f"  NOTION_TOKEN={token or 'any'} AIMD_NOTION_BASE_URL={vendor.base_url} aimd sync notion")
            if host not in LOOPBACK:
                say(f"{host} can be reached by others, and nothing keeps them from changing the data and the limit.")

        try:
            vendor.serve(ready)
        except OSError as error:
            why = (error.strerror or str(error)).partition(" (")[0]  # Python repeats the address in brackets
            fail(f"Cannot listen on {host} port {port}: {why}.", Exit.INCOMPLETE)


def _latency(text: str) -> tuple[float, float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        raise ValueError(f"latency must be one number or two, as 0.05,0.15, not {text!r}")
    return numbers[0], numbers[-1]
