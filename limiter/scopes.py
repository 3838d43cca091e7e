"""The limits of an API besides its main one: on some paths or methods, or named by the vendor when it refuses. Pure.

Example:
    >>> from limiter.presets import api_config
    >>> [each.name for each in limits_of(api_config("airtable"), "GET", "/appA/tblB")]
    ['user', 'base-appA']
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from limiter.checks import are_texts, is_number, is_whole, refuse_unknown
from limiter.errors import ConfigurationError

if TYPE_CHECKING:
    from limiter.config import ApiRateConfig

_RATES = ("initial_rate", "min_rate", "max_rate", "increase_step", "burst")
DEFAULT = "default"
"""The bucket of what no scope takes for itself."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A limit on a part of an API, with a bucket of its own.

    Attributes:
        name: Of the bucket; what a `{place}` of the path stands for goes in: one bucket each.
        path: Which paths below the base URL: `{place}` is one segment or a part of it, `*` the rest; `""` for all.
        methods: Which HTTP methods; none for all.
        beside: Whether the main limit counts for these requests, too. Otherwise this one takes its place.
        words: How the vendor names this limit when it refuses.
        when_named: It counts only once the vendor has named it: for a limit that most never meet.
        secret: Whether the path is one; then the bucket's name has a fingerprint of each `{place}`.
        initial_rate: Requests per second; where one is None, the API's own value counts.
        min_rate: Requests per second.
        max_rate: Requests per second.
        increase_step: Requests per second.
        burst: Requests that may go at once after a pause.
        documented_limit_desc: What the vendor documents, for people.
        documented_rate: The same, requests per second; 0.0 where it cannot be said.

    Raises:
        ConfigurationError: A value cannot work.
    """

    name: str
    path: str = ""
    methods: tuple[str, ...] = ()
    beside: bool = False
    words: tuple[str, ...] = ()
    when_named: bool = False
    secret: bool = False
    initial_rate: float | None = None
    min_rate: float | None = None
    max_rate: float | None = None
    increase_step: float | None = None
    burst: int | None = None
    documented_limit_desc: str = ""
    documented_rate: float = 0.0

    def __post_init__(self) -> None:
        def refuse(what: str) -> ConfigurationError:
            return ConfigurationError(f"scope {self.name!r}: {what}.")

        for name in ("name", "path", "documented_limit_desc"):
            if not isinstance(getattr(self, name), str):
                raise refuse(f"{name} must be text, not {getattr(self, name)!r}")
        if not self.name or "/" in self.name or self.name == DEFAULT:
            raise refuse(f"its name must be text without a slash, and not {DEFAULT!r}")
        for name in ("methods", "words"):
            value = getattr(self, name)
            if not are_texts(value):
                raise refuse(f"{name} must be a list of texts, not {value!r}")
            object.__setattr__(self, name, tuple(value))  # a file gives lists
        object.__setattr__(self, "methods", tuple(method.upper() for method in self.methods))
        for name in ("beside", "when_named", "secret"):
            if not isinstance(getattr(self, name), bool):
                raise refuse(f"{name} must be true or false, not {getattr(self, name)!r}")
        for name in _RATES:
            rate = getattr(self, name)
            if rate is not None and not (is_number(rate) and rate > 0):
                raise refuse(f"{name} must be a finite number above 0, not {rate!r}")
        if self.burst is not None and not is_whole(self.burst, least=1):
            raise refuse(f"burst must be a whole number of at least 1, not {self.burst!r}")
        if not is_number(self.documented_rate) or self.documented_rate < 0:
            raise refuse(f"documented_rate must be a finite number of at least 0, not {self.documented_rate!r}")
        places = _PLACE.findall(self.path)
        if unknown := sorted(set(_PLACE.findall(self.name)) - set(places)):
            raise refuse(f"its path has no {{{unknown[0]}}}")
        if len(set(places)) < len(places):
            raise refuse(f"its path {self.path!r} has a {{place}} twice")

    @classmethod
    def of(cls, settings: Scope | Mapping[str, Any]) -> Scope:
        """A scope as a configuration file has it, a table.

        Raises:
            ConfigurationError: An unknown key, or a value that cannot work.
        """
        if isinstance(settings, Scope):
            return settings
        if not isinstance(settings, Mapping) or "name" not in settings:
            raise ConfigurationError(f"a scope is a table with a name, not {settings!r}.")
        refuse_unknown(f"scope {settings['name']!r}", settings, cls)
        return cls(**settings)

    def config_of(self, api: ApiRateConfig) -> ApiRateConfig:
        """The API with the rates of this limit, each brought within its bounds."""
        rates = {name: getattr(self, name) for name in _RATES if getattr(self, name) is not None}
        most = rates.get("max_rate", api.max_rate)
        rates["min_rate"] = min(rates.get("min_rate", api.min_rate), most)
        rates["initial_rate"] = max(rates["min_rate"], min(rates.get("initial_rate", api.initial_rate), most))
        return replace(
            api,
            **rates,
            scopes=(),
            documented_limit_desc=self.documented_limit_desc or api.documented_limit_desc,
            documented_rate=self.documented_rate,
        )


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit that a request has to do with.

    Attributes:
        name: The bucket's scope.
        scope: Where it is declared; None for the main limit.
    """

    name: str
    scope: Scope | None = None


