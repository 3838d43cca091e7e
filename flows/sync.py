"""The flow: collect a source's evidence as fast as the vendor allows, from where the last run stopped."""

from __future__ import annotations

import functools
import queue
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Annotated, Any
from uuid import uuid4

import httpx
from prefect import flow, get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from flows.collect import Wanted, collect
from flows.credentials import credential_for
from flows.earlier import WAITING, earlier
from flows.events import emit_incomplete, emit_limiter_event
from flows.outcome import Chunk, Problem, SyncReport, progress
from flows.progress import listener
from flows.publishing import EVERY, Publisher
from flows.release import LEAST, MOST, RELEASE_AFTER, Patience, comes_back, patience_for, reschedule
from flows.server_away import ProgressArtifact, wait_for_server
from flows.sources import SourceName, Task, plan, source_named
from flows.stopping import stop
from limiter import ConfigurationError, WaitTooLong, api_config, make_client_for
from limiter.redaction import CREDENTIALS
from state import Bucket, context
from state.errors import StateError
from state.records import Provenance, SyncRun
from state.store import Store, shared_store

PAGES_PER_TASK = 20
"""A task costs about 40 ms and 19 KiB in Prefect's database: too much for each page of a fast API."""

reported: ContextVar[Callable[[SyncReport], None] | None] = ContextVar("aimd_reported", default=None)
"""Hears what came of a sync before Prefect does: where its server is away, the flow's state never arrives."""


@task(name="collect pages", task_run_name="{stream}", cache_policy=NO_CACHE, persist_result=False)
def collect_pages(
    source: str,
    stream: str,
    tenant: str,
    params: Mapping[str, str],
    credentials: str | None,
    wanted: Wanted,
    run: str,
    release_after: float = RELEASE_AFTER,
) -> State[Chunk]:
    """Collect some pages of one stream; the cursor in the database is where it begins and ends.

    Args:
        source: The vendor.
        stream: What to list.
        tenant: Whose evidence.
        params: The stream's parameters.
        credentials: Name of a Prefect block; None for the environment.
        wanted: How to go about it.
        run: The sync run's id, for the evidence.
        release_after: The longest cooldown to wait out, seconds.

    Returns:
        A state whose data is the `Chunk`; a failed one if the vendor or the database stood in the way.
    """
    store = shared_store()
    asked = plan(source_named(source), [stream], tenant, params)[-1]  # after its parents
    credential = credential_for(source, credentials)
    sleep = (stop.get() or patience_for(source, asked.source.title, tenant, store, release_after)).sleep
    client = make_client_for(
        source,
        tenant=tenant,
        store=store,
        hooks=[emit_limiter_event],
        sleep=sleep,
        verify=_trusted(),
        **credential.client_options(),
    )
    with context.of_run(_flow_run_id()), client:
        provenance = Provenance(client.limiter.config.base_url, credential.fingerprint, run)
        chunk = collect(client, store, asked, wanted, provenance, listener=listener.get(), sleep=sleep)
    if chunk.problem is not None:
        return Failed(message=chunk.problem.message, data=chunk)
    return Completed(message=f"{chunk.counts.records:,} records, {chunk.counts.pages} pages", data=chunk)


@flow(
    name="sync",
    flow_run_name="{source}-{tenant}",
    task_runner=ThreadPoolTaskRunner(max_workers=8),  # type: ignore[arg-type]
    persist_result=False,
)
def sync(
    source: SourceName,
    streams: list[str] | None = None,
    tenant: str = "default",
    full: bool = False,
    params: dict[str, str] | None = None,
    credentials: str | None = None,
    pages_per_task: Annotated[int, Field(ge=1, le=1000)] = PAGES_PER_TASK,
    release_after: Annotated[float, Field(ge=LEAST, le=MOST)] = RELEASE_AFTER,
) -> State[SyncReport]:
    """Collect a source's evidence.

    Streams run side by side under one limit. A run that was killed goes on at the page it had come to; a record that
    has not changed adds nothing; what could not be collected is said, never taken for nothing.

    Args:
        source: The vendor.
        streams: What to list; none for everything that needs no parameter, and what the parameters are for.
        tenant: Whose evidence; also whose quota.
        full: List everything anew, also what has not changed, so that deletions are noticed.
        params: What a stream has to be told, such as `{"data_source": "<id>"}` for the rows of a Notion data source.
        credentials: Name of a Prefect block (for Notion: `NotionCredentials`); none for the environment's variable.
        pages_per_task: Pages a Prefect task collects before the next one begins.
        release_after: The longest cooldown to wait out, in seconds. A run of a deployment that meets a longer one
            gives its worker back and goes on when the cooldown has ended; any other ends and says when to try again.

    Returns:
        A state whose data is the `SyncReport`: completed if everything was collected, failed if not, with the reason.

    Example:
        >>> sync("notion", streams=["users"], return_state=True)  # doctest: +SKIP
        Completed(message='20 records: 20 new, 0 changed, 0 unchanged, 0 deleted', type=COMPLETED, result=...)
    """
    try:
        report = _collected(
            str(source), streams, tenant, full, params or {}, credentials, pages_per_task, release_after
        )
    except (ConfigurationError, StateError) as error:
        report = SyncReport(str(source), tenant, failure=Problem(str(error)))
    emit_incomplete(report)
    if hear := reported.get():
        hear(report)
    if report.complete:
        return Completed(message=report.sentence, data=report)
    return Failed(message=report.sentence, data=report)


