"""Sources that installed packages bring: found, refused where they cannot be, and nobody else's trouble."""

import sys
import types
from importlib.metadata import EntryPoint

import pytest

from flows import sources
from flows.paginators import Whole
from flows.registry import BUILT_IN, GROUP, load
from flows.stream import Source, Stream
from limiter import API_RATE_CONFIGS, ApiRateConfig, ConfigurationError

THINGS = Stream("things", "GET", "/things", Whole(), records="", controls=("SOC 2 CC6.1",))
PRESET = ApiRateConfig("acme", "https://api.acme.test", initial_rate=2.0)
ACME = Source("acme", "Acme", (THINGS,), preset=PRESET)


@pytest.fixture
def offered(monkeypatch):
    """Sources as a package would offer them; gives what was loaded."""
    monkeypatch.setattr("flows.registry.API_RATE_CONFIGS", presets := dict(API_RATE_CONFIGS))

    def load_with(**values):
        module = types.ModuleType("acme_evidence")
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, "acme_evidence", module)
        return *load([EntryPoint(name, f"acme_evidence:{name}", GROUP) for name in values]), presets

    return load_with


def test_one_is_a_source_like_any_other(offered):
    found, broken, presets = offered(acme=ACME)
    assert found["acme"] is ACME
    assert set(found) == {source.name for source in BUILT_IN} | {"acme"}
    assert broken == {}
    assert presets["acme"] is PRESET


def test_a_preset_that_somebody_has_set_stays(offered, monkeypatch):
    mine = ApiRateConfig("acme", "https://acme.example")
    monkeypatch.setitem(API_RATE_CONFIGS, "acme", mine)
    monkeypatch.setattr("flows.registry.API_RATE_CONFIGS", API_RATE_CONFIGS)
    load([EntryPoint("acme", "acme_evidence:acme", GROUP)])
    assert API_RATE_CONFIGS["acme"] is mine


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("no source", "it is no flows.stream.Source but a str"),
        (Source("notion", "Mine", (THINGS,)), "there is a source 'notion' already"),
        (Source("Ac-me", "Acme", (THINGS,)), "must be lower-case letters, digits and underscores"),
        (Source("acme2", "Acme", (THINGS,), preset=PRESET), "its preset is called 'acme'"),
    ],
)
def test_one_that_cannot_be_keeps_nobody_from_theirs(offered, value, why):
    found, broken, _ = offered(bad=value, acme=ACME)
    assert why in broken["bad"]
    assert "acme" in found


def test_one_whose_module_fails_is_said_when_it_is_asked_for(monkeypatch, caplog):
    found, broken = load([EntryPoint("gone", "no_such_module_of_anyone:SOURCE", GROUP)])
    assert set(found) == {source.name for source in BUILT_IN}
    assert "'gone'" in caplog.text
    monkeypatch.setattr(sources, "BROKEN", broken)
    with pytest.raises(ConfigurationError, match=r"'gone' cannot be used: ModuleNotFoundError.*Nothing was sent"):
        sources.source_named("gone")
