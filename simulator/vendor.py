"""What the gate and the control endpoints ask of a vendor: the one part that differs from API to API."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp

from simulator.verdict import Policy

RetryAfter = Literal["seconds", "date", "none", "exact"]
T = TypeVar("T")


class Bucket(NamedTuple):
    """What a limit is counted for.

    Attributes:
        family: Which limit; names the spec.
        key: Whose: a base, a method; each has a limit of its own.
    """

    family: str
    key: str = ""

    def __str__(self) -> str:
        """Return `family` or `family:key`, as the stats show it."""
        return f"{self.family}:{self.key}" if self.key else self.family


PolicyOf = Callable[[Bucket], Policy]
"""Gives the policy of a bucket."""


class Data(Protocol):
    """The data behind an API, as the control endpoints change it. Every method may be called from any thread."""

    version: int
    """Grows with every change."""

    def ids(self, kind: str) -> list[str]:
        """Return the ids of a kind, of what has not been removed."""
        ...

    def overview(self) -> dict[str, Any]:
        """Return what there is, as `GET /_world` answers: counts and ids per kind, and what belongs to what."""
        ...

    def change(self, id: str, fields: Mapping[str, Any], now: float) -> str:
        """Edit a record and return its new title; `KeyError` if there is none, `ValueError` for bad fields."""
        ...

    def remove(self, id: str, now: float | None = None) -> None:
        """Remove a record at a time (epoch seconds); `KeyError` if there is none."""
        ...

    def add(self, kind: str, fields: Mapping[str, Any], now: float) -> str:
        """Add a record and return its id; `KeyError` for an unknown parent, `ValueError` for bad fields."""
        ...


class Vendor(ABC):
    """Base of the vendors. What is here is what most of them do.

    Attributes:
        name: As in `Simulator(api=...)`.
        title: As people write it.
        prefix: Path of the base URL.
        retry_after: How it says how long to wait, if the simulator is not told.
        documented: Its documented limits by family of buckets. The policy `documented` sets those; any other policy
            takes the place of all of them but those named in `extra`.
        extra: Families that only the policy `documented` or the argument `limits` limits: a month's quota, say.
        always: Limits that hold whatever the policy is, unless the argument `limits` says otherwise.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    prefix: ClassVar[str] = ""
    retry_after: ClassVar[RetryAfter] = "seconds"
    documented: ClassVar[Mapping[str, str]] = {}
    extra: ClassVar[frozenset[str]] = frozenset()
    always: ClassVar[Mapping[str, str]] = {}

    data: Data
    app: ASGIApp

    @classmethod
    @abstractmethod
    def from_seed(cls, seed: int, world: Data | None = None) -> "Vendor":
        """Make one with its default options.

        Args:
            seed: Decides the data, if there is no world.
            world: The data; None for a small world made from the seed.

        Raises:
            ValueError: If the world is another vendor's.
        """

    def variables(self, url: str, token: str) -> dict[str, str]:
        """Return the environment variables with which `aimd` finds this vendor and is let in.

        Args:
            url: Where the simulator listens.
            token: A token that is accepted.
        """
        name = self.name.upper()
        return {f"{name}_TOKEN": token, f"AIMD_{name}_BASE_URL": url + self.prefix}

    def attach(self, policy_of: PolicyOf) -> None:  # noqa: B027 - most have nothing to learn
        """Learn how to look at the limits, for a vendor that tells how full they are."""

    def owns(self, path: str) -> bool:
        """Whether a path is the vendor's; the others are control endpoints."""
        return not path.startswith("/_")

    def authorize(self, request: Request, token: str | None) -> Response | None:
        """Return the answer to a request that is not let in, or None.

        Args:
            request: Headers and path; the body is not read.
            token: The secret that is accepted; None accepts any that is not empty.
        """
        given = bearer(request)
        return None if given and token in (None, given) else self.unauthorized(request)

    @abstractmethod
    def unauthorized(self, request: Request) -> Response:
        """Return the answer to a wrong token."""

    @abstractmethod
    def forbidden(self, request: Request) -> Response:
        """Return the answer to a token that may not do what it asks for."""

    @abstractmethod
    def buckets(self, request: Request) -> tuple[Bucket, ...]:
        """Return the limits that a request counts for; the first that is reached refuses it."""

    @abstractmethod
    def rejected(self, request: Request, bucket: Bucket, retry_after: str | None) -> Response:
        """Return the answer to a request that is over a limit.

        Args:
            request: The request.
            bucket: The limit.
            retry_after: What the header says; None for no header.
        """

    def until(self, request: Request, answer: Response, now: float) -> float | None:
        """Return the moment until which a refusal tells to wait, in epoch seconds; None if it does not tell.

        Args:
            request: What was asked.
            answer: The refusal; its `Retry-After` is in seconds or an HTTP-date.
            now: Epoch seconds.
        """
        told = answer.headers.get("retry-after")
        if told is None:
            return None
        return parsedate_to_datetime(told).timestamp() if told.endswith("GMT") else now + float(told)

    @abstractmethod
    def failed(self, request: Request, status: int) -> Response:
        """Return the answer of a vendor that is broken: 500, 503 or 529."""

    @abstractmethod
    def blocked(self) -> Response:
        """Return a 429 that no waiting ends; where the vendor has none, one without any advice."""

    @abstractmethod
    def expired(self, request: Request) -> Response:
        """Return the answer to a cursor that was good a while ago."""

    @abstractmethod
    def empty(self) -> Response:
        """Return a 200 without the field that the records are in."""

    def page_of_html(self) -> Response:
        """Return a 200 that is not JSON."""
        return HTMLResponse(f"<!DOCTYPE html><title>{self.title}</title><h1>We will be right back</h1>")

    def counts(self) -> dict[str, Any]:
        """Return what only this vendor counts, for the stats."""
        return {}

    def stamp(self, request: Request, status: int) -> Mapping[str, str]:
        """Return headers that are on every answer, also a refusal. Called once for each, before it is sent."""
        return {}


def of_type(wanted: type[T], world: Data | None) -> T | None:
    """Return the world if it is of that type, None if there is none; else raise `ValueError`."""
    if world is None or isinstance(world, wanted):
        return world
    raise ValueError(f"the world must be a {wanted.__name__}, not a {type(world).__name__}")


def bearer(request: Request) -> str:
    """Return the bearer token of a request; empty if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
