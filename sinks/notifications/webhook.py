"""A plain webhook: one signed POST of JSON for each notice. `sinks.notifications.signature` has the signature.

The body: `notice` (the kind), `key`, `severity`, `told`, `alert` (as on the topic), and where there is one `folded` and
`by` (who acknowledged).
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from schemas.interaction import SECOND, Micros
from schemas.notices import Notice, Outcome
from sinks.notifications.posting import Poster
from sinks.notifications.quoting import Secrets
from sinks.notifications.signature import SECRET_PREFIX, secret_bytes, signed_headers

_encode: Final = msgspec.json.Encoder().encode


class Webhook:
    """One receiver. `secrets` are `whsec_...`, newest first; more than one while they are being changed."""

    def __init__(self, name: str, poster: Poster, url: str, secrets: Sequence[str]) -> None:
        if not secrets:
            raise ValueError("a webhook needs a secret to sign with")
        self.name = name
        self._poster = poster
        self._url = url
        self._keys = tuple(secret_bytes(secret) for secret in secrets)
        self._secrets = Secrets(*secrets, *(secret.removeprefix(SECRET_PREFIX) for secret in secrets))

    def __repr__(self) -> str:
        return f"Webhook({self.name!r}, secrets=***)"

    async def send(self, notice: Notice, now: Micros) -> Outcome:
        """Say it; a receiver knows repetitions by `webhook-id`."""
        payload = _encode(document(notice))
        headers = signed_headers(self._keys, notice.delivery, payload, now // SECOND)
        return await self._poster.post(self._url, payload, headers, now / SECOND, self._secrets)

    async def close(self) -> None:
        """Nothing of its own to close."""


def document(notice: Notice) -> dict[str, Any]:
    """The body of a notice."""
    found: dict[str, Any] = {
        "notice": notice.kind,
        "key": notice.key,
        "severity": notice.severity,
        "told": notice.told,
        "alert": notice.alert,
    }
    if notice.folded is not None:
        found["folded"] = notice.folded._asdict()
    if notice.note:
        found["by"] = notice.note
    return found
