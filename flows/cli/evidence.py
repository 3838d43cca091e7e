"""`aimd evidence`: what was collected, and whether it is still what was collected."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.opening import database, existing_store
from flows.cli.output import Exit, Json, emit, epilog, fail, friendly, moment, say, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from state.records import EvidenceVersion
    from state.store import Store

app = typer.Typer(no_args_is_help=True, help="What was collected.")

Source = Annotated[str | None, typer.Option(metavar="SOURCE", help="Only this vendor, as notion.")]
Stream = Annotated[str | None, typer.Option(metavar="STREAM", help="Only this kind of record, as users.")]
Tenant = Annotated[str | None, typer.Option(metavar="TENANT", help="Only this tenant.")]
Partition = Annotated[str | None, typer.Option(metavar="PARTITION", help="Only this partition, as listed.")]


@app.command("list", epilog=epilog("aimd evidence list --source notion --stream users", "aimd evidence list --json"))
def list_evidence(
    source: Source = None,
    stream: Stream = None,
    tenant: Tenant = None,
    partition: Partition = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the newest; all by default.")] = None,
    as_json: Json = False,
) -> None:
    """List all versions of all records.

    Oldest first, without their content.
    """
    with friendly(as_json), existing_store() as store:
        found = list(
            store.evidence.versions(source=source, stream=stream, tenant=tenant, partition=partition, limit=limit)
        )
        if not found:
            say(f"There is no such evidence (database {database()}).")
        emit([version.summary for version in found], as_json=as_json, table=lambda: _overview(found))


@app.command(
    epilog=epilog(
        "aimd evidence show notion users 6794760a",
        "aimd evidence show notion pages 59833787-2cf9 --version 1 --json",
        "aimd evidence show notion users 6794760a --raw | sha256sum",
        codes="0 done, 1 the content is not what was collected, 2 there is no such record.",
    )
)
def show(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The vendor, as notion.")],
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="The kind of record, as users.")],
    external_id: Annotated[str, typer.Argument(metavar="EXTERNAL_ID", help="The vendor's id, or its beginning.")],
    version: Annotated[int | None, typer.Option(min=1, metavar="N", help="Which; the newest by default.")] = None,
    tenant: Tenant = None,
    partition: Partition = None,
    raw: Annotated[bool, typer.Option("--raw", help="Print the stored bytes, as they were hashed.")] = False,
    as_json: Json = False,
) -> None:
    """Show a record and check its SHA-256.

    The content is checked against the SHA-256 that was stored with it.
    """
    with friendly(as_json), existing_store() as store:
        if raw and as_json:
            fail("--raw and --json exclude each other.", Exit.USAGE)
        versions = _of_one_record(store, source, stream, external_id, tenant, partition)
        chosen = versions[-1] if version is None else next((v for v in versions if v.version == version), None)
        if chosen is None:
            known = ", ".join(str(v.version) for v in versions)
            fail(f"{versions[0].external_id} has no version {version}; it has {known}.", Exit.USAGE)
        text = store.evidence.text(chosen)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        shown = {**chosen.summary, "verified": sha256 == chosen.sha256, "content": _content(text)}
        if raw:
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode())
            sys.stdout.flush()
        else:
            emit(shown, as_json=as_json, table=lambda: _sheet(shown))
        if not shown["verified"]:
            say(
                f"Version {chosen.version} of {chosen.external_id} is not what was collected: its SHA-256 is {sha256}, "
                f"and {chosen.sha256} was stored with it. Restore the database from a backup."
            )
            raise typer.Exit(Exit.INCOMPLETE)


def _of_one_record(
    store: Store, source: str, stream: str, wanted: str, tenant: str | None, partition: str | None
) -> list[EvidenceVersion]:
    """All versions of the one record that is meant."""
    everything = store.evidence.versions(source=source, stream=stream, tenant=tenant, partition=partition)
    found = [v for v in everything if v.external_id.startswith(wanted)]
    exact = [v for v in found if v.external_id == wanted]
    records = {(v.collection, v.external_id) for v in exact or found}
    if not records:
        there = sorted({f"{v.collection.source} {v.collection.stream}" for v in store.evidence.versions()})
        fail(
            f"There is no evidence of {source} {stream} with an id that begins with {wanted!r} in {database()}. "
            + (f"There is: {', '.join(there)}." if there else "It holds no evidence at all."),
            Exit.USAGE,
        )
    if len(records) > 1:
        meant = sorted(
            f"{name} (tenant {c.tenant}{c.partition and ', partition '}{c.partition})" for c, name in records
        )
        more = f" and {len(meant) - 5} more" if len(meant) > 5 else ""
        fail(
            f"{wanted!r} may be {', '.join(meant[:5])}{more}. Give more of the id, --tenant or --partition.",
            Exit.USAGE,
        )
    return [v for v in found if (v.collection, v.external_id) in records]


def _content(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # somebody has changed it
        return text


def _overview(versions: list[EvidenceVersion]) -> Table:
    shown = [
        (
            v.collection.source,
            v.collection.stream,
            v.collection.tenant,
            v.collection.partition or None,
            v.external_id,
            v.version,
            moment(v.collected_at),
            "deleted" if v.deleted else None,
        )
        for v in versions
    ]
    headings = ("source", "stream", "tenant", "partition", "id", "v", "collected (UTC)", "")
    # What is the same for all, as for most installations, says nothing: 80 columns are few.
    kept = [n for n, _ in enumerate(headings) if n not in (2, 3, 7) or len({row[n] for row in shown}) > 1]
    return table([headings[n] for n in kept], [[row[n] for n in kept] for row in shown], gives="id")


def _sheet(shown: dict[str, Any]) -> RenderableType:
    from rich.console import Group

    facts = {
        **shown,
        "collected_at": f"{moment(shown['collected_at'])} UTC",
        "deleted": "yes" if shown["deleted"] else "no",
        "verified": "yes" if shown["verified"] else "NO",
    }
    content = json.dumps(facts.pop("content"), indent=2, ensure_ascii=False)
    printable = "".join(char if char.isprintable() or char == "\n" else f"\\u{ord(char):04x}" for char in content)
    return Group(table(("", ""), facts.items()), "", printable)
