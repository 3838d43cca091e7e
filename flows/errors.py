"""Why a listing could not go on, grouped by what happens next.

    CollectError              the stream is reported as not complete, the others go on; its cursor stays
    |-- BadPage               a fault: tried again, then given up; the next run starts at the same page
    |-- TooLarge              an answer larger than may be held in memory; someone must act
    |-- ForeignLink           a next page at another host, a file not at https: nothing is sent; someone must look
    |-- ParentsLeft           a stream was listed only of some of its parents
    |-- ParentsUnknown        a stream was listed only of the parents that are known; theirs says what to do
    |-- Refused               the vendor says no to this credential or request; someone must act
    |   `-- CursorExpired     it no longer knows the page cursor; the listing begins anew
    `-- ListingCut            the vendor ended the listing before its end, or its paging goes in circles; what came is
                              kept, the listing begins anew

Configuration errors (an unknown source or stream, a missing token) are `limiter.ConfigurationError`s: nothing was sent.
"""

from __future__ import annotations

from limiter import ConfigurationError


class CollectError(Exception):
    """A listing could not go on. The message is one sentence for people."""


class BadPage(CollectError):
    """An answer that is not a page: not JSON, cut short, or not of the expected shape."""


class TooLarge(CollectError):
    """An answer that is larger than may be held in memory. Asking again would bring the same."""


class ForeignLink(CollectError):
    """A page points to another host than the API's, or a file is not at https. Nothing was sent there."""


class ParentsLeft(CollectError):
    """A stream that is listed for each of its parents was not listed for all of them; the others are kept."""


class ParentsUnknown(CollectError):
    """A stream was listed for each parent that is known, and the listing of the parents has not ended complete."""


class Refused(CollectError):
    """The vendor refused the request.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class CursorExpired(Refused):
    """The vendor no longer accepts the page cursor; the listing must begin anew."""


class ListingCut(CollectError):
    """The vendor ended the listing early and said so, or a page pointed to a page that came before."""


class UnknownName(ConfigurationError):
    """No source, stream or parameter of that name.

    Attributes:
        name: What was asked for.
        known: What there is.
    """

    def __init__(self, message: str, *, name: str, known: tuple[str, ...]) -> None:
        super().__init__(message)
        self.name = name
        self.known = known


class MissingCredential(ConfigurationError):
    """Neither the environment nor a block gives the credential.

    Attributes:
        variable: The environment variable that would.
    """

    def __init__(self, message: str, *, variable: str) -> None:
        super().__init__(message)
        self.variable = variable
