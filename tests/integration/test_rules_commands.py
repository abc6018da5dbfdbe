"""`rules`, `findings` and `light` against real servers: the embedded ClickHouse and the mock Kafka."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from schemas.alerts import Acknowledgement, decode_alert_record
from schemas.codec import Decoder
from schemas.interaction import DAY, Interaction
from schemas.records import PlacedInteraction, SinkBatch
from schemas.rule_sets import RULES_KEY, encode_rules
from schemas.timestamps import parse_timestamp
from schemas.topics import partition_of
from sinks.clickhouse.client import ClickHouseTarget, connect
from sinks.clickhouse.history import extent_of, histories
from sinks.clickhouse.pseudonyms import CLEAR
from sinks.clickhouse.writer import ClickHouseWriter
from sinks.embedded.home import Home
from sinks.embedded.supervisor import Supervisor
from streams import cli
from streams.catalogue.rule_files import CATALOGUE, load_rules
from streams.catalogue.rule_sets import read_folder
from streams.commands import rules_in_force
from streams.commands.embedded import start_clickhouse, start_mock
from streams.commands.migrate import bring_up_to_date
from streams.commands.servers import Servers, clickhouse_target, http_target
from streams.core.identity import customer_of
from streams.kafka.access import KafkaAccess
from streams.kafka.admin import PROTOCOL
from streams.settings import Settings, load_settings
from streams.simulation import Simulation
from tests.builders import interaction
from tests.clickhouse_server import Database

UNTIL = datetime(2026, 3, 1, tzinfo=UTC)
PARTITIONS = 2

OVERCHARGED = [
    '{"id": "o-1", "source": "web", "channel": "online", "type": "order", "occurred_at": "2026-02-01T10:00:00Z", '
    '"customer": {"crm_id": "ANN"}, "price": {"agreed": "50", "currency": "EUR", "ref": "offer-1"}}',
    '{"id": "i-1", "source": "web", "channel": "online", "type": "payment", "occurred_at": "2026-02-20T10:00:00Z", '
    '"customer": {"crm_id": "ANN"}, "price": {"charged": "80.5", "currency": "EUR", "ref": "offer-1"}}',
    '{"id": "p-1", "source": "web", "channel": "online", "type": "page_view", "occurred_at": "2026-02-20T10:00:00Z", '
    '"customer": {"crm_id": "BOB"}}',
]
"""Ann is charged 30.50 too much; Bob has no finding."""


class House(NamedTuple):
    """Embedded servers of the module, configured through the environment as a user would."""

    environ: dict[str, str]
    settings: Settings
    target: ClickHouseTarget
    file: Path

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        client = connect(self.target)
        try:
            found: list[tuple[Any, ...]] = client.execute(sql)
            return found
        finally:
            client.disconnect()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Servers with a month of simulated events replayed into the database, findings and lights included."""
    place = tmp_path_factory.mktemp("house")
    environ = {
        "TOUCHLINE_HOME": str(place / "home"),
        "TOUCHLINE_KAFKA__PARTITIONS": str(PARTITIONS),
        "TOUCHLINE_RULES__HALF_LIFE": "3650d",  # lights that shine for as long as this test is run
    }
    settings = load_settings(environ, place / "absent.toml")
    home = Home(settings.home).create()
    with Supervisor() as supervisor:
        database = start_clickhouse(supervisor, home, settings, 0, 0)
        broker = start_mock(supervisor, home, settings, lambda _message: None)
        target = clickhouse_target(settings, database.native_url)
        reached = Servers(
            KafkaAccess(broker.bootstrap), target, http_target(settings.clickhouse, database.http_url)
        )
        bring_up_to_date(reached, settings, now=1, fresh_topics=True)
        environ |= {
            "TOUCHLINE_KAFKA__BOOTSTRAP": broker.bootstrap,
            "TOUCHLINE_CLICKHOUSE__URL": database.native_url,
            "TOUCHLINE_CLICKHOUSE__HTTP_URL": database.http_url,
        }
        file = place / "events.jsonl"
        events = Simulation(7, 150, UNTIL, timedelta(days=28)).events()
        lines = [event.value for event in events if event.value and b"\n" not in event.value]
        file.write_bytes(b"\n".join([*lines, *(line.encode() for line in OVERCHARGED)]) + b"\n")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            assert cli.run(["replay", str(file), "--until", UNTIL.isoformat(), "--json"]) == 0
        yield House(environ, load_settings(environ, place / "absent.toml"), target, file)


