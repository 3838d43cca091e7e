"""`aimd demo`: two syncs against a vendor with a hidden limit, and what the second knew from the first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.output import Exit, Json, emit, fail, friendly, say, table
from flows.cli.signals import as_ctrl_c

if TYPE_CHECKING:
    from rich.table import Table

    from flows.demo import Run, Stage


def demo(
    ui: Annotated[bool, typer.Option("--ui", help="Leave the Prefect UI up until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Show the whole story on this machine; no account needed, about a minute."""
    from flows.demo import LIMIT, DemoError, staged, sync_once
    from flows.demo import as_json as outcome
    from flows.prefect_server import ServerDidNotStart

    with friendly(as_json), as_ctrl_c():
        say(
            f"A vendor that speaks Notion and hides its limit, {LIMIT:g} requests/s, and a Prefect server: starting ..."
        )
        try:
            with staged() as stage:
                say(f"The vendor is {stage.simulator.url}, the Prefect UI {stage.server}.")
                runs = []
                for name in ("The first sync knows nothing.", "The second one is another process."):
                    say(f"\n{name}")
                    runs.append(sync_once(stage))
                emit(outcome(tuple(runs), stage), as_json=as_json, table=lambda: _table(runs, LIMIT))
                _say_where(stage, ui)
                if not all(run.complete for run in runs):
                    raise typer.Exit(Exit.INCOMPLETE)
                while ui:
                    time.sleep(3600)
        except (DemoError, ServerDidNotStart) as error:
            fail(str(error))


def _table(runs: list[Run], limit: float) -> Table:
    columns = [
        "",
        "process",
        "first rate",
        "learned rate",
        "hidden limit",
        "requests",
        "rejections",
        "seconds",
        "records",
    ]
    rows = [
        [
            f"run {number}",
            run.process,
            round(run.first_rate, 2),
            round(run.learned_rate, 2),
            limit,
            run.requests,
            run.rejections,
            run.seconds,
            run.records,
        ]
        for number, run in enumerate(runs, 1)
    ]
    return table(columns, rows)


def _say_where(stage: Stage, ui: bool) -> None:
    path = picture_path(stage.server)
    if ui:
        say(f"\nThe limiter's history: {stage.server}{path}   (Ctrl-C stops everything)")
    else:
        say(f"\nThe limiter's history: run `aimd ui`, then open http://127.0.0.1:4200{path}")
    say("Now the real Notion: NOTION_TOKEN=... aimd sync notion")


def picture_path(server: str) -> str:
    """Where the Prefect UI shows the newest picture of the demo's limiter.

    A key's own page lists versions only, so this names the newest version; it keeps its number when another server
    shows the same home.

    Args:
        server: The Prefect server's address, without a path.
    """
    import httpx

    from flows.artifact import artifact_key
    from flows.demo import BUCKET

    key = artifact_key(BUCKET)
    asked = {"artifacts": {"key": {"any_": [key]}}, "sort": "UPDATED_DESC", "limit": 1}
    try:
        answer = httpx.post(f"{server}/api/artifacts/filter", json=asked, trust_env=False)
        [newest] = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return f"/v2/artifacts/key/{key}"
    return f"/v2/artifacts/artifact/{newest['id']}"
