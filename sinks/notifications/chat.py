"""The many destinations that Apprise knows: Slack, Teams, mail, SMS and a hundred more, by its URLs.

Apprise says whether a service took a notice, and logs the rest: a status that it logs (`error=400`) tells never from
not now; without one it may pass, and may have arrived. Messages have no keys there: a crash in the middle of an attempt
can repeat one.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import apprise

from schemas.interaction import Micros
from schemas.notices import CLOSING, Delivered, Notice, Outcome, Passing
from sinks.loopback import is_loopback
from sinks.notifications.addresses import AddressRefused
from sinks.notifications.posting import outcome_of
from sinks.notifications.quoting import Secrets
from sinks.notifications.wording import body, title

_STATUS: Final = re.compile(r"\berror=(\d{3})\b")
_SECRET_PART: Final = re.compile(r"[^/?&=:@,]{6,}")
_SHOWN: Final = 300


class Chat:
    """One Apprise URL.

    Raises `AddressRefused`, without showing it, when Apprise does not know it, when its port is none, or when it would
    send unencrypted.
    """

    def __init__(self, name: str, url: str, *, plain: bool = False, timeout: float = 15.0) -> None:
        self.name = name
        self._timeout = timeout
        if not url.isprintable():
            raise AddressRefused("a URL has no line breaks or control characters")
        self._secrets = Secrets(*_secrets_of(url))
        asset = apprise.AppriseAsset(
            app_id="Touchline",
            app_desc="Touchline",
            secure_logging=True,
            storage_mode="memory",
            http_redirects=False,
        )
        with _apprise_silent():
            service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if service is None:
            raise AddressRefused("Apprise does not know this URL: check its form (SERVICE://...)")
        port = getattr(service, "port", None)
        if isinstance(port, int) and not 1 <= port <= 65_535:
            raise AddressRefused("a port is a number from 1 to 65535")
        _refuse_unencrypted(service, plain)
        self._notify = apprise.Apprise(asset=asset)
        self._notify.add(service)

    def __repr__(self) -> str:
        return f"Chat({self.name!r}, url=***)"

    async def send(self, notice: Notice, now: Micros) -> Outcome:  # noqa: ARG002  every destination has it
        """Say it."""
        result = await self._notify.async_notify(
            body=body(notice), title=title(notice), notify_type=_notify_type(notice), timeout=self._timeout
        )
        if result:
            return Delivered()
        logged = "; ".join(str(entry.message) for entry in result.logs())
        said = self._secrets.quoted(logged, _SHOWN)
        status = _STATUS.search(logged)
        if status is not None:
            outcome = outcome_of(int(status[1]), {}, said, 0.0)
            return outcome if not isinstance(outcome, Delivered) else Passing(said)
        if result.timeout_count:
            return Passing("no answer in time", uncertain=True)
        return Passing(said or "the service did not take it", uncertain=True)

    async def close(self) -> None:
        """Nothing to close."""


@contextmanager
def _apprise_silent() -> Iterator[None]:
    """What Apprise logs of a URL that it refuses shows parts of it, and says no more than we do."""
    logger = logging.getLogger("apprise")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _notify_type(notice: Notice) -> apprise.NotifyType:
    if notice.kind in CLOSING:
        return apprise.NotifyType.SUCCESS
    if notice.kind == "acknowledged":
        return apprise.NotifyType.INFO
    return apprise.NotifyType.FAILURE if notice.severity == "severe" else apprise.NotifyType.WARNING


def _refuse_unencrypted(service: Any, plain: bool) -> None:
    host = getattr(service, "host", None)
    if not service.verify_certificate:
        raise AddressRefused("verify=no would send customers' data to anybody: leave it out")
    if plain or not isinstance(host, str) or not host or is_loopback(host):
        return
    unencrypted = {name for name in _names(service.protocol) if name not in _names(service.secure_protocol)}
    if unencrypted and not service.secure:
        raise AddressRefused(
            f"{sorted(unencrypted)[0]}:// would send customers' data unencrypted: "
            f"use {', '.join(f'{name}://' for name in _names(service.secure_protocol)) or 'another service'}, "
            "or allow it with plain = true"
        )


def _names(protocol: Any) -> tuple[str, ...]:
    if not protocol:
        return ()
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _secrets_of(url: str) -> set[str]:
    """Whatever in a URL could be a secret: a password, as it is also in the header of basic authentication, and every
    longer part but the host of this machine.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:  # its message may show what stands in the URL
        raise AddressRefused("this is no URL: check its form (SERVICE://...)") from None
    rest = f"{parts.username or ''}/{parts.password or ''}/{parts.path}/{parts.query}"
    if not is_loopback(host):
        rest += f"/{parts.netloc.rpartition('@')[2]}"
    found = set(_SECRET_PART.findall(rest))
    if parts.password:
        found |= {parts.password, f"{unquote(parts.username or '')}:{unquote(parts.password)}"}
    return found
