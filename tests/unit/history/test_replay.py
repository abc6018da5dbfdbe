"""Replay: one run over files, without a database."""

import io
import json
from collections.abc import Collection
from pathlib import Path
from random import Random
from typing import Any

import pytest

from schemas.codec import Decoder
from schemas.identity import FactDecoder
from schemas.interaction import DAY
from schemas.records import Coordinates, Journey, PlacedInteraction, SinkBatch
from streams.catalogue.rule_files import load_rules
from streams.core.batch import advance_batch
from streams.core.detection.customer import Detection
from streams.core.identity import customer_of
from streams.core.policy import JourneyPolicy
from streams.history.line_files import Source, digest, once, sources_named
from streams.history.replay import (
    CHUNK,
    Replay,
    ReplayReport,
)
from streams.history.standing import Stood, righted
from tests.builders import visit_line
from tests.shown_rows import ShownRows, Stands

NOW = 1_790_000_000 * 1_000_000  # September 2026
POLICY = JourneyPolicy(gap=7 * DAY)


class Rows:
    """A sink that keeps what it was given."""

    def __init__(self, shown: ShownRows | None = None) -> None:
        """`shown` is written to as well."""
        self.batches: list[SinkBatch] = []
        self._shown = shown

    def write_sync(self, batch: SinkBatch) -> None:
        self.batches.append(batch)
        if self._shown is not None:
            self._shown.write_sync(batch)

    def all(self, field: str) -> list[Any]:
        return [item for batch in self.batches for item in getattr(batch, field)]

    @property
    def journeys(self) -> list[Journey]:
        return sorted(self.all("journeys"), key=lambda journey: (journey.customer, journey.started_at))


def visit(id_: str, day: int, customer: str | None = "A", revision: int = 0, **more: Any) -> bytes:
    return visit_line(id_, day, {} if customer is None else {"crm_id": customer}, revision, **more)


def replayed(
    lines: list[bytes],
    *,
    gap_days: int = 7,
    until: int | None = None,
    standing: ShownRows | None = None,
    facts: list[bytes] | None = None,
    detection: Detection | None = None,
    erased: Collection[str] = (),
) -> tuple[Rows, ReplayReport]:
    rows = Rows(standing)
    replay = Replay(
        Decoder("BG", 300_000_000, customer_of),
        JourneyPolicy(gap=gap_days * DAY),
        rows,
        version=1,
        clock=NOW,
        standing=None if standing is None else Stands(standing),
        detection=detection,
        fact_decoder=FactDecoder("BG", 300_000_000),
        is_erased=lambda _, id_: id_ in erased,
        is_erased_fact=lambda _, id_: id_ in erased,
    )
    told = [] if facts is None else [Source("facts.jsonl", io.BytesIO(b"\n".join(facts)))]
    report = replay.run([Source("events.jsonl", io.BytesIO(b"\n".join(lines)))], until, identity=told)
    return rows, report


def test_every_line_is_received_and_has_one_fate() -> None:
    rows, report = replayed(
        [visit("a", 1), visit("a", 1), visit("a", 1, revision=2), b"{", b"", visit("b", 2)]
    )
    assert (report.read, report.stored, report.superseded, report.dead) == (5, 2, 2, 1)
    assert rows.all("received") == [Coordinates("events.jsonl", 0, line) for line in (0, 1, 2, 3, 5)]
    assert rows.all("superseded") == [Coordinates("events.jsonl", 0, line) for line in (0, 1)]
    [letter] = rows.all("dead_letters")
    assert (letter.topic, letter.partition, letter.offset, letter.value) == ("events.jsonl", 0, 3, b"{")


def test_without_until_the_greatest_occurred_at_is_the_instant_of_evaluation() -> None:
    rows, report = replayed([visit("b", 20), visit("a", 1)])
    assert [journey.closed for journey in rows.journeys] == [True, False]
    assert report.until == max(placed.interaction.occurred_at for placed in rows.all("interactions"))


