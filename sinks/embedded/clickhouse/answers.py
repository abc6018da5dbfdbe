"""What an HTTP client is answered with: the headers that ClickHouse's clients read, a result or an error."""

from __future__ import annotations

import json
from typing import Final

from aiohttp import web

from sinks.embedded.clickhouse.bodies import encoded, to_frames
from sinks.embedded.clickhouse.errors import ServerError, http_status
from sinks.embedded.clickhouse.requests import Asked
from sinks.embedded.clickhouse.sessions import Result

_CONTENT_TYPES: Final = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Parquet": "application/octet-stream",
    "Arrow": "application/octet-stream",
}


def success(asked: Asked, result: Result, answer_format: str) -> web.StreamResponse:
    """A result in `answer_format`, which is empty for a statement without one."""
    summary = {
        "read_rows": str(result.rows_read),
        "read_bytes": str(result.bytes_read),
        "written_rows": str(result.rows_written),
        "written_bytes": str(result.bytes_written),
        "result_rows": str(result.rows),
        "result_bytes": str(len(result.data)),
        "elapsed_ns": str(int(result.elapsed * 1e9)),
    }
    headers = {
        "X-ClickHouse-Query-Id": asked.query_id,
        "X-ClickHouse-Server-Display-Name": "touchline",
        "X-ClickHouse-Timezone": "UTC",
        "X-ClickHouse-Summary": json.dumps(summary),
        "Content-Type": _CONTENT_TYPES.get(answer_format, "text/plain; charset=UTF-8"),
    }
    if answer_format:
        headers["X-ClickHouse-Format"] = answer_format
    if asked.framed_answer:
        return web.Response(body=to_frames(result.data), headers=headers)
    body, encoding = encoded(result.data, asked.accepted)
    if encoding:
        headers["Content-Encoding"] = encoding
    return web.Response(body=body, headers=headers)


def failure(error: ServerError, query_id: str) -> web.StreamResponse:
    """An error with the status and the code that its clients expect."""
    return web.Response(
        status=http_status(error.code),
        text=f"{error.display}\n",
        headers={"X-ClickHouse-Exception-Code": str(error.code), "X-ClickHouse-Query-Id": query_id},
    )
