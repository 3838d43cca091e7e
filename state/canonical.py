"""The one form in which a record is stored, hashed and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from state.records import Body

FORM = "json-sorted-utf8-1"
"""Names the form in every evidence row, so that an auditor can hash it again in ten years."""

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
"""As `json.dumps` with these arguments, which makes an encoder for each call."""


def canonical_json(value: Any) -> str:
    """The canonical JSON of a value: sorted keys, no spaces, UTF-8 left as it is.

    Example:
        >>> canonical_json({"b": 1, "a": "é"})
        '{"a":"é","b":1}'
    """
    return _written(value).decode()


def _written(value: Any) -> bytes:
    # Half of a surrogate pair, which JSON can spell and UTF-8 cannot, stays as JSON spells it.
    return _encode(value).encode("utf-8", "backslashreplace")


def body(external_id: str, record: Mapping[str, Any] | None) -> Body:
    """A record in its canonical form; None makes a tombstone (the JSON value `null`)."""
    written = _written(record)
    return Body(external_id, written.decode(), hashlib.sha256(written).hexdigest())