def test_until_closes_what_is_silent_for_longer_than_the_gap() -> None:
    [placed] = replayed([visit("a", 1)])[0].all("interactions")
    end = placed.interaction.occurred_at
    exactly, _ = replayed([visit("a", 1)], until=end + 7 * DAY)
    longer, _ = replayed([visit("a", 1)], until=end + 7 * DAY + 1)
    assert [exactly.journeys[0].closed, longer.journeys[0].closed] == [False, True]


def test_the_order_of_lines_does_not_matter_even_beyond_the_horizon() -> None:
    lines = [
        visit(f"{month}-{n}", 1 + n, occurred_at=f"2026-{month:02d}-1{n}T10:00:00Z")
        for month in range(1, 9)
        for n in range(3)
    ]
    expected = replayed(lines)[0].journeys
    assert len(expected) == 8
    for seed in range(5):
        shuffled = Random(seed).sample(lines, len(lines))
        assert replayed(shuffled)[0].journeys == expected


def test_years_of_one_customer_in_one_file_lose_no_journey() -> None:
    lines = [
        visit(f"{year}-{month}", 1, occurred_at=f"{year}-{month:02d}-05T10:00:00Z")
        for year in range(2000, 2026)
        for month in range(1, 13)
    ]
    rows, report = replayed(lines)
    assert report.journeys == len(rows.journeys) == 26 * 12
    assert not any(placed.beyond_horizon for placed in rows.all("interactions"))


