"""The many destinations that Apprise knows: Slack, Teams, mail, SMS and a hundred more, by its URLs.

Apprise says whether a service took a notice, and logs the rest: a status that it logs (`error=401`) tells never from
not now; without one it may pass, and may have arrived. Messages have no keys there: a crash in the middle of an attempt
can repeat one.
"""

import re
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import apprise

from schemas.interaction import Micros
from schemas.notices import CLOSING, Delivered, Notice, Outcome, Passing
from sinks.notifications.addresses import AddressRefused, is_loopback
from sinks.notifications.posting import outcome_of
from sinks.notifications.wording import body, shortened, title

_STATUS: Final = re.compile(r"\berror=(\d{3})\b")
_SECRET_PART: Final = re.compile(r"[^/?&=:@,]{6,}")
_SHOWN: Final = 300


class Chat:
    """One Apprise URL. Raises `AddressRefused` when Apprise does not know it or it would send unencrypted."""

    def __init__(self, name: str, url: str, *, plain: bool = False, timeout: float = 15.0) -> None:
        self.name = name
        self._timeout = timeout
        self._secrets = _secrets_of(url)
        asset = apprise.AppriseAsset(
            app_id="Touchline",
            app_desc="Touchline",
            secure_logging=True,
            storage_mode="memory",
            http_redirects=False,
        )
        service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if service is None:
            raise AddressRefused("Apprise does not know this URL: check its form (SERVICE://...)")
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
        said = self._masked("; ".join(str(entry.message) for entry in result.logs()))
        status = _STATUS.search(said)
        if status is not None:
            outcome = outcome_of(int(status[1]), {}, said, 0.0)
            return outcome if not isinstance(outcome, Delivered) else Passing(said)
        if result.timeout_count:
            return Passing("no answer in time", uncertain=True)
        return Passing(said or "the service did not take it", uncertain=True)

    async def close(self) -> None:
        """Nothing to close."""

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return shortened(" ".join(text.split()), _SHOWN)


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


def _secrets_of(url: str) -> list[str]:
    """Whatever in a URL could be a secret: every longer part but the host, as written and decoded; longest first."""
    parts = urlsplit(url)
    rest = f"{parts.username or ''}/{parts.password or ''}/{parts.path}/{parts.query}"
    if not is_loopback(parts.hostname or ""):
        rest += f"/{parts.netloc.rpartition('@')[2]}"
    found = set(_SECRET_PART.findall(rest))
    return sorted(found | {unquote(item) for item in found}, key=len, reverse=True)
