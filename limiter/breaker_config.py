"""When a circuit opens, and for how long; `limiter.breaker` says what that means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from limiter.checks import is_number, is_whole, refuse_unknown
from limiter.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class CircuitBreakerConfig:
    """When nobody asks an API any more that answers with faults only. `ApiRateConfig(breaker=None)` switches it off.

    Attributes:
        failure_threshold: Faults in a row that open the circuit; what was in flight together counts as one.
        open_interval: Seconds until one request may ask again.

    Raises:
        ConfigurationError: A value cannot work.

    Example:
        >>> from limiter import ApiRateConfig
        >>> ApiRateConfig("acme", "https://api.acme.test", breaker=CircuitBreakerConfig(open_interval=60)).breaker
        CircuitBreakerConfig(failure_threshold=5, open_interval=60)
    """

    failure_threshold: int = 5
    open_interval: float = 30.0

    def __post_init__(self) -> None:
        count, seconds = self.failure_threshold, self.open_interval
        if not is_whole(count, least=1):
            raise ConfigurationError(f"breaker: failure_threshold must be a whole number of at least 1, not {count!r}.")
        if not is_number(seconds) or seconds <= 0:
            raise ConfigurationError(f"breaker: open_interval must be a finite number above 0, not {seconds!r}.")

    @classmethod
    def of(cls, value: object) -> CircuitBreakerConfig | None:
        """From what a file can say: a table, or false for none.

        Raises:
            ConfigurationError: It is something else, or a value cannot work.

        Example:
            >>> CircuitBreakerConfig.of({"failure_threshold": 3}), CircuitBreakerConfig.of(False)
            (CircuitBreakerConfig(failure_threshold=3, open_interval=30.0), None)
        """
        if value is None or value is False:
            return None
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise ConfigurationError(f"breaker must be a table of settings, or false for none, not {value!r}.")
        refuse_unknown("breaker", value, cls)
        return cls(**value)
