"""A limiter: one bucket of one store, and the decisions that are taken on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx

from limiter import account, aimd, breaker, quota, scopes
from limiter.config import ApiRateConfig
from limiter.gate import Gate, gate_of
from limiter.hooks import Hook, counter, log_event, tell
from limiter.replies import Kind, Reply
from limiter.tally import Tally
from state.records import Bucket, Decision, HistoryEvent, LimiterState
from state.store import Store

Decide = Callable[[LimiterState | None, float], Decision[Any]]


@dataclass(frozen=True, slots=True)
class TooLong:
    """A reservation that was not made, since it would have meant to wait longer than allowed.

    Attributes:
        until: When it would have been possible, epoch seconds.
        now: Epoch seconds.
    """

    until: float
    now: float


@dataclass(frozen=True, slots=True)
class Shut:
    """A reservation that was not made, since the circuit is open.

    Attributes:
        until: When one may ask again, epoch seconds.
        now: Epoch seconds.
        faults: How many there were in a row.
    """

    until: float
    now: float
    faults: int


@dataclass(frozen=True, slots=True)
class Granted:
    """A reservation.

    Attributes:
        ticket: What to wait for.
        wait: How long from now, seconds.
    """

    ticket: aimd.Ticket
    wait: float


@dataclass(frozen=True, slots=True)
class Route:
    """The limiters that a request has to do with.

    Attributes:
        limits: What they are, the most general first.
        limiters: By the name of the limit.
    """

    limits: tuple[scopes.Limit, ...]
    limiters: Mapping[str, Limiter]
    config: ApiRateConfig

    @property
    def passed(self) -> list[Limiter]:
        """Those that it has to pass, the most specific first: the slowest, so that waits for the others are short."""
        return [self.limiters[limit.name] for limit in reversed(self.limits)]

    @property
    def circuit(self) -> Limiter:
        """The one whose circuit breaker counts: the most specific that always counts."""
        return self.of("")

    def of(self, word: str) -> Limiter:
        """The one that a refusal belongs to, by the vendor's word for it."""
        return self.limiters[scopes.named(self.limits, self.config, word).name]


