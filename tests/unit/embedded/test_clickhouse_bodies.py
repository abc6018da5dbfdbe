"""Content encodings of HTTP: nothing may be lost between frames or at a cut."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import lz4.frame
import pytest

from sinks.embedded.clickhouse.bodies import COMPRESS_FROM, decoded, encoded, from_frames, to_frames
from sinks.embedded.clickhouse.errors import ServerError

DATA = b"0123456789" * 5000


def decode(raw: bytes, encoding: str, step: int = 1000) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(raw), step):
            yield raw[at : at + step]

    async def whole() -> bytes:
        return b"".join([chunk async for chunk in decoded(chunks(), encoding)])

    return asyncio.run(whole())


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        ("", DATA),
        ("gzip", gzip.compress(DATA)),
        ("deflate", zlib.compress(DATA)),
        ("lz4", lz4.frame.compress(DATA)),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_a_body_is_decoded_however_it_is_cut(encoding: str, raw: bytes, step: int) -> None:
    assert decode(raw, encoding, step) == DATA


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("lz4", lz4.frame.compress)])
def test_frames_in_a_row_are_all_decoded(encoding: str, compress: type) -> None:
    assert decode(compress(b"one") + compress(b"two"), encoding) == b"onetwo"


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("lz4", lz4.frame.compress)])
def test_a_body_that_ends_too_early_is_an_error(encoding: str, compress: type) -> None:
    with pytest.raises(ServerError, match="too early") as raised:
        decode(compress(DATA)[:-9], encoding)
    assert raised.value.code == 271


def test_an_unknown_encoding_names_those_that_are_known() -> None:
    with pytest.raises(ServerError, match="gzip, deflate, lz4"):
        decode(b"x", "br")


def test_the_client_order_of_encodings_counts() -> None:
    assert encoded(DATA, "br, gzip;q=0, lz4, deflate")[1] == "lz4"
    assert encoded(DATA, "br")[1] == ""


def test_a_short_answer_is_not_compressed() -> None:
    assert encoded(bytes(COMPRESS_FROM - 1), "gzip")[1] == ""
    assert encoded(bytes(COMPRESS_FROM), "gzip")[1] == "gzip"


def test_own_frames_come_back() -> None:
    assert from_frames(to_frames(DATA)) == DATA


def test_own_frames_that_end_too_early_are_an_error() -> None:
    with pytest.raises(ServerError, match="within a compressed frame"):
        from_frames(to_frames(DATA)[:-1])
