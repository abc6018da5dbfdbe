"""How a notice reads for a person: a title of one line, and a body of a few that ends with where to read on."""

from typing import Final

from schemas.alerts import Alert, AlertEvidence, AlertIdentity
from schemas.findings import ERASED
from schemas.notices import Notice, NoticeKind

MAX_BODY: Final = 3_000
"""Characters: what Slack, the tightest of the usual ones, takes in one section."""

NAMED: Final = 5
"""Interactions of the evidence that are named; the others are counted."""

_LONGEST_NAME: Final = 100
"""Characters of an interaction's source and id."""

_VERBS: Final[dict[NoticeKind, str]] = {
    "raised": "",
    "updated": "Update: ",
    "reminded": "Still true: ",
    "repeated": "",
    "acknowledged": "Taken care of: ",
    "resolved": "Resolved: ",
    "withdrawn": "Withdrawn: ",
    "settled": "Closed by age: ",
    "folded": "Flood: ",
    "calmed": "Flood over: ",
}


def title(notice: Notice) -> str:
    """One line: what happened, how bad it is, whom it is about."""
    verb = _VERBS[notice.kind]
    words = notice.alert.rule.replace("_", " ")
    about = f" - {notice.alert.customer}" if notice.alert.customer else ""
    return f"{verb}[{notice.severity}] {words}{about}"


def body(notice: Notice) -> str:
    """Why, what to do, what it rests on, and the command that shows more; at most `MAX_BODY` characters.

    Of a sentence that is too long the end goes, not what follows it.
    """
    lines = _of_many(notice) if notice.folded is not None else _of_one(notice)
    head, *rest = [line for line in lines if line]
    tail = "".join(f"\n{line}" for line in rest)
    return shortened(shortened(head, max(MAX_BODY - len(tail), MAX_BODY // 2)) + tail, MAX_BODY)


def evidence(alert: Alert) -> str:
    """The interactions that a finding rests on, as SOURCE/ID: at most `NAMED`, and how many more; empty for none."""
    named = ", ".join(map(_name, alert.evidence[:NAMED]))
    more = len(alert.evidence) - NAMED
    return f"{named} and {more} more" if more > 0 else named


def way_on(notice: Notice) -> str:
    """The command that shows all that is known; empty where nothing is, of a customer who was forgotten."""
    alert = notice.alert
    if notice.folded is not None:
        return f"touchline findings list --rule {alert.rule} --severity {alert.severity}"
    return "" if alert.reason == ERASED else f"touchline findings show {alert.finding_id}"


def _of_many(notice: Notice) -> list[str]:
    alert, folded = notice.alert, notice.folded
    assert folded is not None
    shown = f"To see them: {way_on(notice)}"
    about = f"{alert.rule} ({alert.severity})"
    if notice.kind == "calmed":
        return [f"None of the findings of {about} that were folded stands any more.", shown]
    if notice.kind == "repeated":
        return [f"{folded.standing} of the findings of {about} that were folded stand.", alert.action, shown]
    return [
        f"{folded.findings} more findings of {about} from {folded.since} to {folded.until}.",
        f"Of all that were folded, {folded.standing} stand." if folded.standing > folded.findings else "",
        f"Among them: {', '.join(folded.examples)}." if folded.examples else "",
        alert.action,
        shown,
    ]


def _of_one(notice: Notice) -> list[str]:
    alert = notice.alert
    rests, further = evidence(alert), way_on(notice)
    return [
        alert.sentence,
        _withdrawal(alert) if notice.kind == "withdrawn" else "",
        _resolution(alert) if notice.kind == "resolved" else "",
        f"By {notice.note}." if notice.kind == "acknowledged" and notice.note else "",
        f"To do: {alert.action}" if alert.action and alert.state == "open" else "",
        f"Rests on: {rests}" if rests else "",
        f"Since {alert.raised_at}, channel {alert.channel}, finding {alert.finding_id}.",
        f"To see it whole: {further}" if further else "",
    ]


def _withdrawal(alert: Alert) -> str:
    """Why it does not stand. What was another customer's never was true of this one, but is of the other."""
    cause = _name(alert.cause) if alert.cause is not None else "an interaction"
    match alert.reason:
        case "moved":
            return f"Withdrawn: {cause} is another customer's now."
        case "corrected":
            return f"Withdrawn, it is not true: {cause} was corrected."
        case "arrived":
            return f"Withdrawn, it is not true: {cause} has come in since."
        case "time":
            return "Withdrawn: as things are known now, it does not stand."
        case "" | "erased":
            return ""
    return f"Withdrawn, it is not true: {alert.reason}"


def _resolution(alert: Alert) -> str:
    by = f" by {_name(alert.cause)}" if alert.cause is not None else ""
    return f"Put right at {alert.resolved_at}{by}." if alert.resolved_at else ""


def _name(interaction: AlertEvidence | AlertIdentity) -> str:
    return shortened(f"{interaction.source}/{interaction.id}", _LONGEST_NAME)


def shortened(text: str, longest: int) -> str:
    """The text, its end replaced by an ellipsis when it is longer."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
