"""What the partitions of a worker have to say of one flood, as one notice."""

from schemas.notices import Notice
from streams.agents.summaries import Part, joined, of_one_incident
from streams.agents.tellers import Place
from streams.core.alerting.flood_windows import EXAMPLES
from streams.core.alerting.outbox import Sending, delivered, unsure
from streams.core.alerting.policy import Route, Traits
from tests.alert_builders import MINUTE, START, Desk, alert, over, policy

WINDOW = 5 * MINUTE
KEY = "touchline:flood:overcharge:major"


def flooded(*customers: str) -> Desk:
    """A partition in which all but the first three findings are folded, at the end of the window."""
    destinations = {"pager": Traits(holds_open=True)}
    desk = Desk(policy(Route(("pager",)), flood_limit=3, flood_window=WINDOW, destinations=destinations))
    for number, customer in enumerate(("crm:a", "crm:b", "crm:c", *customers)):
        desk.take(alert(f"{customer}/{number}", customer=customer))
    desk.deliver()
    desk.until(START + WINDOW)
    return desk


def part(partition: int, desk: Desk) -> Part:
    """What the partition has to say."""
    ((key, notice, receipt),) = desk.waits()
    return Part(Place(partition, key, "flood:overcharge:major"), Sending(notice, receipt))


def said(*parts: Part, standing: tuple[int, ...] = ()) -> tuple[Notice, list[Part]]:
    """What is told of it, and whose parts that settles."""
    kept = of_one_incident(parts, standing)
    return joined(kept), kept


def told(partition: int, desk: Desk, incident: int) -> Desk:
    """The partition after its part was told in an incident."""
    (kept,) = of_one_incident([part(partition, desk)], [incident])
    desk.settle(
        kept.where.key, delivered(desk.book(kept.where.key), kept.item.receipt, desk.now, desk.policy)
    )
    return desk


def calm(desk: Desk, *customers: str) -> None:
    """All that was folded is over."""
    desk.take(
        *[over(f"{customer}/{number}", customer=customer) for number, customer in enumerate(customers, 3)]
    )
    desk.until(desk.now)


def test_counts_add_up_and_examples_are_named_once() -> None:
    notice, _ = said(part(1, flooded("crm:d", "crm:e")), part(4, flooded("crm:d", "crm:f")))
    assert notice.folded is not None
    assert notice.folded.findings == 4
    assert notice.folded.examples == ("crm:d", "crm:e", "crm:f")
    assert len(notice.folded.examples) <= EXAMPLES


def test_two_workers_tell_of_two_incidents_in_different_deliveries() -> None:
    here, _ = said(part(1, flooded("crm:d")))
    there, _ = said(part(4, flooded("crm:d")))
    assert (here.key, there.key) == (f"{KEY}:1", f"{KEY}:4")
    assert here.delivery != there.delivery
    assert here.alert.finding_id == "flood:overcharge:major:1", "where alerts are told apart by it"


def test_what_one_worker_has_to_say_is_one_incident_of_the_smallest_partition() -> None:
    notice, kept = said(part(4, flooded("crm:e")), part(1, flooded("crm:d")))
    assert notice.key == f"{KEY}:1"
    assert [one.item.receipt.incident for one in kept] == [1, 1]


def test_another_attempt_is_the_same_delivery() -> None:
    parts = [part(1, flooded("crm:d")), part(4, flooded("crm:e"))]
    assert said(*parts)[0].delivery == said(*parts)[0].delivery == said(*parts[:1])[0].delivery


def test_a_partition_stays_with_the_incident_that_it_was_told_of_under_also_elsewhere() -> None:
    moved = told(7, flooded("crm:d"), 3)
    calm(moved, "crm:d")
    notice, kept = said(part(7, moved), standing=(2, 3))
    assert (notice.kind, notice.key) == ("calmed", f"{KEY}:3")
    moved.settle(
        kept[0].where.key,
        delivered(moved.book(kept[0].where.key), kept[0].item.receipt, moved.now, moved.policy),
    )
    assert not moved.waits()


def test_who_begins_to_flood_joins_what_stands_in_this_worker() -> None:
    notice, _ = said(part(1, flooded("crm:d")), standing=(6, 5))
    assert notice.key == f"{KEY}:5"


def test_parts_of_another_incident_are_said_by_themselves() -> None:
    stays, joins = told(7, flooded("crm:d"), 3), flooded("crm:e")
    for number in range(4):
        stays.take(alert(f"again/{number}", customer=f"crm:again{number}"))
    stays.deliver()
    stays.until(START + 2 * WINDOW)
    both = [part(1, joins), part(7, stays)]
    assert [one.item.receipt.kind for one in both] == ["folded", "folded"]
    notice, kept = said(*both, standing=(2, 3))
    assert (notice.key, len(kept)) == (f"{KEY}:2", 1)
    notice, kept = said(*reversed(both), standing=(2, 3))
    assert (notice.key, len(kept)) == (f"{KEY}:3", 1)


def test_an_attempt_that_ended_unknown_names_the_incident_too() -> None:
    desk = flooded("crm:d")
    (kept,) = of_one_incident([part(4, desk)], [2])
    desk.settle(kept.where.key, unsure(desk.book(kept.where.key), kept.item.receipt, desk.policy))
    assert said(part(4, desk))[0].key == f"{KEY}:2"


def test_what_was_told_before_incidents_had_partitions_ends_under_its_key() -> None:
    desk = flooded("crm:d")
    desk.deliver()
    calm(desk, "crm:d")
    notice, _ = said(part(4, desk), standing=())
    assert (notice.kind, notice.key) == ("calmed", KEY)
