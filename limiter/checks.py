"""What a setting may be, in code and in a file: what cannot work is refused before anything is sent. Pure.

Example:
    >>> is_number(0.5), is_number(True), is_number(float("nan")), is_number(10**400), is_whole(3, least=1)
    (True, False, False, False, True)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING

from limiter.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"([!-~]([\t -~]*[!-~])?)?")
"""Source of both: RFC 9110, 5.6.2 and 5.5."""


def refuse_unknown(what: str, given: Iterable[str], table: type[DataclassInstance]) -> None:
    """Refuse a key that a table of settings does not have.

    Args:
        what: What the table is of, for people.
        given: The keys.
        table: The class whose fields are those there are.

    Raises:
        ConfigurationError: One of them is unknown; the message names it, and those there are.
    """
    known = sorted(field.name for field in fields(table))
    if unknown := sorted(set(given) - set(known)):
        raise ConfigurationError(f"{what}: unknown key {unknown[0]!r}. Known keys: {', '.join(known)}.")


def is_number(value: object) -> bool:
    """Whether it is a finite number. A bool is none, nor is a whole number so large that no float holds it."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def is_whole(value: object, *, least: int) -> bool:
    """Whether it is a whole number of at least so much."""
    return isinstance(value, int) and is_number(value) and value >= least


def are_texts(value: object) -> bool:
    """Whether it is a list of texts, as a file has it, or a tuple of them."""
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


def is_header_name(value: object) -> bool:
    """Whether a header can have this name."""
    return isinstance(value, str) and _HEADER_NAME.fullmatch(value) is not None


def is_header_value(value: object) -> bool:
    """Whether it can be sent as the value of a header: ASCII, in one line, with no blank at either end."""
    return isinstance(value, str) and _HEADER_VALUE.fullmatch(value) is not None
