"""The bytes of an insert, kept aside."""

from __future__ import annotations

from pathlib import Path

import pytest

from sinks.embedded.clickhouse.spool import Spool


@pytest.mark.parametrize("in_memory", [0, 5, 6, 1 << 20])
def test_the_bytes_are_whole_on_either_side_of_the_limit(tmp_path: Path, in_memory: int) -> None:
    with Spool(tmp_path, in_memory) as spool:
        for part in (b"abc", bytearray(b"def"), memoryview(b"ghi")):
            spool.write(part)
        assert Path(spool.path).read_bytes() == b"abcdefghi"
        assert Path(spool.path).read_bytes() == b"abcdefghi"  # from the beginning each time
        assert spool.size == 9


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Spool(tmp_path, 0) as spool:
        spool.write(b"abc")
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before