def test_more_than_a_chunk_is_written_in_parts_that_cut_no_customer() -> None:
    lines = [
        visit(f"{customer}-{n}", 1 + n, customer=f"C{customer}")
        for customer in range(CHUNK // 2)
        for n in range(3)
    ]
    rows, report = replayed(lines)
    assert report.customers == report.journeys == CHUNK // 2
    assert all(journey.interactions == 3 for journey in rows.journeys)
    assert len(rows.batches) > 3


def test_an_anonymous_interaction_is_stored_and_in_no_journey() -> None:
    rows, report = replayed([visit("a", 1, customer=None), visit("a", 1, customer=None)])
    [placed] = rows.all("interactions")
    assert (placed.journey_id, placed.interaction.customer, report.superseded, report.customers) == (
        None,
        None,
        1,
        0,
    )


def test_what_stands_of_a_customer_joins_what_is_read() -> None:
    shown = ShownRows()
    replayed([visit("a", 1), visit("b", 2), visit("x", 1, customer="X")], standing=shown)
    rows, report = replayed([visit("c", 5)], standing=shown)
    assert [journey.interactions for journey in rows.journeys] == [3]
    assert [placed.interaction.id for placed in rows.all("interactions")] == ["c"], (
        "and nothing else is counted"
    )
    assert rows.all("moved") == [], "they lie where they lay"
    assert (report.stored, report.superseded) == (1, 0)
    assert sorted(journey.interactions for journey in shown.journeys.values()) == [1, 3]


def test_a_late_line_moves_the_beginning_of_a_journey_that_stood() -> None:
    shown = ShownRows()
    replayed([visit("b", 5), visit("c", 19)], standing=shown)
    rows, _ = replayed([visit("a", 3), visit("d", 12)], standing=shown)
    [journey] = shown.journeys.values()
    assert journey.interactions == 4
    assert len(rows.all("retracted")) == 2
    assert {placed.interaction.id for placed in rows.all("moved")} == {"b", "c"}
    assert {placed.journey_id for *_, placed in shown.placed.values()} == {journey.journey_id}


def test_another_gap_cuts_what_stands_anew() -> None:
    shown = ShownRows()
    lines = [visit("a", 1), visit("b", 4)]
    replayed(lines, standing=shown)
    replayed(lines, gap_days=1, standing=shown)
    assert [journey.interactions for journey in shown.journeys.values()] == [1, 1]
    replayed([visit("c", 5)], gap_days=7, standing=shown)
    assert [journey.interactions for journey in shown.journeys.values()] == [3]


def test_a_lower_revision_than_what_stands_changes_nothing() -> None:
    shown = ShownRows()
    replayed([visit("a", 1, revision=5, wait_seconds=15)], standing=shown)
    rows, report = replayed([visit("a", 2, revision=1, wait_seconds=11), visit("b", 3)], standing=shown)
    assert (report.stored, report.superseded) == (1, 1)
    assert rows.all("superseded") == [Coordinates("events.jsonl", 0, 0)]
    [journey] = shown.journeys.values()
    assert (journey.interactions, journey.wait_seconds) == (2, 15)


def test_an_equal_revision_changes_nothing_of_what_stands_whomever_it_names() -> None:
    shown = ShownRows()
    replayed([visit("a", 1, wait_seconds=1), visit("b", 2)], standing=shown)
    before = dict(shown.placed), dict(shown.journeys)
    rows, report = replayed([b"", visit("a", 1, wait_seconds=2), visit("b", 2, customer="B")], standing=shown)
    assert (report.stored, report.superseded) == (0, 2)
    assert (shown.placed, shown.journeys) == before
    assert rows.all("moved") == []


def test_the_very_records_that_stand_count_as_stored_again() -> None:
    shown = ShownRows()
    lines = [visit("a", 1), visit("b", 2)]
    for more in ([], [], [visit("c", 3)]):
        _, report = replayed([*lines, *more], standing=shown)
        assert (report.stored, report.superseded) == (2 + len(more), 0)


def test_a_file_that_is_given_twice_is_read_once() -> None:
    assert once(["e.jsonl", "-", "./e.jsonl", "old/e.jsonl", "-"]) == ("e.jsonl", "-", "old/e.jsonl")


def test_an_interaction_that_becomes_anothers_leaves_no_journey_behind() -> None:
    shown = ShownRows()
    replayed([visit("a", 1), visit("b", 2)], standing=shown)
    replayed([visit("a", 1, customer="B", revision=1)], standing=shown)
    assert {(one.customer, one.interactions) for one in shown.journeys.values()} == {
        ("crm:A", 1),
        ("crm:B", 1),
    }
    replayed([visit("b", 2, customer=None, revision=1)], standing=shown)
    assert {one.customer for one in shown.journeys.values()} == {"crm:B"}
    replayed([visit("b", 2, customer="C", revision=1)], standing=shown)
    assert {one.customer for one in shown.journeys.values()} == {"crm:B", "crm:C"}


def test_dates_after_the_clock_are_allowed_up_to_until() -> None:
    after = NOW + 40 * DAY
    line = visit("a", 1, occurred_at="2026-10-20T10:00:00Z")
    assert replayed([line])[1].dead == 1
    assert replayed([line], until=after)[1].dead == 0


def test_the_digest_tells_names_and_contents_apart_and_rewinds() -> None:
    def of(name: str, content: bytes) -> int:
        return digest([Source(name, io.BytesIO(content))])

    source = Source("a", io.BytesIO(b"one"))
    assert digest([source]) == digest([source]) == of("a", b"one")
    assert len({of("a", b"one"), of("b", b"one"), of("a", b"two")}) == 3
    assert of("a", b"one") < 2**63
    assert digest([source], b"any key") == digest([source], b"any key") != digest([source])


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/a.jsonl", "b.jsonl"], ["a.jsonl", "b.jsonl"]),
        (["x/a.jsonl", "y/a.jsonl"], ["x/a.jsonl", "y/a.jsonl"]),
    ],
)
def test_files_are_called_by_name_unless_two_share_it(paths: list[str], names: list[str]) -> None:
    assert sources_named([Path(path) for path in paths]) == names


@pytest.mark.parametrize(
    "other",
    [{"crm_id": "A"}, {"crm_id": "B"}, {}, {"crm_id": "A", "phone": "0888777666"}],
    ids=["alike", "another customer", "anonymous", "more of the same customer"],
)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_equal_revisions_the_first_is_kept_whomever_they_name(
    other: dict[str, str], order: tuple[int, int]
) -> None:
    tellings = [walk_in("a", 1, crm_id="A"), walk_in("a", 1, **other)]
    rows, report = replayed([*(tellings[one] for one in order), tellings[0], walk_in("b", 2, **other)])
    [kept] = [one.interaction for one in rows.all("interactions") if one.interaction.id == "a"]
    assert kept.offset == 0
    assert sorted(where.offset for where in rows.all("superseded")) == [1, 2]
    assert (report.stored, report.superseded) == (2, 2)
    of_somebody = [one for one in rows.all("interactions") if one.interaction.customer is not None]
    assert sum(journey.interactions for journey in rows.journeys) == len(of_somebody)


