"""The ways in which an upstream system breaks an event, so that no decoder may accept it.

`DEFECTS` maps each defect's name to how it is made and to the word (a field's path, where there is one)
that the reason of its dead letter is expected to contain.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

Event = dict[str, Any]

_encode: Final = msgspec.json.Encoder().encode


class Defect(NamedTuple):
    """`spoil` turns a good event into bytes that are none; `names` is what the reason must mention."""

    spoil: Callable[[Event], bytes]
    names: str


def _with(**changes: Any) -> Callable[[Event], bytes]:
    return lambda event: _encode({**event, **changes})


def _without(field: str) -> Callable[[Event], bytes]:
    return lambda event: _encode({name: value for name, value in event.items() if name != field})


def _from_the_future(event: Event) -> bytes:
    # Ten years ahead: in the future for any clock that this simulation may be played against.
    ahead = datetime.fromisoformat(event["occurred_at"]).astimezone(UTC) + timedelta(days=3650)
    return _encode({**event, "occurred_at": ahead.isoformat()})


def _cut_off(event: Event) -> bytes:
    # Between two characters: a cut within one would be another defect.
    return _encode(event)[:-17].decode(errors="ignore").encode()


def _in_a_code_page(event: Event) -> bytes:
    # `backslashreplace` keeps what the code page lacks; the Cyrillic word makes sure that it is no UTF-8.
    return _encode({**event, "text": "Жалба"}).decode().encode("cp1251", "backslashreplace")


DEFECTS: Final[dict[str, Defect]] = {
    "cut_off": Defect(_cut_off, "JSON"),
    "not_json": Defect(
        lambda event: b"id=%b;type=%b" % (event["id"].encode(), event["type"].encode()), "JSON"
    ),
    "not_utf8": Defect(_in_a_code_page, "UTF-8"),
    "not_an_object": Defect(lambda event: _encode([event]), "object"),
    "missing_time": Defect(_without("occurred_at"), "occurred_at"),
    "missing_customer": Defect(_without("customer"), "customer"),
    "missing_source": Defect(_without("source"), "source"),
    "time_without_offset": Defect(
        lambda event: _encode({**event, "occurred_at": event["occurred_at"][:19]}), "occurred_at"
    ),
    "from_the_future": Defect(_from_the_future, "occurred_at"),
    "unknown_channel": Defect(_with(channel="fax"), "channel"),
    "unknown_type": Defect(_with(type="telepathy"), "type"),
    "unknown_field": Defect(_with(agentName="-"), "agentName"),
    "bad_price": Defect(_with(price={"charged": "12,50 лв"}), "price.charged"),
    "money_as_number": Defect(_with(price={"agreed": 12.5, "currency": "EUR"}), "price.agreed"),
    "unknown_outcome": Defect(_with(outcome="solved"), "outcome"),
    "rating_off_scale": Defect(_with(rating={"scale": "csat5", "value": 9}), "rating"),
    "negative_transfers": Defect(_with(transfers=-1), "transfers"),
}
NAMES: Final = tuple(DEFECTS)