@pytest.fixture
def house(running: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> House:
    for name in [name for name in os.environ if name.startswith("TOUCHLINE_")]:
        monkeypatch.delenv(name)
    for name, value in running.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return running


Capture = pytest.CaptureFixture[str]


def run(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    """Run a command line in this process; (status, standard output, standard error)."""
    capsys.readouterr()
    status = cli.run(list(arguments))
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def answer(capsys: Capture, *arguments: str) -> Any:
    """The JSON document of a command that must succeed."""
    status, output, said = run(capsys, *arguments, "--json")
    assert status == 0, said
    return json.loads(output)


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A copy of the catalogue that ships, to be changed."""
    folder = tmp_path / "rules"
    shutil.copytree(CATALOGUE, folder)
    return folder


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file.name}"
    file.write_text(text.replace(old, new), "utf-8")


# History


def every_field() -> Interaction:
    """An interaction in which nothing is absent."""
    return interaction(
        "online", "form", "2026-02-03T04:05:06.789012Z", "crm:Ж", id="и-1", revision=3, contract="c", loyalty="l",
        phone="+359888123456", email="a@b.bg", device="d", unnormalised=("phone", "email"), about="a.b", case="K1",
        order="O1", product="p", stage="order", ends="unresolved", price_agreed=Decimal("12.50"),
        price_charged=Decimal("-3.123456"), price_currency="EUR", price_ref="r", promise_what="call",
        promise_due_at=1_772_000_000_123_456, promise_due_on="2026-03-04", promise_kept_ref="x",
        promise_cancelled_ref="y", rating_scale="csat5", rating_value=2.5, rating_resolved=False, treatment="rude",
        sentiment=-0.5, complaint_remedy_sought="money", complaint_stage="received", transfers=2, follows="f",
        staff_id="s", text="“Текст”\n", attributes={"ключ": "стойност"}, wait=1.5, talk=2.5, hold=0.0,
        wrap_up_seconds=3.0, ivr_path="1/2", thread="T", in_reply_to="<m>", office_id="o", ticket="t", service=4.0,
        session_id="ses", action="resolved", target="/x", success=True, lasting=5.0, partition=3, at_offset=2**40,
        received_at=1_772_000_000_000_001, direction="inbound",
    )  # fmt: skip


@pytest.mark.usefixtures("house")
def test_an_interaction_with_every_field_comes_back_as_it_went(clickhouse: Database) -> None:
    whole = every_field()
    assert [name for name in whole.__struct_fields__ if getattr(whole, name) in (None, "", (), {})] == []
    write(clickhouse.target, [whole])
    assert list(histories(clickhouse.target, whole.occurred_at + 1)) == [("crm:Ж", [whole])]
    assert list(histories(clickhouse.target, whole.occurred_at)) == []


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    ("stored", "read"), [("12", "12.00"), ("12.5", "12.50"), ("0.125000", "0.125"), ("1E+3", "1000.00")]
)
def test_amounts_come_back_with_cents(clickhouse: Database, stored: str, read: str) -> None:
    one = msgspec.structs.replace(every_field(), price_agreed=Decimal(stored))
    write(clickhouse.target, [one])
    ((_, (back,)),) = histories(clickhouse.target, one.occurred_at + 1)
    assert str(back.price_agreed) == read


@pytest.mark.usefixtures("house")
def test_history_is_each_customers_line_and_nothing_anonymous(clickhouse: Database) -> None:
    decoder = Decoder("BG", 365_000 * DAY, customer_of)
    decoded = [
        decoder.decode(event.value, event.headers, "t", 0, offset, None, 0)
        for offset, event in enumerate(Simulation(5, 20, UNTIL, timedelta(days=20)).events())
    ]
    valid = [one for one in decoded if isinstance(one, Interaction)]
    newest: dict[tuple[str, str], Interaction] = {}
    for one in valid:
        if one.key not in newest or one.revision > newest[one.key].revision:
            newest[one.key] = one
    write(clickhouse.target, valid)
    expected: dict[str, list[Interaction]] = {}
    for one in sorted(newest.values(), key=lambda its: its.position):
        if one.customer is not None:
            expected.setdefault(one.customer, []).append(comparable(one))
    read = list(histories(clickhouse.target, 2**62))
    assert [customer for customer, _ in read] == sorted(expected)
    assert {customer: list(map(comparable, its)) for customer, its in read} == expected
    extent = extent_of(clickhouse.target, 2**62)
    assert (extent.interactions, extent.customers) == (sum(map(len, expected.values())), len(expected))


def comparable(one: Interaction) -> Interaction:
    """Coordinates tell which copy of a repetition was stored: whichever the database merged last."""
    return msgspec.structs.replace(one, offset=0)


def write(target: ClickHouseTarget, interactions: list[Interaction]) -> None:
    writer = ClickHouseWriter(target, CLEAR)
    try:
        writer.write_sync(
            SinkBatch(
                version=1,
                interactions=tuple(PlacedInteraction(one, None, False) for one in interactions),
                received=(),
            )
        )
    finally:
        writer.close_sync()


# Back-test


def test_a_backtest_raises_what_replay_raised(house: House, capsys: Capture) -> None:
    found = answer(capsys, "rules", "backtest", str(CATALOGUE), "--to", UNTIL.isoformat())
    stored = Counter(
        dict(house.rows("SELECT rule, count() FROM findings_history WHERE kind = 'raised' GROUP BY rule"))
    )
    assert stored.total() > 50
    standing = Counter({one["rule"]: one["findings"] - one["withdrawn"] for one in found["by_rule"]})
    assert +standing == stored
    assert sum(day["findings"] for day in found["by_day"]) == found["findings"]
    assert sum(found["by_severity"].values()) == found["findings"]


@pytest.mark.usefixtures("house")
def test_periods_that_follow_each_other_add_up_to_the_whole(capsys: Capture) -> None:
    middle = "2026-02-15T12:00:00Z"
    whole = answer(capsys, "rules", "backtest", str(CATALOGUE), "--to", UNTIL.isoformat())
    first = answer(capsys, "rules", "backtest", str(CATALOGUE), "--to", middle)
    second = answer(capsys, "rules", "backtest", str(CATALOGUE), "--from", middle, "--to", UNTIL.isoformat())
    assert first["findings"] > 0
    assert second["findings"] > 0
    assert first["findings"] + second["findings"] == whole["findings"]


@pytest.mark.usefixtures("house")
def test_one_rule_file_is_tested_alone_and_told_to_people(capsys: Capture) -> None:
    status, output, _ = run(
        capsys, "rules", "backtest", str(CATALOGUE / "overcharge.yaml"),
        "--from", "2026-02-20T00:00:00Z", "--to", "2026-02-21T00:00:00Z",
    )  # fmt: skip
    assert status == 0
    assert "2026-02-20" in output
    assert [line.split()[0] for line in output.splitlines() if line.startswith(("overcharge", "repeat"))] == [
        "overcharge"
    ]


@pytest.mark.usefixtures("house")
def test_labels_give_precision_recall_and_lift(capsys: Capture, tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    labels.write_text(
        '{"customer": "crm:ANN", "when": "2026-02-25T00:00:00Z", "what": "churn"}\n'
        '{"customer": "crm:NOBODY", "when": "2026-02-25T00:00:00Z", "what": "churn"}\n'
    )
    rule = str(CATALOGUE / "overcharge.yaml")
    found = answer(
        capsys, "rules", "backtest", rule, "--to", UNTIL.isoformat(), "--labels", str(labels), "--horizon", "7d",
        "--labels-until", "2026-04-01T00:00:00Z",
    )["prediction"]  # fmt: skip
    assert (found["outcomes"], found["customers_with_outcome"], found["unknown_customers"]) == (
        {"churn": 1},
        1,
        1,
    )
    verdict = found["by_rule"][0]
    assert (verdict["rule"], verdict["recall"]["hits"], verdict["recall"]["trials"]) == ("overcharge", 1, 1)
    assert verdict["precision"]["hits"] == 1
    assert verdict["lift"]["value"] == pytest.approx(verdict["precision"]["value"] / found["base_rate"])


@pytest.mark.usefixtures("house")
def test_without_history_a_backtest_says_so(capsys: Capture) -> None:
    status, output, said = run(capsys, "rules", "backtest", str(CATALOGUE), "--to", "2020-01-01T00:00:00Z")
    assert (status, output) == (1, "")
    assert said.startswith("error: no interaction of a known customer before 2020-01-01 00:00:00Z")


# Difference


@pytest.mark.usefixtures("house")
def test_rules_differ_in_nothing_from_themselves(capsys: Capture) -> None:
    status, output, _ = run(
        capsys, "rules", "diff", str(CATALOGUE), str(CATALOGUE), "--to", UNTIL.isoformat()
    )
    assert status == 0
    assert output.startswith("+0 findings, -0, ")


@pytest.mark.usefixtures("house")
def test_a_milder_threshold_adds_findings_and_names_the_customers(capsys: Capture, catalogue: Path) -> None:
    replace(catalogue / "repeat_contact.yaml", "at_least: 3", "at_least: 2")
    old = answer(capsys, "rules", "backtest", str(CATALOGUE), "--to", UNTIL.isoformat())["findings"]
    new = answer(capsys, "rules", "backtest", str(catalogue), "--to", UNTIL.isoformat())["findings"]
    found = answer(capsys, "rules", "diff", str(CATALOGUE), str(catalogue), "--to", UNTIL.isoformat())
    assert len(found["added"]) > 0
    assert {one["rule"] for one in found["added"]} == {"repeat_contact"}
    assert all(one["customer"] for one in found["added"])
    assert found["unchanged"] + len(found["removed"]) == old
    assert found["unchanged"] + len(found["added"]) == new


@pytest.mark.usefixtures("house")
def test_a_changed_severity_is_told_and_is_the_same_finding(capsys: Capture, catalogue: Path) -> None:
    replace(catalogue / "reopened.yaml", "severity: major", "severity: minor")
    found = answer(
        capsys,
        "rules",
        "diff",
        str(CATALOGUE / "reopened.yaml"),
        str(catalogue / "reopened.yaml"),
        "--to",
        UNTIL.isoformat(),
    )
    assert (found["added"], found["removed"]) == ([], [])
    assert len(found["other_severity"]) == found["unchanged"] > 0
    assert {(one["severity_before"], one["severity"]) for one in found["other_severity"]} == {
        ("major", "minor")
    }


# Findings


@pytest.fixture
def finding(house: House) -> str:
    """The id of Ann's overcharge."""
    ((found,),) = house.rows(
        "SELECT finding_id FROM findings WHERE customer = 'crm:ANN' AND rule = 'overcharge'"
    )
    return str(found)


def test_findings_are_listed_by_every_filter(house: House, capsys: Capture, finding: str) -> None:
    bare = answer(capsys, "findings", "--customer", "crm:ANN")
    assert [one["finding_id"] for one in bare] == [finding]
    assert answer(capsys, "findings", "list", "--customer", "crm:ANN", "--rule", "overcharge") == bare
    assert answer(capsys, "findings", "--customer", "crm:ANN", "--severity", "minor") == []
    assert answer(capsys, "findings", "--customer", "crm:ANN", "--state", "withdrawn") == []
    states = Counter(dict(house.rows("SELECT toString(state), count() FROM findings GROUP BY state")))
    for state in ("open", "resolved", "settled"):
        assert len(answer(capsys, "findings", "--state", state, "--limit", "100000")) == states[state]


@pytest.mark.usefixtures("house")
def test_a_list_is_one_line_a_finding(capsys: Capture, finding: str) -> None:
    status, output, _ = run(capsys, "findings", "--limit", "3")
    assert (status, len(output.splitlines())) == (0, 4)
    assert run(capsys, "findings", "--customer", "crm:ANN")[1].splitlines()[1].startswith(finding[:12])


@pytest.mark.usefixtures("house")
def test_a_finding_shows_evidence_counterfactual_and_history(capsys: Capture, finding: str) -> None:
    shown = answer(capsys, "findings", "show", finding[:12])
    assert (shown["finding_id"], shown["severity"], shown["state"]) == (finding, "severe", "open")
    assert [one["id"] for one in shown["evidence"]] == ["o-1", "i-1"]
    assert shown["evidence"][1]["topic"] == "events.jsonl"
    assert shown["evidence"][1]["values"]["price_charged"] == "80.5"
    assert shown["counterfactual"] == [{"source": "web", "id": "i-1"}]
    assert [(one["sequence"], one["kind"], one["cause_id"]) for one in shown["history"]] == [
        (1, "raised", "i-1")
    ]
    status, output, _ = run(capsys, "findings", "show", finding)
    assert status == 0
    assert "Charged 80.5 EUR" in output
    assert "  * 2026-02-20 10:00:00Z  online  web i-1" in output


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["findings", "show", "nothing"], "error: no finding 'nothing'"),
        (["findings", "show", ""], "error: more than one finding begins with ''"),
        (["findings", "ack", "nothing", "--for", "8h", "--by", "ann"], "error: no finding 'nothing'"),
        (["findings", "--customer", "crm:NOBODY"], "error: no customer 'crm:NOBODY'"),
        (
            ["findings", "snooze", "crm:NOBODY", "overcharge", "--for", "8h", "--by", "x"],
            "error: no customer 'crm:NOBODY'",
        ),
        (
            ["findings", "snooze", "crm:BOB", "overchrage", "--for", "8h", "--by", "x"],
            "error: there is no rule 'overchrage'",
        ),
        (
            ["light", "ANN"],
            "error: no customer 'ANN'\n  customers are written with the kind of identifier: crm:ANN",
        ),
    ],
)
def test_what_is_not_there_is_told(capsys: Capture, arguments: list[str], error: str) -> None:
    status, output, said = run(capsys, *arguments)
    assert (status, output) == (1, "")
    assert said.startswith(error)


