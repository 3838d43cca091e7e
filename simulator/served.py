"""Base of the vendors whose data are a `Dataset`: routes, listings, and refusals raised where they are found."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Self

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator.dataset import Dataset
from simulator.item import Item, Kind
from simulator.paging import Shelf
from simulator.vendor import Data, Vendor, of_type


class Refused(Exception):
    """A request that the vendor answers with an error.

    Attributes:
        response: The answer.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(f"refused with {response.status_code}")
        self.response = response


class Served(Vendor):
    """A vendor over a `Dataset`.

    Attributes:
        kinds: What it has; a parent's kind before its children's.
        counts_by_default: How many of each there are in a small world.

    Args:
        data: The data, as `world` makes them.
    """

    kinds: ClassVar[Sequence[Kind]]
    counts_by_default: ClassVar[Mapping[str, int]]

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self.records = data
        self.shelf = Shelf(data)
        self.app = Starlette(
            routes=self.routes(),
            exception_handlers={Refused: _on_refused, HTTPException: self._on_unknown_route},
        )
        # A redirect to the path without its last slash would be an answer that no API gives.
        self.app.router.redirect_slashes = False

    @classmethod
    def world(cls, seed: int = 0, **counts: int) -> Dataset:
        """Make data.

        Args:
            seed: Decides everything.
            counts: How many of a kind; of children, for each parent.

        Raises:
            ValueError: If there is no such kind, or a count is out of range.
        """
        return Dataset(cls.kinds, {**cls.counts_by_default, **counts}, seed)

    @classmethod
    def from_seed(cls, seed: int, world: Data | None = None) -> Self:
        """See `Vendor.from_seed`."""
        data = of_type(Dataset, world)
        if data is not None and set(data.kinds) != {kind.name for kind in cls.kinds}:
            raise ValueError(f"the world is not one of {cls.title}: make it with make_world({cls.name!r})")
        return cls(data or cls.world(seed))

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """Return the endpoints."""

    @abstractmethod
    def not_found(self, request: Request) -> Response:
        """Return the answer for what does not exist."""

    def find(self, request: Request, kind: str, parameter: str = "id") -> Item:
        """Return the record that the path names, or refuse with the vendor's 404."""
        try:
            return self.records.get(kind, request.path_params[parameter])
        except KeyError:
            raise Refused(self.not_found(request)) from None

    def children(self, request: Request, kind: str, of: str) -> tuple[str, Sequence[Item]]:
        """Return the name and the records of a listing below the record that the path names."""
        parent = self.find(request, of)
        name = f"{kind} of {parent.id}"
        deleted = bool(self.records.kinds[kind].tombstone)  # those that leave one are listed with it
        return name, self.shelf.listing(name, lambda: self.records.records(kind, parent.id, deleted=deleted))

    def linked(self, request: Request, kind: str, field: str, of: str) -> tuple[str, Sequence[Item]]:
        """Return the name and the records of a listing of what the record in the path has a link to."""
        parent = self.find(request, of)

        def select() -> Iterable[Item]:
            wanted = set(parent.fields[field])
            return [item for item in self.records.records(kind) if item.id in wanted]

        name = f"{kind} in {field} of {parent.id}"
        return name, self.shelf.listing(name, select)

    def filtered(
        self, kind: str, query: Mapping[str, str], tests: Mapping[str, Callable[[Item, str], bool]]
    ) -> tuple[str, Sequence[Item]]:
        """Return the name and the records of a listing with those of the filters that the query has."""
        given = {name: query[name] for name in tests if query.get(name)}

        def select() -> Iterable[Item]:
            return [
                item
                for item in self.records.records(kind, deleted=bool(self.records.kinds[kind].tombstone))
                if all(tests[name](item, value) for name, value in given.items())
            ]

        name = f"{kind} {sorted(given.items())}"
        return name, self.shelf.listing(name, select)

    async def _on_unknown_route(self, request: Request, error: Exception) -> Response:
        return self.not_found(request)


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error.response
