"""Reading the start of a body without taking it from whoever reads it later."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx

from limiter.replies import BODY_LIMIT


class _Replayed(httpx.SyncByteStream):
    """A body of which the first chunks have been read already."""

    def __init__(self, chunks: list[bytes], rest: Iterator[bytes], stream: httpx.SyncByteStream) -> None:
        self._chunks, self._rest, self._stream = chunks, rest, stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        yield from self._rest

    def close(self) -> None:
        self._stream.close()


class _AsyncReplayed(httpx.AsyncByteStream):
    def __init__(self, chunks: list[bytes], rest: AsyncIterator[bytes], stream: httpx.AsyncByteStream) -> None:
        self._chunks, self._rest, self._stream = chunks, rest, stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        async for chunk in self._rest:
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def peek(response: httpx.Response) -> bytes:
    """The start of a body, decompressed, up to `BODY_LIMIT` bytes; whoever reads the response gets all of it."""
    stream = response.stream
    assert isinstance(stream, httpx.SyncByteStream)
    rest = iter(stream)
    chunks: list[bytes] = []
    size = 0
    try:
        while size < BODY_LIMIT and (chunk := next(rest, None)) is not None:
            chunks.append(chunk)
            size += len(chunk)
    except httpx.TransportError as error:  # cut short: for us, what came has to do; a later reader must hear of it
        rest = _broken(error)
    response.stream = _Replayed(chunks, rest, stream)
    return _shown(response, chunks)


async def apeek(response: httpx.Response) -> bytes:
    """As `peek`, of an async response."""
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    rest = aiter(stream)
    chunks: list[bytes] = []
    size = 0
    try:
        while size < BODY_LIMIT and (chunk := await anext(rest, None)) is not None:
            chunks.append(chunk)
            size += len(chunk)
    except httpx.TransportError as error:
        rest = _abroken(error)
    response.stream = _AsyncReplayed(chunks, rest, stream)
    return _shown(response, chunks)


def _broken(error: Exception) -> Iterator[bytes]:
    raise error
    yield  # makes it a generator: it raises where the rest of the body would have come


async def _abroken(error: Exception) -> AsyncIterator[bytes]:
    raise error
    yield


def _shown(response: httpx.Response, chunks: list[bytes]) -> bytes:
    head = b"".join(chunks)[:BODY_LIMIT]
    # In pieces: what decompresses to a thousand times its size must not do so here.
    pieces = (head[at : at + 1024] for at in range(0, len(head), 1024))
    plain = httpx.Response(response.status_code, headers=response.headers, content=pieces)
    text = b""
    try:
        for part in plain.iter_bytes():
            text += part
            if len(text) >= BODY_LIMIT:
                break
    except httpx.DecodingError:
        text = text or head
    return text[:BODY_LIMIT]
