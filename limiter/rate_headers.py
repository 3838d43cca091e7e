"""Reading what a vendor says is left of a quota, in every form it is sent in. Pure; malformed is as good as none.

- `RateLimit: "permin";r=20;t=23` with `RateLimit-Policy: "permin";q=50;w=60`, and `limit=50, remaining=20, reset=23` of
  an older draft. Source: IETF httpapi, draft-ietf-httpapi-ratelimit-headers; structured fields are RFC 9651.
- Three fields, with or without `X-`. Source: the first drafts; docs.github.com, whose reset is epoch seconds; OpenAI's
  API reference, whose names end in `-requests` and whose reset is a duration.

Example:
    >>> read(RateHeaders(), {"ratelimit": '"permin";r=20;t=23', "ratelimit-policy": '"permin";q=50;w=60'})
    Told(left=20.0, reset=23.0, epoch=False, quota=50.0, window=60.0, resource='')
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from limiter.checks import is_header_name, is_number, refuse_unknown
from limiter.errors import ConfigurationError
from limiter.retry_after import moment_of

_LIMIT = ("ratelimit-limit", "x-ratelimit-limit", "x-ratelimit-limit-requests", "x-rate-limit-limit")
_REMAINING = tuple(name.replace("limit-limit", "limit-remaining") for name in _LIMIT)
_RESET = tuple(name.replace("limit-limit", "limit-reset") for name in _LIMIT)


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """The names of a vendor's headers, in lower case; of several that are sent, the first counts.

    Attributes:
        limit: How many requests in all.
        remaining: How many are left.
        reset: When there will be all again: seconds, a duration such as `6m0s`, a date, or epoch (milli)seconds.
        resource: Which limit it is about.
        window: For how long the quota is, seconds, where the vendor does not say so in a header; 0.0 if unknown.
        ignored: Read none of them.

    Raises:
        ConfigurationError: A value cannot work.
    """

    limit: tuple[str, ...] = _LIMIT
    remaining: tuple[str, ...] = _REMAINING
    reset: tuple[str, ...] = _RESET
    resource: str = "x-ratelimit-resource"
    window: float = 0.0
    ignored: bool = False

    def __post_init__(self) -> None:
        for key in ("limit", "remaining", "reset"):
            given = getattr(self, key)
            names = (given,) if isinstance(given, str) else given  # a file may say one, or a list
            if not isinstance(names, list | tuple) or not all(map(is_header_name, names)):
                raise ConfigurationError(
                    f"rate_headers: {key} must be a header's name or a list of them, not {given!r}."
                )
            object.__setattr__(self, key, tuple(name.lower() for name in names))
        if self.resource != "" and not is_header_name(self.resource):
            raise ConfigurationError(f"rate_headers: resource must be a header's name, not {self.resource!r}.")
        object.__setattr__(self, "resource", self.resource.lower())
        if not is_number(self.window) or self.window < 0:
            raise ConfigurationError(
                f"rate_headers: window must be a finite number of at least 0, not {self.window!r}."
            )
        if not isinstance(self.ignored, bool):
            raise ConfigurationError(f"rate_headers: ignored must be true or false, not {self.ignored!r}.")

    @classmethod
    def of(cls, settings: RateHeaders | Mapping[str, Any]) -> RateHeaders:
        """The names as a configuration file has them: a table, with one name or a list of them.

        Raises:
            ConfigurationError: An unknown key, or a value that cannot work.
        """
        if isinstance(settings, RateHeaders):
            return settings
        if not isinstance(settings, Mapping):
            raise ConfigurationError(f"rate_headers must be a table of settings, not {settings!r}.")
        refuse_unknown("rate_headers", settings, cls)
        return cls(**settings)


@dataclass(frozen=True, slots=True)
class Told:
    """What a reply says of a quota.

    Attributes:
        left: Requests that may still be sent before the reset.
        reset: When that is: seconds from now, or `epoch` seconds.
        epoch: Which of the two.
        quota: Requests in all; 0.0 if not said.
        window: Seconds for which they are; 0.0 if not said.
        resource: The vendor's word for this limit; `""` if it has none.
    """

    left: float
    reset: float
    epoch: bool = False
    quota: float = 0.0
    window: float = 0.0
    resource: str = ""

    def until(self, now: float) -> float:
        """When the quota is whole again, epoch seconds."""
        return self.reset if self.epoch else now + self.reset


def read(names: RateHeaders, headers: Mapping[str, str]) -> Told | None:
    """What the headers of a reply say is left.

    Args:
        names: Of this vendor's headers.
        headers: With keys in lower case, or case-insensitive as httpx gives them.

    Returns:
        None where they say nothing, or nothing that can be read.
    """
    if names.ignored:
        return None
    if "ratelimit" in headers:
        return _structured(headers["ratelimit"], headers.get("ratelimit-policy", ""))
    remaining = _first(headers, names.remaining)
    if remaining is None:
        return None
    left, reset = _number(_single(remaining)), _reset(_single(_first(headers, names.reset) or ""))
    if left is None or reset is None:
        return None
    total, window = _with_window(_first(headers, names.limit) or "")
    return Told(left, *reset, total, window or names.window, headers.get(names.resource, ""))


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((headers[name] for name in names if name in headers), None)


def _single(text: str) -> str:
    """A header that came several times counts if it says the same each time."""
    parts = {part.strip() for part in text.split(",")} if text[:1].isdigit() else {text.strip()}
    return parts.pop() if len(parts) == 1 else ""


def _number(text: str) -> float | None:
    if not re.fullmatch(r"\d{1,15}(\.\d{0,9})?", text, re.ASCII):
        return None
    return float(text)


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_EPOCH, _MILLISECONDS = 1e9, 1e12


def _reset(text: str) -> tuple[float, bool] | None:
    """Seconds, and whether they are of the epoch. What is meant shows in the form."""
    number = _number(text)
    if number is not None:
        if number >= _EPOCH:
            return number / (1000.0 if number >= _MILLISECONDS else 1.0), True
        return number, False
    if text and _DURATION.sub("", text) == "":
        return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text)), False
    moment = moment_of(text) if text else None
    return None if moment is None else (moment, True)


def _with_window(text: str) -> tuple[float, float]:
    """The limit, and its window where a list of policies follows it: `100, 100;window=60, 10000;window=86400`."""
    total, *policies = (part.strip() for part in text.split(","))
    limit = _number(total.partition(";")[0]) or 0.0
    for policy in policies:
        quota, _, parameters = policy.partition(";")
        found = re.search(r"(?:window|w)=(\d{1,9})", parameters)
        if found and _number(quota.strip()) == limit:
            return limit, float(found[1])
    return limit, 0.0


def _structured(value: str, policy: str) -> Told | None:
    import http_sf  # late: few vendors send it, and it takes as long to import as the rest of this package

    def items(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for item in http_sf.parse(text.encode(), tltype="list"):  # type: ignore[union-attr]
            if isinstance(item, tuple) and isinstance(item[0], str) and isinstance(item[1], dict):
                yield item[0], item[1]

    try:
        if value.lstrip().startswith('"'):
            policies = dict(items(policy)) if policy else {}
            found = [_told({**policies.get(name, {}), **parameters}) for name, parameters in items(value)]
        else:
            named = http_sf.parse(value.encode(), tltype="dictionary")
            plain = {key: item[0] for key, item in named.items()}  # type: ignore[union-attr,index]
            found = [_told({"r": plain.get("remaining"), "t": plain.get("reset"), "q": plain.get("limit")})]
    except (ValueError, TypeError, IndexError, AttributeError):  # among them what the parser raises
        return None
    # Of several quotas, the one that binds first.
    return min((told for told in found if told), key=lambda told: told.left / max(1.0, told.reset), default=None)


def _told(parameters: Mapping[str, Any]) -> Told | None:
    left, reset, quota, window = (_plain(parameters.get(name)) for name in "rtqw")
    reset = window if reset is None else reset
    if left is None or reset is None:
        return None
    return Told(left, reset, quota=quota or 0.0, window=window or 0.0)


def _plain(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None
