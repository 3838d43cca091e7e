"""One line to a client that paces itself, learns, and remembers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Protocol, runtime_checkable

import httpx

from limiter.bounds import Bounds
from limiter.config import ApiRateConfig
from limiter.hooks import Hook
from limiter.limiter import Limiter
from limiter.presets import api_config
from limiter.redaction import leave_credentials_behind
from limiter.replies import THROTTLED
from limiter.transport import AimdTransport, AsyncAimdTransport
from state.records import Bucket
from state.store import Store, shared_store


@runtime_checkable
class ClientAuth(Protocol):
    """An `auth` that needs what its client has: the store, the bounds, a way to wait, the client to send with."""

    def of_client(self, client: AimdClient | AsyncAimdClient, bounds: Bounds, sleep: Callable[[float], Any]) -> Any:
        """The `auth` of one client.

        Args:
            client: Its sends go the same way as all others; those of the auth itself need `auth=None`.
            bounds: Of the client's requests.
            sleep: How the client waits, seconds; to be awaited in an async client.
        """
        ...


class AimdClient(httpx.Client):
    """An `httpx.Client` whose requests to its API go through the limiter; everything else is httpx's.

    Made by `make_client_for`. Proxies, `verify`, `cert`, `http2`, `limits`, `transport` and `mounts` work as with
    `httpx.Client`: every transport httpx would have used is wrapped, none replaced.
    """

    limiter: Limiter

    def __init__(
        self,
        limiter: Limiter,
        bounds: Bounds | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        **httpx_kwargs: Any,
    ) -> None:
        self.limiter = limiter
        self._bounds, self._sleep = bounds or Bounds(), sleep
        if mounts := httpx_kwargs.get("mounts"):
            httpx_kwargs["mounts"] = {key: inner and self._wrap(inner) for key, inner in mounts.items()}
        super().__init__(**_with_preset(limiter.config, httpx_kwargs))
        if isinstance(self.auth, ClientAuth):
            self.auth = self.auth.of_client(self, self._bounds, sleep)

    def _wrap(self, inner: httpx.BaseTransport) -> httpx.BaseTransport:
        return AimdTransport(inner, self.limiter, self._bounds, sleep=self._sleep)

    # A client given a ready transport ignores the environment's proxies and the TLS options, so the wrapping happens
    # where httpx makes its own.
    def _init_transport(self, *args: Any, **kwargs: Any) -> httpx.BaseTransport:
        return self._wrap(super()._init_transport(*args, **kwargs))

    def _init_proxy_transport(self, *args: Any, **kwargs: Any) -> httpx.BaseTransport:
        return self._wrap(super()._init_proxy_transport(*args, **kwargs))

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """See `httpx.Client.send`; an error leaves behind what authorized its request."""
        self._bounds.begin(request)
        try:
            return super().send(request, **options)
        except httpx.HTTPError as error:
            leave_credentials_behind(error)
            raise

    def __repr__(self) -> str:
        return f"AimdClient({str(self.limiter.bucket)!r})"


class AsyncAimdClient(httpx.AsyncClient):
    """As `AimdClient`, for asyncio; made by `make_async_client_for`."""

    limiter: Limiter

    def __init__(
        self,
        limiter: Limiter,
        bounds: Bounds | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        **httpx_kwargs: Any,
    ) -> None:
        self.limiter = limiter
        self._bounds, self._sleep = bounds or Bounds(), sleep
        if mounts := httpx_kwargs.get("mounts"):
            httpx_kwargs["mounts"] = {key: inner and self._wrap(inner) for key, inner in mounts.items()}
        super().__init__(**_with_preset(limiter.config, httpx_kwargs))
        if isinstance(self.auth, ClientAuth):
            self.auth = self.auth.of_client(self, self._bounds, sleep)

    def _wrap(self, inner: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
        return AsyncAimdTransport(inner, self.limiter, self._bounds, sleep=self._sleep)

    def _init_transport(self, *args: Any, **kwargs: Any) -> httpx.AsyncBaseTransport:
        return self._wrap(super()._init_transport(*args, **kwargs))

    def _init_proxy_transport(self, *args: Any, **kwargs: Any) -> httpx.AsyncBaseTransport:
        return self._wrap(super()._init_proxy_transport(*args, **kwargs))

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """See `httpx.AsyncClient.send`; an error leaves behind what authorized its request."""
        self._bounds.begin(request)
        try:
            return await super().send(request, **options)
        except httpx.HTTPError as error:
            leave_credentials_behind(error)
            raise

    def __repr__(self) -> str:
        return f"AsyncAimdClient({str(self.limiter.bucket)!r})"


def make_client_for(
    name: str,
    *,
    tenant: str = "default",
    quota_key: str | None = None,
    store: Store | None = None,
    base_url: str | None = None,
    max_retries: int = 20,
    backoff_status_codes: Collection[int] = THROTTLED,
    max_wait: float | None = None,
    deadline: float | None = None,
    hooks: Iterable[Hook] = (),
    **httpx_kwargs: Any,
) -> AimdClient:
    """A client for an API by name.

    Args:
        name: A preset (`notion`, `vanta`, `fieldguide`, `github`, `slack`, `airtable`, `openai`, `zapier`), or a name
            from `AIMD_CONFIG` or `API_RATE_CONFIGS`.
        tenant: On whose behalf.
        quota_key: Whose quota; by default the tenant's. Two tenants with one token share one quota.
        store: Where to remember; by default the database of `AIMD_DATABASE_URL`.
        base_url: Another address than the preset's.
        max_retries: Sends again after throttled replies.
        backoff_status_codes: What counts as throttled, besides 429 and 529, which always do, and what the vendor's own
            rules say.
        max_wait: Seconds a request and its redirects may wait in all before `WaitTooLong`; None for as long as it
            takes. A single request may have less: `extensions={"max_wait": 5.0}`.
        deadline: Seconds a request may take in all, sends and retries included, until its reply begins; None for as
            long as it takes. `extensions={"deadline": 10.0}` for a single one.
        hooks: Hear of every change of the limiter that this client's requests bring; see `limiter.hooks`.
        **httpx_kwargs: As for `httpx.Client`: `headers`, `auth`, `timeout`, `verify`, `proxy`, `transport`, ...

    Returns:
        An `httpx.Client` with `.limiter`.

    Raises:
        UnknownApi: No such name; the message lists those there are.
        ConfigurationError: A value cannot work.
        StateError: The database cannot be used.

    Example:
        >>> import httpx
        >>> from state import open_store
        >>> vendor = httpx.MockTransport(lambda request: httpx.Response(200, json={"results": []}))
        >>> with make_client_for("notion", store=open_store("memory://"), transport=vendor) as client:
        ...     client.get("/users").json()
        {'results': []}
    """
    return make_client_from_config(
        api_config(name),
        tenant=tenant,
        quota_key=quota_key,
        store=store,
        base_url=base_url,
        max_retries=max_retries,
        backoff_status_codes=backoff_status_codes,
        max_wait=max_wait,
        deadline=deadline,
        hooks=hooks,
        **httpx_kwargs,
    )


def make_client_from_config(
    config: ApiRateConfig,
    *,
    tenant: str = "default",
    quota_key: str | None = None,
    store: Store | None = None,
    base_url: str | None = None,
    max_retries: int = 20,
    backoff_status_codes: Collection[int] = THROTTLED,
    max_wait: float | None = None,
    deadline: float | None = None,
    hooks: Iterable[Hook] = (),
    **httpx_kwargs: Any,
) -> AimdClient:
    """A client for an API that is described in code; see `make_client_for`."""
    limiter = _limiter(config, tenant, quota_key, store, base_url, hooks)
    return AimdClient(limiter, Bounds(max_retries, max_wait, backoff_status_codes, deadline), **httpx_kwargs)


def make_async_client_for(
    name: str,
    *,
    tenant: str = "default",
    quota_key: str | None = None,
    store: Store | None = None,
    base_url: str | None = None,
    max_retries: int = 20,
    backoff_status_codes: Collection[int] = THROTTLED,
    max_wait: float | None = None,
    deadline: float | None = None,
    hooks: Iterable[Hook] = (),
    **httpx_kwargs: Any,
) -> AsyncAimdClient:
    """As `make_client_for`, an `httpx.AsyncClient`."""
    limiter = _limiter(api_config(name), tenant, quota_key, store, base_url, hooks)
    return AsyncAimdClient(limiter, Bounds(max_retries, max_wait, backoff_status_codes, deadline), **httpx_kwargs)


def _limiter(
    config: ApiRateConfig,
    tenant: str,
    quota_key: str | None,
    store: Store | None,
    base_url: str | None,
    hooks: Iterable[Hook],
) -> Limiter:
    if base_url is not None:
        config = config.with_changes({"base_url": base_url})
    bucket = Bucket(config.name, quota_key=quota_key or tenant)
    return Limiter(config, bucket, shared_store() if store is None else store, tenant=tenant, hooks=hooks)


def _with_preset(config: ApiRateConfig, httpx_kwargs: dict[str, Any]) -> dict[str, Any]:
    headers = httpx.Headers(dict(config.headers))
    headers.update(httpx_kwargs.pop("headers", None))
    return {"base_url": config.base_url, "headers": headers, **httpx_kwargs}
