"""What a record is called, and where a file of it is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flows.answer import at
from flows.errors import BadPage
from flows.stream import Record, Stream
from state.canonical import canonical_json


def key_of(stream: Stream, record: Any) -> str:
    """What names a record.

    Raises:
        BadPage: Nothing does that a database could keep.
    """
    if not stream.primary_key:
        return hashlib.sha256(canonical_json(record).encode()).hexdigest()
    fields = (stream.primary_key,) if isinstance(stream.primary_key, str) else stream.primary_key
    parts = []
    for field in fields:
        part = at(record, field) if isinstance(record, Mapping) else None
        if not isinstance(part, str | int) or isinstance(part, bool) or part == "":
            raise BadPage(f"a record has no {field!r}")
        parts.append(kept_text(str(part), 1024, f"a record's {field!r}"))
    key = "/".join(parts)
    # Several fields may hold anything, such as the name of a browser.
    return key if len(parts) == 1 or len(key) <= 255 else hashlib.sha256(key.encode()).hexdigest()


def kept_text(text: str, longest: int, what: str) -> str:
    """Text that a database keeps as it is: JSON can spell half a character and NUL, which not every database can.

    Args:
        text: The text.
        longest: Bytes that it may have.
        what: What it is, for the message.

    Raises:
        BadPage: It cannot be kept.
    """
    try:
        long = len(text.encode()) > longest
    except UnicodeEncodeError:
        raise BadPage(f"{what} is no text: it holds half a character") from None
    if "\0" in text:
        raise BadPage(f"{what} is no text: it holds a NUL")
    if long:
        raise BadPage(f"{what} is longer than {longest:,} bytes")
    return text


def address_of(template: str, record: Record) -> str:
    """Where a record's file is: what a field says, or a path with `{field}`s; `""` for nowhere."""
    if template.startswith("/"):
        return re.sub(r"\{([\w.]+)\}", lambda place: quote(str(at(record, place[1])), safe=""), template)
    address = at(record, template)
    return address if isinstance(address, str) else ""
