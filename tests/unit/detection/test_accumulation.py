"""What a finding of many small ones would need to go, where small ones make each other graver."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from schemas.findings import Finding
from schemas.interaction import Interaction
from streams.catalogue.rule_files import load_rules
from streams.core.detection.detect import detect
from tests.builders import call, chat, instant, online, visit

ANN = "crm:ann"
RULES = load_rules()


def thousand_cuts(line: Sequence[Interaction]) -> list[Finding]:
    ordered = sorted(line, key=lambda one: one.position)
    found = detect(ANN, ordered, instant("2026-11-20"), RULES).findings
    return [one for one in found if one.rule == "thousand_cuts"]


def fewest(line: Sequence[Interaction]) -> list[str]:
    """The counterfactual; without it none stands."""
    [finding] = thousand_cuts(line)
    gone = {one.id for one in finding.counterfactual}
    assert not thousand_cuts([one for one in line if one.id not in gone])
    return sorted(gone)


def waits(number: int) -> list[Interaction]:
    return [visit(f"2026-11-0{day}T10:00Z", ANN, wait=2000, id=f"a{day}") for day in range(1, number + 1)]


def gave_up(day: int) -> Interaction:
    return chat(f"2026-11-{day:02}T10:00Z", ANN, ends="abandoned", id=f"b{day}")


def test_who_gave_up_a_second_time_counts_when_the_first_time_is_gone() -> None:
    """The second one is grave because of the first, which must therefore not be the one that goes."""
    assert fewest([*waits(3), gave_up(5), gave_up(6)]) == ["a3"]


def test_who_gave_up_a_third_time_stays_grave_by_the_second() -> None:
    """The first one is the only cut that there is in both windows."""
    assert fewest([gave_up(4), gave_up(5), gave_up(6), *waits(3)]) == ["a3"]
    assert fewest([gave_up(5), *waits(3)]) == ["b5"]


def test_what_made_a_finding_grave_may_go_when_enough_goes_with_it() -> None:
    """A visit that took too long and was given up carries two cuts, and one that comes to count without it."""
    both = [
        call("2026-11-04T10:00Z", ANN, transfers=2, ends="abandoned", treatment="indifferent", id="both"),
        gave_up(5),
        *waits(2),
    ]
    assert fewest(both) == ["both"]


def test_what_makes_a_grave_one_mild_lets_others_count_in_its_place() -> None:
    """With the fourth wait a charge would go, the overcharge be no severe one, and what came after it count."""
    price = {"order_id": "O", "price_currency": "EUR"}
    agreed = online("order", "2026-11-01T09:00Z", ANN, price_agreed=Decimal(100), id="agreed", **price)
    paid = online("payment", "2026-11-06T10:00Z", ANN, price_charged=Decimal(105), id="paid", **price)
    *three, fourth = waits(4)
    charged = msgspec.structs.replace(fourth, price_charged=Decimal(40), **price)
    later = [call(f"2026-11-{day:02}T10:00Z", ANN, wait=700, id=f"c{day}") for day in (7, 8)]
    assert fewest([agreed, *three, charged, paid, *later]) == ["a3"]
    assert fewest([agreed, *three, fourth, paid]) == ["a4"]
