"""Who may ask over HTTP where no password is set: programs and pages of this machine.

A browser sends statements wherever a page tells it to, loopback included. It cannot help saying for which site it asks
(https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Origin), and under which name it found the server,
which gives away a foreign name that was made to mean this machine (DNS rebinding).
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from sinks.embedded.clickhouse.errors import AUTHENTICATION_FAILED, ServerError
from sinks.loopback import is_loopback


def admit_visitor(headers: Mapping[str, str]) -> None:
    """Raise error 516 unless the request names this machine as the server, and comes from no page of another."""
    for name, is_ours in (("Host", _names_us(headers.get("Host", ""))), ("Origin", _is_our_page(headers))):
        if not is_ours:
            raise ServerError(
                AUTHENTICATION_FAILED,
                f"Authentication failed: {name} {headers[name]!r} is not this machine, and no password is set. Set "
                "TOUCHLINE_CLICKHOUSE__PASSWORD to admit whoever knows it. (AUTHENTICATION_FAILED)",
            )


def _names_us(host: str) -> bool:
    # A program that speaks HTTP/1.0 may name nobody; a browser always does.
    return not host or _is_local(f"//{host}")


def _is_our_page(headers: Mapping[str, str]) -> bool:
    origin = headers.get("Origin")
    return origin is None or _is_local(origin)


def _is_local(url: str) -> bool:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)
