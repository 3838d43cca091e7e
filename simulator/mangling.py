"""Answers that look right and are not: what a collector has to notice in a good status.

The vendor answers as always, and then its answer is changed. An answer without records stays as it is.
"""

import copy
import json
from contextlib import suppress
from typing import Any, Literal, get_args

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Mangle = Literal["no-id", "same-ids", "stuck", "huge-record", "not-utf8", "nan", "big-number", "surrogate"]
MANGLES: tuple[Mangle, ...] = get_args(Mangle)

HUGE = 20 * 1024 * 1024
"""Characters of the field that `huge-record` adds."""
DIGITS = 5_000
"""Digits of the number that `big-number` adds; Python refuses to read more than 4,300."""
FIELD = "simulated"
"""The field that is added."""

_MARK = "\x00here"
_RAW: dict[str, bytes] = {
    "not-utf8": b'"\xff\xfe"',
    "nan": b"NaN",
    "big-number": b"9" * DIGITS,
    "surrogate": b'"\\ud800"',
}


class Mangler:
    """Changes answers. Belongs to one event loop; not locked."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[list[Message], bytes]] = {}
        self._before: dict[str, list[Any]] = {}

    async def watch(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the vendor answer, and remember its records for what may come: `same-ids` and `stuck`."""
        start, body = await _answer(app, scope, receive)
        self._remember(scope, start, body)
        await _send(start, body, send)

    async def mangle(self, kind: Mangle, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the vendor answer, and change what it says.

        `no-id` takes the id from the first record. `same-ids` gives the records of the page before, with the cursor
        of this one; `stuck` the whole first answer again, so that its cursor never moves. The others add a field to
        the first record: `huge-record` 20 MB of text; `not-utf8` bytes that are no text; `nan` and `big-number`
        numbers that JSON does not have or Python does not read; `surrogate` half a character.
        """
        start, body = await _answer(app, scope, receive)
        if kind == "stuck":
            again, first = self._first.get(_place(scope), (start, body))
            await _send(again, first, send)
            return
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        records = records_of(answer)
        if records:
            body = _changed(kind, answer, records, self._before.get(_place(scope)))
        self._remember(scope, start, body)
        await _send(start, body, send)

    def _remember(self, scope: Scope, start: list[Message], body: bytes) -> None:
        place = _place(scope)
        self._first.setdefault(place, (copy.deepcopy(start), body))
        with suppress(ValueError):  # it need not be JSON
            self._before[place] = list(records_of(json.loads(body)) or ())


def records_of(answer: Any) -> list[Any] | None:
    """Return the records of an answer, whatever the vendor calls them: its first list of objects; None without one."""
    if isinstance(answer, list):
        return answer if answer and all(isinstance(each, dict) for each in answer) else None
    if isinstance(answer, dict):
        for value in answer.values():
            if (found := records_of(value)) is not None:
                return found
    return None


def _changed(kind: Mangle, answer: Any, records: list[Any], before: list[Any] | None) -> bytes:
    first = records[0]
    if kind == "no-id":
        del first[next((name for name in ("id", "uuid") if name in first), next(iter(first)))]
    elif kind == "same-ids":
        records[:] = before or records * 2  # on the first page: each of them twice
    else:
        first[FIELD] = "x" * HUGE if kind == "huge-record" else _MARK
    return json.dumps(answer).encode().replace(json.dumps(_MARK).encode(), _RAW.get(kind, b"null"))


def _place(scope: Scope) -> str:
    return f"{scope['method']} {scope['path']}"


async def _answer(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[list[Message], bytes]:
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, keep)
    body = b"".join(message.get("body", b"") for message in messages)
    return [message for message in messages if message["type"] == "http.response.start"], body


async def _send(start: list[Message], body: bytes, send: Send) -> None:
    for message in start:
        kept = [header for header in message.get("headers", ()) if header[0].lower() != b"content-length"]
        await send({**message, "headers": [*kept, (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
