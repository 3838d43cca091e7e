"""`aimd limiter`: what the limiters have learned, how they came to it, and how to make them forget."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.export import export
from flows.cli.learned import Learned, event_rows, limiters
from flows.cli.opening import database, existing_store
from flows.cli.output import Exit, Json, emit, epilog, fail, friendly, moment, rate, say, table, write_file
from flows.cli.presets import api_names

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from state.store import Store

_EVENTS_LISTED = 100

app = typer.Typer(no_args_is_help=True, help="What the limiters have learned.")

Api = Annotated[str, typer.Argument(metavar="API", help="As in `aimd presets list`.", autocompletion=api_names)]
QuotaKey = Annotated[
    str | None,
    typer.Option("--quota-key", "--tenant", metavar="KEY", help="Only this quota key, by default the tenant."),
]


@app.command("list", epilog=epilog("aimd limiter list", "aimd limiter list --json"))
def list_limiters(quota_key: QuotaKey = None, as_json: Json = False) -> None:
    """List every limiter.

    One a bucket, api/scope/quota key: its rate now in requests per second, and what it has met.
    """
    with friendly(as_json), existing_store() as store:
        _emit_rows(_found(store, None, quota_key), as_json=as_json)


@app.command(epilog=epilog("aimd limiter show notion", "aimd limiter show notion --tenant acme --json"))
def show(api: Api, quota_key: QuotaKey = None, as_json: Json = False) -> None:
    """Show the limiters of an API.

    One, unless tenants or scopes have limits of their own. Rates are requests per second.
    """
    with friendly(as_json), existing_store() as store:
        _emit_rows(_found(store, api, quota_key), as_json=as_json)


@app.command(epilog=epilog("aimd limiter history notion", "aimd limiter history notion --limit 500 --svg rate.svg"))
def history(
    api: Api,
    quota_key: QuotaKey = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Only the newest events of each limiter; by default 100, in a picture 2000."
        ),
    ] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the rate over time into a file too.")] = None,
    as_json: Json = False,
) -> None:
    """Show how an API's rate changed.

    Oldest first: each increase, backoff and hold, with what caused it. Rates are requests per second, Retry-After
    ("retry") and holds seconds. On a terminal one limiter is drawn too.
    """
    with friendly(as_json), existing_store() as store:
        found = _found(store, api, quota_key)
        if svg is not None:
            _draw(found, limit, svg)
        rows = event_rows(found, limit or _EVENTS_LISTED)
        emit(rows, as_json=as_json, table=lambda: _with_chart(found, limit, _events(rows)))


@app.command(
    epilog=epilog(
        "aimd limiter reset notion --tenant acme",
        "aimd limiter reset notion --yes --json",
        codes="0 done, 1 you decided against it, 2 neither a terminal to ask on nor --yes.",
    )
)
def reset(
    api: Api,
    quota_key: QuotaKey = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Forget what an API's limiters learned.

    Their rate, their history and any hold: the next run begins anew.
    """
    with friendly(as_json), existing_store() as store:
        found = _found(store, api, quota_key)
        rows = [{**each.row, "events": store.history_length(each.bucket)} for each in found]
        if found and not yes:
            _ask(rows)
        forgotten = [row for each, row in zip(found, rows, strict=True) if store.reset(each.bucket)]
        for row in forgotten:
            say(f"Forgot {_summary(row)}.")
        if as_json:
            emit(forgotten, as_json=True)


app.command(epilog=epilog("aimd limiter export --output limiters.json", "aimd limiter export --format csv"))(export)


def _found(store: Store, api: str | None, quota_key: str | None) -> list[Learned]:
    found = limiters(store, api, quota_key)
    if not found:
        who = f"limiter of {api}" if api else "limiter"
        whose = f" with quota key {quota_key}" if quota_key else ""
        say(f"No {who}{whose} has learned anything yet (database {database()}).")
    return found


def _emit_rows(found: list[Learned], *, as_json: bool) -> None:
    rows = [each.row for each in found]
    emit(rows, as_json=as_json, table=lambda: _overview(rows))


def _overview(rows: list[dict[str, Any]]) -> Table:
    now = time.time()
    shown = [
        (
            row["bucket"],
            rate(row["current_rate"]),
            rate(row["ceiling"]),
            _seconds(row["cooldown_until"] - now),
            row["throttles"],
            moment(row["updated_at"]),
        )
        for row in rows
    ]
    return table(("bucket", "rate/s", "ceiling", "hold s", "throttles", "updated (UTC)"), shown, gives="bucket")


def _events(rows: list[dict[str, Any]]) -> Table:
    shown = [
        (
            moment(row["at"]),
            row["bucket"],
            row["kind"],
            rate(row["rate_before"]),
            rate(row["rate_after"]),
            rate(row["ceiling"]),
            row["status"],
            row["retry_after"],
            _seconds(row["cooldown_until"] - row["at"]),
        )
        for row in rows
    ]
    headings = ("time (UTC)", "bucket", "event", "before", "after", "ceiling", "status", "retry s", "hold s")
    kept = [n for n, _ in enumerate(headings) if n != 1 or len({row[n] for row in shown}) > 1]  # 80 columns are few
    return table([headings[n] for n in kept], [[row[n] for n in kept] for row in shown], gives="bucket")


def _seconds(left: float) -> float | None:
    return round(left, 1) if left > 0 else None


def _summary(row: dict[str, Any]) -> str:
    return f"{row['bucket']}: {row['current_rate']:.3g} requests/s and {row['events']} events of history"


def _ask(rows: list[dict[str, Any]]) -> None:
    if not sys.stdin.isatty():
        fail("Nothing was forgotten: there is no terminal to ask on, so add --yes.", Exit.USAGE)
    say("This forgets " + "; ".join(_summary(row) for row in rows) + ".")
    try:
        decided = typer.confirm("Forget it?", err=True)
    except typer.Abort:
        decided = False
    if not decided:
        fail("Nothing was forgotten.")


def _with_chart(found: list[Learned], limit: int | None, events: Table) -> RenderableType:
    """The table, below a chart if it is one limiter's and a terminal can show it: a pipe gets text for programs."""
    if not sys.stdout.isatty() or not (sys.stdout.encoding or "").lower().startswith("utf"):
        return events
    if len(found) > 1:
        say(f"For a chart choose one limiter with --quota-key: {_keys(found)}.")
        return events
    from rich.console import Group

    from flows.cli.chart import Chart

    [each] = found
    drawn = _drawn(each, limit)
    documented = each.config.documented_rate if each.config else 0.0
    return Group(Chart(**drawn, documented=documented), "", events)


def _draw(found: list[Learned], limit: int | None, file: Path) -> None:
    from flows.picture import rate_picture
    from limiter import ApiRateConfig

    if len(found) > 1:
        fail(f"A picture shows one limiter; choose with --quota-key: {_keys(found)}.", Exit.USAGE)
    for each in found:
        config = each.config or ApiRateConfig(each.bucket.api, "https://api.invalid")  # known no more
        write_file(file, rate_picture(**_drawn(each, limit), config=config))
        say(f"Drew {each.bucket} into {file}.")


def _drawn(each: Learned, limit: int | None) -> dict[str, Any]:
    """What every picture of a limiter is made of."""
    from flows.curve import EVENTS_DRAWN

    return {
        "events": each.events(limit or EVENTS_DRAWN),
        "rate_now": each.row["current_rate"],
        "now": time.time(),
        "title": str(each.bucket),
        "total": each.store.history_length(each.bucket),
    }


def _keys(found: list[Learned]) -> str:
    return ", ".join(sorted({each.bucket.quota_key for each in found}))
