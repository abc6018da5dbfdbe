"""What the partitions of a worker have to say of one flood, as one notice."""

from schemas.notices import Notice
from streams.agents.summaries import joined
from streams.core.alerting.flood import EXAMPLES
from streams.core.alerting.policy import Route, Traits
from tests.alert_builders import MINUTE, START, Desk, alert, policy

WINDOW = 5 * MINUTE


def summary(*customers: str) -> Notice:
    """The summary of a partition in which all but the first three findings are folded."""
    desk = Desk(policy(Route(("chat",)), flood_limit=3, flood_window=WINDOW, destinations={"chat": Traits()}))
    for number, customer in enumerate(("crm:a", "crm:b", "crm:c", *customers)):
        desk.take(alert(f"{customer}/{number}", customer=customer))
    desk.deliver()
    desk.until(START + WINDOW)
    (notice,) = desk.deliver()
    return notice


def test_counts_add_up_and_examples_are_named_once() -> None:
    told = joined([(1, summary("crm:d", "crm:e")), (4, summary("crm:d", "crm:f"))])
    assert told.folded is not None
    assert told.folded.findings == 4
    assert told.folded.examples == ("crm:d", "crm:e", "crm:f")
    assert len(told.folded.examples) <= EXAMPLES


def test_two_partitions_in_two_workers_tell_of_one_incident_in_different_deliveries() -> None:
    here, there = joined([(1, summary("crm:d"))]), joined([(4, summary("crm:d"))])
    assert here.key == there.key
    assert here.delivery != there.delivery


def test_another_attempt_is_the_same_delivery() -> None:
    parts = [(1, summary("crm:d")), (4, summary("crm:e"))]
    assert joined(parts).delivery == joined(parts).delivery == joined(parts[:1]).delivery
