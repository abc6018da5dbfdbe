"""What an HTTP request asks for: its parameters and headers, sorted into their meanings.

https://clickhouse.com/docs/interfaces/http lists them. Every parameter that is not one of these is a setting.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sinks.embedded.clickhouse.credentials import Credentials
from sinks.embedded.clickhouse.errors import AUTHENTICATION_FAILED, ServerError
from sinks.embedded.clickhouse.retained import DEFAULT_SECONDS, MAX_SECONDS

_MEANINGS: Final = frozenset(
    {
        *("query", "query_id", "database", "default_format", "user", "password", "role", "quota_key"),
        *("session_id", "session_timeout", "session_check"),
        *("compress", "decompress", "enable_http_compression", "client_protocol_version"),
        *("send_progress_in_http_headers", "http_headers_progress_interval_ms"),
        *("wait_end_of_query", "buffer_size", "stacktrace"),
    }
)


@dataclass(frozen=True)
class SessionName:
    """A session that outlives its request."""

    name: str
    seconds: float
    must_exist: bool


@dataclass(frozen=True)
class Asked:
    """One request, its body apart."""

    sql: str
    database: str
    query_id: str
    default_format: str
    settings: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    session: SessionName | None = None
    framed_body: bool = False
    framed_answer: bool = False
    accepted: str = ""
    may_write: bool = True


def read(method: str, query: Mapping[str, str], headers: Mapping[str, str], query_id: str) -> Asked:
    """Sort a request's parameters and headers; `query_id` is for a request that names none."""
    return Asked(
        sql=query.get("query", ""),
        database=query.get("database") or headers.get("X-ClickHouse-Database", ""),
        query_id=query.get("query_id") or query_id,
        default_format=query.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated",
        settings={k: v for k, v in query.items() if k not in _MEANINGS and not k.startswith("param_")},
        params={k.removeprefix("param_"): v for k, v in query.items() if k.startswith("param_")},
        session=_session(query),
        framed_body=query.get("decompress") == "1",
        framed_answer=query.get("compress") == "1",
        accepted=headers.get("Accept-Encoding", "") if query.get("enable_http_compression") == "1" else "",
        may_write=method == "POST",
    )


def authenticate(query: Mapping[str, str], headers: Mapping[str, str], credentials: Credentials) -> None:
    """Check the user and password, wherever of the three places they stand: headers, basic, parameters."""
    basic = headers.get("Authorization", "")
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        user, password = headers.get("X-ClickHouse-User", ""), headers.get("X-ClickHouse-Key", "")
    elif basic.lower().startswith("basic "):
        try:
            user, _, password = base64.b64decode(basic[6:], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ServerError(
                AUTHENTICATION_FAILED, "The Authorization header is not valid base64. (AUTHENTICATION_FAILED)"
            ) from error
    else:
        user, password = query.get("user", ""), query.get("password", "")
    credentials.admit(user, password)


def _session(query: Mapping[str, str]) -> SessionName | None:
    name = query.get("session_id", "")
    if not name:
        return None
    try:
        seconds = float(query.get("session_timeout", DEFAULT_SECONDS))
    except ValueError as error:
        raise ServerError(
            374,
            f"Invalid session timeout {query['session_timeout']!r}: give seconds. (INVALID_SESSION_TIMEOUT)",
        ) from error
    if not 0 <= seconds <= MAX_SECONDS:
        raise ServerError(
            374, f"Session timeout must be within 0 and {MAX_SECONDS:.0f} seconds. (INVALID_SESSION_TIMEOUT)"
        )
    return SessionName(name, seconds, query.get("session_check") == "1")
