"""Telling Zapier what a sync brought: pointers, never content.

A Zap gets ids, hashes and counts, with which it may look into the store; what the evidence says stays where it is. The
`event_id` is the run's own, so a Zap can tell what it has heard before: after a fault the same may come twice, and a
notification that was accepted may be worked on minutes later. Source: help.zapier.com, "Webhooks by Zapier".
"""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.credentials import credential_for
from limiter import make_client_for
from limiter.redaction import leave_credentials_behind
from state.canonical import canonical_json
from state.records import SyncRun
from state.store import Store, shared_store

MOST = 200
"""Pieces of evidence that one notification points to; of more, the newest."""


@task(name="notify Zapier", task_run_name="{source} {tenant}", tags=["aimd"], retries=0, cache_policy=NO_CACHE)
def notify_zapier(source: str, tenant: str = "default", *, credentials: str | None = None) -> str:
    """Tell Zapier of the newest run of a source.

    Args:
        source: The vendor.
        tenant: Whose evidence.
        credentials: Name of a `ZapierHook` block, before the environment's `ZAPIER_HOOK_URL`.

    Returns:
        The event id.

    Raises:
        LookupError: There was no run.
        ConfigurationError: There is no hook URL, or it cannot be one.
        httpx.HTTPStatusError: Zapier did not take it; the error does not show the hook's address.
        httpx.TransportError: Zapier could not be reached.

    Example:
        >>> from prefect import flow
        >>> from flows.sync import sync
        >>> @flow
        ... def nightly():
        ...     sync("vanta", return_state=True)
        ...     notify_zapier("vanta")
    """
    credential = credential_for("zapier", credentials)
    store = shared_store()
    told = notification(store, newest_run(store, source, tenant))
    with make_client_for("zapier", store=store, **credential.client_options()) as client:
        # The event id tells it apart, so it may be sent again after a fault.
        try:
            client.post("", json=told, extensions={"safe": True}).raise_for_status()
        except httpx.HTTPError as error:
            leave_credentials_behind(error, [credential.token, httpx.URL(credential.token).path])
            raise
    event: str = told["event_id"]
    return event


def newest_run(store: Store, source: str, tenant: str) -> SyncRun:
    """The newest run of a source for a tenant.

    Raises:
        LookupError: There was none.
    """
    for run in store.evidence.runs(1, source=source, tenant=tenant):
        return run
    raise LookupError(f"There was no sync of {source} for tenant {tenant}: nothing to tell of.")


def notification(store: Store, run: SyncRun) -> dict[str, Any]:
    """What Zapier is told of a run.

    Args:
        store: Where its evidence is.
        run: The run.
    """
    streams = dict(run.outcome.get("streams", {}))
    # The sentences of problems stay here: a vendor's own words may be in them.
    counts = {name: {key: value for key, value in found.items() if key != "problem"} for name, found in streams.items()}
    newest = store.evidence.versions(source=run.source, tenant=run.tenant, limit=MOST)
    pointers = [
        {
            "stream": version.collection.stream,
            "partition": version.collection.partition,
            "external_id": version.external_id,
            "version": version.version,
            "sha256": version.sha256,
            "deleted": version.deleted,
        }
        for version in newest
        if version.provenance.run_id == run.id
    ]
    return {
        "event_id": f"aimd-{run.id}",
        "event": "sync",
        "source": run.source,
        "tenant": run.tenant,
        "run": run.id,
        "flow_run": run.flow_run_id,
        "state": run.state,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "streams": counts,
        "changes": sum(each.get(what, 0) for each in counts.values() for what in ("new", "changed", "deleted")),
        "evidence": pointers,
        "outcome_sha256": hashlib.sha256(canonical_json(dict(run.outcome)).encode()).hexdigest(),
    }
