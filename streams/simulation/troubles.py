"""Stories in which something goes wrong, each saying which rule of the catalogue is meant to see it.

The thresholds meant are the catalogue's defaults. A story plants all that its own steps make true, and is
built so that nothing else becomes true by accident: contacts that are no repetition have subjects of their
own, letters that are not the point are answered in time.
"""

from schemas.interaction import DAY, SECOND, Micros
from streams.simulation.story import OFFERS, Story
from streams.simulation.working_time import HOUR, after_working_time, next_opening

_ANSWER_WITHIN = 8 * HOUR
_SOLVE_WITHIN = 72 * HOUR

THOUSAND = 4
"""So many small troubles are a thousand cuts."""

OVERCHARGES = ("billing.overcharge", "billing.double_charge", "billing.fee", "billing.refund")


def _overdue_since(asked: Micros) -> Micros:
    """When an answer is late. Eight hours that are full at closing time are still eight until the office opens."""
    return next_opening(after_working_time(asked, _ANSWER_WITHIN))


def is_overcharged(story: Story) -> None:
    """Agrees a price on the phone, is charged more online; complains, or just stays away."""
    story.until_awake()
    bought = story.about(*OFFERS, order=True, stage="order")
    ref = story.ref("P")
    more = story.price * (1.05 + 0.4 * story.rng.random())
    agreed = story.call(
        bought,
        "resolved",
        text=story.say("note"),
        price={"agreed": story.money(story.price), "currency": "EUR", "ref": ref},
    )
    story.pause(2, 60)
    order = {key: value for key, value in bought.items() if key != "reason"}
    charged = story.click(
        "payment",
        {**order, "stage": "payment"},
        success=True,
        price={"charged": story.money(more), "currency": "EUR", "ref": ref},
    )
    story.plant("overcharge", agreed, charged)
    if story.chance(0.6):
        # Not under the order: a call about what was sold as "resolved" would be a reopening of its own.
        story.slots["amount"] = f"{more:.2f} €"
        story.pause(3, 30)
        story.until_awake()
        matter = story.about(*OVERCHARGES, case=True)
        call = story.call(
            matter, "unresolved", text=story.say("overcharged"), sentiment=story.draw(-0.7, -0.3)
        )
        story.work(2, 10)
        reply = story.reply(matter, story.ref("M"), None, "resolved", "sorry")
        if reply.at > call.at + _SOLVE_WITHIN:  # a weekend lay between
            story.plant("unresolved", call, since=call.at + _SOLVE_WITHIN, resolved_by=reply)


def is_charged_by_mistake_and_corrected(story: Story) -> None:
    """The billing system slips a digit and corrects it: an overcharge that in the end never was."""
    story.until_awake()
    bought = story.about(order=True, stage="order")
    ref = story.ref("P")
    price = story.money(story.price)
    order = story.click("order", bought, success=True, price={"agreed": price, "currency": "EUR", "ref": ref})
    paid = story.click(
        "payment",
        {**bought, "stage": "payment"},
        success=True,
        price={"charged": price, "currency": "EUR", "ref": ref},
    )
    paid.mistake = {"price": {"charged": story.money(story.price * 10), "currency": "EUR", "ref": ref}}
    story.plant("overcharge", order, paid, withdrawn=True)


def calls_again_and_again(story: Story) -> None:
    """Three to five calls about one thing within the week; every call opens a ticket of its own."""
    matter = story.about("billing.invoice", "technical.outage", "contract.termination", "billing.discount")
    times = 3 + int(story.rng.random() * 3)
    calls = []
    for n in range(times):
        story.until_awake()
        last = n == times - 1
        calls.append(
            story.call(
                {**matter, "case_id": story.ref("T")},
                "resolved" if last else "unknown",
                text=story.say("ask_bill" if n == 0 else "again"),
                sentiment=story.draw(-0.7, 0.2),
            )
        )
        story.pause(6, 28)
    story.plant("repeat_contact", *calls, needed=3)


def waits_for_an_answer(story: Story) -> None:
    """Writes, hears nothing; reminds; the answer comes days late or never."""
    matter = story.about("billing.invoice", "delivery.status", "contract.data", "tariff.change")
    thread = story.ref("M")
    letters = [story.write(matter, thread, "ask_bill")]
    overdue = _overdue_since(letters[0].at)
    if story.chance(0.5):
        story.clock = overdue
        story.pause(6, 40)
        letters.append(story.write(matter, thread, "nudge"))
    answer = None
    if story.chance(0.55):
        story.clock = _overdue_since(letters[-1].at)
        story.work(1, 12)
        answer = story.reply(matter, thread, letters[-1], "resolved", "sorry")
    for written in letters:
        since = _overdue_since(written.at)
        story.plant("slow_answer", written, since=since, resolved_by=answer)


