"""What is read of a refused reply: enough to classify it, never more, and nothing lost to a later reader."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest

from limiter import Terminal, Throttled
from limiter.replies import BODY_LIMIT

ONCE = {"max_retries": 0}
BLOCKED = json.dumps({"additional_data": {"rate_limit_reason": "public_api_request_blocked"}}).encode()


def reply(body: Any, status: int = 429, **headers: str) -> httpx.Response:
    return httpx.Response(status, stream=body, headers={name.replace("_", "-"): v for name, v in headers.items()})


def test_up_to_64_kib_are_read_and_kept_on_the_error(play: Any, body: Any) -> None:
    endless = body([b"x" * 1000] * 100_000)
    error = play([reply(endless)], bounds=ONCE).error
    assert len(error.response.content) == BODY_LIMIT
    assert endless.read == BODY_LIMIT // 1000 + 1
    assert endless.closed == 1


def test_a_body_in_single_bytes_is_read_in_linear_time(play: Any, body: Any) -> None:
    drops = body([b"x"] * (BODY_LIMIT * 2))
    error = play([reply(drops)], bounds=ONCE).error
    assert (len(error.response.content), drops.read) == (BODY_LIMIT, BODY_LIMIT)


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_understood(play: Any, body: Any, coding: str, pack: Any) -> None:
    packed = pack(BLOCKED)
    error = play([reply(body([packed[:9], packed[9:]]), content_encoding=coding, content_length="99")]).error
    assert isinstance(error, Terminal)
    assert error.response.content == BLOCKED
    assert "content-encoding" not in error.response.headers


def test_what_decompresses_to_gigabytes_does_not(play: Any, body: Any) -> None:
    bomb = gzip.compress(b"\0" * 60 * 1024 * 1024)
    assert len(bomb) < BODY_LIMIT
    error = play([reply(body([bomb]), content_encoding="gzip")], bounds=ONCE).error
    assert len(error.response.content) == BODY_LIMIT


@pytest.mark.parametrize(
    "chunks",
    [[b"not gzip at all"], [gzip.compress(BLOCKED)[:20]], [b""], []],
    ids=["wrong", "cut short", "empty", "none"],
)
def test_a_compressed_body_that_is_broken_is_a_plain_refusal(play: Any, body: Any, chunks: list[bytes]) -> None:
    error = play([reply(body(chunks), content_encoding="gzip")], bounds=ONCE).error
    assert isinstance(error, Throttled)
    assert error.response.status_code == 429


def test_a_body_that_breaks_off_is_a_refusal_with_what_came(play: Any, body: Any) -> None:
    broken = body([b'{"addi'], httpx.ReadError("reset"))
    played = play([reply(broken, Retry_After="30")])
    assert played.response.status_code == 200
    assert (played.sends, broken.closed) == ([0.0, 30.0], 1)
    assert play([reply(body([b'{"addi'], httpx.ReadError("reset")))], bounds=ONCE).error.response.content == b'{"addi'


def test_a_reply_that_was_looked_into_reads_in_full(play: Any, body: Any) -> None:
    denied = [b'{"message": "Resource not accessible', b'"}', b" " * BODY_LIMIT, b"the end"]
    played = play([reply(body(denied), 403)], api="github")
    assert played.response.content == b"".join(denied)


def test_a_reply_that_was_looked_into_still_breaks_for_its_reader(play: Any, body: Any) -> None:
    error = httpx.ReadError("reset")
    assert play([reply(body([b"Resource not"], error), 403)], api="github").error is error


def test_a_fine_reply_is_left_unread(play: Any, body: Any) -> None:
    """A stream of gigabytes goes through the limiter untouched."""
    content = body([b"one", b"two"])
    played = play([reply(content, 200)], "GET")
    assert (played.response.content, content.read, content.closed) == (b"onetwo", 2, 1)


@pytest.mark.parametrize("error", [ValueError("a bug of a transport"), KeyError("x")])
def test_an_error_that_is_not_of_the_network_closes_the_response(play: Any, body: Any, error: Exception) -> None:
    broken = body([b"x"], error)
    assert play([reply(broken)]).error is error
    assert broken.closed == 1
