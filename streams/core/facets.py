"""What one interaction says by itself: is it a contact, did it settle anything, what is it about, what did
it cost.

The definitions are the contract's own ("Columns that others rely on"), each in one place.
"""

from typing import Final

from schemas.interaction import Interaction

_CONTACTS_IF_INBOUND: Final = frozenset({"call", "voicemail", "sms", "message"})
_CONTACTS_ALWAYS: Final = frozenset({"visit", "form", "chat"})
_OUTCOMES: Final[dict[str, bool | None]] = {
    "resolved": True,
    "unresolved": False,
    "promised": False,
    "abandoned": False,
    "unknown": None,
}
_CASE_ACTIONS: Final[dict[str, bool]] = {"resolved": True, "closed": True, "reopened": False}


def is_contact(interaction: Interaction) -> bool:
    """Whether the customer turned to people.

    An inbound call, voicemail, sms or message; a visit, a form, a chat. Never what went out to the customer,
    nor page views, payments, feedback, case updates and the like.
    """
    kind = interaction.type
    return kind in _CONTACTS_ALWAYS or (kind in _CONTACTS_IF_INBOUND and interaction.direction == "inbound")


def known_outcome(interaction: Interaction) -> bool | None:
    """True when it resolved the matter, False when it is known that it did not, None when it says nothing.

    `abandoned`, `promised` and `unresolved` are known and not resolved; `unknown` says nothing. A
    `case_update` without an outcome speaks by its action: `resolved` and `closed` resolve, `reopened` takes
    that back.
    """
    outcome = interaction.outcome
    if outcome is not None:
        return _OUTCOMES[outcome]
    if interaction.type == "case_update" and interaction.action is not None:
        return _CASE_ACTIONS.get(interaction.action)
    return None


def subjects_of(interaction: Interaction) -> tuple[str, ...]:
    """What it is about: `case:ID`, `order:ID`, `reason:a.b`, `thread:ID`, in this order; empty when
    unknown.
    """
    case = interaction.case_id
    order = interaction.order_id
    reason = interaction.reason
    thread = interaction.thread_id
    if case is order is thread is None:
        return () if reason is None else ("reason:" + reason,)
    subjects = []
    if case is not None:
        subjects.append("case:" + case)
    if order is not None:
        subjects.append("order:" + order)
    if reason is not None:
        subjects.append("reason:" + reason)
    if thread is not None:
        subjects.append("thread:" + thread)
    return tuple(subjects)


def effort_seconds(interaction: Interaction) -> float | None:
    """The customer's time in seconds: wait, talk, hold, service and duration added up; None when none is
    known.

    After-call work (`wrap_up_seconds`) is the company's time and does not count.
    """
    total = interaction.wait_seconds
    seconds = interaction.talk_seconds
    if seconds is not None:
        total = seconds if total is None else total + seconds
    seconds = interaction.hold_seconds
    if seconds is not None:
        total = seconds if total is None else total + seconds
    seconds = interaction.service_seconds
    if seconds is not None:
        total = seconds if total is None else total + seconds
    seconds = interaction.duration_seconds
    if seconds is not None:
        total = seconds if total is None else total + seconds
    return total
