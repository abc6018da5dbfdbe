"""What stands in ClickHouse takes part in a replay: weak identifiers are hashed there, and found again."""

import io
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from schemas.codec import Decoder
from schemas.interaction import DAY
from schemas.links import Link
from sinks.clickhouse.client import connect
from sinks.clickhouse.pseudonyms import CLEAR, Pseudonyms
from sinks.clickhouse.standing import StandingRows, standing_rows
from sinks.clickhouse.writer import ClickHouseWriter
from streams.catalogue.rule_files import load_rules
from streams.core.detection.customer import Detection
from streams.core.identity import customer_of
from streams.core.policy import JourneyPolicy
from streams.history.line_files import Source
from streams.history.replay import Replay
from tests.builders import instant, visit_line
from tests.clickhouse_server import Database

UNTIL = instant("2026-04-15")
WEAK_ONLY = 8
"""So many of the people are never known by more than a telephone number."""

COMPARED = {
    "interactions": "* EXCEPT (topic, partition, offset, received_at, version, inserted_at)",
    "journeys": "* EXCEPT (version, inserted_at)",
    "findings": "finding_id, customer, rule, rule_version, severity, state, raised_at, resolved_at, evidence.id, "
    "evidence.values, counterfactual, subjects, sentence",
    "identity": "name, customer, shared",
    "customers": "* EXCEPT (score, score_phone, score_email, score_visit, score_online)",
}


def crowd(seed: int) -> list[bytes]:
    """Lines of some forty people, most of them known by two identifiers, not all of which stand in each line."""
    rng = Random(seed)
    lines = []
    for person in range(40):
        phone = f"+3598880{person:05d}"
        for number in range(rng.randint(1, 7)):
            names = [{"crm_id": f"C{person}"}, {"phone": phone}, {"crm_id": f"C{person}", "phone": phone}]
            for revision in range(rng.choice((1, 1, 1, 2))):
                lines.append(
                    visit_line(
                        f"{person}-{number}",
                        rng.randint(1, 28),
                        {"phone": phone} if person < WEAK_ONLY else rng.choice(names),
                        revision,
                        treatment=rng.choice((None, None, "rude", "indifferent")),
                        subject={"case_id": rng.choice((f"case {phone}", "C2"))},
                        price={"agreed": "12.50", "currency": "EUR", "ref": f"r{number}"},
                        text=f"Обаждане от {phone}",
                        attributes={"a": "b"},
                    )
                )
    rng.shuffle(lines)
    return lines


def replay(database: Database, lines: Sequence[bytes], version: int, pseudonyms: Pseudonyms) -> None:
    standing = standing_rows(database.target, pseudonyms)
    writer = ClickHouseWriter(database.target, pseudonyms)
    try:
        Replay(
            Decoder("BG", 300_000_000, customer_of),
            JourneyPolicy(gap=7 * DAY, id_key=pseudonyms.id_key),
            writer,
            version=version,
            clock=UNTIL,
            standing=standing,
            detection=Detection(load_rules(), id_key=pseudonyms.id_key),
        ).run([Source(f"{version}.jsonl", io.BytesIO(b"\n".join(lines)))], UNTIL)
    finally:
        writer.close_sync()
        if standing is not None:
            standing.close()


def shown(database: Database) -> dict[str, list[Any]]:
    return {
        view: database.rows(f"SELECT {columns} FROM {view} ORDER BY ALL")
        for view, columns in COMPARED.items()
    }


@pytest.mark.parametrize("key", [b"any key", None], ids=["hashed", "clear"])
def test_replays_of_parts_end_in_the_rows_of_one_replay(clickhouse: Database, key: bytes | None) -> None:
    lines = crowd(1)
    replay(clickhouse, lines, 1, Pseudonyms(key))
    whole = shown(clickhouse)
    assert all(whole.values())
    clickhouse.empty()
    cuts = [0, len(lines) // 3, len(lines) // 2, len(lines)]
    for version, (start, end) in enumerate(pairwise(cuts), 2):
        replay(clickhouse, lines[start:end], version, Pseudonyms(key))  # a process of its own knows no hash
    assert shown(clickhouse) == whole
    (told,) = clickhouse.rows(
        "SELECT countIf(kind = 'withdrawn'), countIf(kind = 'updated') FROM findings_history"
    )
    assert min(told) > 0, "findings that stood were put right"
    assert clickhouse.rows("SELECT countIf(NOT balanced) FROM reconciliation") == [(0,)]


def standing(database: Database, pseudonyms: Pseudonyms) -> StandingRows:
    return StandingRows(connect(database.target), database.target.database, pseudonyms)


def test_customers_are_told_in_clear_and_identifiers_as_they_are_stored(clickhouse: Database) -> None:
    phone, key = "+359888000111", b"any key"
    lines = [
        visit_line("a", 1, {"crm_id": "A", "phone": phone}),
        visit_line("b", 2, {"phone": "+359888000222"}, treatment="rude"),
        visit_line("c", 3, {}),
    ]
    replay(clickhouse, lines, 1, Pseudonyms(key))
    rows = standing(clickhouse, Pseudonyms(key))
    at = instant("2026-03-01T10:00Z")
    assert list(rows.links([f"phone:{phone}", "crm:A", "crm:B"])) == [
        Link("crm:A", f"phone:{phone}", at, at, "office\x1fa")
    ]
    assert set(rows.holders([("office", "a"), ("office", "b"), ("office", "c"), ("pbx", "a")])) == {
        "crm:A",
        "phone:+359888000222",
    }
    [mine] = rows.interactions(["crm:A"])
    assert mine.interaction.customer == "crm:A"
    assert mine.interaction.phone == Pseudonyms(key).bare["phone"][phone] != phone
    [nobodys] = rows.nobodys([("office", "a"), ("office", "c")])
    assert (nobodys.interaction.id, nobodys.journey_id) == ("c", None)
    [(customer, _)] = rows.journeys(["phone:+359888000222"])
    [(finding, sequence)] = rows.findings(["phone:+359888000222", "crm:A"])
    assert {customer, finding.customer, *rows.lit(["phone:+359888000222"])} == {"phone:+359888000222"}
    assert (finding.rule, sequence, finding.anchor.id) == ("bad_treatment", 2, "b"), "raised, settled"
    rows.close()


def test_a_hash_of_which_nothing_is_known_stays_as_it_is(clickhouse: Database) -> None:
    replay(clickhouse, [visit_line("b", 2, {"phone": "+359888000222"})], 1, Pseudonyms(b"any key"))
    private = f"`{clickhouse.target.database}_private`"
    clickhouse.rows(f"TRUNCATE TABLE {private}.identifiers_raw")
    pseudonyms = Pseudonyms(b"any key")
    rows = standing(clickhouse, pseudonyms)
    [holder] = rows.holders([("office", "b")])
    assert pseudonyms.is_stored(holder)
    assert pseudonyms.customers[holder] == holder
    rows.close()


def test_an_empty_database_shows_nothing(clickhouse: Database) -> None:
    assert standing_rows(clickhouse.target, CLEAR) is None
