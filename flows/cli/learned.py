"""What the database knows of limiters, as the command line names it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limiter import ApiRateConfig
    from state import Bucket, HistoryEvent, LimiterState
    from state.store import Store


@dataclass(frozen=True, slots=True)
class Learned:
    """One limiter of a store.

    Attributes:
        store: Where it is remembered.
        bucket: Which limit.
        state: Its row.
        config: Of this limit of its API; None if the API is known no more.
    """

    store: Store
    bucket: Bucket
    state: LimiterState
    config: ApiRateConfig | None

    @property
    def names(self) -> dict[str, str]:
        """The bucket, whole and in its parts."""
        bucket = self.bucket
        return {"bucket": str(bucket), "api": bucket.api, "scope": bucket.scope, "quota_key": bucket.quota_key}

    @property
    def row(self) -> dict[str, Any]:
        """What `aimd limiter list --json` prints of it: rates in requests/s, times in epoch seconds."""
        row: dict[str, Any] = {
            **self.names,
            "current_rate": self.state.rate,
            "ceiling": self.state.ceiling,
            "cooldown_until": self.state.cooldown_until,
            "throttles": self.state.throttles,
            "updated_at": self.state.updated_at,
        }
        if self.config is not None:
            from limiter import Limiter

            # As the next request will find it: within today's bounds, and without a hold that is over.
            snapshot = Limiter(self.config, self.bucket, self.store).snapshot()
            row |= {name: snapshot[name] for name in row if name in snapshot}
        return row

    def events(self, limit: int | None = None) -> list[HistoryEvent]:
        """The newest events, oldest of them first; all of them without a limit."""
        return self.store.history(self.bucket, limit or self.store.history_length(self.bucket))


def limiters(store: Store, api: str | None = None, quota_key: str | None = None) -> list[Learned]:
    """The limiters of a store.

    Args:
        store: Where.
        api: Only this API's.
        quota_key: Only this quota key's.

    Raises:
        UnknownApi: No limiter and no configuration has that name; the message lists those there are.
        ConfigurationError: The configuration cannot work.
    """
    from limiter import UnknownApi
    from limiter.presets import known_apis
    from limiter.scopes import config_for

    known = known_apis()
    everything = [
        Learned(store, bucket, state, config and config_for(config, bucket.scope))
        for bucket, state in store.buckets()
        for config in [known.get(bucket.api)]
    ]
    names = tuple(sorted({*known, *(each.bucket.api for each in everything)}))
    if api is not None and api not in names:
        raise UnknownApi(f"There is no API {api!r}. Known: {', '.join(names)}.", name=api, known=names)
    return [
        each for each in everything if api in (None, each.bucket.api) and quota_key in (None, each.bucket.quota_key)
    ]


def event_rows(found: Iterable[Learned], limit: int | None = None) -> list[dict[str, Any]]:
    """The events of limiters, each with its bucket, by time."""
    rows = [{**each.names, **asdict(event)} for each in found for event in each.events(limit)]
    return sorted(rows, key=lambda row: row["at"])
