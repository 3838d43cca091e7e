"""Long cooldowns give the worker back: the run ends, and begins again when the vendor can be asked.

A sync waits out a short cooldown where it is. One that is longer than `release_after` ends all its streams, since they
share the bucket: everything that was collected is stored, and the cursors say where to go on. A run of a deployment
is then scheduled for the end of the cooldown (`reschedule`); any other says when to try again.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import SetStateStatus
from prefect.context import FlowRunContext
from prefect.exceptions import Abort, PrefectException
from prefect.states import AwaitingRetry

from flows.stopping import Stop, Stopped
from flows.words import duration
from limiter import Limiter, WaitTooLong, api_config
from limiter.clock_time import clock_time
from limiter.exchange import LOOK_AGAIN
from state.records import Bucket
from state.store import Store

RELEASE_AFTER = 120.0
"""Seconds. A new process costs about five; a worker that waits for two minutes is not missed."""
LEAST, MOST = 1.0, 86_400.0
"""Bounds of `release_after`, seconds. No cooldown is longer than a day, so the last means never."""


class Patience(Stop):
    """Waits for the limiter, but out no cooldown that is longer than its worker should be held for.

    Whoever meets such a cooldown wakes all who wait. What the rate alone makes a request wait is never too long,
    however low the rate: a new process would wait for the same.

    Args:
        title: The vendor's name for people.
        limiter: Whose cooldowns.
        release_after: The longest cooldown to wait out, seconds.

    Attributes:
        until: The end of the cooldown that is too long, epoch seconds; 0.0 while there is none.
    """

    def __init__(self, title: str, limiter: Limiter, release_after: float) -> None:
        super().__init__()
        self._title = title
        self._limiter = limiter
        self._release_after = release_after
        self._asked = ""
        self.until = 0.0

    @property
    def reason(self) -> str:
        """What the vendor asked for, and until when, in a few words."""
        return f"{self._asked}; resumes {clock_time(self.until)}"

    def look(self) -> None:
        """Find out how long the bucket is held.

        Raises:
            WaitTooLong: Longer than `release_after` from now on.
        """
        self._look(self._limiter)

    def _look(self, limiter: Limiter) -> None:
        until = limiter.snapshot()["cooldown_until"]
        left = until - limiter.store.evidence.now()
        if left > self._release_after:
            self._asked, self.until = f"{self._title} asked for {duration(math.ceil(left))}", until
            self.set()
            raise self._too_long()

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds.

        Raises:
            WaitTooLong: A long cooldown has begun, before or meanwhile.
            Stopped: The sync was asked to stop, before or meanwhile.
        """
        # Perhaps for one of the API's other limits; and a long wait comes in pieces.
        if seconds >= min(self._release_after, LOOK_AGAIN):
            for limiter in self._limiter.known():
                self._look(limiter)
        try:
            super().sleep(seconds)
        except Stopped:
            if self.until:
                raise self._too_long() from None
            raise

    def _too_long(self) -> WaitTooLong:
        return WaitTooLong(
            f"{self._asked}; what was collected is kept. Run again from {clock_time(self.until)} on.",
            api=self._limiter.bucket.api,
            bucket=str(self._limiter.bucket),
            until=self.until,
        )


def patience_for(api: str, title: str, tenant: str, store: Store, release_after: float) -> Patience:
    """The patience of a sync.

    Args:
        api: Name of the preset.
        title: The vendor's name for people.
        tenant: Whose quota.
        store: Where the limiter is remembered.
        release_after: The longest cooldown to wait out, seconds.
    """
    config = api_config(api)
    return Patience(title, Limiter(config, Bucket(config.name, quota_key=tenant), store), release_after)


def comes_back() -> bool:
    """Whether somebody would run this flow run again if it were scheduled: `reschedule` says who."""
    context = FlowRunContext.get()
    return context is not None and context.flow_run is not None and context.flow_run.deployment_id is not None


def reschedule(until: float, message: str) -> None:
    """End this process and let the same flow run begin again in another one.

    Works for runs of a deployment: whoever started this run, a worker or `serve`, asks the server for all scheduled
    runs of its work pool or deployments, and this one is among them again. A run without a deployment (`aimd sync`,
    a flow that calls the sync as a subflow) belongs to the process that called it, and nobody would look for it.

    Prefect documents no way to do this. The one used here, tried with 3.9.1:

    - the server accepts `AwaitingRetry` for a run that is `Running`, and gives its concurrency slot back (Prefect's
      own `prefect flow-run execute` does the same when it is told to make room). It is proposed, not forced: a run
      that is being cancelled stays so.
    - the engine, the worker and `serve` take `Abort` for the server's word that this process has no more to do: no
      state is set, nothing is a failure.
    - the worker looks ahead by `PREFECT_WORKER_PREFETCH_SECONDS` (10): so much earlier the new process starts, and
      waits for its time.

    Args:
        until: When to begin again, epoch seconds.
        message: For the state: why.

    Returns:
        If the server does not have it so, or cannot be reached: then the run goes on as it is.

    Raises:
        Abort: It will begin again. Nothing may come after this; let it through.
    """
    context = FlowRunContext.get()
    assert context is not None, "called from a flow that comes back"
    assert context.flow_run is not None, "called from a flow that comes back"
    run = context.flow_run
    state: State[None] = AwaitingRetry(scheduled_time=datetime.fromtimestamp(until, UTC), message=message)
    try:
        with get_client(sync_client=True) as client:
            answer = client.set_flow_run_state(run.id, state)
    except (httpx.HTTPError, PrefectException) as error:
        get_run_logger().error("The run does not come back by itself: Prefect's server failed (%s).", error)
        return
    if answer.status is SetStateStatus.ACCEPT:
        run.state = state  # for the engine's last line in the log, which would say `Running`
        raise Abort(message)
