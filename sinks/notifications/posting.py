"""One POST, and what its answer means: done, not now, or never.

- 2xx: done.
- 400, 413, 415 and 422 are about the notice itself: never as it is.
- any other status is about the destination, or what stands before it: not now. A token that is being changed (401), an
  ingress during a deployment (404), a maintenance page (302) must cost no notice; the reason says what a person can
  check. `Retry-After` (seconds or a date, RFC 9110 section 10.2.3) is honoured up to an hour. Redirects are not
  followed, since a notice would go where nobody configured.
- no connection: not now, and surely not arrived; a connection that breaks, or an answer that does not come: not now,
  but it may have arrived.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from schemas.notices import Delivered, Outcome, Passing, Refused
from sinks.notifications.quoting import NO_SECRETS, Secrets

LONGEST_RETRY_AFTER: Final = 3_600.0
_ABOUT_THE_NOTICE: Final = frozenset({400, 413, 415, 422})
_BY_ITSELF: Final = frozenset({408, 425, 429})
"""Of the client errors those that pass without anybody's help, as 5xx do."""
_GATEWAY: Final = frozenset({502, 504})
"""A proxy's word for a server behind it, which may have it all the same."""
_SHOWN: Final = 200
"""Characters of an answer that a reason quotes."""
_READ: Final = 4 * _SHOWN
"""Bytes of an answer that are read for that."""


class Poster:
    """One HTTP client for all destinations of a worker; connections are opened when they are needed."""

    def __init__(self, timeout: float = 10.0) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=timeout / 2)
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        now: float,
        secrets: Secrets = NO_SECRETS,
    ) -> Outcome:
        """Post JSON; `now` is Unix time, to read a `Retry-After` that is a date. No reason shows any of `secrets`."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
        headers = {"content-type": "application/json", "user-agent": "touchline", **headers}
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                said, cut = await _beginning(answer.content)
                quoted = secrets.quoted(said.decode(errors="replace"), _SHOWN, cut=cut)
                return outcome_of(answer.status, answer.headers, quoted, now)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Passing(f"no connection: {type(error).__name__}")
        except TimeoutError:
            return Passing("no answer in time", uncertain=True)
        except aiohttp.InvalidURL:
            return Passing("the URL is not valid: check the destination's url")
        except (aiohttp.ClientError, OSError) as error:
            return Passing(f"the connection broke: {type(error).__name__}", uncertain=True)

    async def close(self) -> None:
        """Close connections; the next post opens new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _beginning(content: aiohttp.StreamReader) -> tuple[bytes, bool]:
    """The first `_READ` bytes of an answer, and whether it goes on: one that breaks off still has its status."""
    read = b""
    try:
        while len(read) < _READ and not content.at_eof():
            read += await content.read(_READ - len(read))
    except (aiohttp.ClientError, OSError):
        return read, True
    return read, not content.at_eof()


def outcome_of(status: int, headers: Mapping[str, str], quoted: str, now: float) -> Outcome:
    """What an answer means. `quoted` is what it says, in one line, without secrets."""
    if _is_success(status):
        return Delivered()
    reason = f"HTTP {status}" + (f": {quoted}" if quoted else "")
    if status in _ABOUT_THE_NOTICE:
        return Refused(reason)
    if status not in _BY_ITSELF and status < 500:
        reason = f"{reason} ({_advice(status)})"
    return Passing(reason, retry_after(headers.get("Retry-After"), now), uncertain=status in _GATEWAY)


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _advice(status: int) -> str:
    """What a person can check."""
    if 300 <= status < 400:
        return "redirects are not followed: configure the URL that it leads to"
    match status:
        case 401 | 403:
            return "check the destination's secret"
        case 404 | 405 | 410:
            return "check the destination's url"
        case 407:
            return "check the proxy in between"
    return "check the destination's url and secret"


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait, 0 to an hour; None when nothing usable was said."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