class Limiter:
    """What is known of one limit. Everybody who opens the same store and bucket shares it.

    Args:
        config: The API.
        bucket: Which limit of it, and whose.
        store: Where it is remembered.
        tenant: On whose behalf the clients of this object send, for the hooks; by default whose quota it is.
        hooks: Hear of every change, after it is kept; see `limiter.hooks`.

    Attributes:
        gate: The places in flight, which every limiter of this process and bucket shares.
        tally: What the clients of this object have done; the rest is shared with everybody, this is not.
        when_named: It counts only once there is something known of it.
    """

    def __init__(
        self,
        config: ApiRateConfig,
        bucket: Bucket,
        store: Store,
        *,
        tenant: str | None = None,
        hooks: Iterable[Hook] = (),
        gate: Gate | None = None,
        tally: Tally | None = None,
        when_named: bool = False,
    ) -> None:
        self.config = config
        self.bucket = bucket
        self.store = store
        self.tenant = bucket.quota_key if tenant is None else tenant
        self.gate = gate or gate_of(store, bucket, config.max_concurrency)
        self.when_named = when_named
        self._hooks = tuple(hooks)
        self.tally = tally or Tally(counter(self._hooks, bucket.api, self.tenant))
        self._scoped: dict[str, Limiter] = {}
        self._prefix = httpx.URL(config.base_url).path.rstrip("/")

    def __repr__(self) -> str:
        return f"Limiter({str(self.bucket)!r}, {self.store!r})"

    def route(self, method: str, path: str) -> Route:
        """The limiters that a request has to do with: this one, and those of the API's scopes.

        Args:
            method: HTTP method.
            path: Of the URL.
        """
        limits = scopes.limits_of(self.config, method, path.removeprefix(self._prefix))
        return Route(limits, {limit.name: self._of(limit) for limit in limits}, self.config)

    def _of(self, limit: scopes.Limit) -> Limiter:
        if limit.scope is None:
            return self
        if limit.name not in self._scoped:
            self._scoped[limit.name] = Limiter(
                limit.scope.config_of(self.config),
                replace(self.bucket, scope=limit.name),
                self.store,
                tenant=self.tenant,
                hooks=self._hooks,
                gate=self.gate,
                tally=self.tally,
                when_named=limit.scope.when_named,
            )
        return self._scoped[limit.name]

    def known(self) -> list[Limiter]:
        """The limiters of this API and quota that the store knows, each with its own configuration."""
        return [
            Limiter(scopes.config_for(self.config, bucket.scope), bucket, self.store)
            for bucket, _ in self.store.buckets()
            if (bucket.api, bucket.quota_key) == (self.bucket.api, self.bucket.quota_key)
        ]

    def snapshot(self) -> dict[str, Any]:
        """What is known now.

        Returns:
            `current_rate` (requests/s), `tokens` (requests that could go at once), `cooldown_until` (epoch seconds,
            0.0 when none), `ceiling` (requests/s at which the vendor last objected, 0.0 if never), `throttles`,
            `updated_at` (epoch seconds), `min_rate`, `max_rate`, `bucket`, `circuit_open_until` (epoch seconds, 0.0
            unless the circuit is open, see `limiter.breaker`); and, of this client alone, `requests`
            (sends), `throttled` (replies), `waited` (seconds), and `scopes`: the rates of the further limits that it
            has met.

        Raises:
            StateError: The store failed.

        Example:
            >>> from limiter import make_client_for
            >>> from state import open_store
            >>> with make_client_for("notion", store=open_store("memory://")) as client:
            ...     client.limiter.snapshot()["current_rate"]
            2.0
        """
        found, now = self.store.read(self.bucket)
        state = self._state(found, now)
        held = max(state.cooldown_until, quota.opens(state))
        return {
            "bucket": str(self.bucket),
            "current_rate": state.rate,
            "tokens": aimd.tokens(state, self.config, now),
            "cooldown_until": held if held > now else 0.0,
            "circuit_open_until": breaker.refuses_until(state, now),
            "ceiling": state.ceiling,
            "throttles": state.throttles,
            "updated_at": state.updated_at,
            "min_rate": self.config.min_rate,
            "max_rate": self.config.max_rate,
            "requests": self.tally.requests,
            "throttled": self.tally.throttled,
            "waited": self.tally.waited,
            "scopes": {name: each.snapshot()["current_rate"] for name, each in sorted(self._scoped.items())},
        }

    def reserving(self, *, waited: bool, patience: float, circuit: bool = True) -> Decide:
        """The decision to take a slot.

        Args:
            waited: This request has waited before.
            patience: Seconds it may still wait.
            circuit: Whether an open circuit stands in its way.

        Returns:
            For `Store.transact`; its result is `Granted`, `TooLong` or `Shut`.
        """

        def decide(found: LimiterState | None, now: float) -> Decision[Granted | TooLong | Shut]:
            state = self._state(found, now)
            if circuit and (until := breaker.refuses_until(state, now)):
                return Decision(found or state, Shut(until, now, state.faults))
            history = () if found else (account.started(state, now),)
            until = aimd.earliest(state, self.config, now)
            if until - now > patience:
                return Decision(found or state, TooLong(until, now), history)
            state, ticket = aimd.reserve(state, self.config, now, waited=waited)
            if circuit and ticket.generation is not None:
                state = breaker.lent(state, self.config, now)
            return Decision(state, Granted(ticket, max(0.0, ticket.at - now)), history)

        return decide

    def opens(self, found: LimiterState | None, now: float) -> float:
        """When a request may be sent, epoch seconds."""
        return aimd.earliest(self._state(found, now), self.config, now)

    def still_valid(self, found: LimiterState | None, now: float, ticket: aimd.Ticket) -> aimd.Ticket | None:
        """The ticket as it is used now, or None if a cooldown or an open circuit has voided it."""
        if found is None or aimd.is_void(found, ticket):
            return None
        return replace(ticket, at=now)

    def settling(self, ticket: aimd.Ticket, status: int, reply: Reply, in_flight: int = 0) -> Decide:
        """The decision to learn from a reply.

        Args:
            ticket: Of the request; `at` is when it was sent.
            status: The HTTP status.
            reply: What it means.
            in_flight: It went as the n-th in flight; 0 if nobody counts them.

        Returns:
            For `Store.transact`; its result is what happened that has a name.
        """

        def decide(found: LimiterState | None, now: float) -> Decision[tuple[HistoryEvent, ...]]:
            before = self._state(found, now)
            decision = learned(before, now)
            after = breaker.answered(decision.state, now, ticket.at)
            closed = account.circuit(before, after, now)
            return Decision(
                after,
                tuple(happened for happened in (decision.result, closed) if happened),
                (*decision.history, closed) if closed else decision.history,
            )

        def learned(before: LimiterState, now: float) -> Decision[HistoryEvent | None]:
            if reply.kind is Kind.TERMINAL:
                refused = account.terminal(before, now, status=status, retry_after=reply.retry_after)
                return account.recorded(replace(before, updated_at=now), refused)
            if reply.kind is Kind.THROTTLED:
                used_up = reply.told is not None and reply.told.left < 1.0
                spared = used_up or self.gate.explains(in_flight)
                after = aimd.throttled(before, self.config, now, ticket, reply.retry_after, spared=spared)
            elif reply.kind is Kind.OVERLOADED:
                after = aimd.held(before, self.config, now, reply.retry_after or 0.0)
            elif reply.kind is Kind.REFUSED:
                after = before
            else:
                after = aimd.succeeded(before, self.config, now, ticket)
            status_shown = None if reply.kind is Kind.FINE else status
            happened = account.event(before, after, now, status=status_shown, retry_after=reply.retry_after)
            if reply.told is not None:
                learned = after
                after = quota.told(learned, self.config, now, ticket.before, reply.told)
                happened = happened or account.told(learned, after, now)
            return account.recorded(after, happened)

        return decide

    def failing(self, ticket: aimd.Ticket, status: int | None) -> Decide:
        """The decision to count a fault.

        Args:
            ticket: Of the request; `at` is when it was sent.
            status: The HTTP status; None if there was no reply.

        Returns:
            For `Store.transact`; its result is what happened that has a name, and whether the circuit is open now.
        """

        def decide(found: LimiterState | None, now: float) -> Decision[tuple[HistoryEvent | None, bool]]:
            before = self._state(found, now)
            after = breaker.failed(before, self.config, now, ticket.at)
            happened = account.circuit(before, after, now, status)
            result = happened, bool(breaker.refuses_until(after, now))
            return Decision(after, result, (happened,) if happened else ())

        return decide

    def report(
        self, happened: tuple[HistoryEvent, ...], reply: Reply, now: float, in_flight: int, sent_at: float
    ) -> None:
        """Tell the gate of a reply that has been learned from, and the hooks of a change; the first of them logs it.

        Args:
            happened: What `settling` gave.
            reply: Why.
            now: Seconds of a clock that is never set.
            in_flight: As given to `settling`.
            sent_at: When the request was sent, on the same clock as `now`.
        """
        if reply.kind is Kind.FINE:
            self.gate.succeeded(now, in_flight, sent_at)
        elif any(each.kind == "backoff" for each in happened):
            self.gate.refused(now, in_flight)
        for each in happened:
            self.tell(each, reply.reason)

    def tell(self, happened: HistoryEvent, reason: str = "") -> None:
        """Tell the hooks of a change.

        Args:
            happened: The change.
            reason: The vendor's own word for it, or the name of a failure.
        """
        tell((log_event, *self._hooks), self.bucket, self.tenant, happened, reason)

    def _state(self, found: LimiterState | None, now: float) -> LimiterState:
        if found is None:
            return aimd.fresh(self.config, now)
        return quota.renewed(aimd.at_time(found, self.config, now), self.config, now)
