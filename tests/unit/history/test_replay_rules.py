"""A replay over what other rules found: what a file disproves is withdrawn, what only the rules do not find is not."""

from typing import Any

import pytest

from streams.core.detection.calendars import HOUR
from streams.core.detection.customer import Detection
from tests.builders import instant
from tests.shown_rows import ShownRows
from tests.unit.detection.test_lifecycle_rules import BEFORE, rules
from tests.unit.history.test_replay import replayed, visit

Said = tuple[str, str, str | None]
EDITED = rules("unresolved", cool_down=HOUR)
PATIENT = rules("unresolved", within=2_000 * HOUR)
WITHOUT = rules("unresolved", enabled=False)
CASE: dict[str, Any] = {"subject": {"case_id": "C1"}}
SAID = visit("a", 1, outcome="unresolved", **CASE)
RESOLVED = visit("b", 2, outcome="resolved", **CASE)
OTHER = visit("c", 3, subject={"case_id": "C9"})
RAISED = ("raised", "deadline", None)
BY_RULES = ("settled", "rule changed", None)


def history(*runs: tuple[Detection, bytes]) -> tuple[list[Said], ShownRows]:
    """What is told of the one finding by replays of one line each, each with its rules; and what stands."""
    shown = ShownRows()
    for detection, line in runs:
        replayed([line], standing=shown, detection=detection, until=instant("2026-03-10"))
    [changes] = shown.history.values()
    told = [changes[number] for number in sorted(changes)]
    return [(one.kind, one.reason, one.cause and one.cause.id) for one in told], shown


def test_after_an_edit_that_detects_the_same_a_late_line_withdraws() -> None:
    told, shown = history((BEFORE, SAID), (EDITED, RESOLVED))
    assert told == [RAISED, ("withdrawn", "arrived", "b")]
    assert not shown.lights


@pytest.mark.parametrize("then", [EDITED, PATIENT], ids=["edited", "changed"])
def test_what_it_rests_on_is_corrected_whatever_the_rules_say_now(then: Detection) -> None:
    corrected = visit("a", 1, revision=1, **CASE)
    assert history((BEFORE, SAID), (then, corrected))[0] == [RAISED, ("withdrawn", "corrected", "a")]


@pytest.mark.parametrize("then", [PATIENT, WITHOUT], ids=["changed", "taken out"])
@pytest.mark.parametrize("line", [SAID, RESOLVED, OTHER], ids=["nothing", "its resolution", "something"])
def test_what_the_rules_do_not_find_in_what_stood_is_settled(then: Detection, line: bytes) -> None:
    told, _ = history((BEFORE, SAID), (then, line), (then, OTHER))
    assert told == [RAISED, BY_RULES]


def test_a_rule_that_is_put_back_reopens_by_the_rules() -> None:
    told, _ = history((BEFORE, SAID), (WITHOUT, OTHER), (BEFORE, OTHER))
    assert told == [RAISED, BY_RULES, ("reopened", "rule changed", None)]


def test_another_version_says_so_and_who_came_does_not() -> None:
    told, _ = history((BEFORE, SAID), (EDITED, SAID))
    assert told == [RAISED, ("updated", "rule changed", None)]
