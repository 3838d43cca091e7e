"""`aimd presets`: the APIs known by name, as they are used here."""

from __future__ import annotations

import os
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.output import Json, emit, epilog, friendly, table

if TYPE_CHECKING:
    from rich.table import Table

    from limiter import ApiRateConfig

app = typer.Typer(no_args_is_help=True, help="The APIs known by name.")


def api_names(incomplete: str) -> list[str]:
    """The known APIs that begin so; for the shell's completion, which has no place for errors."""
    from limiter import ConfigurationError
    from limiter.presets import known_apis

    try:
        return [name for name in known_apis() if name.startswith(incomplete)]
    except ConfigurationError:
        return []


@app.command("list", epilog=epilog("aimd presets list", "AIMD_CONFIG=apis.toml aimd presets list --json"))
def list_presets(as_json: Json = False) -> None:
    """List the APIs.

    With the file of AIMD_CONFIG and the environment applied. Rates are requests per second.
    """
    from limiter.presets import known_apis

    with friendly(as_json):
        described = [_described(config) for config in known_apis().values()]
        emit(described, as_json=as_json, table=lambda: _overview(described))


@app.command(epilog=epilog("aimd presets show notion"))
def show(
    name: Annotated[str, typer.Argument(help="The API, as in `aimd presets list`.", autocompletion=api_names)],
    as_json: Json = False,
) -> None:
    """Show every setting of an API, and where it comes from."""
    from limiter.presets import api_config

    with friendly(as_json):
        described = _described(api_config(name))
        emit(described, as_json=as_json, table=lambda: _settings(described))


def _described(config: ApiRateConfig) -> dict[str, Any]:
    return {**asdict(config), "headers": dict(config.headers), "sources": _sources(config)}


def _sources(config: ApiRateConfig) -> dict[str, str]:
    """Where each setting comes from: `preset`, or the variable of the environment that changed it."""
    from limiter.config_file import read_config_file
    from limiter.presets import API_RATE_CONFIGS

    preset = API_RATE_CONFIGS.get(config.name)
    in_file = read_config_file(os.environ.get("AIMD_CONFIG", ""), API_RATE_CONFIGS)[config.name]

    def source(name: str) -> str:
        if getattr(config, name) != getattr(in_file, name):
            return f"AIMD_{config.name.upper().replace('-', '_')}_BASE_URL"
        return "preset" if getattr(in_file, name) == getattr(preset, name, None) else "AIMD_CONFIG"

    return {field.name: source(field.name) for field in fields(config)}


def _overview(described: list[dict[str, Any]]) -> Table:
    shown = ("name", "base_url", "initial_rate", "max_rate", "documented_limit_desc")
    rows = [[config[name] for name in shown] for config in described]
    return table(("name", "base_url", "initial", "max", "documented limit"), rows, gives="documented limit")


def _settings(described: dict[str, Any]) -> Table:
    rows = [(name, _text(value), described["sources"][name]) for name, value in described.items() if name != "sources"]
    return table(("setting", "value", "from"), rows, gives="value")


def _text(value: object) -> str | None:
    if isinstance(value, tuple | list):
        return "; ".join(filter(None, map(_text, value))) or None
    if isinstance(value, dict):
        said = {name: each for name, each in value.items() if each not in (None, "", (), False, 0.0)}
        return ", ".join(f"{name}: {_text(each)}" for name, each in said.items()) or None
    return f"{value:.6g}" if isinstance(value, float) else str(value) or None
