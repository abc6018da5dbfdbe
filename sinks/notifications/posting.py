"""One POST, and what its answer means: done, not now, or never.

- 2xx: done.
- 408, 425, 429 and 5xx: not now; `Retry-After` (seconds or a date, RFC 9110 section 10.2.3) is honoured up to an hour.
- any other status: never as it is. Redirects are not followed, since a notice would go where nobody configured.
- no connection: not now, and surely not arrived; a connection that breaks, or an answer that does not come: not now,
  but it may have arrived.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from schemas.notices import Delivered, Outcome, Passing, Refused

LONGEST_RETRY_AFTER: Final = 3_600.0
_PASSING: Final = frozenset({408, 425, 429})
_GATEWAY: Final = frozenset({502, 504})
"""A proxy's word for a server behind it, which may have it all the same."""
_SHOWN: Final = 200
"""Characters of an answer that a reason quotes."""


class Poster:
    """One HTTP client for all destinations of a worker; connections are opened when they are needed."""

    def __init__(self, timeout: float = 10.0) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=timeout / 2)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], now: float) -> Outcome:
        """Post JSON; `now` is Unix time, to read a `Retry-After` that is a date."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
        headers = {"content-type": "application/json", "user-agent": "touchline", **headers}
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                quoted = (await answer.content.read(4 * _SHOWN)).decode(errors="replace")
                return outcome_of(answer.status, answer.headers, quoted, now)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Passing(f"no connection: {type(error).__name__}")
        except TimeoutError:
            return Passing("no answer in time", uncertain=True)
        except aiohttp.InvalidURL:
            return Refused("the URL is not valid: check the destination's url")
        except (aiohttp.ClientError, OSError) as error:
            return Passing(f"the connection broke: {type(error).__name__}", uncertain=True)

    async def close(self) -> None:
        """Close connections; the next post opens new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def outcome_of(status: int, headers: Mapping[str, str], quoted: str, now: float) -> Outcome:
    """What an answer means."""
    if 200 <= status < 300:
        return Delivered()
    said = " ".join(quoted.split())[:_SHOWN]
    reason = f"HTTP {status}" + (f": {said}" if said else "")
    if status in _PASSING or status >= 500:
        return Passing(reason, retry_after(headers.get("Retry-After"), now), uncertain=status in _GATEWAY)
    if 300 <= status < 400:
        return Refused(f"HTTP {status}: redirects are not followed: configure the URL that it leads to")
    if status in (401, 403):
        return Refused(f"{reason} (check the destination's secret)")
    return Refused(reason)


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait, 0 to an hour; None when nothing usable was said."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