def said_on_topic(house: House, customer: str) -> list[Acknowledgement]:
    """The customer's records on the alerts topic, in order."""
    where = TopicPartition("touchline.alerts", partition_of(customer.encode(), PARTITIONS))
    consumer = KafkaConsumer(
        bootstrap_servers=house.settings.kafka.bootstrap, api_version=PROTOCOL, auto_offset_reset="earliest"
    )
    try:
        consumer.assign([where])
        consumer.seek_to_beginning(where)
        end = consumer.end_offsets([where])[where]
        found = []
        while consumer.position(where) < end:
            for record in consumer.poll(timeout_ms=1_000).get(where, []):
                assert record.key is not None
                if record.key == customer.encode():
                    found.append(decode_alert_record(record.value))
    finally:
        consumer.close()
    assert all(isinstance(one, Acknowledgement) for one in found)
    return [one for one in found if isinstance(one, Acknowledgement)]


def test_acknowledging_and_snoozing_publish_what_notify_reads(
    house: House, capsys: Capture, finding: str
) -> None:
    status, output, _ = run(
        capsys, "findings", "ack", finding[:8], "--for", "8h", "--by", "дежурен", "--note", "called back"
    )
    assert status == 0
    assert f"overcharge of crm:ANN ({finding[:12]}) acknowledged until" in output
    told = answer(capsys, "findings", "snooze", "crm:ANN", "overcharge", "--for", "3d", "--by", "ann")
    assert told["severity"] == "severe"
    run(capsys, "findings", "snooze", "crm:ANN", "gave_up", "--for", "0s", "--by", "ann")
    acknowledged, snoozed, ended = said_on_topic(house, "crm:ANN")
    assert (acknowledged.action, acknowledged.finding_id) == ("acknowledge", finding)
    assert (acknowledged.by, acknowledged.note, acknowledged.severity) == ("дежурен", "called back", "severe")
    assert parse_timestamp(acknowledged.until) - parse_timestamp(acknowledged.at) == 8 * 3_600_000_000
    assert (snoozed.action, snoozed.rule, snoozed.finding_id) == ("snooze", "overcharge", None)
    assert (ended.rule, ended.severity, ended.until) == ("gave_up", "major", ended.at)


