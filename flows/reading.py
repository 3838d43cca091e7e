"""The JSON of an answer, read strictly: what comes out can be stored, hashed and written again as it is."""

from __future__ import annotations

import json
import math
from typing import Any

from flows.errors import BadPage


def strict_json(content: bytes, media_type: str = "") -> Any:
    """Read JSON as RFC 8259 has it, in UTF-8.

    Whole numbers of any size are kept exactly, up to the 4,300 digits that Python reads. Half of a surrogate pair in a
    text is kept as JSON spells it.

    Args:
        content: The body.
        media_type: As the answer says it, for the message.

    Raises:
        BadPage: It is not JSON, not UTF-8, holds NaN, an infinity or a number too large to keep, or is nested too
            deeply.

    Example:
        >>> strict_json(b'{"id": 12345678901234567890123}')
        {'id': 12345678901234567890123}
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadPage(f"it is not UTF-8 (byte {error.start:,})") from error
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise BadPage("it is nested too deeply") from error
    except ValueError as error:
        if "digits" in str(error):
            raise BadPage("it has a number of more than 4,300 digits") from error
        raise BadPage(f"it is not JSON{_but(media_type, text)}") from error


def _but(media_type: str, text: str) -> str:
    if not text.strip():
        return " but empty"
    if "html" in media_type.lower() or text.lstrip()[:15].lower().startswith(("<!doctype", "<html", "<h1")):
        return " but HTML, as a proxy or a sign-in page sends it"
    return ""


def _no_number(name: str) -> Any:
    raise BadPage(f"it has the number {name}, which JSON does not know")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise BadPage(f"it has a number that is too large to keep ({digits[:20]})")
    return number
