"""What Prometheus scrapes: the figures of what was heard, once each, however many hooks there are."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from limiter import ConfigurationError, hooks, make_async_client_for, make_client_for
from limiter.hooks import LimiterEvent
from limiter.metrics import PrometheusHook
from limiter.testing import START, FakeClock, ScriptedVendor
from state import Bucket
from state.memory import MemoryStore


def scraped(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """Name and label values by the labels' names, as Prometheus reads them; without when a counter was made."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest, clock: FakeClock) -> Callable[..., None]:
    def run(script: list[Any], *heard: PrometheusHook, times: int = 1, tenant: str = "acme", **options: Any) -> None:
        vendor = ScriptedVendor(script, clock)
        options = {"store": MemoryStore(clock=clock), **options}
        options |= {"transport": vendor.transport, "hooks": heard, "tenant": tenant}

        async def awaiting() -> None:
            async with make_async_client_for("notion", sleep=clock.asleep, **options) as client:
                for _ in range(times):
                    await client.get("/users")

        if request.param == "async":
            asyncio.run(awaiting())
        else:
            with make_client_for("notion", sleep=clock.sleep, **options) as client:
                for _ in range(times):
                    client.get("/users")

    return run


def test_all_the_figures_of_a_backoff_and_its_recovery(send: Callable[..., None]) -> None:
    registry = CollectorRegistry()
    send([(429, {"Retry-After": "30"})], PrometheusHook(registry))
    bucket = ("notion", "default", "acme")
    assert scraped(registry) == {
        ("aimd_rate_requests_per_second", *bucket): pytest.approx(1.34),
        ("aimd_ceiling_requests_per_second", *bucket): 2.0,
        ("aimd_hold_end_timestamp_seconds", *bucket): 0.0,
        ("aimd_events_total", "notion", "backoff", "default", "acme"): 1.0,
        ("aimd_events_total", "notion", "recovered", "default", "acme"): 1.0,
        ("aimd_requests_total", "notion", "acme"): 2.0,
        ("aimd_throttled_total", "notion", "acme"): 1.0,
        ("aimd_waited_seconds_total", "notion", "acme"): 30.0,
    }


def test_a_hold_is_shown_by_its_end_and_a_circuit_while_it_is_open() -> None:
    registry = CollectorRegistry()
    hook = PrometheusHook(registry)
    bucket = Bucket("notion", "default", "shared")
    labels = {"api": "notion", "scope": "default", "tenant": "acme"}
    for kind, until, shown in (("cooldown", START + 9, None), ("opened", START + 30, 1.0), ("closed", 0.0, 0.0)):
        hook(LimiterEvent(bucket, "acme", kind, START, 2.0, 2.0, cooldown_until=until))
        assert registry.get_sample_value("aimd_hold_end_timestamp_seconds", labels) == until
        assert registry.get_sample_value("aimd_circuit_open", labels) == shown


def test_hooks_on_one_registry_share_its_metrics_and_tenants_are_told_apart(send: Callable[..., None]) -> None:
    registry, another = CollectorRegistry(), CollectorRegistry()
    for tenant in ("acme", "zenith", "acme"):
        send([429], PrometheusHook(registry), PrometheusHook(another), tenant=tenant)
    for found in (scraped(registry), scraped(another)):
        assert found["aimd_throttled_total", "notion", "acme"] == 2.0
        assert found["aimd_throttled_total", "notion", "zenith"] == 1.0


def test_without_a_registry_it_is_prometheuss_own(send: Callable[..., None]) -> None:
    counted = {"api": "notion", "tenant": "of the default registry"}
    before = REGISTRY.get_sample_value("aimd_requests_total", counted) or 0.0
    send([200], PrometheusHook(), tenant=counted["tenant"])
    assert REGISTRY.get_sample_value("aimd_requests_total", counted) == before + 1.0


def test_a_hook_that_cannot_count_harms_nobody(
    send: Callable[..., None], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "_complained", set())

    class Broken(PrometheusHook):
        def counted(self, more: object) -> None:
            raise OSError("no room for it")

    registry = CollectorRegistry()
    send([200], Broken(registry), PrometheusHook(registry), times=3)
    assert registry.get_sample_value("aimd_requests_total", {"api": "notion", "tenant": "acme"}) == 3.0
    assert len([record for record in caplog.records if "Broken failed (OSError)" in record.getMessage()]) == 1


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'prefect-aimd\[prometheus\]'"):
        PrometheusHook()


def test_nobody_pays_for_it_unasked() -> None:
    look = "import sys, limiter, limiter.metrics; print('prometheus_client' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
