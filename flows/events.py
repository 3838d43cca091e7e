"""Prefect events of what the limiter meets, so that automations can act on it.

    aimd.limiter.backoff      the rate was cut            about  aimd.limiter.<api>.<scope>.<quota key>
    aimd.limiter.cooldown     a hold without a cut
    aimd.limiter.recovered    the first success after it
    aimd.limiter.terminal     a refusal that waiting does not end: someone must act
    aimd.limiter.opened       faults only: nothing is sent for a while
    aimd.limiter.closed       the first answer after it
    aimd.sync.incomplete      a sync could not collect all of it    about  aimd.sync.<source>.<tenant>

An event of a run names its flow run, task run, deployment and tags as related resources; Prefect attaches them. The
payload holds figures and sentences, never a credential. Increases are no events: a climbing rate has one a second.

Emitting puts the event into a queue of Prefect's. Where no server answers, Prefect drops it, and says so in its log.
"""

from __future__ import annotations

from typing import Any

from prefect.context import FlowRunContext, TaskRunContext
from prefect.events import emit_event
from prefect.settings import get_current_settings

from flows.outcome import SyncReport
from limiter import LimiterEvent
from state import Bucket

EMITTED = frozenset({"backoff", "cooldown", "recovered", "terminal", "opened", "closed"})
"""The kinds of changes that are events."""
INCOMPLETE = "aimd.sync.incomplete"


def emit_limiter_event(happened: LimiterEvent) -> None:
    """A hook of the limiter that makes its changes Prefect events; outside of a run only where a server is configured.

    Args:
        happened: What the limiter tells.

    Example:
        >>> from limiter import make_client_for
        >>> from state import open_store
        >>> client = make_client_for("notion", store=open_store("memory://"), hooks=[emit_limiter_event])
        >>> client.close()
    """
    if happened.kind in EMITTED and _is_heard():
        emit_event(limiter_event_name(happened.kind), resource=_limiter(happened), payload=_figures(happened))


def emit_incomplete(report: SyncReport) -> None:
    """Make an event of a sync that could not collect all that it was asked for; of a complete one, none.

    Args:
        report: What came of it.
    """
    if report.complete or not _is_heard():
        return
    name = f"{report.source}.{report.tenant}"
    payload = {
        "source": report.source,
        "tenant": report.tenant,
        "state": report.state,
        "streams": [stream for stream, chunk in report.streams.items() if not chunk.complete],
        "problems": [problem.message for problem in report.problems],
        "retry_at": report.retry_at,
        "records": report.counts.records,
        "requests": report.sent.requests,
        "throttled": report.sent.throttled,
    }
    resource = {"prefect.resource.id": f"aimd.sync.{name}", "prefect.resource.name": f"sync {name}"}
    emit_event(INCOMPLETE, resource=resource, payload=payload)


def limiter_event_name(kind: str) -> str:
    """The event's name of a kind of change.

    Example:
        >>> limiter_event_name("backoff")
        'aimd.limiter.backoff'
    """
    return f"aimd.limiter.{kind}"


def limiter_resource_id(bucket: Bucket) -> str:
    """The resource that a limiter is in Prefect.

    Example:
        >>> limiter_resource_id(Bucket("notion"))
        'aimd.limiter.notion.default.default'
    """
    return f"aimd.limiter.{bucket.api}.{bucket.scope}.{bucket.quota_key}"


def _limiter(happened: LimiterEvent) -> dict[str, str]:
    bucket = happened.bucket
    return {
        "prefect.resource.id": limiter_resource_id(bucket),
        "prefect.resource.name": str(bucket),
        "aimd.api": bucket.api,
        "aimd.scope": bucket.scope,
        "aimd.quota-key": bucket.quota_key,
    }


def _figures(happened: LimiterEvent) -> dict[str, Any]:
    return {
        "tenant": happened.tenant,
        "at": happened.at,
        "rate_before": happened.rate_before,
        "rate_after": happened.rate_after,
        "ceiling": happened.ceiling,
        "retry_after": happened.retry_after,
        "status": happened.status,
        "cooldown_until": happened.cooldown_until,
        "hold": happened.hold,
        "reason": happened.reason,
    }


def _is_heard() -> bool:
    """Whether there is a server to tell: else Prefect would start one, which takes ten seconds."""
    in_a_run = FlowRunContext.get() is not None or TaskRunContext.get() is not None
    return in_a_run or bool(get_current_settings().api.url)
