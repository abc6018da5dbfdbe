"""Which partitions have let go of what was forgotten, as rows."""

from collections.abc import Sequence
from typing import Final

from schemas.erasures import ErasureDone
from sinks.clickhouse.rows import Rows, transposed

ERASURE_DONE_COLUMNS: Final = ("id", "partition")


def erasure_done_rows(done: Sequence[ErasureDone]) -> Rows:
    """Rows of `erasures_done_raw`; when, the server says."""
    return transposed(ERASURE_DONE_COLUMNS, [(one.id, one.partition) for one in done])
