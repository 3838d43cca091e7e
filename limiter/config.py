"""What is known of an API before the first request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from limiter.breaker_config import CircuitBreakerConfig
from limiter.checks import are_texts, is_header_name, is_header_value, is_number, is_whole, refuse_unknown
from limiter.errors import ConfigurationError
from limiter.rate_headers import RateHeaders
from limiter.scopes import Scope


@dataclass(frozen=True, slots=True)
class ApiRateConfig:
    """An API's address and the bounds within which its rate is learned.

    Attributes:
        name: What the API is called here; also the first part of its buckets.
        base_url: Absolute http(s) address. Only this origin is paced, teaches, and gets credentials.
        initial_rate: Requests per second before anything is known.
        min_rate: Floor, requests per second.
        max_rate: Hard cap, requests per second; never exceeded.
        increase_step: Largest single additive increase, requests per second.
        decrease_factor: What an expected throttle leaves of the rate, between 0 and 1.
        documented_limit_desc: What the vendor documents, for people.
        documented_rate: The same as a rate, requests per second, where it can be said; 0.0 where not. Shown, not used.
        burst: Requests that may go at once after a pause.
        max_concurrency: Requests in flight at a time, in one process; 0 for as many as the vendor takes. A cap below it
            is learned.
        max_cooldown: Longest wait a vendor may ask for, seconds; what is longer counts as malformed.
        breaker: When to stop asking an API that answers with faults only; None for never. See `limiter.breaker`.
        headers: Sent with every request; never credentials.
        dialect: Whose rules read the replies; by default `name`.
        scopes: Its limits besides the main one, the most general first; see `limiter.scopes`.
        words: How the vendor names the main limit when it refuses.
        rate_headers: How it tells what is left; by default, in each form known. See `limiter.rate_headers`.

    Raises:
        ConfigurationError: A value cannot work.

    Example:
        >>> ApiRateConfig("acme", "https://api.acme.test", initial_rate=1, min_rate=0.1, max_rate=5).burst
        1
    """

    name: str
    base_url: str
    initial_rate: float = 1.0
    min_rate: float = 0.05
    max_rate: float = 10.0
    increase_step: float = 0.1
    decrease_factor: float = 0.92
    documented_limit_desc: str = ""
    documented_rate: float = 0.0
    burst: int = 1
    max_concurrency: int = 0
    max_cooldown: float = 86_400.0
    breaker: CircuitBreakerConfig | None = field(default_factory=CircuitBreakerConfig)
    headers: Mapping[str, str] = field(default_factory=dict)
    dialect: str = ""
    scopes: tuple[Scope, ...] = ()
    words: tuple[str, ...] = ()
    rate_headers: RateHeaders = field(default_factory=RateHeaders)

    def __post_init__(self) -> None:
        def refuse(what: str) -> ConfigurationError:
            return ConfigurationError(f"API {self.name!r}: {what} Nothing was sent; correct the configuration.")

        if not isinstance(self.name, str) or not self.name or "/" in self.name:
            raise refuse("name must be a non-empty string without a slash.")
        if not _is_address(self.base_url):
            raise refuse(f"base_url must be an absolute http or https address, not {self.base_url!r}.")
        if httpx.URL(self.base_url).userinfo:
            # Not shown: the address goes into logs and into the evidence, a credential must not.
            raise refuse("base_url must not hold a user or password; send them as a header or with auth=.")
        for name in ("documented_limit_desc", "dialect"):
            if not isinstance(getattr(self, name), str):
                raise refuse(f"{name} must be text, not {getattr(self, name)!r}.")
        if not isinstance(self.headers, Mapping):
            raise refuse("headers must be a table of texts by name.")
        for name, value in self.headers.items():
            if not is_header_name(name):
                raise refuse(f"headers: {name!r} is no name of a header.")
            if not is_header_value(value):  # not shown: it may be a credential
                raise refuse(f"headers: the value of {name!r} must be ASCII text in one line, no blank at either end.")
        for name in ("initial_rate", "min_rate", "max_rate", "increase_step", "max_cooldown"):
            value = getattr(self, name)
            if not is_number(value) or not value > 0:
                raise refuse(f"{name} must be a finite number above 0, not {value!r}.")
        if not is_number(self.decrease_factor) or not 0 < self.decrease_factor < 1:
            raise refuse(f"decrease_factor must lie between 0 and 1, both excluded, not {self.decrease_factor!r}.")
        if not is_number(self.documented_rate) or self.documented_rate < 0:
            raise refuse(f"documented_rate must be a finite number of at least 0, not {self.documented_rate!r}.")
        if not is_whole(self.burst, least=1):
            raise refuse(f"burst must be a whole number of at least 1, not {self.burst!r}.")
        if not is_whole(self.max_concurrency, least=0):
            raise refuse(f"max_concurrency must be a whole number of at least 0, not {self.max_concurrency!r}.")
        if not are_texts(self.words):
            raise refuse(f"words must be a list of texts, not {self.words!r}.")
        if not isinstance(self.scopes, list | tuple):
            raise refuse(f"scopes must be a list of tables, not {self.scopes!r}.")
        if self.min_rate > self.max_rate:
            raise refuse(f"min_rate {self.min_rate:g} is above max_rate {self.max_rate:g}.")
        if not self.min_rate <= self.initial_rate <= self.max_rate:
            raise refuse(
                f"initial_rate {self.initial_rate:g} must lie between min_rate {self.min_rate:g} and max_rate "
                f"{self.max_rate:g}."
            )
        try:
            # From a file they come as tables and lists.
            object.__setattr__(self, "words", tuple(self.words))
            object.__setattr__(self, "breaker", CircuitBreakerConfig.of(self.breaker))
            object.__setattr__(self, "rate_headers", RateHeaders.of(self.rate_headers))
            object.__setattr__(self, "scopes", tuple(Scope.of(scope) for scope in self.scopes))
        except ConfigurationError as error:
            raise refuse(str(error)) from error

    def with_changes(self, changes: Mapping[str, Any]) -> ApiRateConfig:
        """The same API with some values changed.

        Raises:
            ConfigurationError: An unknown key, or a value that cannot work.
        """
        refuse_unknown(f"API {self.name!r}", changes, ApiRateConfig)
        return replace(self, **changes)


def _is_address(value: object) -> bool:
    try:
        url = httpx.URL(value) if isinstance(value, str) else None
        return url is not None and url.scheme in ("http", "https") and bool(url.host) and (url.port or 1) < 65_536
    except (httpx.InvalidURL, ValueError):  # the second of a host that is no IDNA, or of half a surrogate pair
        return False
