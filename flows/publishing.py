"""Publishing what the limiter does while a sync runs: its own artifact, and the overview of all limiters."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

from prefect import get_run_logger, runtime
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.artifact import artifact_key, limiter_artifact
from flows.overview import OVERVIEW_KEY, overview_artifact
from limiter.config import ApiRateConfig
from limiter.limiter import Limiter
from limiter.presets import known_apis
from state.records import Bucket, HistoryEvent
from state.store import Store

EVERY = 60.0
"""Seconds."""
_PATIENCE = 10.0
"""Seconds for the server to answer. Prefect's own minute, five times over, is right for a run's state, not for this."""


class Publisher:
    """Keeps the artifacts of one run up to date: one version a run, however long it takes.

    One for each flow run, used by the thread of the flow. Nothing here fails the run: what stands in the way, such as
    a server that is away, is a line in the run's log, and the next time is another try.

    Publishing both artifacts takes 0.1 s of CPU, 0.2 s where the history is long and 0.5 s with 200 limiters in the
    database, and leaves 30 to 90 kB in Prefect's. Where nothing has changed, asking takes less than a millisecond, and
    before it is time nothing.

    Args:
        store: Where the limiter is remembered.
        bucket: The main limiter of this run.
        config: Its API.
        every: Seconds between two publications.
        monotonic: Gives seconds; for tests.
    """

    def __init__(
        self,
        store: Store,
        bucket: Bucket,
        config: ApiRateConfig,
        every: float = EVERY,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._bucket, self._config = store, bucket, config
        self._every, self._monotonic = every, monotonic
        self._due = monotonic() + every
        self._shown: dict[Bucket, list[HistoryEvent]] = {}
        self._versions: dict[str, UUID] = {}

    def now_and_then(self) -> None:
        """Publish if it is time and the history has changed. Call it as often as you like."""
        if self._monotonic() >= self._due:
            self._publish(only_changes=True)
            self._due = self._monotonic() + self._every

    def finally_publish(self) -> bool:
        """Publish in any case; False, and a line in the log, if that could not be."""
        return self._publish(only_changes=False)

    def _publish(self, *, only_changes: bool) -> bool:
        try:
            known = Limiter(self._config, self._bucket, self._store).known()
            newest = {each.bucket: self._store.history(each.bucket, 1) for each in known}
            pages = {
                each.bucket: page
                for each in known
                if not (only_changes and newest[each.bucket] == self._shown.get(each.bucket))
                and (page := limiter_artifact(self._store, each.bucket, each.config))
            }
            if not pages:
                return True
            with (
                temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
                get_client(sync_client=True, httpx_settings={"timeout": _PATIENCE}) as client,
            ):
                for bucket, page in pages.items():
                    self._send(client, artifact_key(bucket), *page)
                self._send(client, OVERVIEW_KEY, *overview_artifact(self._store, known_apis()))
            self._shown = newest
        except Exception as error:  # no picture is worth a run
            reason = f"{type(error).__name__}: {error}".rstrip(": ").partition("\n")[0]
            get_run_logger().warning(
                "What the limiter of %s learned is not shown in Prefect (%s). It is kept: aimd limiter history %s",
                self._bucket,
                reason,
                self._bucket.api,
            )
            return False
        return True

    def _send(self, client: SyncPrefectClient, key: str, headline: str, page: str) -> None:
        """Create this run's version of an artifact, or bring it up to date."""
        if version := self._versions.get(key):
            try:
                client.update_artifact(version, ArtifactUpdate(description=headline, data=page))
                return
            except PrefectHTTPStatusError as error:
                if error.response.status_code != 404:  # else somebody has deleted it
                    raise
        run = runtime.flow_run.id
        made = client.create_artifact(
            ArtifactCreate(
                key=key, type="markdown", description=headline, data=page, flow_run_id=UUID(run) if run else None
            )
        )
        self._versions[key] = made.id