def waits_in_vain_for_a_call(story: Story) -> None:
    """A call back is promised and does not come, or comes late."""
    story.until_open()
    matter = story.about("technical.outage", "billing.discount", "device.repair", case=True)
    due = story.clock + (20 + int(story.rng.random() * 30)) * HOUR
    due -= due % SECOND
    promised = story.call(
        matter,
        "promised",
        text=story.say("promise"),
        promise={"what": "call back", "due_at": story.timestamp(due)},
    )
    kept = None
    if story.chance(0.45):
        story.clock = due
        story.pause(3, 40)
        story.until_open()
        kept = story.call(
            matter,
            "resolved",
            direction="outbound",
            text=story.say("note"),
            promise={"kept_ref": promised.event["id"]},
        )
    story.plant("broken_promise", promised, since=due, resolved_by=kept)


def waits_for_a_parcel(story: Story) -> None:
    """A delivery day is promised; the parcel comes days after it."""
    session = story.ref("S")
    story.pages(session, "/offers/phones", "/cart")
    bought = story.about(order=True, stage="order")
    price = {"agreed": story.money(story.price), "currency": "EUR"}
    due_day = story.clock - story.clock % DAY + 2 * DAY
    order = story.click(
        "order",
        bought,
        session_id=session,
        success=True,
        price=price,
        promise={"what": "delivery", "due_at": story.timestamp(due_day)[:10]},
    )
    story.clock = due_day + DAY
    story.pause(10, 50)
    story.until_awake()
    delivered = story.click(
        "delivery", {**bought, "stage": "delivery"}, success=True, promise={"kept_ref": order.event["id"]}
    )
    story.plant("broken_promise", order, since=due_day + DAY, resolved_by=delivered)


def is_treated_badly(story: Story) -> None:
    """A rude clerk; some say so on the tablet on their way out."""
    story.until_open()
    matter = story.about("contract.termination", "device.repair", "billing.cash", "contract.renewal")
    rude = story.chance(0.55)
    visit = story.visit(
        matter,
        "resolved",
        treatment="rude" if rude else "indifferent",
        text=story.say("rude" if rude else "indifferent"),
        sentiment=story.draw(-0.75, -0.2),
    )
    story.plant("bad_treatment", visit)
    if rude and story.chance(0.4):
        told = story.feedback(matter, rating={"scale": "csat5", "value": 1}, text=story.say("rude"))
        story.plant("low_rating", told)


def fails_alone_then_calls(story: Story) -> None:
    """Self-service fails, so the customer calls."""
    session = story.ref("S")
    story.until_awake()
    story.pages(session, "/login", "/bills")
    matter = story.about("billing.payment", "account.login", "tariff.change")
    failed = story.click(
        "self_service",
        matter,
        session_id=session,
        action="pay",
        target="/bills/pay",
        success=False,
        text=story.say("self_service"),
        duration_seconds=30 + int(story.rng.random() * 300),
    )
    story.pause(0.1, 3)
    call = story.call({**matter, "case_id": story.ref("T")}, "resolved", text=story.say("self_service"))
    story.plant("self_service_failed", failed, call)


def gives_up_waiting(story: Story) -> None:
    """Hangs up in the queue, once or twice; some come through at last."""
    story.until_awake()
    story.plant("gave_up", story.abandoned_call())
    if story.chance(0.5):
        story.pause(2, 30)
        story.until_awake()
        story.plant("gave_up", story.abandoned_call())
    if story.chance(0.6):
        story.pause(0.5, 20)
        story.until_awake()
        story.call(
            story.about("billing.invoice", "technical.setup", case=True), "resolved", text=story.say("note")
        )


def waits_too_long(story: Story) -> None:
    """Answered at last: after more than ten minutes on the line or half an hour in the office."""
    if story.chance(0.6):
        story.until_awake()
        wait = story.draw(615, 1_500)
        held = story.call(
            story.about("technical.outage", "billing.invoice", case=True), "resolved", wait=wait
        )
    else:
        story.until_open()
        held = story.visit(
            story.about("device.repair", "billing.cash"), "resolved", wait=story.draw(1_830, 4_000)
        )
    story.plant("slow_answer", held)


