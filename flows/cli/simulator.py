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
    VANTA = "vanta"
    VANTA_AUDITOR = "vanta_auditor"
    FIELDGUIDE = "fieldguide"
    GITHUB = "github"
    SLACK = "slack"
    AIRTABLE = "airtable"
    OPENAI = "openai"
    ZAPIER = "zapier"


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
    token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="The only secret accepted; any by default.")
    ] = None,
    retry_after: Annotated[
        RetryAfter | None, typer.Option(help="How a refusal says when to come back; by default as the vendor does.")
    ] = None,
    latency: Annotated[str, typer.Option(metavar="MIN,MAX", help="Seconds that an answer takes.")] = "0.05,0.15",
    count: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND=N", help="How many of a kind there are, as users=100; may be repeated."),
    ] = None,
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
      documented (each limit that the vendor documents)

    Faults, as KIND@METHOD /path#N for the N-th request, or #NxT for T from there on. Kinds: not-json, truncated,
    no-results, error-500, error-503, overload-529, blocked, forbidden, cursor-expired, reset, slow; and in a good
    answer: no-id, same-ids, stuck, huge-record, not-utf8, nan, big-number, surrogate.
    """  # noqa: D301  (the backspace is meant)
    from simulator import Simulator, make_world

    with friendly(as_json):
        try:
            vendor = Simulator(
                policy,
                make_world(api.value, seed, **_counts(count or [])),
                token=token,
                api=api.value,
                retry_after=retry_after.value if retry_after else None,
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
            variables = " ".join(f"{name}={value}" for name, value in vendor.environment.items())
            say(f"  {variables} aimd sync {api.value}" if api is not Api.ZAPIER else f"  {variables}")
            if host not in LOOPBACK:
                say(f"{host} can be reached by others, and nothing keeps them from changing the data and the limit.")

        try:
            vendor.serve(ready)
        except OSError as error:
            why = (error.strerror or str(error)).partition(" (")[0]  # Python repeats the address in brackets
            fail(f"Cannot listen on {host} port {port}: {why}.", Exit.INCOMPLETE)


def _counts(given: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for text in given:
        kind, _, number = text.partition("=")
        if not (kind and number.isascii() and number.isdecimal()):
            raise ValueError(f"a count must be of the form KIND=N, as people=100, not {text!r}")
        if kind in counts:
            raise ValueError(f"the count of {kind} is given twice: {counts[kind]} and {number}")
        counts[kind] = int(number)
    return counts


def _latency(text: str) -> tuple[float, float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        raise ValueError(f"latency must be one number or two, as 0.05,0.15, not {text!r}")
    return numbers[0], numbers[-1]
