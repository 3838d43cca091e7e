"""How a limiter and its history are written in rows.

The learner's own fields are one JSON column with a version in it. What an editor, or another version of the
algorithm, has left there is forgotten; the rate and everything else in columns is not.
"""

from __future__ import annotations

import functools
import json
import math
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from state.context import run_id
from state.records import LEARNER_FIELDS, PUBLIC_FIELDS, Bucket, HistoryEvent, LimiterState

LEARNER_VERSION = 1
"""Of the JSON column."""

KINDS = ("start", "increase", "backoff", "cooldown", "recovered", "terminal", "opened", "closed", "told")
"""History kinds by their number in the database: only ever append."""

_KIND_NAMES = dict(enumerate(KINDS))
_encode = json.JSONEncoder(separators=(",", ":")).encode


def key_of(bucket: Bucket) -> dict[str, str]:
    """The parameters that name a bucket."""
    return {"b_api": bucket.api, "b_scope": bucket.scope, "b_quota_key": bucket.quota_key}


def columns_of(state: LimiterState) -> dict[str, Any]:
    """A limiter as the columns of its row."""
    columns = {name: getattr(state, name) for name in PUBLIC_FIELDS}
    columns["learner"] = _encode({"v": LEARNER_VERSION, **{name: getattr(state, name) for name in LEARNER_FIELDS}})
    return columns


def state_of(values: Sequence[Any], learner: str) -> LimiterState | None:
    """A limiter from its row. Somebody's editor may have been at it: without a rate it is as good as none.

    Args:
        values: Of `PUBLIC_FIELDS`, in their order.
        learner: The JSON column.
    """
    if not all(map(_is_number, values)):
        values = [value if _is_number(value) else 0 for value in values]
    return LimiterState(*values, **_learner(learner)) if values[0] > 0 else None


def _learner(text: str) -> dict[str, Any]:
    try:
        kept = json.loads(text)
        # A row from before a field was added lacks it: that field alone is as if nothing were known yet.
        known = LEARNER_FIELDS if kept["v"] == LEARNER_VERSION else ()
        values = {name: kept[name] for name in known if name in kept}
        return values if all(map(_is_number, values.values())) else {}
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def columns_of_event(event: HistoryEvent) -> dict[str, Any]:
    """An event as the columns of its row; it belongs to the run of the context unless it names one."""
    return {
        "at": event.at,
        "kind": KINDS.index(event.kind),
        "rate_before": event.rate_before,
        "rate_after": event.rate_after,
        "ceiling": event.ceiling,
        "retry_after": event.retry_after,
        "status": event.status,
        "cooldown_until": event.cooldown_until,
        "run_id": _short(event.run_id or run_id.get()),
    }


def event_of(row: Row[Any]) -> HistoryEvent:
    """An event from its row, which has the columns that `HistoryEvent` has fields."""
    values: list[Any] = [*row]
    values[1], values[-1] = _KIND_NAMES.get(values[1], "unknown"), _long(values[-1])
    return HistoryEvent(*values)


_NO_UUID = bytes(16)


@functools.lru_cache(maxsize=256)
def _short(run: str | None) -> bytes | None:
    """A run's id in 16 bytes, if it is a UUID as Prefect's are: as text it would be half of the history."""
    if run is None:
        return None
    try:
        number = uuid.UUID(run)
    except ValueError:
        return _NO_UUID + run.encode()
    return number.bytes if str(number) == run else _NO_UUID + run.encode()


@functools.lru_cache(maxsize=256)
def _long(kept: object) -> str | None:
    if not isinstance(kept, bytes):
        return None if kept is None else str(kept)  # somebody's editor has been at it
    return str(uuid.UUID(bytes=kept)) if len(kept) == len(_NO_UUID) else kept[len(_NO_UUID) :].decode(errors="replace")