def is_passed_around(story: Story) -> None:
    """Sent from one to another: within one call, or over three channels for one thing."""
    story.until_open()
    if story.chance(0.6):
        matter = story.about("billing.discount", "technical.outage", case=True)
        transfers = 2 + int(story.rng.random() * 3)
        story.plant(
            "passed_around", story.call(matter, "resolved", transfers=transfers, text=story.say("again"))
        )
        return
    matter = story.about("contract.termination", "account.login", "technical.outage")
    contacts = [
        story.click("chat", matter, "unknown", text=story.say("ask_technical"), duration_seconds=300),
    ]
    story.pause(3, 20)
    story.until_awake()
    contacts.append(story.call({**matter, "case_id": story.ref("T")}, "unknown", text=story.say("again")))
    story.pause(3, 30)
    story.until_open()
    contacts.append(story.visit(matter, "resolved", treatment="professional", text=story.say("again")))
    story.plant("passed_around", *contacts)
    story.plant("repeat_contact", *contacts)


def rates_low(story: Story) -> None:
    """Says in a survey that it was not good."""
    story.until_awake()
    matter = story.about("technical.setup", "billing.due_date", "tariff.change", case=True)
    story.call(matter, "resolved", text=story.say("note"))
    story.pause(0.2, 20)
    scale, worst, span = (("csat5", 1, 2), ("nps10", 0, 7), ("ces7", 1, 3))[int(story.rng.random() * 3)]
    rating = {"scale": scale, "value": worst + int(story.rng.random() * span), "resolved": False}
    survey = story.click("survey", matter, rating=rating, text=story.say("dissatisfied"))
    story.plant("low_rating", survey)


def complains_in_vain(story: Story) -> None:
    """A complaint that nobody acknowledges within the working day; some are answered much later."""
    matter = story.about("complaint.quality", "complaint.staff", "complaint.installation", case=True)
    complaint = story.click(
        "form",
        matter,
        text=story.say("complaint"),
        complaint={"remedy_sought": story.say("remedy"), "stage": "received"},
    )
    overdue = _overdue_since(complaint.at)
    answer = None
    if story.chance(0.5):
        story.clock = overdue
        story.work(2, 20)
        answer = story.reply(
            matter, story.ref("M"), None, "resolved", "sorry", complaint={"stage": "answered"}
        )
    story.plant("complaint_unacknowledged", complaint, since=overdue, resolved_by=answer)
    story.plant("slow_answer", complaint, since=overdue, resolved_by=answer)


def comes_back_with_it(story: Story) -> None:
    """It was called solved, and was not."""
    story.until_awake()
    matter = story.about("technical.setup", "technical.outage", "device.repair")
    first = story.call({**matter, "case_id": story.ref("T")}, "resolved", text=story.say("note"))
    story.pause(12, 120)
    story.until_awake()
    again = story.call(
        {**matter, "case_id": story.ref("T")},
        "resolved",
        text=story.say("again"),
        sentiment=story.draw(-0.7, -0.1),
        follows=first.event["id"],
    )
    story.plant("reopened", first, again)


def stays_unsolved(story: Story) -> None:
    """Nobody solves it within three days."""
    story.until_awake()
    matter = story.about("technical.outage", "contract.termination", "billing.discount", case=True)
    call = story.call(matter, "unresolved", text=story.say("ask_technical"), sentiment=story.draw(-0.7, 0))
    overdue = call.at + _SOLVE_WITHIN
    story.work(0.5, 4)
    story.case_update(matter, "assigned")
    solved = None
    if story.chance(0.5):
        story.clock = overdue
        story.pause(4, 60)
        story.until_open()
        solved = story.call(matter, "resolved", direction="outbound", text=story.say("note"))
    story.plant("unresolved", call, since=overdue, resolved_by=solved)


def suffers_a_thousand_cuts(story: Story) -> None:
    """Nothing grave, and too much of it: four small troubles within three weeks."""
    for cut in (waits_too_long, gives_up_waiting, fails_alone_then_calls, _meets_a_shrug):
        cut(story)
        story.pause(30, 90)
    # Giving up a second time is no small trouble any more.
    small = {planted.kind: planted.evidence[0] for planted in reversed(story.planted)}
    cuts = sorted(small.values(), key=lambda step: step.at)
    story.plant("thousand_cuts", *cuts, needed=THOUSAND)
    # Who has suffered that is not seen again for a while: what came next would count with it.
    story.clock += 30 * DAY


def _meets_a_shrug(story: Story) -> None:
    story.until_open()
    visit = story.visit(
        story.about("contract.data"), "resolved", treatment="indifferent", text=story.say("indifferent")
    )
    story.plant("bad_treatment", visit)
