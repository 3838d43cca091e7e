"""Overrides and new APIs from a TOML or JSON file: a table an API.

[notion]                      # a preset: only what differs
max_rate = 5.0
headers.X-Team = "audit"      # of a table, too: its other headers stay; a list is given as a whole

[acme]                        # a new API: base_url is needed, the rest has defaults
base_url = "https://api.acme.test"
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from limiter.breaker_config import CircuitBreakerConfig
from limiter.config import ApiRateConfig
from limiter.errors import ConfigurationError
from limiter.rate_headers import RateHeaders


def read_config_file(path: str, known: Mapping[str, ApiRateConfig]) -> dict[str, ApiRateConfig]:
    """The known APIs with a file's overrides and additions.

    Args:
        path: `.toml` or `.json`; an empty string means no file.
        known: What the file builds on.

    Raises:
        ConfigurationError: The file cannot be read, is not of that form, or holds a value that cannot work.
    """
    merged = dict(known)
    if not path:
        return merged
    for name, changes in _tables(Path(path)).items():
        if not isinstance(changes, dict):
            raise ConfigurationError(f"AIMD_CONFIG {path}: {name!r} must be a table of settings, not {changes!r}.")
        try:
            if changes.get("name", name) != name:
                raise ConfigurationError(f"API {name!r}: its name is that of the table, not {changes['name']!r}.")
            if name not in merged and "base_url" not in changes:
                raise ConfigurationError(f"API {name!r} is new and needs a base_url.")
            base = merged.get(name) or ApiRateConfig(name, changes["base_url"])
            merged[name] = base.with_changes({key: _over(getattr(base, key, None), changes[key]) for key in changes})
        except ConfigurationError as error:
            raise ConfigurationError(f"AIMD_CONFIG {path}: {error}") from error
    return merged


def _over(before: Any, value: object) -> object:
    """A table changes only the keys that it names; any other value takes the place of the one before."""
    if isinstance(before, RateHeaders | CircuitBreakerConfig):
        before = asdict(before)
    if not isinstance(before, Mapping) or not isinstance(value, Mapping):
        return value
    named = {key.lower() for key in value}  # the name of a header is the same in any case
    return {**{key: kept for key, kept in before.items() if key.lower() not in named}, **value}


def _tables(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
        tables = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(
            f"AIMD_CONFIG {path}: {error.strerror}. Correct the path, or unset AIMD_CONFIG."
        ) from error
    except (ValueError, RecursionError) as error:
        form = "JSON" if path.suffix.lower() == ".json" else "TOML"
        raise ConfigurationError(f"AIMD_CONFIG {path} is not valid {form}: {error}.") from error
    if not isinstance(tables, dict):
        raise ConfigurationError(f"AIMD_CONFIG {path} must hold a table an API.")
    return tables
