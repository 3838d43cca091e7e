"""How fast may we ask?  httpx clients that learn each vendor's real limit, and remember it.

Example:
    >>> import httpx
    >>> from state import open_store
    >>> vendor = httpx.MockTransport(lambda request: httpx.Response(200, text="hello"))
    >>> with make_client_for("notion", store=open_store("memory://"), transport=vendor) as client:
    ...     client.get("/users").text, client.limiter.snapshot()["current_rate"]
    ('hello', 2.0)
"""

from limiter.bounds import Bounds
from limiter.breaker_config import CircuitBreakerConfig
from limiter.client import (
    AimdClient,
    AsyncAimdClient,
    make_async_client_for,
    make_client_for,
    make_client_from_config,
)
from limiter.config import ApiRateConfig
from limiter.errors import (
    AimdError,
    CircuitOpen,
    ConfigurationError,
    Terminal,
    Throttled,
    TryLater,
    UnknownApi,
    VendorError,
    WaitTooLong,
)
from limiter.hooks import Hook, LimiterEvent
from limiter.limiter import Limiter
from limiter.presets import API_RATE_CONFIGS, api_config
from limiter.rate_headers import RateHeaders
from limiter.scopes import Scope
from limiter.transport import AimdTransport, AsyncAimdTransport

DISTRIBUTION = "prefect-aimd"
"""Another distribution owns the import name `limiter` too; `flows` checks that this is the right one."""

__all__ = [
    "make_client_for",
    "make_async_client_for",
    "make_client_from_config",
    "AimdClient",
    "AsyncAimdClient",
    "AimdTransport",
    "AsyncAimdTransport",
    "Bounds",
    "Limiter",
    "Hook",
    "LimiterEvent",
    "ApiRateConfig",
    "Scope",
    "RateHeaders",
    "CircuitBreakerConfig",
    "API_RATE_CONFIGS",
    "api_config",
    "AimdError",
    "ConfigurationError",
    "UnknownApi",
    "VendorError",
    "TryLater",
    "WaitTooLong",
    "Throttled",
    "CircuitOpen",
    "Terminal",
]