MAIN = (Limit(DEFAULT),)


def limits_of(config: ApiRateConfig, method: str, path: str) -> tuple[Limit, ...]:
    """The limits that a request has to pass, the most general first.

    Args:
        config: The API.
        method: HTTP method.
        path: Below the base URL.
    """
    if not config.scopes:
        return MAIN
    found = []
    alone = False
    for scope in config.scopes:
        if scope.methods and method.upper() not in scope.methods:
            continue
        found_at = _pattern(scope.path).fullmatch(path.rstrip("/"))
        if found_at is None:
            continue
        places = dict(zip(_PLACE.findall(scope.path), found_at.groups(), strict=True))
        alone = alone or not (scope.beside or scope.when_named)
        found.append(Limit(_PLACE.sub(lambda place: _written(scope, places[place[1]]), scope.name), scope))  # noqa: B023
    return tuple(found) if alone else (*MAIN, *found)


def named(limits: tuple[Limit, ...], config: ApiRateConfig, word: str) -> Limit:
    """The limit that a refusal belongs to: the one the vendor names, or else the most specific that always counts."""
    if word:
        for limit in limits:
            if word in (limit.scope.words if limit.scope else config.words):
                return limit
    return [limit for limit in limits if limit.scope is None or not limit.scope.when_named][-1]


def config_for(config: ApiRateConfig, name: str) -> ApiRateConfig:
    """The configuration of one of an API's buckets.

    Args:
        config: The API.
        name: Of the bucket's scope.

    Example:
        >>> from limiter.presets import api_config
        >>> config_for(api_config("airtable"), "user").max_rate
        50.0
    """
    if name == DEFAULT:
        return config  # though a scope may be called after any word, as Slack's are
    for scope in config.scopes:
        if _pattern(scope.name).fullmatch(name):
            return scope.config_of(config)
    return config


_PLACE = re.compile(r"\{(\w+)\}")


@functools.lru_cache(maxsize=256)
def _pattern(path: str) -> re.Pattern[str]:
    if not path:
        return re.compile(".*", re.DOTALL)
    parts = re.split(r"(\{\w+\}|\*)", path)
    return re.compile("".join(_part(part) for part in parts), re.DOTALL)


def _part(part: str) -> str:
    if part == "*":
        return ".*"
    return "([^/]+)" if _PLACE.fullmatch(part) else re.escape(part)


def _written(scope: Scope, value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:12] if scope.secret else value
