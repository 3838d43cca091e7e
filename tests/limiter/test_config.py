"""Configurations that cannot work are refused when they are made: in code, and in the file of AIMD_CONFIG."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limiter import (
    API_RATE_CONFIGS,
    ApiRateConfig,
    CircuitBreakerConfig,
    ConfigurationError,
    RateHeaders,
    Scope,
    api_config,
    make_client_for,
    make_client_from_config,
)
from limiter.config_file import read_config_file
from limiter.testing import FakeClock
from state.memory import MemoryStore

NO_FLOAT = 10**400
"""A whole number can be written that no float holds."""
NOT_A_RATE: list[Any] = [0, 0.0, -1.0, math.nan, math.inf, -math.inf, NO_FLOAT, True, False, "2", None, [1], 1j]


def brief(value: object) -> str:
    return repr(value)[:60]


def acme(**values: Any) -> ApiRateConfig:
    return ApiRateConfig(**{"name": "acme", "base_url": "https://api.acme.test", **values})


@pytest.mark.parametrize("field", ["initial_rate", "min_rate", "max_rate", "increase_step", "max_cooldown"])
@pytest.mark.parametrize("value", NOT_A_RATE, ids=brief)
def test_a_rate_is_a_finite_number_above_zero(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"'acme'.*{field}"):
        acme(**{field: value})


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, -0.5, 1.5, math.nan, math.inf, True, "0.5", None], ids=repr)
def test_the_factor_lies_between_zero_and_one(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="decrease_factor"):
        acme(decrease_factor=value)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"min_rate": 3.0, "max_rate": 2.0, "initial_rate": 2.5}, "min_rate 3 is above max_rate 2"),
        ({"min_rate": 2.0, "initial_rate": 1.0}, "initial_rate 1"),
        ({"max_rate": 2.0, "initial_rate": 3.0}, "initial_rate 3"),
        ({"burst": 0}, "burst"),
        ({"burst": 1.5}, "burst"),
        ({"burst": True}, "burst"),
        ({"burst": NO_FLOAT}, "burst"),
        ({"max_concurrency": NO_FLOAT}, "max_concurrency"),
        ({"breaker": {"failure_threshold": NO_FLOAT}}, "failure_threshold"),
        ({"breaker": {"open_interval": NO_FLOAT}}, "open_interval"),
        ({"rate_headers": {"window": NO_FLOAT}}, "window"),
        ({"words": 5}, "words must be a list of texts, not 5"),
        ({"words": "fast"}, "words must be a list of texts, not 'fast'"),
        ({"words": ["fast", 5]}, "words must be a list of texts"),
        ({"scopes": 5}, "scopes must be a list of tables, not 5"),
        ({"scopes": {"name": "search"}}, "scopes must be a list of tables"),
        ({"documented_rate": -1.0}, "documented_rate"),
        ({"documented_rate": math.nan}, "documented_rate"),
        ({"documented_limit_desc": 5}, "documented_limit_desc"),
        ({"dialect": None}, "dialect"),
        ({"headers": "X-Version: 1"}, "headers"),
        ({"headers": ["X-Version"]}, "headers"),
        ({"headers": {"X-Version": 1}}, "headers"),
        ({"headers": None}, "headers"),
        ({"headers": {"X-Team": "é"}}, "headers: the value of 'X-Team'"),
        ({"headers": {"X-Team": "a\nb"}}, "headers: the value of 'X-Team'"),
        ({"headers": {"X-Team": " a"}}, "headers: the value of 'X-Team'"),
        ({"headers": {"X é": "a"}}, "headers: 'X é' is no name of a header"),
        ({"headers": {"X-Team:": "a"}}, "headers: 'X-Team:' is no name of a header"),
        ({"headers": {"": "a"}}, "headers: '' is no name of a header"),
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": 5}, "name"),
        ({"base_url": "api.acme.test"}, "base_url"),
        ({"base_url": "file:///etc/passwd"}, "base_url"),
        ({"base_url": "https://"}, "base_url"),
        ({"base_url": "https://[::1"}, "base_url"),
        ({"base_url": "https://acme.test:99999"}, "base_url"),
        ({"base_url": "https://xn--a"}, "base_url"),
        ({"base_url": "https://acme.test/\ud800"}, "base_url"),
        ({"base_url": None}, "base_url"),
        ({"base_url": b"https://api.acme.test"}, "base_url"),
    ],
    ids=brief,
)
def test_everything_else_is_checked_too(values: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        acme(**values)


@pytest.mark.parametrize("value", ["", "a", "application/json; q=1", "two words\tand more"])
def test_headers_that_can_be_sent_are_kept(value: str) -> None:
    assert acme(headers={"X-Team": value}).headers == {"X-Team": value}


def test_a_refused_header_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as refused:
        acme(headers={"Authorization": "Bearer hunter2\n"})
    assert "hunter2" not in str(refused.value)


def test_the_edges_work() -> None:
    config = acme(min_rate=1, max_rate=1, initial_rate=1, decrease_factor=0.999, burst=1)
    assert config.with_changes({"max_rate": 2}).max_rate == 2


def test_a_change_is_checked_like_the_whole() -> None:
    with pytest.raises(ConfigurationError, match="max_rate"):
        acme().with_changes({"max_rate": -1})
    with pytest.raises(ConfigurationError, match=r"unknown key 'max_rates'\. Known keys: base_url, b"):
        acme().with_changes({"max_rates": 1})


TOML = """
[notion]
max_rate = 5.0

