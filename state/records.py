"""The values that are remembered: frozen, without behaviour, free of SQLAlchemy.

Times are epoch seconds of the store's clock, rates are requests per second, and 0.0 stands for "never" or
"not known", so that a row is readable by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """What one limit is counted on: everything that shares a bucket shares its rate and its cooldowns.

    Attributes:
        api: The preset's name, `"notion"`.
        scope: The part of the API the limit covers.
        quota_key: Whose quota it is; by default the tenant. Never a token: a rotated token keeps what was learnt.
    """

    api: str
    scope: str = "default"
    quota_key: str = "default"

    def __str__(self) -> str:
        return f"{self.api}/{self.scope}/{self.quota_key}"


@dataclass(frozen=True)  # without slots, for `changed`
class LimiterState:
    """One limiter, whole. The first seven fields are columns; the rest is the learner's own (see `LEARNER_FIELDS`)."""

    rate: float
    """Requests per second now."""
    ceiling: float = 0.0
    """The rate at which the vendor last objected; 0.0 while it never has."""
    next_slot: float = 0.0
    """The theoretical arrival time of GCRA: the only token state there is."""
    cooldown_until: float = 0.0
    """Nobody who shares the bucket sends before."""
    generation: int = 0
    """Counts cooldowns and openings of the circuit: a slot reserved under an older generation is void."""
    throttles: int = 0
    """Throttled replies ever seen."""
    updated_at: float = 0.0
    """When this was written; a clock found before it has been set back."""

    delivered: int = 0
    """Requests let go since `since`; what the vendor delivered, up to the first that it refuses."""
    since: float = 0.0
    """When counting `delivered` began."""
    hold_until: float = 0.0
    """No growth before."""
    trusted: float = 0.0
    """The quiet rate from which the limit is being probed; 0.0 while it is not, so that a throttle is unexpected."""
    cut_at: float = 0.0
    """When the rate was last cut."""
    outage_since: float = 0.0
    """Throttled since then and no success yet; 0.0 when all is well."""
    rounds: int = 0
    """Cooldowns in a row, for the doubling wait where the vendor names none."""
    recorded_rate: float = 0.0
    """The rate of the newest history row: small increases are recorded together."""
    faults: int = 0
    """Faults in a row, as the circuit breaker counts them."""
    fault_at: float = 0.0
    """When the last of them was counted."""
    open_until: float = 0.0
    """The circuit is open, and nobody but a probe sends before; 0.0 while it is closed."""
    quota: float = 0.0
    """Requests a window, as the vendor tells them; 0.0 while it does not."""
    quota_left: float = 0.0
    """Of those, as far as they are not granted yet; what it is worth ends at `quota_until`."""
    quota_until: float = 0.0
    """When the quota is whole again; 0.0 while nobody has told."""
    quota_window: float = 0.0
    """Seconds of its window; 0.0 while not known."""


def changed(state: LimiterState, **values: Any) -> LimiterState:
    """As `dataclasses.replace`, in a sixth of its time: every request makes a new state or two."""
    made = object.__new__(LimiterState)
    made.__dict__.update(state.__dict__, **values)
    return made


