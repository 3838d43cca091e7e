"""The project's own algorithm, as the simulation drives it."""

from limiter import aimd
from limiter.aimd import Ticket
from limiter.config import ApiRateConfig

CONFIG = ApiRateConfig(
    "benchmark", "https://vendor.test", initial_rate=2.0, min_rate=0.05, max_rate=50.0, increase_step=0.1
)
"""Knows nothing of the limits: starts below all of them, and may go far above."""


class Core:
    """`limiter.aimd` with its state in a variable instead of a store."""

    def __init__(self, config: ApiRateConfig = CONFIG) -> None:
        self.config = config
        self.state = aimd.fresh(config, 0.0)

    def reserve(self, now: float, /, *, waited: bool) -> Ticket:
        """See `Algorithm`."""
        self.state, ticket = aimd.reserve(aimd.at_time(self.state, self.config, now), self.config, now, waited=waited)
        return ticket

    def is_void(self, ticket: Ticket, /) -> bool:
        """See `Algorithm`."""
        return aimd.is_void(self.state, ticket)

    def succeeded(self, now: float, ticket: Ticket, /) -> None:
        """See `Algorithm`."""
        self.state = aimd.succeeded(aimd.at_time(self.state, self.config, now), self.config, now, ticket)

    def throttled(self, now: float, ticket: Ticket, retry_after: float | None, /) -> None:
        """See `Algorithm`."""
        self.state = aimd.throttled(aimd.at_time(self.state, self.config, now), self.config, now, ticket, retry_after)
