"""Prometheus Alertmanager, API v2: `POST /api/v2/alerts`.

An alert there is its set of labels, and it is forgotten at its `endsAt`, or when Alertmanager restarts. So labels hold
nothing that changes but the severity; when that changes, the alert with the old one is ended in the same request; and
the agent tells what stands again and again (`repeated`), each time with an `endsAt` some time ahead.
The customer stands in the annotations, not in the labels: those are grouped by, and end up in metrics.
"""

from typing import Any, Final

import msgspec

from schemas.findings import Severity
from schemas.interaction import SECOND, Micros
from schemas.notices import CLOSING, Notice, Outcome
from schemas.timestamps import format_timestamp
from sinks.notifications.posting import Poster
from sinks.notifications.quoting import Secrets
from sinks.notifications.wording import body, evidence, title, way_on

_encode: Final = msgspec.json.Encoder().encode


class Alertmanager:
    """One Alertmanager. `hold` is how long, in microseconds, an alert stands there without being told again.

    `token` is a bearer token, if it wants one.
    """

    def __init__(self, name: str, poster: Poster, url: str, hold: Micros, token: str | None = None) -> None:
        self.name = name
        self._poster = poster
        self._url = f"{url.rstrip('/')}/api/v2/alerts"
        self._hold = hold
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._secrets = Secrets(token or "")

    def __repr__(self) -> str:
        return f"Alertmanager({self.name!r})"

    async def send(self, notice: Notice, now: Micros) -> Outcome:
        """Say it; saying it again changes nothing there."""
        payload = _encode(alerts(notice, now, self._hold))
        return await self._poster.post(self._url, payload, self._headers, now / SECOND, self._secrets)

    async def close(self) -> None:
        """Nothing of its own to close."""


def alerts(notice: Notice, now: Micros, hold: Micros) -> list[dict[str, Any]]:
    """The request: the alert as it is now, and the ended one when its severity has changed."""
    ending = notice.kind in CLOSING
    found = [_alert(notice, notice.severity, now if ending else now + hold)]
    if notice.told is not None and notice.told != notice.severity:
        found.append(_alert(notice, notice.told, now))
    return found


def _alert(notice: Notice, severity: Severity, ends_at: Micros) -> dict[str, Any]:
    alert = notice.alert
    labels = {
        "alertname": alert.rule if notice.folded is None else f"{alert.rule}_flood",
        "severity": severity,
        "finding_id": alert.finding_id,
        "service": "touchline",
    }
    if alert.channel is not None:
        labels["channel"] = alert.channel
    annotations = {
        "summary": title(notice),
        "description": body(notice),
        "customer": alert.customer,
        "action": alert.action,
        "evidence": evidence(alert),
        "show": way_on(notice),
    }
    return {
        "labels": labels,
        "annotations": {name: text for name, text in annotations.items() if text},
        "startsAt": alert.raised_at,
        "endsAt": format_timestamp(ends_at),
    }
