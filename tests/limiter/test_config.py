"""Configurations that cannot work are refused when they are made: in code, and in the file of AIMD_CONFIG."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from limiter import API_RATE_CONFIGS, ApiRateConfig, ConfigurationError, api_config, make_client_for
from limiter.config_file import read_config_file

NOT_A_RATE: list[Any] = [0, 0.0, -1.0, math.nan, math.inf, -math.inf, True, False, "2", None, [1], 1j]


def acme(**values: Any) -> ApiRateConfig:
    return ApiRateConfig(**{"name": "acme", "base_url": "https://api.acme.test", **values})


@pytest.mark.parametrize("field", ["initial_rate", "min_rate", "max_rate", "increase_step", "max_cooldown"])
@pytest.mark.parametrize("value", NOT_A_RATE, ids=repr)
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
        ({"documented_rate": -1.0}, "documented_rate"),
        ({"documented_rate": math.nan}, "documented_rate"),
        ({"documented_limit_desc": 5}, "documented_limit_desc"),
        ({"dialect": None}, "dialect"),
        ({"headers": "X-Version: 1"}, "headers"),
        ({"headers": ["X-Version"]}, "headers"),
        ({"headers": {"X-Version": 1}}, "headers"),
        ({"headers": None}, "headers"),
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": 5}, "name"),
        ({"base_url": "api.acme.test"}, "base_url"),
        ({"base_url": "file:///etc/passwd"}, "base_url"),
        ({"base_url": "https://"}, "base_url"),
        ({"base_url": "https://[::1"}, "base_url"),
        ({"base_url": "https://acme.test:99999"}, "base_url"),
        ({"base_url": None}, "base_url"),
        ({"base_url": b"https://api.acme.test"}, "base_url"),
    ],
    ids=repr,
)
def test_everything_else_is_checked_too(values: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        acme(**values)


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
