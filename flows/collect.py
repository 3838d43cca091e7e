"""A stream's evidence, some pages at a time. The shell around `flows.walk` and `flows.family`; free of Prefect."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import httpx

from flows.errors import CollectError
from flows.family import walk_family
from flows.outcome import Chunk, Sent
from flows.problems import problem_of
from flows.progress import Listener
from flows.sources import Task
from flows.walk import Wanted, walk
from limiter import AimdClient, VendorError
from state.errors import StateError
from state.records import Provenance
from state.store import Store

__all__ = ["Wanted", "collect"]


def collect(
    client: AimdClient,
    store: Store,
    task: Task,
    wanted: Wanted,
    provenance: Provenance,
    *,
    listener: Listener | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Chunk:
    """Go on with a listing, or begin it.

    Args:
        client: Of the task's source, with its credential.
        store: Where evidence and cursors are kept.
        task: What to list.
        wanted: How.
        provenance: Goes into the evidence.
        listener: Hears of each page.
        sleep: Waits between tries of a page that is not one, seconds.

    Returns:
        What came. A vendor that refuses, answers nonsense or cannot be reached is a `problem` of it, never an empty
        listing; so is a database that fails.
    """
    chunk, before = Chunk(), _sent(client)

    def rate() -> float:
        now: float = client.limiter.snapshot()["current_rate"]
        return now

    pages = walk if task.stream.parent is None else walk_family
    try:
        for chunk in pages(client, store, task, wanted, provenance, sleep):
            if listener is not None:
                listener.page(task.stream.name, chunk, rate)
    except (CollectError, VendorError, httpx.HTTPError, StateError) as error:
        chunk = replace(chunk, problem=problem_of(task, error), complete=False)
    return replace(chunk, sent=_sent(client) - before)


def _sent(client: AimdClient) -> Sent:
    tally = client.limiter.tally
    return Sent(tally.requests, tally.throttled, tally.waited)
