"""A hook that keeps Prometheus metrics; needs the extra `prefect-aimd[prometheus]`.

    aimd_rate_requests_per_second          gauge    api, scope, tenant          the learned rate
    aimd_ceiling_requests_per_second       gauge    api, scope, tenant          at which the vendor last objected
    aimd_hold_end_timestamp_seconds        gauge    api, scope, tenant          nobody sends before; 0 for no hold
    aimd_circuit_open                      gauge    api, scope, tenant          1 while the circuit is open, else 0
    aimd_events_total                      counter  api, scope, tenant, event   backoff, cooldown, terminal, opened ...
    aimd_requests_total                    counter  api, tenant                 sends, those tried again included
    aimd_throttled_total                   counter  api, tenant                 replies that say "too fast"
    aimd_waited_seconds_total              counter  api, tenant                 for slots, cooldowns, places in flight

A gauge is there from the first change on that this process met: it is what the hook last heard, and what other
processes change meanwhile it hears of at its own next change. A request that passes several limits is one request, so
requests have no scope.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from limiter.errors import ConfigurationError
from limiter.hooks import LimiterEvent, RequestsCounted

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

BUCKET = ("api", "scope", "tenant")
CLIENT = ("api", "tenant")


class PrometheusHook:
    """Keeps metrics of what a limiter learns and of its requests. Hooks on one registry share them.

    Args:
        registry: Where; by default Prometheus's own.

    Raises:
        ConfigurationError: The package `prometheus-client` is missing.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from limiter import make_client_for
        >>> from limiter.testing import FakeClock, ScriptedVendor
        >>> from state.memory import MemoryStore
        >>> clock = FakeClock()
        >>> vendor = ScriptedVendor([(429, {"Retry-After": "30"}), 200], clock)
        >>> registry = CollectorRegistry()
        >>> options = {"store": MemoryStore(clock=clock), "transport": vendor.transport, "sleep": clock.sleep}
        >>> with make_client_for("notion", tenant="acme", hooks=[PrometheusHook(registry)], **options) as client:
        ...     client.get("/users").status_code
        200
        >>> registry.get_sample_value("aimd_throttled_total", {"api": "notion", "tenant": "acme"})
        1.0
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        try:
            from prometheus_client import REGISTRY
        except ImportError as error:
            raise ConfigurationError(
                "Metrics need the package prometheus-client, which is not installed; nothing was sent. "
                "Run: pip install 'prefect-aimd[prometheus]'"
            ) from error
        self._metrics = _metrics_of(REGISTRY if registry is None else registry)

    def __call__(self, happened: LimiterEvent) -> None:
        """Note a change."""
        metrics, bucket = self._metrics, happened.bucket
        labels = (bucket.api, bucket.scope, happened.tenant)
        metrics.rate.labels(*labels).set(happened.rate_after)
        metrics.ceiling.labels(*labels).set(happened.ceiling)
        metrics.hold_end.labels(*labels).set(happened.cooldown_until)
        if happened.kind in ("opened", "closed"):
            metrics.circuit.labels(*labels).set(happened.kind == "opened")
        metrics.events.labels(*labels, happened.kind).inc()

    def counted(self, more: RequestsCounted) -> None:
        """Add requests to the counters."""
        labels = (more.api, more.tenant)
        self._metrics.requests.labels(*labels).inc(more.requests)
        self._metrics.throttled.labels(*labels).inc(more.throttled)
        self._metrics.waited.labels(*labels).inc(more.waited)


class _Metrics:
    """One set a registry: it refuses a second of the same name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Gauge

        def gauge(name: str, said: str) -> Gauge:
            # Of several worker processes behind one exporter the one that heard last knows best: they share the row.
            return Gauge(f"aimd_{name}", said, BUCKET, registry=registry, multiprocess_mode="mostrecent")

        def counter(name: str, said: str, labels: tuple[str, ...] = CLIENT) -> Counter:
            return Counter(f"aimd_{name}", said, labels, registry=registry)

        self.rate = gauge("rate_requests_per_second", "The learned rate.")
        self.ceiling = gauge("ceiling_requests_per_second", "The rate at which the vendor last objected.")
        self.hold_end = gauge("hold_end_timestamp_seconds", "Nobody sends before; 0 for no hold.")
        self.circuit = gauge("circuit_open", "1 while the circuit is open, else 0.")
        self.events = counter("events", "Changes of a limiter, by kind.", (*BUCKET, "event"))
        self.requests = counter("requests", "Requests sent, those tried again included.")
        self.throttled = counter("throttled", "Replies by which the vendor said too fast.")
        self.waited = counter("waited_seconds", "Seconds spent waiting for slots, cooldowns and places in flight.")


_made: WeakKeyDictionary[CollectorRegistry, _Metrics] = WeakKeyDictionary()
_making = threading.Lock()


def _metrics_of(registry: CollectorRegistry) -> _Metrics:
    with _making:
        if registry not in _made:
            _made[registry] = _Metrics(registry)
        return _made[registry]
