"""The simulation as a whole: determinism, order, the contract, the counts of its truth."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice, pairwise
from pathlib import Path

import pytest

from schemas.codec import Decoder, Rejected
from schemas.interaction import Interaction
from schemas.vocabulary import CHANNELS
from streams.simulation import SimulatedEvent, Simulation
from streams.simulation.defects import DEFECTS

UNTIL = datetime(2026, 11, 20, 12, tzinfo=UTC)
FUTURE = 300_000_000


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return Simulation(11, 1_500, UNTIL)


@pytest.fixture(scope="module")
def events(simulation: Simulation) -> list[SimulatedEvent]:
    return list(simulation.events())


@pytest.fixture(scope="module")
def decode(simulation: Simulation) -> Callable[[SimulatedEvent], Interaction | Rejected]:
    decoder = Decoder("BG", FUTURE, lambda known, _: known.crm_id and f"crm:{known.crm_id}")
    return lambda event: decoder.decode(
        event.value, event.headers, event.channel, 0, 0, None, simulation.until
    )


@pytest.fixture(scope="module")
def decoded(
    events: list[SimulatedEvent], decode: Callable[[SimulatedEvent], Interaction | Rejected]
) -> list[tuple[SimulatedEvent, Interaction | Rejected]]:
    return [(event, decode(event)) for event in events]


def test_events_come_in_order_of_arrival(events: list[SimulatedEvent]) -> None:
    assert all(before.arrives_at <= after.arrives_at for before, after in pairwise(events))


def test_some_events_arrive_out_of_the_order_in_which_they_happened(decoded: list) -> None:
    happened = [each.occurred_at for _, each in decoded if isinstance(each, Interaction)]
    backwards = sum(after < before for before, after in pairwise(happened))
    assert backwards > len(happened) / 50


def test_two_processes_make_the_same_bytes_whatever_their_hash_seed() -> None:
    script = (
        "from datetime import UTC, datetime; from hashlib import sha256; from streams.simulation import Simulation;"
        "print(sha256(repr(list(Simulation(3, 40, datetime(2026, 5, 1, tzinfo=UTC)).events())).encode()).hexdigest())"
    )
    here = sha256(repr(list(Simulation(3, 40, datetime(2026, 5, 1, tzinfo=UTC)).events())).encode())
    there = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONHASHSEED": "4242", "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == here.hexdigest()


@pytest.mark.parametrize(
    "other",
    [
        Simulation(12, 30, UNTIL),
        Simulation(11, 30, UNTIL + timedelta(days=1)),
        Simulation(11, 30, UNTIL, timedelta(days=29)),
        Simulation(11, 30, UNTIL, share_identified=0.1),
    ],
    ids=["seed", "until", "span", "share"],
)
def test_each_argument_changes_every_identity(other: Simulation) -> None:
    ids = [
        {json.loads(event.value).get("id") for event in simulation.events() if event.defect is None}
        for simulation in (Simulation(11, 30, UNTIL), other)
    ]
    assert (ids[0] & ids[1]) - {None} == set()


def test_every_event_decodes_and_every_damaged_one_is_refused_for_its_damage(decoded: list) -> None:
    wrong = [
        (event.label, event.defect, result)
        for event, result in decoded
        if (event.label == "dead") != isinstance(result, Rejected)
        or (event.defect and DEFECTS[event.defect].names.lower() not in result.message.lower())
    ]
    assert wrong == []


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_refused_naming_its_field(
    defect: str, decode: Callable[[SimulatedEvent], Interaction | Rejected]
) -> None:
    good = {
        "id": "1",
        "source": "telephony",
        "channel": "phone",
        "type": "call",
        "occurred_at": "2026-11-01T10:00:00Z",
        "customer": {},
        "direction": "inbound",
    }
    whole = SimulatedEvent("phone", None, json.dumps(good).encode(), (), 0, "new", None, None)
    assert isinstance(decode(whole), Interaction)
    result = decode(whole._replace(value=DEFECTS[defect].spoil(good)))
    assert isinstance(result, Rejected)
    assert DEFECTS[defect].names.lower() in result.message.lower()


def test_every_event_happens_within_the_span(simulation: Simulation, decoded: list) -> None:
    times = [each.occurred_at for _, each in decoded if isinstance(each, Interaction)]
    assert simulation.begin <= min(times)
    assert max(times) <= simulation.until


def test_no_event_arrives_before_it_happened(decoded: list) -> None:
    assert all(
        event.arrives_at >= each.occurred_at for event, each in decoded if isinstance(each, Interaction)
    )


def test_topic_and_channel_agree(decoded: list) -> None:
    assert all(event.channel == each.channel for event, each in decoded if isinstance(each, Interaction))
    assert {event.channel for event, _ in decoded} == set(CHANNELS)


def test_labels_are_what_a_ledger_that_reads_in_order_would_say(decoded: list) -> None:
    highest: dict[tuple[str, str], int] = {}
    for event, each in decoded:
        if isinstance(each, Rejected):
            expected = "dead"
        elif each.key not in highest:
            expected = "new"
        elif each.revision > highest[each.key]:
            expected = "correction"
        else:
            expected = "duplicate" if each.revision == highest[each.key] else "older_revision"
        if isinstance(each, Interaction):
            highest[each.key] = max(each.revision, highest.get(each.key, 0))
        assert event.label == expected, each


def test_truth_counts_what_was_yielded(simulation: Simulation, decoded: list) -> None:
    truth = simulation.truth()
    distinct = {each.key for _, each in decoded if isinstance(each, Interaction)}
    assert truth.published == len(decoded)
    assert truth.stored == len(distinct)
    assert truth.dead == sum(isinstance(each, Rejected) for _, each in decoded)
    assert truth.published == truth.stored + truth.superseded + truth.dead
    assert truth.fates == Counter(event.label for event, _ in decoded)
    assert set(truth.fates) == {"new", "duplicate", "older_revision", "correction", "dead"}


def test_truth_of_a_stream_that_was_left_early_is_of_what_was_taken() -> None:
    simulation = Simulation(11, 300, UNTIL)
    taken = list(islice(simulation.events(), 500))
    truth = simulation.truth()
    assert truth.published == 500
    assert truth.last_arrival == taken[-1].arrives_at
    assert 0 < sum(1 for _ in truth.arrived_troubles()) < len(truth.troubles)


def test_mess_is_a_small_share(events: list[SimulatedEvent]) -> None:
    shares = {label: count / len(events) for label, count in Counter(event.label for event in events).items()}
    assert 0.001 < shares["dead"] < 0.01
    assert 0.005 < shares["duplicate"] < 0.03
    assert 0.005 < shares["correction"] < 0.03


def test_both_cloudevents_modes_and_plain_events_are_sent(events: list[SimulatedEvent]) -> None:
    modes = Counter(
        "binary"
        if any(name == "ce_id" for name, _ in event.headers)
        else "structured"
        if event.value.startswith(b'{"specversion"')
        else "plain"
        for event in events
        if event.defect is None
    )
    assert modes["plain"] > 0.8 * len(events)
    assert min(modes["binary"], modes["structured"]) > 0.03 * len(events)


def test_share_identified_decides_how_many_show_their_crm_id() -> None:
    def share(wanted: float) -> float:
        people = list(Simulation(4, 1_000, UNTIL, share_identified=wanted).people())
        return sum(person.identified for person in people) / len(people)

    assert share(0.0) == 0
    assert share(1.0) == 1
    assert share(0.5) == pytest.approx(0.5, abs=0.06)


def test_identified_customers_show_their_crm_id_everywhere_but_on_anonymous_pages(
    simulation: Simulation, decoded: list
) -> None:
    identified = {person.crm_id for person in simulation.people() if person.identified}
    shown = [each.crm_id for event, each in decoded if event.customer in identified]
    assert shown
    assert all(crm_id in identified for crm_id in shown)


def test_identified_customers_are_met_on_several_channels(decoded: list) -> None:
    channels: dict[str, set[str]] = {}
    for _, each in decoded:
        if isinstance(each, Interaction) and each.crm_id:
            channels.setdefault(each.crm_id, set()).add(each.channel)
    assert sum(len(each) >= 2 for each in channels.values()) > 0.6 * len(channels)


def test_typical_events_are_of_the_size_of_real_ones(events: list[SimulatedEvent]) -> None:
    assert 280 < sum(len(event.value) for event in events) / len(events) < 500


def test_texts_are_many_and_in_all_four_languages(simulation: Simulation, decoded: list) -> None:
    languages = {person.crm_id: person.language for person in simulation.people()}
    texts: dict[str, list[str]] = {}
    for event, each in decoded:
        if isinstance(each, Interaction) and each.text and event.customer:
            texts.setdefault(languages[event.customer], []).append(each.text)
    assert set(texts) == {"bg", "ru", "uk", "en"}
    for written in texts.values():
        assert Counter(written).most_common(1)[0][1] < len(written) / 10
        assert "{" not in "".join(written)


@pytest.mark.parametrize("events_wanted", [3_000])
@pytest.mark.parametrize("span", [timedelta(hours=6), timedelta(days=3), timedelta(days=60)], ids=str)
def test_sized_makes_about_so_many_events(events_wanted: int, span: timedelta) -> None:
    made = sum(1 for _ in Simulation.sized(5, events_wanted, UNTIL, span).events())
    assert made == pytest.approx(events_wanted, rel=0.25)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((1, 1, datetime(2026, 1, 1)), "until"),
        ((1, 0, UNTIL), "customers"),
        ((1, 1, UNTIL, timedelta(0)), "span"),
    ],
)
def test_senseless_arguments_are_refused_by_name(arguments: tuple, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Simulation(*arguments)


def test_the_truth_file_has_a_summary_the_customers_and_the_troubles(tmp_path: Path) -> None:
    simulation = Simulation(2, 200, UNTIL)
    published = sum(1 for _ in simulation.events())
    simulation.write_truth(tmp_path / "truth.jsonl")
    records = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text("utf-8").splitlines()]
    assert records[0]["record"] == "summary"
    assert records[0]["published"] == published
    kinds = Counter(record["record"] for record in records)
    assert kinds["customer"] == 200
    assert kinds["trouble"] == sum(records[0]["troubles"].values()) > 0
