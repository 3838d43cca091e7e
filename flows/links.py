"""Paging by links that the vendor gives. A link to another host is refused, so that no token ever leaves for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import httpx

from flows.answer import Answer, PageRequest, at
from flows.errors import BadPage, ForeignLink
from limiter.transport import origin

_NEXT = re.compile(r"\brel\s*=\s*\"?[^\",;]*\bnext\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LinkPaginator:
    """The `Link` header of RFC 8288 with `rel="next"`.

    Attributes:
        size_parameter: Name of the page size; `""` for none.
        size: Records a page.

    Example:
        >>> headers = {"link": '<https://api.test/users?page=2>; rel="next"'}
        >>> LinkPaginator().next_cursor(Answer([], (), headers, "https://api.test/users", "https://api.test"))
        '/users?page=2'
    """

    size_parameter: str = "per_page"
    size: int = 100

    def prepare(self, request: PageRequest, cursor: str | None) -> PageRequest:
        """See `Paginator.prepare`."""
        return _first(request, self.size_parameter, self.size) if cursor is None else _linked(request, cursor)

    def next_cursor(self, answer: Answer) -> str | None:
        """See `Paginator.next_cursor`."""
        header = answer.headers.get("link", "")
        link = httpx.Response(200, headers={"link": header}).links.get("next", {}).get("url")
        if not link and _NEXT.search(header):
            raise BadPage("its Link header has a next page that cannot be read")
        return follow(link, answer) if link else None


@dataclass(frozen=True, slots=True)
class HalPaginator:
    """The link `_links.next.href` of HAL. An answer without links ends the listing unless its page is full.

    Attributes:
        links_field: Where the answer has its links.
        page_parameter: Name of the page number, which a full page without links counts up.
        size_parameter: Name of the page size.
        size: Records a page.

    Example:
        >>> content = {"data": [], "_links": {"next": {"href": "https://api.test/v1/users?page=2"}}}
        >>> answer = Answer(content, (), {}, "https://api.test/v1/users", "https://api.test/v1")
        >>> HalPaginator().next_cursor(answer)
        '/users?page=2'
    """

    links_field: str = "_links"
    page_parameter: str = "page"
    size_parameter: str = "per_page"
    size: int = 100

    def prepare(self, request: PageRequest, cursor: str | None) -> PageRequest:
        """See `Paginator.prepare`."""
        return _first(request, self.size_parameter, self.size) if cursor is None else _linked(request, cursor)

    def next_cursor(self, answer: Answer) -> str | None:
        """See `Paginator.next_cursor`."""
        links = at(answer.content, self.links_field)
        if links is None:
            return self._after_a_full_page(answer)
        following = at(links, "next")
        link = at(following, "href")
        if following is None or (isinstance(following, dict) and link is None):
            return None
        if not isinstance(link, str) or not link:
            raise BadPage(f"its next link cannot be read ({self.links_field}.next.href)")
        return follow(link, answer)

    def _after_a_full_page(self, answer: Answer) -> str | None:
        if len(answer.records) < self.size:
            return None
        url = httpx.URL(answer.url)
        page = url.params.get(self.page_parameter, "1")
        if not page.isdecimal():
            raise BadPage(f"it was asked for as page {page[:50]!r}")
        return follow(str(url.copy_set_param(self.page_parameter, int(page) + 1)), answer)


def follow(link: str, answer: Answer) -> str:
    """The cursor for a link: without the API's address, so that it works at another one.

    Raises:
        ForeignLink: The link leads to another host than the answer came from.
        BadPage: It is no link.
    """
    try:
        there = httpx.URL(answer.url).join(link)
    except (httpx.InvalidURL, ValueError):
        raise BadPage("its next link is no address") from None
    if origin(there) != origin(httpx.URL(answer.url)):
        host = f"{there.scheme}://{there.netloc.decode()}"
        raise ForeignLink(f"The next page is said to be at another host ({host}): nothing was sent there")
    path = there.raw_path.decode("ascii")
    base = httpx.URL(answer.base_url or answer.url).raw_path.decode("ascii").partition("?")[0].rstrip("/")
    if path.startswith(f"{base}/"):
        return path[len(base) :]
    return str(there.copy_with(username=None, password=None, fragment=None))


def _first(request: PageRequest, size_parameter: str, size: int) -> PageRequest:
    sized = {size_parameter: str(size)} if size_parameter else {}
    return replace(request, query={**request.query, **sized})


def _linked(request: PageRequest, cursor: str) -> PageRequest:
    """A link says everything, also what was asked."""
    return replace(request, path=cursor, query={})
