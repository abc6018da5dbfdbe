"""Errors as ClickHouse's clients know them: a number, a name and a message.

ServerError           the client is told, the connection goes on
ProtocolError         the client is told, then the connection ends: its bytes no longer make sense
DirectoryInUse        the server does not start
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

UNKNOWN_TYPE: Final = 50
SYNTAX_ERROR: Final = 62
UNKNOWN_COMPRESSION_METHOD: Final = 89
UNKNOWN_PACKET_FROM_CLIENT: Final = 99
UNEXPECTED_PACKET_FROM_CLIENT: Final = 101
UNKNOWN_SETTING: Final = 115
CANNOT_DECOMPRESS: Final = 271
TOO_MANY_SIMULTANEOUS_QUERIES: Final = 202
NOT_IMPLEMENTED: Final = 48
SESSION_NOT_FOUND: Final = 372
SESSION_IS_LOCKED: Final = 373
QUERY_WAS_CANCELLED: Final = 394
AUTHENTICATION_FAILED: Final = 516
UNKNOWN_EXCEPTION: Final = 1002

_ENGINE = re.compile(r"Code: (\d+)\.\s*(.*)", re.S)
_REPEATED = re.compile(r"^(?:Code: \d+\.\s*)?DB::Exception:\s*")

_BAD_REQUEST = frozenset({6, 25, 26, 27, 38, 41, 43, 53, 62, 69, 72, 117, 130, 131, 441, 540, 541})
_NOT_FOUND = frozenset({46, 47, 50, 56, 60, 63, 73, 81, 83, 115, 372, 511})


class ServerError(Exception):
    """An answer with one of ClickHouse's error codes; `message` carries no code and no `DB::Exception:`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def display(self) -> str:
        """The text of an HTTP answer, `Code: N. DB::Exception: ...`, as the real server writes it."""
        return f"Code: {self.code}. DB::Exception: {self.message}"


class ProtocolError(ServerError):
    """The client sent bytes that the protocol does not allow; where its next packet starts is unknown."""


class DirectoryInUse(Exception):
    """Another process holds the data directory; one directory is for one process."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(
            f"The data directory {directory} is in use by {holder}. "
            "Stop it, or choose another directory with --data."
        )


def from_engine(error: BaseException) -> ServerError:
    """Read the code that the engine put into the text of its exception; 1002 when it put none."""
    text = str(error)
    found = _ENGINE.search(text)
    if found is None:
        return ServerError(UNKNOWN_EXCEPTION, text or type(error).__name__)
    message = found[2]
    while (stripped := _REPEATED.sub("", message, count=1)) != message:
        message = stripped
    return ServerError(int(found[1]), message)


def http_status(code: int) -> int:
    """The HTTP status that a ClickHouse server of today answers with for an error code."""
    if code in (192, 193, AUTHENTICATION_FAILED):
        return 403
    if code == 194:
        return 401
    if code in _BAD_REQUEST:
        return 400
    if code in _NOT_FOUND:
        return 404
    return {159: 408, 62: 400, 223: 413, NOT_IMPLEMENTED: 501, 209: 503, 76: 503, 439: 503}.get(code, 500)