# The light


def test_the_lines_of_a_light_sum_to_its_score(house: House, capsys: Capture) -> None:
    customers = [one for (one,) in house.rows("SELECT customer FROM lights ORDER BY score DESC LIMIT 5")]
    assert "crm:ANN" in customers or len(customers) == 5
    for customer in customers:
        light = answer(capsys, "light", customer)
        thousandths = [round(line["points"] * 1_000) for line in light["contributions"]]
        assert sum(thousandths) == round(light["score"] * 1_000) > 0
        for channel, part in light["channels"].items():
            mine = [line["points"] for line in light["contributions"] if line["channel"] == channel]
            assert round(sum(mine) * 1_000) == round(part["score"] * 1_000)


@pytest.mark.usefixtures("house")
def test_a_light_is_explained_line_by_line(capsys: Capture, finding: str) -> None:
    status, output, _ = run(capsys, "light", "crm:ANN")
    first, *_, last = output.splitlines()
    assert status == 0
    score = first.split(": ")[1].split(" points")[0]
    assert last.split() == [score, "=", "the", "score"]
    assert finding[:12] in output


@pytest.mark.usefixtures("house")
def test_a_customer_without_findings_is_green(capsys: Capture) -> None:
    light = answer(capsys, "light", "crm:BOB")
    assert (light["light"], light["score"], light["contributions"]) == ("green", 0, [])
    assert run(capsys, "light", "crm:BOB")[1].endswith("nothing adds to it\n")


