"""A customer's identifiers and links, for people and as JSON."""

from collections.abc import Iterator
from typing import Any, Final

from schemas.interaction import Micros
from schemas.links import Statement, kind_of
from schemas.timestamps import format_timestamp
from streams.commands.columns import shown, table
from streams.core.identification.portrait import Portrait, Tie

RANKS: Final = ("learnt", "upstream", "operator")
"""By rank."""


def document(picture: Portrait) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "identifier": picture.name,
        "customer": picture.customer,
        "shared": picture.shared,
        "identifiers": [
            {"identifier": one.name, "kind": kind_of(one.name), "shared": one.shared, "note": one.why}
            for one in picture.features
        ],
        "links": [_link(tie) for tie in picture.ties],
    }


def _link(tie: Tie) -> dict[str, Any]:
    evidence = None if tie.evidence is None else {"source": tie.evidence[0], "id": tie.evidence[1]}
    return {
        "identifiers": [tie.a, tie.b],
        "together": tie.why is None,
        "why_not": tie.why,
        "rank": RANKS[tie.rank],
        "operation": "link" if tie.links else "unlink",
        "first_seen": _instant(tie.first_seen),
        "last_seen_on": _day(tie.last_seen),
        "evidence": evidence,
        "statements": [_statement(told) for told in tie.told],
    }


def _statement(told: Statement) -> dict[str, Any]:
    return {
        "source": told.source,
        "id": told.id,
        "revision": told.revision,
        "occurred_at": _instant(told.occurred_at),
        "operation": "link" if told.links else "unlink",
        "reason": told.reason,
    }


def description(picture: Portrait) -> Iterator[str]:
    """For a terminal."""
    if picture.shared:
        yield f"{shown(picture.name)} is nobody's alone"
    elif picture.customer == picture.name:
        yield f"{shown(picture.name)} is a customer by its own name"
    else:
        yield f"{shown(picture.name)} belongs to {shown(picture.customer)}"
    yield ""
    yield "identifiers"
    for one in picture.features:
        yield f"  {shown(one.name)}" + (f"  ({shown(one.why)})" if one.why else "")
    yield ""
    if not picture.ties:
        yield "no links: it was not seen together with another identifier, and nobody told of it"
        return
    yield from table(
        ("link", "rank", "first seen", "last seen", "evidence"),
        [
            (
                f"{tie.a} {'=' if tie.why is None else '≠'} {tie.b}",
                RANKS[tie.rank],
                _instant(tie.first_seen) or "",
                _day(tie.last_seen) or "",
                " ".join(tie.evidence or ()),
            )
            for tie in picture.ties
        ],
    )
    for tie in picture.ties:
        if tie.why is None and not tie.told:
            continue
        yield ""
        yield f"{shown(tie.a)} and {shown(tie.b)}" + (f": {shown(tie.why)}" if tie.why else "")
        for told in tie.told:
            said = "link" if told.links else "unlink"
            because = f": {shown(told.reason)}" if told.reason else ""
            yield f"  {_instant(told.occurred_at)}  {shown(told.source)} {shown(told.id)} says {said}{because}"


def _instant(at: Micros | None) -> str | None:
    return None if at is None else format_timestamp(at)


def _day(at: Micros | None) -> str | None:
    return None if at is None else format_timestamp(at)[:10]
