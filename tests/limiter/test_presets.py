"""The eight presets as the design fixes them, and how a name becomes a configuration."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from limiter import (
    API_RATE_CONFIGS,
    ApiRateConfig,
    ConfigurationError,
    UnknownApi,
    api_config,
    make_async_client_for,
    make_client_for,
    make_client_from_config,
)
from limiter.presets import known_apis
from state import Bucket
from state.memory import MemoryStore

TABLE = """
| notion | https://api.notion.com/v1 | 2.0 | 0.05 | 10 | 0.1 |
| vanta | https://api.vanta.com | 0.7 | 0.02 | 10 | 0.05 |
| fieldguide | https://api.fieldguide.io | 1.0 | 0.05 | 10 | 0.1 |
| github | https://api.github.com | 2.0 | 0.05 | 15 | 0.1 |
| slack | https://slack.com/api | 0.3 | 0.01 | 5 | 0.05 |
| airtable | https://api.airtable.com/v0 | 3.0 | 0.1 | 5 | 0.1 |
| openai | https://api.openai.com/v1 | 1.0 | 0.05 | 10 | 0.1 |
| zapier | https://hooks.zapier.com | 2.0 | 0.1 | 30 | 0.2 |
"""
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_presets_are_the_designs(row: list[str]) -> None:
    config = API_RATE_CONFIGS[row[0]]
    rates = [config.initial_rate, config.min_rate, config.max_rate, config.increase_step]
    assert [config.name, config.base_url, *rates] == [*row[:2], *map(float, row[2:])]
    assert config.decrease_factor == 0.92
    assert config.documented_limit_desc
    assert not any(re.search("auth|token|key", name, re.IGNORECASE) for name in config.headers)


def test_there_are_eight_and_two_of_other_hosts_or_limits_under_their_own_names() -> None:
    names = {row[0] for row in ROWS} | {"vanta_auditor", "slack_audit"}
    assert {name: config.name for name, config in API_RATE_CONFIGS.items()} == {name: name for name in names}


def test_notion_and_github_name_the_version_they_speak() -> None:
    assert API_RATE_CONFIGS["notion"].headers == {"Notion-Version": "2025-09-03"}
    assert API_RATE_CONFIGS["github"].headers["X-GitHub-Api-Version"] == "2022-11-28"


@pytest.mark.parametrize("make", [make_client_for, make_async_client_for])
def test_an_unknown_name_lists_the_known_ones(make: Any) -> None:
    with pytest.raises(UnknownApi) as caught:
        make("notoin")
    known = "airtable, fieldguide, github, notion, openai, slack, slack_audit, vanta, vanta_auditor, zapier"
    assert known in str(caught.value)
    assert (caught.value.name, len(caught.value.known)) == ("notoin", 10)
    assert isinstance(caught.value, ValueError)


def test_a_new_api_from_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(API_RATE_CONFIGS, "acme", ApiRateConfig("acme", "https://api.acme.test", initial_rate=0.5))
    with make_client_for("acme") as client:
        assert client.limiter.snapshot()["current_rate"] == 0.5
        assert str(client.base_url) == "https://api.acme.test"
        assert client.limiter.bucket == Bucket("acme")


def test_a_preset_replaced_from_code(monkeypatch: pytest.MonkeyPatch) -> None:
    slower = API_RATE_CONFIGS["notion"].with_changes({"max_rate": 3.0})
    monkeypatch.setitem(API_RATE_CONFIGS, "notion", slower)
    assert api_config("notion").max_rate == 3.0


def test_the_environment_gives_another_host() -> None:
    known = known_apis({"AIMD_NOTION_BASE_URL": " http://127.0.0.1:8080/v1 ", "AIMD_VANTA_BASE_URL": ""})
    assert known["notion"].base_url == "http://127.0.0.1:8080/v1"
    assert known["vanta"].base_url == "https://api.vanta.com"


def test_a_name_with_a_dash_has_a_variable_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(API_RATE_CONFIGS, "acme-eu", ApiRateConfig("acme-eu", "https://api.acme.test"))
    assert known_apis({"AIMD_ACME_EU_BASE_URL": "https://eu.acme.test"})["acme-eu"].base_url == "https://eu.acme.test"


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8080", "ftp://x.test", "http://", "https://[::1", "http://x.test:99999999"]
)
def test_an_address_that_cannot_work_names_the_variable(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("AIMD_NOTION_BASE_URL", address)
    with pytest.raises(ConfigurationError, match=r"AIMD_NOTION_BASE_URL.*base_url"):
        api_config("notion")


def test_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The preset, what code says, the file, the variable, the argument: each wins over those before it."""

    def address() -> str:
        with make_client_for("notion") as client:
            return str(client.base_url).rstrip("/")

    assert address() == "https://api.notion.com/v1"
    code = API_RATE_CONFIGS["notion"].with_changes({"base_url": "https://code.test", "max_rate": 4.0})
    monkeypatch.setitem(API_RATE_CONFIGS, "notion", code)
    assert address() == "https://code.test"
    file = tmp_path / "aimd.json"
    file.write_text(json.dumps({"notion": {"base_url": "https://file.test", "min_rate": 0.5}}))
    monkeypatch.setenv("AIMD_CONFIG", str(file))
    assert address() == "https://file.test"
    monkeypatch.setenv("AIMD_NOTION_BASE_URL", "https://variable.test")
    assert address() == "https://variable.test"
    with make_client_for("notion", base_url="https://argument.test/v2") as client:
        assert str(client.base_url) == "https://argument.test/v2/"
        snapshot = client.limiter.snapshot()
    assert (snapshot["min_rate"], snapshot["max_rate"]) == (0.5, 4.0), "what is not overridden stays"