PUBLIC_FIELDS = ("rate", "ceiling", "next_slot", "cooldown_until", "generation", "throttles", "updated_at")
LEARNER_FIELDS = tuple(f.name for f in fields(LimiterState) if f.name not in PUBLIC_FIELDS)


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One change of a limiter, as it is kept.

    Attributes:
        at: When, epoch seconds.
        kind: `start`, `increase`, `backoff` (the rate was cut), `cooldown` (a hold without a cut), `recovered`,
            `terminal` (a refusal that waiting does not end), `opened` (the circuit, after faults in a row), `closed`
            (the vendor answers again), `told` (the vendor's headers named another rate).
        rate_before: Requests per second.
        rate_after: Requests per second.
        ceiling: The learned ceiling after it, requests per second; 0.0 when none is known.
        retry_after: What the vendor asked for, seconds.
        status: The HTTP status that caused it.
        cooldown_until: The end of the hold after it, epoch seconds; 0.0 when none. Of `opened`, when one may ask again.
        run_id: The Prefect flow run it happened in.
    """

    at: float
    kind: str
    rate_before: float
    rate_after: float
    ceiling: float = 0.0
    retry_after: float | None = None
    status: int | None = None
    cooldown_until: float = 0.0
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Decision(Generic[T]):
    """What a pure function made of a limiter: the new state, what its caller wants to know, what history keeps."""

    state: LimiterState
    result: T
    history: tuple[HistoryEvent, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Collection:
    """What one listing covers, and what an external id is unique in.

    Attributes:
        source: The vendor, `"notion"`.
        stream: The kind of thing, `"pages"`.
        tenant: Whose it is.
        partition: The canonical form of the parameters or the parent's id; `""` where the stream has none. Listing
            one partition never touches what belongs to another.
    """

    source: str
    stream: str
    tenant: str = "default"
    partition: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing in progress.

    Attributes:
        began_at: When it began, epoch seconds. It also names the listing.
        full: Whether it lists everything, so that what it does not meet is gone.
        page_cursor: The vendor's cursor of the next page to fetch; None for the first.
        candidate: The watermark to adopt when the listing ends complete.
        pages: Pages stored so far.
        records: Records met so far.
    """

    began_at: float
    full: bool
    page_cursor: str | None = None
    candidate: str | None = None
    pages: int = 0
    records: int = 0


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a collection stands: the last complete listing and, apart from it, the one in progress.

    Attributes:
        watermark: What the last complete listing reached; None before the first.
        completed_at: When that was, epoch seconds; 0.0 before the first.
        expected: How many records the last complete full listing met; a guide for progress only.
        listing: The listing in progress, or None.
    """

    watermark: str | None = None
    completed_at: float = 0.0
    expected: int = 0
    listing: Listing | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where evidence came from.

    Attributes:
        base_url: The API's address.
        credential: A fingerprint of the credential, never the credential.
        run_id: The sync run that collected it.
    """

    base_url: str
    credential: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Body:
    """A record in the form in which it is stored and hashed.

    Attributes:
        external_id: The vendor's id of it.
        text: Canonical JSON.
        sha256: The SHA-256 of `text` in UTF-8, in hexadecimal.
    """

    external_id: str
    text: str
    sha256: str


@dataclass(frozen=True, slots=True)
class EvidenceVersion:
    """One version of one piece of evidence. Versions are only ever added."""

    collection: Collection
    external_id: str
    version: int
    sha256: str
    collected_at: float
    deleted: bool
    form: str
    provenance: Provenance
    text: str | None = None

    @property
    def summary(self) -> dict[str, Any]:
        """The version as the command line prints it, without its content."""
        return {
            "source": self.collection.source,
            "stream": self.collection.stream,
            "tenant": self.collection.tenant,
            "partition": self.collection.partition,
            "external_id": self.external_id,
            "sha256": self.sha256,
            "version": self.version,
            "collected_at": self.collected_at,
            "deleted": self.deleted,
            "form": self.form,
            "base_url": self.provenance.base_url,
            "credential": self.provenance.credential,
            "run_id": self.provenance.run_id,
        }


@dataclass(frozen=True, slots=True)
class Counts:
    """What a page, or a whole listing, brought."""

    records: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    pages: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class SyncRun:
    """One run of a sync: what was asked for, and what came.

    Attributes:
        id: Its own id.
        flow_run_id: The Prefect flow run.
        source: The vendor.
        tenant: Whose evidence.
        started_at: Epoch seconds.
        ended_at: Epoch seconds; None while it runs, and for ever if it was killed.
        state: `running`, `complete`, `incomplete`, `waiting` (it goes on when a cooldown ends) or `failed`.
        asked: Streams, parameters and options as asked for.
        outcome: What came, by stream; JSON.
    """

    id: str
    flow_run_id: str | None
    source: str
    tenant: str
    started_at: float
    ended_at: float | None
    state: str
    asked: Mapping[str, Any]
    outcome: Mapping[str, Any]