def _collected(
    source: str,
    streams: list[str] | None,
    tenant: str,
    full: bool,
    params: Mapping[str, str],
    credentials: str | None,
    pages_per_task: int,
    release_after: float,
) -> SyncReport:
    tasks = plan(source_named(source), streams, tenant, params)
    credential_for(source, credentials)
    store = shared_store()
    run, flow_run, now = uuid4().hex, _flow_run_id(), store.evidence.now()
    before = earlier(store.evidence.runs(1000, flow_run_id=flow_run) if flow_run else [], now)
    wanted = Wanted(full, pages_per_task, before.since)
    names = [each.stream.name for each in tasks]
    # Also as which version of the API: another one may show the same thing otherwise.
    sent = {name: value for name, value in api_config(source).headers.items() if not CREDENTIALS.search(name)}
    asked = {"streams": names, "params": dict(params), "full": full, "headers": sent}
    store.evidence.begin_run(SyncRun(run, flow_run, source, tenant, now, None, "running", asked, outcome={}))
    patience = patience_for(source, tasks[0].source.title, tenant, store, release_after)
    stop.set(patience)
    publisher = Publisher(store, Bucket(source, quota_key=tenant), api_config(source))

    def submit(each: Task) -> PrefectFuture[Any]:
        return collect_pages.submit(
            source, each.stream.name, tenant, dict(each.parameters), credentials, wanted, run, release_after
        )

    report = begun = SyncReport(source, tenant, {name: before.streams.get(name, Chunk()) for name in names})
    try:
        for each in _all_streams(begun, tasks, patience, submit, publisher):
            report = each
    except BaseException:  # Ctrl-C, or the worker's word to end: nobody may go on waiting in a thread
        patience.set()
        _end(store, run, report, "incomplete")
        raise
    back = bool(patience.until) and comes_back()
    _end(store, run, report, WAITING if back else report.state)
    wait_for_server()
    publisher.finally_publish()
    if back:
        reschedule(patience.until, patience.reason)
        _end(store, run, report, report.state)  # the server would not
    return report


def _all_streams(
    report: SyncReport,
    tasks: tuple[Task, ...],
    patience: Patience,
    submit: Callable[[Task], PrefectFuture[Any]],
    publisher: Publisher,
) -> Iterator[SyncReport]:
    """Run the streams side by side, each task by task, and show how far they are.

    Args:
        report: What is done already.
        tasks: The streams; those listed for each record of another after it.
        patience: Knows of a cooldown that is too long.
        submit: Starts the next pages of a stream.
        publisher: Shows the limiter.

    Yields:
        The report with what came since.
    """
    source = tasks[0].source
    try:
        patience.look()
    except WaitTooLong as error:
        held = Chunk(problem=Problem(str(error), error.until))
        for each in tasks:
            if not report.streams[each.stream.name].complete:
                report = report.with_chunk(each.stream.name, held)
        yield report
        return
    artifact = ProgressArtifact(f"sync-{source.name}".replace("_", "-"), f"{source.title}, {report.tenant}")
    running: dict[PrefectFuture[Any], Task] = {}
    ended: queue.SimpleQueue[PrefectFuture[Any]] = queue.SimpleQueue()

    def run(each: Task) -> None:
        if report.streams[each.stream.name].complete:  # before the run gave its worker back
            run_below(each)
            return
        future = submit(each)
        running[future] = each
        future.add_done_callback(ended.put)

    def run_below(parent: Task) -> None:
        for child in tasks:
            if child.stream.parent is not None and child.stream.parent.stream == parent.stream.name:
                run(child)

    for each in tasks:
        if each.stream.parent is None:
            run(each)
    while running:
        publisher.now_and_then()
        try:
            future = ended.get(timeout=EVERY)
        except queue.Empty:
            continue
        each = running.pop(future)
        chunk = future.result(raise_on_failure=False)
        if not isinstance(chunk, Chunk):  # the task itself failed: a bug, or Prefect's server went away
            chunk = Chunk(problem=Problem(f"The task for {each.stream.name} failed ({chunk}); its cursor stays."))
        report = report.with_chunk(each.stream.name, chunk)
        if chunk.more:
            run(each)
        else:
            run_below(each)
        yield report
        artifact.update(progress(report.streams.values()), _headline(report), last=not running)


def _headline(report: SyncReport) -> str:
    counts, sent = report.counts, report.sent
    return (
        f"{counts.records:,} records ({counts.new:,} new, {counts.changed:,} changed), {sent.requests:,} requests, "
        f"{sent.throttled:,} throttled"
    )


def _end(store: Store, run: str, report: SyncReport, state: str) -> None:
    """Record how the run ended."""
    try:
        store.evidence.end_run(run, state=state, outcome=report.as_json())
    except StateError as error:
        get_run_logger().error("%s", error)


@functools.cache
def _trusted() -> ssl.SSLContext:
    """As httpx makes one. To read the certificates costs 20 ms, as much as a page, and each task makes a client."""
    return httpx.create_ssl_context()


def _flow_run_id() -> str | None:
    run_id: str | None = runtime.flow_run.id
    return run_id
