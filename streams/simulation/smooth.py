"""Stories in which all goes well: the majority, and the controls of the troubled ones.

None of them may make a rule of the catalogue fire: mail and forms are answered within the working day,
promises are kept in time, an outcome is known only at the last contact, waits stay below the limits.
"""

from typing import Final

from schemas.interaction import SECOND
from streams.simulation.story import OFFERS, Story, Subject
from streams.simulation.texts import Situation
from streams.simulation.working_time import HOUR

_QUESTIONS = ("billing.invoice", "billing.due_date", "tariff.change", "contract.data", "technical.setup")
_SITUATIONS: Final[dict[str, Situation]] = {
    "billing": "ask_bill",
    "tariff": "ask_tariff",
    "contract": "ask_data",
    "technical": "ask_technical",
    "delivery": "ask_delivery",
}


def buys_online(story: Story) -> None:
    """Browses, orders, pays, gets it, sometimes says thanks."""
    session = story.ref("S")
    story.pages(session, "/offers", "/offers/compare", "/cart")
    bought = story.about(order=True, stage="order")
    price = story.money(story.price)
    ref = story.ref("P")
    due = story.timestamp(story.clock + 6 * 24 * HOUR)[:10]
    order = story.click(
        "order",
        bought,
        session_id=session,
        success=True,
        price={"agreed": price, "currency": "EUR", "ref": ref},
        promise={"what": "delivery", "due_at": due},
    )
    story.click(
        "payment",
        {**bought, "stage": "payment"},
        success=True,
        price={"charged": price, "currency": "EUR", "ref": ref},
    )
    story.pause(20, 90)
    story.until_awake()
    if story.chance(0.4):
        story.sms({**bought, "stage": "delivery"}, story.slots["order"])
    story.click(
        "delivery", {**bought, "stage": "delivery"}, success=True, promise={"kept_ref": order.event["id"]}
    )
    if story.chance(0.3):
        story.pause(1, 40)
        story.until_awake()
        story.click(
            "review",
            {**bought, "stage": "after_sales"},
            rating={"scale": "stars5", "value": 4 + int(story.rng.random() * 2)},
            text=story.say("praise"),
        )


def pays_the_bill(story: Story) -> None:
    """Looks at the bill online and pays it."""
    session = story.ref("S")
    story.pages(session, "/login", "/bills", "/bills/last")
    bill = story.about("billing.payment")
    story.click("self_service", bill, session_id=session, action="pay", target="/bills/pay", success=True)
    charged = {"charged": story.money(story.price), "currency": "EUR"}
    story.click("payment", bill, session_id=session, success=True, price=charged)


def asks_on_the_phone(story: Story) -> None:
    """One question, one call, solved; perhaps a short survey."""
    story.until_awake()
    if story.chance(0.7):
        story.pages(story.ref("S"), "/", "/help", "/contact")
    question = story.about(*_QUESTIONS, case=True)
    story.call(question, "resolved", text=story.say("note"), sentiment=story.draw(-0.2, 0.9))
    if story.chance(0.4):
        story.sms(question, story.slots["amount"])
    if story.chance(0.35):
        value = 4 + int(story.rng.random() * 2)
        story.click("survey", question, rating={"scale": "csat5", "value": value, "resolved": True})


def asks_by_mail(story: Story) -> None:
    """A letter that is answered the same working day."""
    question = story.about(*_QUESTIONS)
    thread = story.ref("M")
    story.pages(story.ref("S"), "/help", "/contact")
    asked = story.write(question, thread, _situation(question))
    story.work(0.2, 6)
    story.reply(question, thread, asked, "resolved")
    if story.chance(0.3):
        story.pause(2, 60)
        story.click("survey", question, rating={"scale": "nps10", "value": 8 + int(story.rng.random() * 3)})


def visits_the_office(story: Story) -> None:
    """Books online, goes to the office, is served well."""
    matter = story.about("contract.data", "contract.renewal", "device.repair", "billing.cash")
    session = story.ref("S")
    story.pages(session, "/offices", f"/offices/{story.person.office}")
    if story.chance(0.6):
        story.click(
            "self_service", matter, session_id=session, action="book", target="/offices", success=True
        )
    story.pause(1, 40)
    story.until_open()
    story.visit(matter, "resolved", treatment="professional")
    if story.chance(0.4):
        story.feedback(matter, rating={"scale": "csat5", "value": 5}, text=story.say("praise"))


def chats(story: Story) -> None:
    """Asks in the chat while browsing."""
    session = story.ref("S")
    story.until_awake()
    story.pages(session, "/help", "/help/devices")
    question = story.about("technical.setup", "tariff.change", "delivery.status")
    story.click(
        "chat",
        question,
        "resolved",
        session_id=session,
        text=story.say(_situation(question)),
        duration_seconds=60 + int(story.rng.random() * 600),
        staff_id=f"agent-{int(story.rng.random() * 140):03d}",
    )


def looks_around(story: Story) -> None:
    """Only browses."""
    pages = ("/", "/offers", "/offers/phones", "/offers/tv", "/news", "/help")
    story.pages(story.ref("S"), *pages[: 2 + int(story.rng.random() * 5)])


def gets_a_promise_kept(story: Story) -> None:
    """Is promised a call back, and gets it in time."""
    story.until_open()
    matter = story.about("technical.outage", "billing.invoice", case=True)
    due = story.clock + (26 + int(story.rng.random() * 40)) * HOUR
    promised = story.call(
        matter,
        "promised",
        text=story.say("promise"),
        promise={"what": "call back", "due_at": story.timestamp(due)},
    )
    story.clock = min(due - 20 * SECOND, story.clock + int(story.rng.random() * 24 * 3_600) * SECOND)
    story.call(
        matter,
        "resolved",
        direction="outbound",
        text=story.say("note"),
        promise={"kept_ref": promised.event["id"]},
    )


def complains_and_is_heard(story: Story) -> None:
    """A complaint, acknowledged within the working day and solved a few days later."""
    story.until_open()
    matter = story.about("complaint.quality", "complaint.installation", case=True)
    thread = story.ref("M")
    complaint = story.click(
        "form",
        matter,
        text=story.say("complaint"),
        complaint={"remedy_sought": story.say("remedy"), "stage": "received"},
    )
    story.work(0.1, 0.5)
    story.case_update(matter, "assigned")
    story.work(0.2, 5)
    story.reply(matter, thread, complaint, None, "acknowledge", complaint={"stage": "acknowledged"})
    story.work(4, 16)
    story.reply(matter, thread, None, "resolved", "sorry", complaint={"stage": "answered"})
    story.case_update(matter, "closed", complaint={"stage": "closed"})


def buys_on_the_phone(story: Story) -> None:
    """Agrees a price on the phone and is charged exactly that online."""
    story.until_awake()
    bought = story.about(*OFFERS, order=True, stage="order")
    ref = story.ref("P")
    price = story.money(story.price)
    story.call(
        bought, "resolved", text=story.say("note"), price={"agreed": price, "currency": "EUR", "ref": ref}
    )
    story.pause(1, 70)
    paid = {key: value for key, value in bought.items() if key != "reason"} | {"stage": "payment"}
    story.click("payment", paid, success=True, price={"charged": price, "currency": "EUR", "ref": ref})


def _situation(subject: Subject) -> Situation:
    return _SITUATIONS[subject["reason"].partition(".")[0]]
