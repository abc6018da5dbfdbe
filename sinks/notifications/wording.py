"""How a notice reads for a person: a title of one line, and a body of a few."""

from typing import Final

from schemas.notices import Notice, NoticeKind

MAX_BODY: Final = 3_000
"""Characters: what Slack, the tightest of the usual ones, takes in one section."""

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
    """Why, what to do, and where it comes from; at most `MAX_BODY` characters."""
    alert, folded = notice.alert, notice.folded
    if folded is not None:
        lines = [
            f"{folded.findings} more findings of {alert.rule} ({alert.severity}) "
            f"from {folded.since} to {folded.until}.",
            f"Among them: {', '.join(folded.examples)}." if folded.examples else "",
            alert.action,
        ]
        if notice.kind == "calmed":
            lines = [f"No more than usual of {alert.rule} ({alert.severity})."]
    else:
        lines = [
            alert.sentence,
            f"Withdrawn, it is not true: {alert.reason}"
            if notice.kind == "withdrawn" and alert.reason
            else "",
            f"Put right at {alert.resolved_at}." if notice.kind == "resolved" and alert.resolved_at else "",
            f"By {notice.note}." if notice.kind == "acknowledged" and notice.note else "",
            f"To do: {alert.action}" if alert.action and alert.state == "open" else "",
            f"Since {alert.raised_at}, channel {alert.channel}, finding {alert.finding_id}.",
        ]
    return shortened("\n".join(line for line in lines if line), MAX_BODY)


def shortened(text: str, longest: int) -> str:
    """The text, its end replaced by an ellipsis when it is longer."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
