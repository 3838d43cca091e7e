"""GitHub's endpoints. Listings are arrays; the `link` header leads on, by page numbers or by cursors.

The audit log of before the last three months is listed only if its `phrase` asks for it, as docs.github.com says;
"now" is the time of the newest entry, so that the same seed gives the same listing on any day.
"""

import operator
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simulator.draw import DAY, epoch
from simulator.item import Fields, Item
from simulator.paging import Key, after, newest_first, numbered, oldest_first, read_cursor, whole_number, write_cursor
from simulator.served import Refused
from simulator.vendors.github.world import ORGANIZATION

if TYPE_CHECKING:
    from simulator.vendors.github.vendor import GitHub

Handler = Callable[[Request], Awaitable[Response]]
_COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "": operator.eq}
_RETENTION = 90 * DAY


def refusal(status: int, message: str, url: str = "https://docs.github.com/rest") -> Response:
    """Return an error in GitHub's shape."""
    return JSONResponse({"message": message, "documentation_url": url, "status": str(status)}, status)


class Endpoints:
    """The handlers.

    Args:
        vendor: Whose they are.
        owner: Whether the token is an owner's.
    """

    def __init__(self, vendor: "GitHub", owner: bool) -> None:
        self._vendor = vendor
        self._owner = owner

    def by_path(self) -> Iterator[tuple[str, Handler]]:
        """Yield paths and handlers."""
        yield "/orgs/{org}/members", self._people("members")
        yield "/orgs/{org}/outside_collaborators", self._people("outside_collaborators")
        yield "/orgs/{org}/repos", self._simple("repos")
        yield "/orgs/{org}/rulesets", self._simple("rulesets")
        yield "/orgs/{org}/audit-log", self._audit_log
        yield "/orgs/{org}/dependabot/alerts", self._alerts
        yield "/repos/{org}/{repo}", self._repository
        yield "/repos/{org}/{repo}/branches/{branch:path}/protection", self._protection
        yield "/repos/{org}/{repo}/rules/branches/{branch:path}", self._rules

    def _people(self, kind: str) -> Handler:
        async def endpoint(request: Request) -> Response:
            query = request.query_params
            wanted, role = query.get("filter", "all"), query.get("role", "all")
            if wanted not in ("all", "2fa_disabled", "2fa_insecure") or role not in ("all", "admin", "member"):
                raise Refused(refusal(422, "Validation Failed"))
            if wanted != "all" and not self._owner:
                raise Refused(refusal(422, "Only owners may use this filter."))
            factor = wanted.removeprefix("2fa_")
            items = self._all(request, kind, f"{wanted} {role}", lambda item: (
                (wanted == "all" or item.fields["_2fa"] == factor) and role in ("all", item.fields["_role"])
            ))  # fmt: skip
            return self._numbered(request, items)

        return endpoint

    def _simple(self, kind: str) -> Handler:
        async def endpoint(request: Request) -> Response:
            return self._numbered(request, self._all(request, kind))

        return endpoint

    async def _repository(self, request: Request) -> Response:
        return JSONResponse(self._repo(request).shown)

    async def _protection(self, request: Request) -> Response:
        found = self._vendor.records.records("branch_protections", self._branch(request).id)
        if not found:
            raise Refused(refusal(404, "Branch not protected"))
        return JSONResponse({"url": str(request.url), **found[0].shown})

    async def _rules(self, request: Request) -> Response:
        return self._numbered(request, self._vendor.records.records("branch_rules", self._branch(request).id))

    async def _audit_log(self, request: Request) -> Response:
        query = request.query_params
        phrase, include, order = query.get("phrase", ""), query.get("include", "web"), query.get("order", "desc")
        if include not in ("web", "git", "all") or order not in ("asc", "desc"):
            raise Refused(refusal(422, "Validation Failed"))
        matches = _phrase(phrase)
        newest = max((item.created for item in self._vendor.records.records("audit_log")), default=0.0)
        since = 0.0 if "created:" in phrase else newest - _RETENTION
        key = newest_first if order == "desc" else oldest_first
        items = self._all(request, "audit_log", f"{phrase} {include} {order}", lambda item: (
            item.created >= since
            and include in ("all", "git" if str(item.fields["action"]).startswith("git.") else "web")
            and matches(item)
        ), key)  # fmt: skip
        return self._by_cursor(request, f"audit_log {phrase} {include} {order}", items, key)

    async def _alerts(self, request: Request) -> Response:
        query = request.query_params
        field, direction = f"{query.get('sort', 'created')}_at", query.get("direction", "desc")
        if field not in ("created_at", "updated_at") or direction not in ("asc", "desc"):
            raise Refused(refusal(422, "Validation Failed"))
        sign = -1 if direction == "desc" else 1

        def key(item: Item) -> Key:
            return sign * epoch(str(item.fields[field])), sign * item.order

        chosen = {name: query[name].split(",") for name in ("state", "severity", "ecosystem") if query.get(name)}

        def matches(item: Item) -> bool:
            is_ = {
                "state": item.fields["state"],
                "severity": item.fields["security_advisory"]["severity"],
                "ecosystem": item.fields["dependency"]["package"]["ecosystem"],
            }
            return all(is_[name] in values for name, values in chosen.items())

        name = f"{field} {direction} {chosen}"
        items = self._all(request, "dependabot_alerts", name, matches, key)
        return self._by_cursor(request, f"dependabot_alerts {name}", items, key, self._alert)

    def _alert(self, item: Item) -> Fields:
        try:
            repository = self._vendor.records.get("repos", str(item.fields["_repository"])).shown
        except KeyError:  # it was removed
            return item.shown
        url = f"{repository['url']}/dependabot/alerts/{item.id}"
        shown = {name: repository[name] for name in ("id", "name", "full_name", "private")}
        return {**item.shown, "url": url, "repository": shown}

    def _all(
        self,
        request: Request,
        kind: str,
        name: str = "",
        matches: Callable[[Item], bool] = lambda _: True,
        key: Callable[[Item], Key] = oldest_first,
    ) -> Sequence[Item]:
        if request.path_params["org"] != ORGANIZATION:
            raise Refused(self._vendor.not_found(request))
        records = self._vendor.records
        select = lambda: [item for item in records.records(kind) if matches(item)]  # noqa: E731
        return self._vendor.shelf.listing(f"{kind} {name}", select, key)

    def _repo(self, request: Request) -> Item:
        full_name = f"{request.path_params['org']}/{request.path_params['repo']}"
        try:
            return self._vendor.records.named("repos", "full_name", full_name)
        except KeyError:
            raise Refused(self._vendor.not_found(request)) from None

    def _branch(self, request: Request) -> Item:
        repo = self._repo(request)
        if request.path_params["branch"] != repo.fields["default_branch"]:
            raise Refused(refusal(404, "Branch not found"))
        return repo

    def _numbered(self, request: Request, items: Sequence[Item]) -> Response:
        size, number = _size(request), _number(request, "page", 1)
        page = numbered(items, size, number)
        last = max(1, -(-len(items) // size))
        links: dict[str, dict[str, str]] = {}
        if not page.first:
            links |= {"first": {"page": "1"}, "prev": {"page": str(number - 1)}}
        if page.more:
            links |= {"next": {"page": str(number + 1)}, "last": {"page": str(last)}}
        return _with_links(request, [item.shown for item in page.items], links)

    def _by_cursor(
        self,
        request: Request,
        listing: str,
        items: Sequence[Item],
        key: Callable[[Item], Key],
        show: Callable[[Item], Fields] = lambda item: item.shown,
    ) -> Response:
        cursor = request.query_params.get("after")
        try:
            last = read_cursor(listing, cursor) if cursor else None
        except ValueError:
            raise Refused(self._vendor.expired(request)) from None
        page = after(items, _size(request), last, key)
        links = {"next": {"after": write_cursor(listing, key(page.items[-1]))}} if page.more else {}
        return _with_links(request, [show(item) for item in page.items], links)


def _with_links(request: Request, body: list[Fields], links: dict[str, dict[str, str]]) -> Response:
    response = JSONResponse(body)
    if links:
        # Without what the request said of its own place; with all of its filters.
        base = request.url.replace(query="")
        kept = {name: value for name, value in request.query_params.items() if name not in ("page", "after", "before")}
        parts = (f'<{base}?{urlencode({**kept, **place})}>; rel="{rel}"' for rel, place in links.items())
        response.headers["Link"] = ", ".join(parts)
    return response


def _size(request: Request) -> int:
    return min(100, max(1, _number(request, "per_page", 30)))


def _number(request: Request, name: str, default: int) -> int:
    try:
        return whole_number(request.query_params.get(name), default, 1, 10**9)
    except ValueError:
        return default  # GitHub does not complain


def _phrase(phrase: str) -> Callable[[Item], bool]:
    tests: list[Callable[[Item], bool]] = []
    for term in phrase.split():
        name, _, value = term.partition(":")
        if name == "created":
            tests.append(_created(value))
        elif name in ("action", "actor", "user") and value:
            tests.append(lambda item, name=name, value=value: item.fields[name] == value)  # type: ignore[misc]
    return lambda item: all(test(item) for test in tests)


def _created(value: str) -> Callable[[Item], bool]:
    sign = next(sign for sign in _COMPARE if value.startswith(sign))
    try:
        bound = epoch(value.removeprefix(sign))
    except ValueError:
        raise Refused(refusal(422, "Validation Failed")) from None
    compare = _COMPARE[sign]
    if sign:
        return lambda item: bool(compare(item.created, bound))
    return lambda item: bound <= item.created < bound + DAY  # a day
