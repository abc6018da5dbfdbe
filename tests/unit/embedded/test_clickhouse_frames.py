"""ClickHouse's compressed frames."""

from __future__ import annotations

import os

import pytest

from sinks.embedded.clickhouse.blocks import iter_once
from sinks.embedded.clickhouse.errors import ProtocolError
from sinks.embedded.clickhouse.frames import FRAME, frames, read_frame
from sinks.embedded.clickhouse.wire import WireReader


def unframed(raw: bytes) -> bytes:
    reader = WireReader(iter_once(raw))
    out = b""
    while True:
        try:
            out += read_frame(reader)
        except EOFError:
            return out


@pytest.mark.parametrize("size", [1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME + 7])
def test_what_is_framed_comes_back(size: int) -> None:
    data = os.urandom(size // 2) + bytes(size - size // 2)
    assert unframed(frames(data)) == data


def test_a_changed_byte_is_noticed() -> None:
    raw = bytearray(frames(b"hello" * 100))
    raw[-1] ^= 1
    with pytest.raises(ProtocolError, match="Checksum") as raised:
        unframed(bytes(raw))
    assert raised.value.code == 40


def test_a_frame_of_an_impossible_size_is_refused() -> None:
    raw = bytearray(frames(b"hello"))
    raw[17:21] = b"\xff\xff\xff\xff"
    with pytest.raises(ProtocolError, match="not possible"):
        unframed(bytes(raw))
