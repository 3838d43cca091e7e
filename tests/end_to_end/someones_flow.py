"""A flow as a user of this package would write it; run as a script, it prints what it found as JSON."""

from __future__ import annotations

import json
import time
from typing import Any

from prefect import flow, unmapped
from prefect.task_runners import ThreadPoolTaskRunner
from prefect_dask import DaskTaskRunner, get_dask_client

from flows.tasks import call_api, paginate
from state import store

CALLS = 40


@flow(name="in threads", task_runner=ThreadPoolTaskRunner(max_workers=6))
def in_threads(calls: int = CALLS) -> dict[str, Any]:
    people = paginate("notion", "GET", "/users")
    me = call_api("notion", "GET", "/users/me")
    pages = call_api.map("notion", "GET", [f"/users/me?call={n}" for n in range(calls)], params=unmapped(None))
    return {"people": len(people), "me": me["object"], "answers": len(pages.result())}


@flow(
    name="in processes",
    task_runner=DaskTaskRunner(
        cluster_kwargs={"n_workers": 2, "threads_per_worker": 4, "processes": True, "dashboard_address": None}
    ),
)
def in_processes(calls: int = CALLS) -> dict[str, Any]:
    answers = call_api.map("notion", "GET", [f"/users/me?call={n}" for n in range(calls)]).result()
    with get_dask_client() as client:
        stores = client.run(open_stores)
    return {"answers": len(answers), "processes_at_work": sum(map(bool, stores.values()))}


def open_stores() -> int:
    """How many databases this process has opened: only a task that called an API opens one."""
    return len(store._shared._values)


if __name__ == "__main__":
    threads, between = in_threads(), time.time()
    print(json.dumps({"threads": threads, "between": between, "processes": in_processes()}))  # noqa: T201
