"""PagerDuty, Events API v2: `POST /v2/enqueue` with trigger, acknowledge and resolve by `dedup_key`.

A key that was seen does not open a second incident, so repeating is safe. Severities there are critical, error,
warning and info. Limits: `dedup_key` 255 characters, `summary` 1,024, the request 512 KB.
"""

from typing import Any, Final, Literal

import msgspec

from schemas.findings import Severity
from schemas.interaction import SECOND, Micros
from schemas.notices import CLOSING, Notice, Outcome
from sinks.notifications.posting import Poster
from sinks.notifications.quoting import Secrets
from sinks.notifications.wording import body, shortened, title

EVENTS_URL: Final = "https://events.pagerduty.com"
MAX_SUMMARY: Final = 1_024
MAX_EVIDENCE: Final = 50
"""Interactions named in the details: keeps the request far below its limit."""

_SEVERITIES: Final[dict[Severity, Literal["critical", "error", "warning"]]] = {
    "severe": "critical",
    "major": "error",
    "minor": "warning",
}
_encode: Final = msgspec.json.Encoder().encode


class PagerDuty:
    """One PagerDuty service, named by its integration (routing) key."""

    def __init__(self, name: str, poster: Poster, routing_key: str, url: str = EVENTS_URL) -> None:
        self.name = name
        self._poster = poster
        self._routing_key = routing_key
        self._secrets = Secrets(routing_key)
        self._url = f"{url}/v2/enqueue"

    def __repr__(self) -> str:
        return f"PagerDuty({self.name!r}, routing_key=***)"

    async def send(self, notice: Notice, now: Micros) -> Outcome:
        """Say it; PagerDuty knows repetitions by the key."""
        payload = _encode(event(notice, self._routing_key))
        return await self._poster.post(self._url, payload, {}, now / SECOND, self._secrets)

    async def close(self) -> None:
        """Nothing of its own to close."""


def event(notice: Notice, routing_key: str) -> dict[str, Any]:
    """The request of a notice."""
    head: dict[str, Any] = {"routing_key": routing_key, "dedup_key": notice.key}
    if notice.kind in CLOSING:
        return {**head, "event_action": "resolve"}
    if notice.kind == "acknowledged":
        return {**head, "event_action": "acknowledge"}
    alert = notice.alert
    return {
        **head,
        "event_action": "trigger",
        "client": "Touchline",
        "payload": {
            "summary": shortened(title(notice), MAX_SUMMARY),
            "source": alert.customer or "touchline",
            "severity": _SEVERITIES[notice.severity],
            "timestamp": alert.raised_at,
            "component": alert.channel or "touchline",
            "group": alert.rule,
            "class": alert.rule,
            "custom_details": {
                "why": body(notice),
                "action": alert.action,
                "finding_id": alert.finding_id,
                "rule_version": alert.rule_version,
                "evidence": [f"{item.source}/{item.id}" for item in alert.evidence[:MAX_EVIDENCE]],
            },
        },
    }
