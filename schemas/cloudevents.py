"""CloudEvents 1.0 around an event: the Kafka protocol binding, both content modes, and bare JSON lines.

- binary: the value is our event, the attributes are `ce_*` headers (UTF-8 as they are: unlike HTTP, the Kafka
  binding has no percent-encoding);
- structured: `content-type: application/cloudevents+json`, or no such header (a line of a file) and a body
  with `specversion`; our event is `data` or `data_base64`.

What the event lacks is taken from the attributes: `id`, `source`, `occurred_at` from `time`, `channel` and
`type` from the last two dotted segments of the CloudEvents type (`com.example.phone.call`). `id`, `source`
and the time that stand in both must agree. Other attributes and extensions are ignored. Batches are refused:
they have no place in the binding.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from pydantic_core import from_json

from schemas.timestamps import TimestampError, parse_timestamp

Document = dict[str, Any]

SPECVERSION: Final = "1.0"
STRUCTURED: Final = "application/cloudevents"
_PREFIX: Final = "ce_"
_SAYS_NOTHING: Final = ("", "application/octet-stream", "text/plain", "text/json")
_JSON: Final = ("application/json", "application/json; charset=utf-8")
_PLAIN_JSON: Final = frozenset(media.encode() for media in _JSON)
_SAME: Final = (("id", "id"), ("source", "source"), ("occurred_at", "time"))
"""Fields, and the attributes that say the same."""
USUAL_HEADERS: Final = (("content-type", b"application/json"),)
"""The headers of most records."""
_BOM: Final = b"\xef\xbb\xbf"
_encode: Final = msgspec.json.Encoder().encode


class Unreadable(Exception):
    """A record whose event cannot be reached; `stage`, `error` and the message become those of the dead
    letter."""

    def __init__(self, stage: Literal["decode", "validate"], error: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.error = error


def unwrap(value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> Document:
    """The event of a record as a JSON document, out of its envelope if it has one.

    Raises `Unreadable` for what is not a JSON object, another content type, a broken envelope, or attributes
    that contradict the event.
    """
    content_type, attributes = _envelope(headers)
    media = content_type.partition(";")[0].strip().lower()
    if media.startswith(STRUCTURED):
        if media != f"{STRUCTURED}+json":
            batch = media.startswith(f"{STRUCTURED}-batch")
            hint = "send one event a record" if batch else f"send {STRUCTURED}+json"
            raise _unsupported("content-type", media, hint)
        return _structured(_document(value))
    _require_json(media, "content-type")
    document = _document(value)
    if "specversion" in attributes:
        _require_version(attributes["specversion"], "ce_specversion")
        return _merged(document, attributes, prefix=_PREFIX)
    return _structured(document) if "specversion" in document else document


def is_bare(headers: Sequence[tuple[str, bytes]]) -> bool:
    """Whether the headers say no more than that the value is JSON: then there is no envelope around it but
    one of the value's own (structured mode). Cheap; False is no verdict.
    """
    for name, raw in headers:
        if name == "content-type":
            if raw not in _PLAIN_JSON:
                return False
        elif name[:3].lower() == _PREFIX or name.lower() == "content-type":
            return False
    return True


def joined(value: bytes, headers: Sequence[tuple[str, bytes]]) -> tuple[bytes, dict[str, str]] | None:
    """A record in binary mode as one JSON object, the attributes in front of what the event says itself, so that of two
    the event's own is the last and counts; and what the attributes say, which the event must not contradict.

    For the fast road, where nothing needs a second look; None is no verdict. Raises `Unreadable` as `unwrap` does.
    """
    content_type, attributes = _envelope(headers)
    usual = not content_type or content_type in _JSON
    if not usual or attributes.get("specversion") != SPECVERSION or value[:1] != b"{":
        return None
    said = {field: attributes[name] for field, name in _SAME if name in attributes}
    return _encode({**said, **_by_type(attributes)})[:-1] + b"," + value[1:], said


def _envelope(headers: Sequence[tuple[str, bytes]]) -> tuple[str, dict[str, str]]:
    """The content type, and the CloudEvents attributes without their prefix."""
    content_type, attributes = "", {}
    for name, raw in headers:
        key = name.lower()
        if key != "content-type" and not key.startswith(_PREFIX):
            continue
        try:
            text = (raw or b"").decode()
        except UnicodeDecodeError:
            raise Unreadable("decode", "not_utf8", f"header {key[:40]}: not UTF-8") from None
        if key == "content-type":
            content_type = text
        else:
            attributes[key.removeprefix(_PREFIX)] = text
    return content_type, attributes


def _structured(envelope: Document) -> Document:
    _require_version(envelope.get("specversion"), "specversion")
    media = envelope.get("datacontenttype")
    if media is not None:
        _require_json(str(media).partition(";")[0].strip().lower(), "datacontenttype")
    data, encoded = envelope.get("data"), envelope.get("data_base64")
    if data is None and encoded is not None:
        try:
            data = _document(base64.b64decode(encoded, validate=True))
        except (ValueError, TypeError):
            raise Unreadable("decode", "not_base64", "data_base64: expected a base64 string") from None
    if not isinstance(data, dict):
        raise Unreadable("decode", "not_an_object", "data: expected the event as a JSON object")
    return _merged(data, envelope, prefix="")


def _merged(event: Document, attributes: Mapping[str, Any], prefix: str) -> Document:
    merged = dict(event)
    for field, attribute in _SAME:
        outer = attributes.get(attribute)
        if outer is None:
            continue
        if merged.get(field) is None:
            merged[field] = outer
        elif not _agree(field, merged[field], outer):
            raise Unreadable(
                "validate",
                "contradiction",
                f"{field}: differs from the CloudEvents attribute {prefix}{attribute}",
            )
    for field, segment in _by_type(attributes).items():
        if merged.get(field) is None:
            merged[field] = segment
    return merged


def _by_type(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Channel and type, as the CloudEvents type names them."""
    segments = str(attributes.get("type", "")).split(".")
    return {"channel": segments[-2], "type": segments[-1]} if len(segments) >= 2 else {}


def _agree(field: str, inner: Any, outer: Any) -> bool:
    if inner == outer or field != "occurred_at":
        return bool(inner == outer)
    try:
        return parse_timestamp(inner) == parse_timestamp(outer)
    except (TimestampError, TypeError):
        return False


def _require_version(version: Any, name: str) -> None:
    if version != SPECVERSION:
        raise Unreadable("decode", "unsupported_cloudevents", f"{name}: expected CloudEvents {SPECVERSION}")


def _require_json(media: str, name: str) -> None:
    if media not in _SAYS_NOTHING and media != "application/json" and not media.endswith("+json"):
        raise _unsupported(name, media, "send application/json")


def _unsupported(name: str, media: str, hint: str) -> Unreadable:
    shown = media[:80] if media.isascii() and media.isprintable() else "this media type"
    return Unreadable("decode", "unsupported_content_type", f"{name}: {shown} is not supported; {hint}")


def _document(value: bytes | None) -> Document:
    """Parse a JSON object. A byte order mark, which Windows writes at the beginning of files, is passed
    over."""
    if not value:
        raise Unreadable("decode", "empty", "the record has no value")
    try:
        document = from_json(value.removeprefix(_BOM), allow_inf_nan=False)
    except ValueError as error:
        try:
            value.decode()
        except UnicodeDecodeError:
            raise Unreadable("decode", "not_utf8", "the value is not UTF-8") from None
        raise Unreadable("decode", "not_json", f"the value is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Unreadable("decode", "not_an_object", "the value is JSON, but not an object")
    return document