def test_another_base_url_is_the_host_that_is_paced() -> None:
    vendor = httpx.MockTransport(lambda _: httpx.Response(200))
    options: dict[str, Any] = {"store": MemoryStore(), "transport": vendor}
    with make_client_for("notion", base_url="http://127.0.0.1:8080/v1", **options) as client:
        client.get("/users")
        client.get("https://api.notion.com/v1/users")
        assert client.limiter.tally.requests == 1


@pytest.mark.parametrize("address", ["", "nowhere", 7, "mailto:x@acme.test"])
def test_an_argument_that_cannot_work_is_refused(address: Any) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        make_client_for("notion", base_url=address)


@pytest.mark.parametrize(
    ("arguments", "bucket"),
    [
        ({}, "notion/default/default"),
        ({"tenant": "acme"}, "notion/default/acme"),
        ({"tenant": "acme", "quota_key": "shared"}, "notion/default/shared"),
        ({"quota_key": "shared"}, "notion/default/shared"),
    ],
)
def test_whose_quota_it_is(arguments: dict[str, str], bucket: str) -> None:
    with make_client_for("notion", **arguments) as client:
        assert client.limiter.snapshot()["bucket"] == bucket


def test_tenants_are_paced_apart_unless_they_share_a_quota(clock: Any) -> None:
    store = MemoryStore(clock=clock)
    vendor = httpx.MockTransport(lambda _: httpx.Response(200))

    def get(**who: str) -> float:
        with make_client_for("notion", store=store, transport=vendor, sleep=clock.sleep, **who) as client:
            client.get("/users")
            return float(client.limiter.tally.waited)

    waits = [get(tenant=tenant) for tenant in ("a", "b", "a")]
    assert waits == [0.0, 0.0, 0.5]
    assert [get(tenant=tenant, quota_key="q") for tenant in ("a", "b")] == [0.0, 0.5]


def test_bounds_are_checked_when_the_client_is_made() -> None:
    for make in (make_client_for, make_async_client_for):
        with pytest.raises(ConfigurationError, match="max_retries"):
            make("notion", max_retries=-1)
    with pytest.raises(ConfigurationError, match="max_wait"):
        make_client_from_config(api_config("notion"), max_wait=-1.0)


def test_without_a_store_clients_share_the_databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIMD_DATABASE_URL", f"sqlite:///{tmp_path / 'aimd.db'}")
    with make_client_for("notion") as one, make_client_for("vanta") as other:
        assert one.limiter.store is other.limiter.store
        assert one.limiter.store.url.endswith("aimd.db")
