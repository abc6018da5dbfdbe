"""ClickHouse's HTTP interface, as far as `query` needs it: one statement, its answer in pieces."""

import base64
import http.client
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit

from streams.commands.failures import AUTHENTICATION_FAILED, CHECK_PASSWORD, CommandFailed

CHUNK: Final = 64 * 1024
CONNECT_SECONDS: Final = 10.0

# A statement that fails after its answer has begun says so at the end of the body, since the status line is
# gone; it then breaks the connection, or (from 25.9 on) frames the message by a tag that a header announced.
_LATE_FAILURE: Final = re.compile(rb"Code: \d+\. DB::Exception: [^\r\n]*")
_TAG_HEADER: Final = "X-ClickHouse-Exception-Tag"
_TAIL: Final = 16 * 1024


@dataclass(frozen=True)
class HttpTarget:
    """Where ClickHouse speaks HTTP, and as whom. The password is not shown in `repr`."""

    url: str
    user: str = "default"
    password: str = field(default="", repr=False)
    database: str = "default"


def answer(target: HttpTarget, sql: str, settings: Mapping[str, str]) -> Iterator[bytes]:
    """Run `sql` and yield its answer in chunks, none held back; closing the iterator drops the connection.

    Raises `CommandFailed` with ClickHouse's own message, also when it fails after the first chunks were given
    out.
    """
    parts = urlsplit(target.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=CONNECT_SECONDS)
    with closing(connection):
        try:
            connection.connect()
            # The server ends a statement by its own limits; a client-side clock would cut off a slow one.
            connection.sock.settimeout(None)
            query = urlencode({"database": target.database, **settings})
            connection.request("POST", f"{parts.path or '/'}?{query}", sql.encode(), _headers(target))
            response = connection.getresponse()
        except (http.client.HTTPException, OSError) as error:
            reason = str(error) or type(error).__name__
            raise CommandFailed(
                f"ClickHouse does not answer over HTTP at {target.url} ({reason})",
                "set TOUCHLINE_CLICKHOUSE__HTTP_URL to its HTTP address, or run `touchline doctor`",
            ) from None
        if response.status != http.client.OK:
            reason = message(response.read())
            refused = f"Code: {AUTHENTICATION_FAILED}." in reason
            raise CommandFailed(reason, CHECK_PASSWORD if refused else "")
        yield from _chunks(response)


def _headers(target: HttpTarget) -> dict[str, str]:
    # Basic rather than X-ClickHouse-Key: names and passwords in any script survive it.
    pair = f"{target.user}:{target.password}".encode()
    return {
        "Authorization": "Basic " + base64.b64encode(pair).decode(),
        "Content-Type": "text/plain; charset=utf-8",
    }


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    tail = b""
    broken = False
    while True:
        try:
            chunk = response.read1(CHUNK)
        except http.client.IncompleteRead as error:
            tail, broken = tail + error.partial, True
            break
        except OSError:
            broken = True
            break
        if not chunk:
            break
        tail = (tail + chunk)[-_TAIL:]
        yield chunk
    tag = response.headers.get(_TAG_HEADER, "")
    if broken or (tag and b"__exception__\r\n" + tag.encode() in tail):
        found = _LATE_FAILURE.findall(tail)
        reason = message(found[-1]) if found else "ClickHouse broke off in the middle of its answer"
        raise CommandFailed(reason, "what was printed is not complete")


def message(body: bytes) -> str:
    """ClickHouse's own words, without the stack trace and the version that it appends."""
    text = body.decode(errors="replace").partition("Stack trace:")[0].strip().rstrip(",")
    text = text.partition(" (version ")[0]
    # A syntax error may list two hundred words that would have been right; the first ones tell enough.
    text = re.sub(
        r"(Expected one of: (?:[^,]+, ){8}).*(?= \(SYNTAX_ERROR\)$)", r"\1...", text, flags=re.DOTALL
    )
    return text or "ClickHouse answered with an error and no message"