# Rules in force


def test_the_rules_in_force_are_those_of_the_newest_control_record(
    house: House, capsys: Capture, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answer(capsys, "rules", "list")
    assert before["in_force"] == {
        "version": None,
        "source": "the latest findings in ClickHouse",
        "refused": None,
    }
    replace(catalogue / "repeat_contact.yaml", "at_least: 3", "at_least: 2")
    (catalogue / "gave_up.yaml").unlink()
    outdated, current = (read_folder(folder, 30 * DAY) for folder in (CATALOGUE, catalogue))
    producer = KafkaProducer(bootstrap_servers=house.settings.kafka.bootstrap, api_version=PROTOCOL)
    for rules in (outdated, current):
        producer.send("touchline.interactions", key=RULES_KEY, value=encode_rules(rules), partition=0)
    for _ in range(25):
        producer.send("touchline.interactions", key=b"crm:X", value=b"later", partition=0)
    producer.flush()
    producer.close()
    monkeypatch.setattr(rules_in_force, "FIRST_STRETCH", 4)
    listed = answer(capsys, "rules", "list")
    assert listed["in_force"] == {
        "version": current.version,
        "source": "the topic touchline.interactions",
        "refused": None,
    }
    assert listed["version"] == load_rules().version
    other = {one["rule"] for one in listed["rules"] if one["in_force"] != one["rule_version"]}
    assert other == {"repeat_contact", "gave_up"}
    status, output, _ = run(capsys, "rules", "list")
    assert status == 0
    assert f"in force: another set, version {current.version}" in output
