"""The pipeline as it is by default, with hashed identifiers: the same rows, and nothing of them in clear text."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.findings import Identity
from schemas.links import WEAK_PREFIXES
from sinks.clickhouse.hash_key import KEY_FILE
from sinks.clickhouse.migrate import private_database
from sinks.clickhouse.pseudonyms import Pseudonyms
from streams import cli
from streams.core.detection.detect import finding_id_of
from streams.core.journeys import journey_id_of
from streams.simulation.mess import SimulatedEvent
from tests.integration.naive_oracle import Oracle, Row
from tests.integration.pipeline_fixtures import Road, open_road, simulated, wait_until

REPLAYED = "replayed"

ANCHORS = "SELECT rule, rule_case, anchor_source, anchor_id, finding_id, customer FROM findings_raw FINAL"

JOURNEYS = "SELECT customer, journey_id FROM {}.journeys WHERE started_at <= %(until)s"

FINDINGS = "SELECT customer, finding_id, rule FROM {}.findings WHERE raised_at <= %(until)s"


RUDE = SimulatedEvent(
    "phone",
    None,
    json.dumps(
        {
            "id": "rude-1",
            "source": "pbx",
            "channel": "phone",
            "type": "call",
            "direction": "inbound",
            "occurred_at": (datetime.now(UTC) - timedelta(days=1)).isoformat(),
            "customer": {"phone": "+359888000999"},
            "treatment": "rude",
        }
    ).encode(),
    (),
    0,
    "stored",
    None,
    None,
)
"""Somebody of whom nothing is known but a number has a finding, whatever the simulation's people are called by then."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hashed")


@pytest.fixture(scope="module")
def road(home: Path) -> Iterator[Road]:
    with open_road(home, "mock", environ={"TOUCHLINE_IDENTITY__CLEAR_TEXT": "false"}) as running:
        yield running


@pytest.fixture(scope="module")
def events(road: Road) -> list[SimulatedEvent]:
    """Published and read to the end. A line of a file holds one JSON document: others stay out."""
    events = [
        event
        for event in simulated(seed=11, customers=60, days=20)
        if not any(name.startswith("ce_") for name, _ in event.headers)
        and b"\n" not in event.value
        and event.value
    ]
    events.append(RUDE)
    road.publish(events)
    road.wait_until_balanced(60)
    return events


def test_hashed_rows_are_the_rows_of_clear_text_under_other_names(
    road: Road, events: list[SimulatedEvent], home: Path
) -> None:
    secret = bytes.fromhex((home / KEY_FILE).read_text(encoding="utf-8"))
    road.assert_as_computed_by(Oracle(events, secret), 30)
    for kind in ("phone", "email", "device"):
        named = road.rows(f"SELECT {kind}, customer FROM interactions WHERE {kind} IS NOT NULL")
        assert named, kind
        for bare, customer in named:
            assert len(bare) == 32, kind
            assert int(bare, 16) >= 0
            assert not customer.startswith(f"{kind}:") or len(customer) == len(kind) + 33


@pytest.mark.usefixtures("events")
def test_ids_do_not_tell_names_to_one_who_tries_all_of_them(road: Road, home: Path) -> None:
    """Journeys and findings of weak identifiers, with every number, address and device of the run at hand."""
    private = private_database(road.running.servers.clickhouse.database)
    names = [name for (name,) in road.rows(f"SELECT clear_name FROM `{private}`.identifiers")]
    assert len(names) > 50
    journeys = {journey for (journey,) in road.rows("SELECT DISTINCT journey_id FROM journeys_raw")}
    begun = road.rows(
        "SELECT argMin((source, id), (occurred_at, source, id)) FROM interactions "
        "WHERE match(customer, '^(phone|email|device):') GROUP BY journey_id"
    )
    wait_until(
        lambda: bool(road.rows("SELECT 1 FROM findings_history_raw WHERE anchor_id = 'rude-1'")),
        30,
        road.account,
    )
    findings = {finding for (finding,) in road.rows("SELECT DISTINCT finding_id FROM findings_history_raw")}
    anchors = [row[:4] for row in road.rows(ANCHORS) if row[5].startswith(WEAK_PREFIXES)]
    assert begun
    assert anchors

    def found(key: bytes) -> tuple[bool, bool]:
        tried = {journey_id_of(name, *first, key) for name in names for (first,) in begun}
        guessed = {
            finding_id_of(rule, case, name, Identity(source, id_), "", key)
            for name in names
            for rule, case, source, id_ in anchors
        }
        return not journeys.isdisjoint(tried), not findings.isdisjoint(guessed)

    assert found(b"") == (False, False)
    secret = bytes.fromhex((home / KEY_FILE).read_text(encoding="utf-8"))
    assert found(secret) == (False, False), "the key of the names is not that of the ids"
    assert found(Pseudonyms(secret).id_key) == (True, True), "the search finds what it tries"


def test_a_replay_gives_the_ids_of_the_live_road(
    road: Road, events: list[SimulatedEvent], tmp_path: Path
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(event.value for event in reversed(events)) + b"\n")
    until = datetime.now(UTC)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TOUCHLINE_CLICKHOUSE__URL", road.running.native_url)
        environment.setenv("TOUCHLINE_CLICKHOUSE__DATABASE", REPLAYED)
        assert cli.run(["replay", str(file), "--until", until.isoformat(), "--json"]) == 0
    for ids in (JOURNEYS, FINDINGS):

        def ids_in(database: str, query: str = ids) -> set[Row]:
            return set(road.rows(query.format(database), until=until))

        wait_until(
            lambda ids_in=ids_in: ids_in("touchline") == ids_in(REPLAYED),
            20,
            lambda ids_in=ids_in: sorted(ids_in("touchline") ^ ids_in(REPLAYED))[:4],
        )
        assert any(customer.startswith(WEAK_PREFIXES) for customer, *_ in ids_in(REPLAYED))