def test_placed_rows_name_their_file_and_line() -> None:
    rows, _ = replayed([b"", visit("a", 1)])
    [placed] = rows.all("interactions")
    assert isinstance(placed, PlacedInteraction)
    where = placed.interaction
    assert (where.topic, where.partition, where.offset) == ("events.jsonl", 0, 1)


def test_a_dead_letter_keeps_the_bytes_of_its_line_white_space_included() -> None:
    rows, report = replayed([b"  {broken}\t\r", b" \t ", visit("v", 1)])
    assert [letter.value for letter in rows.all("dead_letters")] == [b"  {broken}\t"]
    assert (report.read, report.dead, report.stored) == (2, 1, 1)


def walk_in(id_: str, day: int, revision: int = 0, **customer: str) -> bytes:
    """A visit of whoever these identifiers name."""
    return visit_line(id_, day, customer, revision)


def fact(id_: str, operation: str = "link", revision: int = 0, **identifiers: str) -> bytes:
    return json.dumps(
        {
            "id": id_,
            "source": "crm",
            "revision": revision,
            "occurred_at": "2026-03-01T10:00:00Z",
            "operation": operation,
            "identifiers": identifiers,
        }
    ).encode()


def customers(rows: Rows) -> dict[str, str | None]:
    return {placed.interaction.id: placed.interaction.customer for placed in rows.all("interactions")}


PHONE = "+359888000111"


def test_a_link_that_the_last_line_teaches_names_the_customer_of_the_first() -> None:
    rows, report = replayed(
        [walk_in("a", 1, phone=PHONE), walk_in("b", 2, crm_id="A"), walk_in("c", 3, crm_id="A", phone=PHONE)]
    )
    assert customers(rows) == {"a": "crm:A", "b": "crm:A", "c": "crm:A"}
    assert [journey.interactions for journey in rows.journeys] == [3]
    assert report.customers == 1
    assert {row.identifier: row.customer for row in rows.all("identities")} == {
        "crm:A": "crm:A",
        f"phone:{PHONE}": "crm:A",
    }


def test_facts_are_known_before_the_first_customer_is_evaluated_and_have_fates_in_the_ledger() -> None:
    rows, report = replayed(
        [walk_in("a", 1, phone=PHONE), walk_in("b", 2, crm_id="A")],
        facts=[fact("f", phone=PHONE, crm_id="B"), fact("f", revision=1, phone=PHONE, crm_id="A"), b"{"],
    )
    assert customers(rows) == {"a": "crm:A", "b": "crm:A"}
    assert (report.read, report.stored, report.superseded, report.dead, report.facts) == (5, 3, 1, 1, 1)
    at = [Coordinates("facts.jsonl", 0, line) for line in range(3)]
    assert [where for where in rows.all("received") if where.topic == "facts.jsonl"] == at
    assert (rows.all("stored"), rows.all("superseded")) == ([at[1]], [at[0]])
    assert [letter.offset for letter in rows.all("dead_letters")] == [2]


def test_an_unlink_outweighs_what_the_events_teach() -> None:
    rows, _ = replayed(
        [walk_in("a", 1, crm_id="A", phone=PHONE), walk_in("b", 2, phone=PHONE)],
        facts=[fact("f", "unlink", crm_id="A", phone=PHONE)],
    )
    assert customers(rows) == {"a": "crm:A", "b": f"phone:{PHONE}"}


def test_values_that_stand_for_nobody_name_no_customer() -> None:
    rows, _ = replayed(
        [walk_in("a", 1, crm_id="unknown"), walk_in("b", 1, crm_id="unknown"), walk_in("c", 1)]
    )
    assert customers(rows) == {"a": None, "b": None, "c": None}
    assert rows.journeys == []


