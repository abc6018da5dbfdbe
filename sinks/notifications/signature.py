"""Signatures of webhooks as the Standard Webhooks specification (version 1.0.0) has them.

Headers: `webhook-id`, the same for every attempt at one notice; `webhook-timestamp`, Unix seconds of the attempt;
`webhook-signature`, one or more `v1,BASE64` divided by spaces: HMAC-SHA256 over `ID.TIMESTAMP.BODY`, one for each
secret while secrets are being changed.

A receiver refuses a timestamp more than `REPLAY_WINDOW` seconds away from its own clock, and an id that it has seen
within that time: then a copied request cannot be played again.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final

REPLAY_WINDOW: Final = 300
"""Seconds."""

SECRET_PREFIX: Final = "whsec_"
MIN_SECRET_BYTES: Final = 24
MAX_SECRET_BYTES: Final = 64
SECRET_FORM: Final = f"{SECRET_PREFIX} and base64 of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} random bytes"


class SignatureRefused(ValueError):
    """The request is not from whom it says, or is too old; the message says which."""


def secret_bytes(secret: str) -> bytes:
    """The key inside `whsec_BASE64`; raise ValueError that says what is expected, without the secret."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ValueError(f"expected {SECRET_FORM}")
    return key


def signed_headers(keys: Sequence[bytes], message_id: str, body: bytes, now: int) -> dict[str, str]:
    """The three headers; `now` in Unix seconds."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": " ".join(f"v1,{_mac(key, message_id, now, body)}" for key in keys),
    }


def verify(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: int) -> str:
    """The id of a genuine, fresh request; raise `SignatureRefused`. For receivers, and for tests of the sender.

    A receiver must also remember ids for `REPLAY_WINDOW` and refuse one that it has seen.
    """
    try:
        message_id, stamp = headers["webhook-id"], headers["webhook-timestamp"]
        given = headers["webhook-signature"].split()
        sent = int(stamp)
    except (KeyError, ValueError):
        raise SignatureRefused("headers are missing or not of the form of Standard Webhooks") from None
    if abs(now - sent) > REPLAY_WINDOW:
        raise SignatureRefused(f"the timestamp is more than {REPLAY_WINDOW} s away")
    for key in keys:
        expected = f"v1,{_mac(key, message_id, sent, body)}".encode()
        if any(hmac.compare_digest(expected, item.encode()) for item in given):
            return message_id
    raise SignatureRefused("no signature matches")


def _mac(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
