"""The pages of docs/ are true: their examples run, their names can be imported, their links lead somewhere."""

from __future__ import annotations

import doctest
import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from limiter import API_RATE_CONFIGS, LimiterEvent, presets
from limiter.config_file import read_config_file
from limiter.hooks import log_event
from limiter.testing import FakeClock, ScriptedVendor
from state.codec import KINDS
from state.memory import MemoryStore

DOCS = Path(__file__).parents[2] / "docs"
HOOKS, COMING = DOCS / "hooks.md", DOCS / "coming-from-dynamic-api-rate-limiter.md"
NAME = re.compile(r"\b(?:limiter|state|flows)(?:\.\w+)+")


def examples(page: Path) -> str:
    return "\n".join(re.findall(r"^```python\n(>>> .*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE))


def vendor() -> dict[str, Any]:
    clock = FakeClock()
    script = ScriptedVendor([(429, {"Retry-After": "30"})], clock)
    return {"store": MemoryStore(clock=clock), "transport": script.transport, "sleep": clock.sleep}


@pytest.mark.parametrize("page", [HOOKS, COMING], ids=lambda page: page.stem)
def test_the_examples_run(page: Path) -> None:
    given = {"headers": {"Authorization": "Bearer secret"}, "vendor": vendor()}
    test = doctest.DocTestParser().get_doctest(examples(page), given, page.name, str(page), 0)
    assert len(test.examples) > 3
    said: list[str] = []
    assert doctest.DocTestRunner().run(test, out=said.append).failed == 0, "".join(said)


def found(name: str) -> Any:
    """What a dotted name stands for, the longest module of it first."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for part in parts[n:]:
            value = getattr(value, part)
        return value
    raise AssertionError(name)


@pytest.mark.parametrize("page", [HOOKS, COMING], ids=lambda page: page.stem)
def test_every_name_of_ours_can_be_imported(page: Path) -> None:
    text = re.sub(r"`aimd\.\S*`|\]\([^)]*\)|client\.limiter\.\w+", "", page.read_text())
    names = {*NAME.findall(text)} - {"limiter.md"}
    assert len(names) > 2
    for name in names:
        found(name)


def test_every_name_of_theirs_has_a_row_with_ours() -> None:
    rows = [line.split("|")[1:3] for line in COMING.read_text().splitlines() if line.startswith("| ")][2:]
    theirs = " ".join(there for there, _ in rows)
    for name in (
        "make_client_for",
        "make_client_from_config",
        "DynamicAPIClient",
        "DynamicRateLimiter",
        "snapshot()",
        "ApiRateConfig",
        "API_RATE_CONFIGS",
        "get_api_rate_config",
        "load_api_rate_overrides_json",
        "merged_api_rate_configs",
        "list_available_integrations",
        "EnterpriseClient",
        "make_enterprise_client",
        "tenant_id",
        "metrics_handler",
        "logger",
        "CircuitBreakerConfig(failure_threshold, open_interval)",
        "CircuitOpenError",
        "Retry-After",
    ):
        assert name in theirs, name
    assert all(here.strip() for _, here in rows)


def test_a_file_of_theirs_works(tmp_path: Path) -> None:
    theirs = {"base_url": "https://internal.example.com/api", "initial_rate": 5.0, "min_rate": 1.0, "max_rate": 20.0}
    theirs |= {"increase_step": 0.5, "decrease_factor": 0.5, "documented_limit_desc": "Tuned for more."}
    path = tmp_path / "rate_overrides.json"
    path.write_text(json.dumps({"my-internal-api": theirs, "notion": theirs}))
    for configs in (read_config_file(str(path), API_RATE_CONFIGS), presets.known_apis({"AIMD_CONFIG": str(path)})):
        assert {*configs} == {*API_RATE_CONFIGS, "my-internal-api"}
        assert configs["my-internal-api"].max_rate == configs["notion"].max_rate == 20.0


def test_the_kinds_and_their_levels_are_those_there_are(caplog: pytest.LogCaptureFixture) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ([A-Z]+) \|$", HOOKS.read_text(), re.MULTILINE))
    assert {*rows} == {*KINDS} - {"start"}, "of which no hook hears"
    caplog.set_level(1, "limiter")
    for kind in rows:
        log_event(LimiterEvent(found("state.Bucket")("notion"), "acme", kind, 0.0, 2.0, 2.0))
    assert [record.levelname for record in caplog.records] == [*rows.values()]


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link