def test_a_correction_that_names_another_customer_supersedes_the_first_telling() -> None:
    for order in (0, 1):
        lines = [walk_in("a", 1, crm_id="A"), walk_in("a", 1, revision=1, crm_id="B")]
        rows, report = replayed(lines[::-1] if order else lines)
        assert customers(rows) == {"a": "crm:B"}
        assert [journey.customer for journey in rows.journeys] == ["crm:B"]
        assert rows.all("superseded") == [Coordinates("events.jsonl", 0, order)]
        assert (report.stored, report.superseded) == (1, 1)


def test_a_correction_may_make_somebodys_interaction_nobodys() -> None:
    rows, _ = replayed([walk_in("a", 1, crm_id="A"), walk_in("a", 1, revision=1)])
    assert customers(rows) == {"a": None}
    assert rows.journeys == []


def test_what_stood_under_an_earlier_name_is_left_to_who_has_that_name_again() -> None:
    shown = ShownRows()
    replayed([walk_in("a", 1, phone=PHONE)], standing=shown)
    [(name, journey_id)] = shown.journeys

    class Renamed(Stands):
        """As after a merge that was taken back: what stands under the number is looked up for the customer, too."""

        def __init__(self) -> None:
            super().__init__(shown)
            self.journeys = lambda _customers: [(name, journey_id)]

    for everybody, retracted in ((["crm:A"], [(name, journey_id)]), (["crm:A", name], [])):
        found = righted(
            Renamed(),
            Stood(),
            ["crm:A"],
            everybody,
            [],
            advance_batch(lambda _: None, [], (), NOW, POLICY),
            NOW,
            None,
        )
        assert found.retracted == retracted


def test_a_finding_that_comes_back_to_whom_nothing_was_left_is_numbered_on() -> None:
    shown = ShownRows()
    for revision, customer in enumerate([{"crm_id": "A"}, {"crm_id": "B"}, {"crm_id": "A"}]):
        told = visit_line("a", 1, customer, revision, treatment="rude")
        replayed([told], standing=shown, detection=Detection(load_rules()))
    histories = {
        changes[1].finding.customer: [changes[number].kind for number in sorted(changes)]
        for changes in shown.history.values()
    }
    assert histories == {
        "crm:A": ["raised", "withdrawn", "raised"],
        "crm:B": ["raised", "withdrawn"],
    }
    assert [finding.customer for finding in shown.findings.values()] == ["crm:A"]


def test_who_stands_under_an_identifier_moves_when_its_customer_is_another_now() -> None:
    shown = ShownRows()
    replayed([walk_in("a", 1, phone=PHONE), walk_in("b", 2, phone=PHONE)], standing=shown)
    replayed([walk_in("c", 3, crm_id="A", phone=PHONE)], standing=shown)
    [journey] = shown.journeys.values()
    assert (journey.customer, journey.interactions) == ("crm:A", 3)
    rows, _ = replayed([walk_in("d", 4, phone=PHONE)], standing=shown)
    assert customers(rows) == {"d": "crm:A"}, "what was learnt before is known"


def test_what_was_forgotten_is_superseded_and_leaves_nothing_behind() -> None:
    rows, report = replayed(
        [
            walk_in("a", 1, crm_id="A", phone=PHONE),
            walk_in("b", 2, phone=PHONE),
            walk_in("a", 3, revision=1, crm_id="A"),
        ],
        facts=[fact("f", phone=PHONE, crm_id="A"), fact("g", phone="+359888000222", crm_id="B")],
        erased={"a", "f"},
    )
    assert customers(rows) == {"b": f"phone:{PHONE}"}
    assert {row.identifier for row in rows.all("identities")} == {"crm:B", "phone:+359888000222"}
    assert (report.read, report.stored, report.superseded, report.facts) == (5, 2, 3, 1)
    at = [Coordinates("facts.jsonl", 0, 0), *(Coordinates("events.jsonl", 0, line) for line in (0, 2))]
    assert rows.all("superseded") == at