[acme]
base_url = "https://api.acme.test"
initial_rate = 0.5
burst = 3
headers = { Acme-Version = "7" }
"""


@pytest.mark.parametrize("form", ["toml", "json", "JSON", "conf"])
def test_a_file_overrides_presets_and_adds_apis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    import tomllib

    file = tmp_path / f"aimd.{form}"
    file.write_text(json.dumps(tomllib.loads(TOML)) if form.lower() == "json" else TOML)
    monkeypatch.setenv("AIMD_CONFIG", str(file))
    assert api_config("notion") == API_RATE_CONFIGS["notion"].with_changes({"max_rate": 5.0})
    assert api_config("acme") == acme(initial_rate=0.5, burst=3, headers={"Acme-Version": "7"})
    assert "acme" not in API_RATE_CONFIGS, "a file adds nothing for good"
    with make_client_for("acme") as client:
        assert client.headers["acme-version"] == "7"


CHANGED = """
[notion.headers]
X-Team = "audit"

[github]
rate_headers = { resource = "X-Which" }
headers = { ACCEPT = "application/json" }
breaker = { open_interval = 60 }
"""


def test_a_table_in_a_preset_needs_only_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "aimd.toml"
    file.write_text(CHANGED)
    preset = API_RATE_CONFIGS["github"].with_changes({"breaker": CircuitBreakerConfig(3, 5.0)})
    known = read_config_file(str(file), {**API_RATE_CONFIGS, "github": preset})
    assert known["notion"].headers == {**API_RATE_CONFIGS["notion"].headers, "X-Team": "audit"}
    github = known["github"]
    assert github.rate_headers == replace(preset.rate_headers, resource="x-which")
    assert github.breaker == CircuitBreakerConfig(3, 60)
    kept = preset.headers["X-GitHub-Api-Version"]
    assert github.headers == {"ACCEPT": "application/json", "X-GitHub-Api-Version": kept}, "names have no case"


def test_a_list_in_a_preset_is_given_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "aimd.toml"
    file.write_text('[notion]\nwords = ["slow"]\n[[notion.scopes]]\nname = "search"')
    notion = read_config_file(str(file), API_RATE_CONFIGS)["notion"]
    assert (notion.words, [scope.name for scope in notion.scopes]) == (("slow",), ["search"])


def test_no_file_is_no_change() -> None:
    assert read_config_file("", API_RATE_CONFIGS) == API_RATE_CONFIGS


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.toml", "[notion\nmax_rate = 1", "not valid TOML"),
        ("a.toml", "\x00", "not valid TOML"),
        ("a.json", "{", "not valid JSON"),
        ("a.json", "[" * 100_000, "not valid JSON"),
        ("a.json", "[]", "must hold a table an API"),
        ("a.json", '{"notion": 5}', "'notion' must be a table"),
        ("a.toml", "max_rate = 5.0", "'max_rate' must be a table"),
        ("a.toml", "[notion]\nmax_rates = 5.0", "unknown key 'max_rates'. Known keys: base_url"),
        ("a.toml", '[acme]\nbase_url = "https://acme.test"\nspeed = 1', "'acme': unknown key 'speed'"),
        ("a.toml", "[acme]\nmax_rate = 5.0", "'acme' is new and needs a base_url"),
        ("a.toml", '[notion]\nmax_rate = "5"', "max_rate must be a finite number above 0, not '5'"),
        ("a.toml", "[notion]\nmax_rate = true", "max_rate"),
        ("a.toml", "[notion]\nmax_rate = nan", "max_rate"),
        ("a.json", '{"notion": {"max_rate": NaN}}', "max_rate"),
        ("a.json", '{"notion": {"max_rate": null}}', "max_rate"),
        ("a.toml", "[notion]\nmax_rate = 2000-01-01", "max_rate"),
        ("a.toml", '[notion]\nheaders = "Notion-Version: 1"', "headers"),
        ("a.toml", "[notion]\nheaders = { Notion-Version = 2025 }", "headers"),
        ("a.toml", '[notion]\nheaders = { X-Team = "é" }', "headers"),
        ("a.toml", f"[notion]\nmax_rate = {NO_FLOAT}", "max_rate must be a finite number above 0"),
        ("a.toml", "[notion]\nwords = 5", "words must be a list of texts, not 5"),
        ("a.toml", "[notion]\nscopes = 5", "scopes must be a list of tables, not 5"),
        ("a.toml", '[notion]\nrate_headers = { left = "x" }', "rate_headers: unknown key 'left'. Known keys: ignored"),
        (
            "a.toml",
            "[notion]\nbreaker = { faults = 5 }",
            "breaker: unknown key 'faults'. Known keys: failure_threshold",
        ),
        ("a.toml", '[[notion.scopes]]\nname = "a"\npaths = "/"', "scope 'a': unknown key 'paths'. Known keys: beside"),
        ("a.toml", "[notion]\nmin_rate = 20.0", "min_rate 20 is above max_rate 10"),
        ("a.toml", '[notion]\nname = "other"', "its name is that of the table"),
        ("a.toml", '[acme]\nname = "other"\nbase_url = "https://acme.test"', "its name is that of the table"),
        ("a.toml", '["a/b"]\nbase_url = "https://acme.test"', "name"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, what: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    monkeypatch.setenv("AIMD_CONFIG", str(file))
    with pytest.raises(ConfigurationError, match="AIMD_CONFIG") as caught:
        make_client_for("notion")
    assert what in str(caught.value)
    assert str(file) in str(caught.value)


TEXTS = st.text(max_size=9) | st.sampled_from(["\ud800", "\x00", "é", "*"])
SCALARS = st.none() | st.booleans() | st.integers() | st.just(NO_FLOAT) | st.floats() | TEXTS
KEYS = {table: [field.name for field in fields(table)] for table in (ApiRateConfig, Scope, RateHeaders)}
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2),
    st.dictionaries(TEXTS, SCALARS, max_size=2),
    st.dictionaries(st.sampled_from(KEYS[RateHeaders]), SCALARS, max_size=2),
    st.lists(st.dictionaries(st.sampled_from(KEYS[Scope]), SCALARS | st.just("/{a}{b}*"), max_size=4), max_size=2),
    (TEXTS | st.sampled_from(["xn--a", "a..b", "a.test:0", "a.test/%", "[::1]"])).map(lambda text: f"https://{text}"),
)


@settings(max_examples=400)
@given(st.dictionaries(st.sampled_from(KEYS[ApiRateConfig]), VALUES, max_size=3))
def test_whatever_a_file_says_works_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, said: dict[str, Any]
) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.json"
    file.write_text(json.dumps({"notion": said}))
    try:
        config = read_config_file(str(file), API_RATE_CONFIGS)["notion"]
    except ConfigurationError:
        return
    vendor = httpx.MockTransport(lambda _: httpx.Response(200, headers={"x-ratelimit-remaining": "9"}))
    with make_client_from_config(config, store=MemoryStore(clock=FakeClock()), transport=vendor) as client:
        assert client.get("/a/b").status_code == 200
        assert len(client.limiter.known()) >= 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, what in [(tmp_path / "missing.toml", "No such file"), (tmp_path, "directory")]:
        with pytest.raises(ConfigurationError, match=what):
            read_config_file(str(path), API_RATE_CONFIGS)
    (tmp_path / "latin.toml").write_bytes("[é]".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        read_config_file(str(tmp_path / "latin.toml"), API_RATE_CONFIGS)


@pytest.mark.parametrize("address", ["https://ada:hunter2@api.acme.test", "http://hunter2@127.0.0.1:8080/v1"])
def test_an_address_holds_no_credential_and_the_refusal_does_not_show_it(address: str) -> None:
    with pytest.raises(ConfigurationError, match="must not hold a user or password") as refused:
        acme(base_url=address)
    assert "hunter2" not in str(refused.value)
