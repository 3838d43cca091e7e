"""`aimd limiter export`: everything the limiters know, for another program or another machine."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.learned import event_rows, limiters
from flows.cli.opening import database, existing_store
from flows.cli.output import Exit, Json, emit, fail, friendly, say, write_file


class Format(StrEnum):
    """What an export is written as."""

    JSON = "json"
    CSV = "csv"


def export(
    form: Annotated[Format, typer.Option("--format", help="CSV has a line an event.")] = Format.JSON,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to a file, not to stdout.")] = None,
    as_json: Json = False,
) -> None:
    """Export every limiter with its history.

    Times are epoch seconds, rates are requests per second.
    """
    with friendly(as_json), existing_store() as store:
        if as_json and form is Format.CSV and output is None:
            fail("CSV on stdout is not JSON: leave out --json, or add --output FILE.", Exit.USAGE)
        found = limiters(store)
        events = event_rows(found)
        if form is Format.CSV:
            text = _csv(events)
        else:
            text = json.dumps(
                {
                    "exported_at": time.time(),
                    "database": database(),
                    "limiters": [{**each.row, "history": [asdict(event) for event in each.events()]} for each in found],
                },
                indent=2,
            )
        if output is None:
            sys.stdout.write(text.rstrip("\n") + "\n")
            sys.stdout.flush()
            return
        write_file(output, text.rstrip("\n") + "\n")
        say(f"Exported {len(found)} limiters with {len(events)} events to {output}.")
        if as_json:
            emit({"output": str(output), "limiters": len(found), "events": len(events)}, as_json=True)


def _csv(events: list[dict[str, Any]]) -> str:
    from dataclasses import fields

    from state import HistoryEvent

    names = ["bucket", "api", "scope", "quota_key", *(field.name for field in fields(HistoryEvent))]
    paper = io.StringIO()
    writer = csv.DictWriter(paper, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(events)
    return paper.getvalue()
