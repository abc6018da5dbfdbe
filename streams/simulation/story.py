"""A story in the making: one customer, a clock that only runs forward, and the steps told so far.

Scenarios tell stories with the verbs of this class (`call`, `write`, `visit`, `click`, ...) and say which
troubles they planted. A step is a whole event of the contract as a dict; what happens to it on its way
(lateness, repetition, damage) is the business of `streams.simulation.mess`.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import count
from random import Random
from typing import Any, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from schemas.interaction import DAY, SECOND, Micros
from schemas.vocabulary import CHANNELS, Channel
from streams.simulation.names import PRODUCTS
from streams.simulation.people import Person
from streams.simulation.texts import Situation, letter, say
from streams.simulation.working_time import HOUR, after_working_time, next_opening

MINUTE: Final = 60 * SECOND
OFFERS: Final = ("sales.offer", "sales.upgrade", "sales.accessory", "sales.bundle")
"""What is sold on the phone."""

Subject = dict[str, str]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SOFIA: Final = ZoneInfo("Europe/Sofia")
_SOURCES: Final[dict[Channel, str]] = {
    "phone": "telephony",
    "email": "mailroom",
    "visit": "queue",
    "online": "web",
}
_BROWSERS: Final = ("Firefox", "Chrome", "Safari", "app/Android", "app/iOS")


class Repetition(Exception):
    """The story cannot be told to this customer now: everything that it may be about was the matter lately."""


class Step:
    """One interaction of a story. `mistake` holds the fields that a first, wrong revision of it had."""

    __slots__ = ("arrived_at", "at", "channel", "event", "mistake")

    def __init__(self, channel: Channel, at: Micros, event: dict[str, Any]):
        self.channel = channel
        self.at = at
        self.event = event
        self.mistake: dict[str, Any] | None = None
        self.arrived_at: Micros = at
        """When its final revision first arrives; set on delivery."""

    @property
    def key(self) -> tuple[str, str]:
        """The identity `(source, id)`."""
        return self.event["source"], self.event["id"]


class Planted(NamedTuple):
    """A trouble as told: it counts when `needed` of its evidence happen and `since` comes within the span."""

    kind: str
    evidence: list[Step]
    since: Micros
    needed: int
    resolved_by: Step | None
    withdrawn: bool


class Story:
    """Verbs for scenarios. `clock` is now; a verb begins at the clock and moves it to its own end."""

    def __init__(
        self, person: Person, start: Micros, elapsed: float, rng: Random, *, run: str, ids: "count[int]"
    ):
        self.person = person
        self.clock = start
        self.rng = rng
        self.steps: list[Step] = []
        self.planted: list[Planted] = []
        self.reasons: list[str] = []
        self._run = run
        self._ids = ids
        self._phone = person.phone_at(elapsed)
        self._device = person.devices[int(rng.random() * len(person.devices))]
        products = PRODUCTS[person.language]
        self.price = 5 + int(rng.random() * 900) / 10
        self.slots = {
            "name": person.name,
            "product": products[int(rng.random() * len(products))],
            "amount": f"{self.price:.2f} €",
            "order": self.ref("O"),
            "days": str(2 + int(rng.random() * 9)),
        }

    # --- chance and time ---------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        """Whether something of that probability happens."""
        return self.rng.random() < probability

    def draw(self, low: float, high: float) -> float:
        """A number between the two, with one decimal: what systems write as seconds."""
        return int((low + (high - low) * self.rng.random()) * 10) / 10

    def pause(self, low_hours: float, high_hours: float) -> None:
        """Let time pass."""
        hours = low_hours + (high_hours - low_hours) * self.rng.random()
        self.clock += int(hours * 3_600_000) * 1_000

    def until_awake(self) -> None:
        """Go on, when it is night (before 06:00 or after 20:00 UTC), to the next morning."""
        time = self.clock % DAY
        if not 6 * HOUR <= time < 20 * HOUR:
            day = self.clock - time + (DAY if time >= 20 * HOUR else 0)
            self.clock = day + 6 * HOUR + int(self.rng.random() * 3 * 3_600_000) * 1_000

    def until_open(self) -> None:
        """Go on, when the office is closed, to some minutes after it next opens."""
        opening = next_opening(self.clock)
        if opening != self.clock:
            self.clock = opening + int(self.rng.random() * 2 * 3_600_000) * 1_000

    def work(self, low_hours: float, high_hours: float) -> None:
        """Let that much office time pass."""
        hours = low_hours + (high_hours - low_hours) * self.rng.random()
        self.clock = after_working_time(self.clock, int(hours * 3_600_000) * 1_000)

    # --- what it is about --------------------------------------------------------------------------------

    def ref(self, kind: str) -> str:
        """A fresh reference number (`O` order, `T` ticket, `M` mail thread, `P` price, `S` session)."""
        return f"{kind}-{self._run}-{next(self._ids):x}"

    def about(
        self, *reasons: str, case: bool = False, order: bool = False, stage: str | None = None
    ) -> Subject:
        """A subject with one of the reasons: one that the customer has not come with lately.

        Raises `Repetition` when there is none: what follows would be taken for the continuation of another story.
        """
        subject: Subject = {}
        if reasons:
            quiet = self.person.quiet_until
            fresh = [
                one for one in reasons if one not in self.reasons and quiet.get(one, self.clock) <= self.clock
            ]
            if not fresh:
                raise Repetition
            subject["reason"] = fresh[int(self.rng.random() * len(fresh))]
            self.reasons.append(subject["reason"])
        if case:
            subject["case_id"] = self.ref("T")
        if order:
            subject["order_id"] = self.slots["order"]
            subject["product"] = self.slots["product"]
        if stage:
            subject["stage"] = stage
        return subject

    def say(self, situation: Situation) -> str:
        """A sentence in the customer's language."""
        return say(self.rng, self.person.language, situation, self.slots)

    def letter(self, situation: Situation, *, company: bool = False) -> str:
        """A whole e-mail in the customer's language."""
        return letter(self.rng, self.person.language, situation, self.slots, company=company)

    # --- the channels ------------------------------------------------------------------------------------

    def call(
        self,
        subject: Subject | None = None,
        outcome: str | None = None,
        *,
        direction: Literal["inbound", "outbound"] = "inbound",
        wait: float | None = None,
        **fields: Any,
    ) -> Step:
        """A telephone call that was answered."""
        rng = self.rng
        talk = 45 + int(rng.random() ** 2 * 900)
        fields["direction"] = direction
        if direction == "inbound":
            fields["wait_seconds"] = self.draw(4, 240) if wait is None else wait
            fields["ivr_path"] = ("1", "1>2", "2>1>4", "3", "0")[int(rng.random() * 5)]
        fields["talk_seconds"] = talk
        if rng.random() < 0.3:
            fields["hold_seconds"] = int(rng.random() * 180)
        fields["wrap_up_seconds"] = int(rng.random() * 90)
        fields["staff_id"] = f"agent-{int(rng.random() * 140):03d}"
        return self._tell(
            "phone", "call", subject, outcome, fields=fields, seconds=talk + fields.get("wait_seconds", 0.0)
        )

    def abandoned_call(self) -> Step:
        """A call that the customer gave up before anybody answered; nobody learnt what it was about."""
        wait = self.draw(90, 590)
        fields = {"direction": "inbound", "wait_seconds": wait, "attributes": {"queue": "general"}}
        return self._tell("phone", "call", None, "abandoned", fields=fields, seconds=wait)

    def sms(self, subject: Subject, text: str) -> Step:
        """A text message from the company."""
        return self._tell(
            "phone", "sms", subject, None, fields={"direction": "outbound", "text": text}, seconds=1
        )

    def write(self, subject: Subject, thread: str, situation: Situation = "ask_bill", **fields: Any) -> Step:
        """An e-mail of the customer."""
        fields |= {"direction": "inbound", "thread_id": thread, "text": self.letter(situation)}
        return self._tell("email", "message", subject, None, fields=fields, seconds=1)

    def reply(
        self,
        subject: Subject,
        thread: str,
        to: Step | None = None,
        outcome: str | None = None,
        situation: Situation = "answer",
        **fields: Any,
    ) -> Step:
        """An e-mail of the company."""
        fields |= {"direction": "outbound", "thread_id": thread, "text": self.letter(situation, company=True)}
        if to is not None and to.channel == "email":
            fields["in_reply_to"] = to.event["id"]
        fields["staff_id"] = f"agent-{int(self.rng.random() * 140):03d}"
        return self._tell("email", "message", subject, outcome, fields=fields, seconds=1)

    def visit(
        self, subject: Subject, outcome: str | None = None, *, wait: float | None = None, **fields: Any
    ) -> Step:
        """A visit to the customer's office, in its opening hours."""
        service = 90 + int(self.rng.random() ** 2 * 1_500)
        fields["office_id"] = self.person.office
        fields["ticket"] = f"{'ABC'[int(self.rng.random() * 3)]}{int(self.rng.random() * 300):03d}"
        fields["wait_seconds"] = int(self.rng.random() * 1_500) if wait is None else wait
        fields["service_seconds"] = service
        fields["staff_id"] = f"desk-{int(self.rng.random() * 40):02d}"
        return self._tell(
            "visit", "visit", subject, outcome, fields=fields, seconds=service + fields["wait_seconds"]
        )

    def feedback(self, subject: Subject, **fields: Any) -> Step:
        """What a customer leaves on the tablet at the desk."""
        fields["office_id"] = self.person.office
        return self._tell("visit", "feedback", subject, None, fields=fields, seconds=20)

    def pages(self, session: str, *targets: str) -> None:
        """Page views, one after the other; a part of them before anybody logged in."""
        for target in targets:
            seconds = 4 + int(self.rng.random() ** 2 * 200)
            fields: dict[str, Any] = {"session_id": session, "target": target, "duration_seconds": seconds}
            if self.rng.random() < 0.2:
                fields["attributes"] = {"browser": _BROWSERS[int(self.rng.random() * len(_BROWSERS))]}
            step = self._tell("online", "page_view", None, None, fields=fields, seconds=seconds)
            if self.rng.random() < 0.1:
                step.event["customer"] = {}

    def click(
        self, kind: str, subject: Subject | None = None, outcome: str | None = None, **fields: Any
    ) -> Step:
        """Anything else online: self_service, form, chat, order, payment, delivery, review, survey."""
        step = self._tell(
            "online", kind, subject, outcome, fields=fields, seconds=fields.get("duration_seconds", 20.0)
        )
        if kind in ("order", "form") and not self.person.identified:
            step.event["customer"] = {
                "device": self._device,
                "email": self.person.email,
                "phone": self._phone,
            }
        elif kind in ("self_service", "payment") and not self.person.identified:
            step.event["customer"] = {"device": self._device, "contract": self.person.contract}
        return step

    def case_update(self, subject: Subject, action: str, **fields: Any) -> Step:
        """A step inside the company, written by the ticket system."""
        fields |= {"action": action, "staff_id": f"agent-{int(self.rng.random() * 140):03d}"}
        step = self._tell("online", "case_update", subject, None, fields=fields, seconds=1)
        step.event["source"] = "tickets"
        step.event["customer"] = {"crm_id": self.person.crm_id}
        return step

    @property
    def is_settled(self) -> bool:
        """Whether all that went wrong was put right."""
        return all(planted.withdrawn or planted.resolved_by is not None for planted in self.planted)

    # --- ground truth ------------------------------------------------------------------------------------

    def plant(
        self,
        kind: str,
        *evidence: Step,
        since: Micros | None = None,
        needed: int | None = None,
        resolved_by: Step | None = None,
        withdrawn: bool = False,
    ) -> None:
        """Say that a trouble was planted. It is true from `since`, by default the `needed`-th piece of
        evidence."""
        needed = len(evidence) if needed is None else needed
        since = evidence[needed - 1].at if since is None else since
        self.planted.append(Planted(kind, list(evidence), since, needed, resolved_by, withdrawn))

    def timestamp(self, at: Micros) -> str:
        """RFC 3339, UTC, to the second."""
        return (_EPOCH + timedelta(seconds=at // SECOND)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def money(self, amount: float) -> str:
        """A decimal string with two digits."""
        return f"{amount:.2f}"

    def _tell(
        self,
        channel: Channel,
        kind: str,
        subject: Subject | None,
        outcome: str | None,
        *,
        fields: dict[str, Any],
        seconds: float,
    ) -> Step:
        at = self.clock
        event: dict[str, Any] = {
            "id": f"{self._run}-{next(self._ids):x}",
            "source": _SOURCES[channel],
            "channel": channel,
            "type": kind,
            "occurred_at": _rfc3339(at, channel),
            "customer": self._customer(channel),
        }
        if subject:
            event["subject"] = subject
        if outcome:
            event["outcome"] = outcome
        event.update(fields)
        step = Step(channel, at, event)
        self.steps.append(step)
        self.clock = at + int(seconds * 1_000) * 1_000 + 1_000_000
        return step

    def _customer(self, channel: Channel) -> dict[str, str]:
        person = self.person
        match channel:
            case "phone":
                own = {"phone": self._phone}
            case "email":
                own = {"email": person.email}
            case "visit":
                own = {"contract": person.contract}
            case "online":
                own = {"device": self._device}
        if person.identified:
            own["crm_id"] = person.crm_id
        return own


@lru_cache(maxsize=4_096)
def _hour(hours: int, local: bool) -> tuple[str, str]:
    zone = _SOFIA if local else UTC
    text = datetime.fromtimestamp(hours * 3_600, zone).isoformat()
    return text[:14], ("Z" if text.endswith("+00:00") else text[19:])


def _rfc3339(at: Micros, channel: Channel) -> str:
    """The instant as that channel's system writes it: the offices in local time, the others in UTC."""
    hours, rest = divmod(at, HOUR)
    prefix, offset = _hour(hours, channel == "visit")
    minutes, rest = divmod(rest, MINUTE)
    seconds, micros = divmod(rest, SECOND)
    return f"{prefix}{minutes:02d}:{seconds:02d}.{micros // 1_000:03d}{offset}"


assert set(_SOURCES) == set(CHANNELS)
