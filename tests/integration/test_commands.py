"""The commands against real servers: the embedded ClickHouse, and the mock Kafka where pip alone must do."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from schemas.dead_letters import DECODED
from schemas.interaction import Interaction, encode_interaction
from sinks.clickhouse.client import connect
from sinks.embedded.home import Home
from sinks.embedded.kafka.java import find_java
from sinks.embedded.kafka.maven import find_maven
from sinks.embedded.supervisor import Supervisor
from streams import cli
from streams.commands.checks_servers import check_servers
from streams.commands.embedded import start_clickhouse, start_mock
from streams.commands.migrate import bring_up_to_date, layout_of
from streams.commands.reconcile import read_balance
from streams.commands.servers import Servers, clickhouse_target, http_target, servers
from streams.kafka.access import KafkaAccess
from streams.kafka.admin import PROTOCOL, broker_admin, create_missing, survey
from streams.policies import build_decoder
from streams.settings import Settings, load_settings

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"


class House:
    """Embedded servers of one module, configured through the environment as a user would."""

    def __init__(self, environ: dict[str, str], settings: Settings) -> None:
        self.environ = environ
        self.settings = settings

    def run(self, capfdbinary: pytest.CaptureFixture[bytes], *arguments: str) -> tuple[int, bytes, str]:
        """Run a command line in this process; (status, standard output, standard error)."""
        capfdbinary.readouterr()
        status = cli.run(list(arguments))
        printed = capfdbinary.readouterr()
        return status, printed.out, printed.err.decode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    place = tmp_path_factory.mktemp("house")
    environ = {
        "TOUCHLINE_HOME": str(place / "home"),
        "TOUCHLINE_CLICKHOUSE__PASSWORD": "пароль",
        "TOUCHLINE_KAFKA__PARTITIONS": "2",
    }
    settings = load_settings(environ, place / "absent.toml")
    home = Home(settings.home).create()
    with Supervisor() as supervisor:
        database = start_clickhouse(supervisor, home, settings, 0, 0)
        broker = start_mock(supervisor, home, settings, lambda _message: None)
        target = clickhouse_target(settings, database.native_url)
        bring_up_to_date(
            Servers(
                KafkaAccess(broker.bootstrap), target, http_target(settings.clickhouse, database.http_url)
            ),
            settings,
            now=1,
            fresh_topics=True,
        )
        environ |= {
            "TOUCHLINE_KAFKA__BOOTSTRAP": broker.bootstrap,
            "TOUCHLINE_CLICKHOUSE__URL": database.native_url,
            "TOUCHLINE_CLICKHOUSE__HTTP_URL": database.http_url,
        }
        yield House(environ, load_settings(environ, place / "absent.toml"))


@pytest.fixture
def house(running: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> House:
    for name in [name for name in os.environ if name.startswith("TOUCHLINE_")]:
        monkeypatch.delenv(name)
    for name, value in running.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return running


@pytest.mark.usefixtures("running")
def test_the_embedded_servers_listen_on_loopback_only() -> None:
    listening = [
        connection.laddr
        for process in psutil.Process().children(recursive=True)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 4, "ClickHouse twice, the mock broker, and its control"
    assert {address.ip for address in listening} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("output_format", "expected"),
    [
        (None, b"n\ttext\n1\t\xd0\xb6\n"),
        ("CSV", b'1,"\xd0\xb6"\n'),
        ("JSONEachRow", b'{"n":1,"text":"\xd0\xb6"}\n'),
        ("Values", b"(1,'\xd0\xb6')"),
    ],
)
def test_query_prints_any_format(
    output_format: str | None, expected: bytes, house: House, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    options = [] if output_format is None else ["--format", output_format]
    assert house.run(capfdbinary, "query", "SELECT 1 AS n, 'ж' AS text", *options) == (0, expected, "")


def test_query_reads_the_configured_database(house: House, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert house.run(capfdbinary, "query", "SELECT currentDatabase(), count() FROM journeys FORMAT TSV") == (
        0,
        b"touchline\t0\n",
        "",
    )


def test_query_tells_clickhouses_own_error(house: House, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    status, output, said = house.run(capfdbinary, "query", "SELECT nonsense FROM journeys")
    assert (status, output) == (1, b"")
    assert said.startswith("error: Code: 47. DB::Exception: ")


def test_query_changes_nothing_unless_told(house: House, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    create = "CREATE TABLE scratch (n UInt8) ENGINE = MergeTree ORDER BY n"
    status, _, said = house.run(capfdbinary, "query", create)
    assert status == 1
    assert "--write" in said
    assert house.run(capfdbinary, "query", create, "--write")[0] == 0
    assert house.run(capfdbinary, "query", "DROP TABLE scratch", "--write")[0] == 0


def test_migrate_again_changes_nothing(house: House, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    status, output, _ = house.run(capfdbinary, "migrate", "--json")
    document = json.loads(output)
    assert status == 0
    assert (document["migrations"], document["topics"]["created"], document["epoch"]) == ([], [], None)
    assert len(document["topics"]["existing"]) == len(layout_of(house.settings.kafka).topics())


def test_migrate_refuses_topics_with_other_partitions(
    house: House, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUCHLINE_KAFKA__PARTITIONS", "3")
    status, output, _ = house.run(capfdbinary, "migrate")
    assert status == 1
    assert "touchline.phone: partitions is 2, expected 3 (left as it is)" in output.decode()


def test_doctor_finds_this_house_in_order(house: House) -> None:
    checks = {check.name: check for check in check_servers(house.settings)}
    assert {name: check.status for name, check in checks.items()} == dict.fromkeys(
        ("kafka", "topics", "lag", "rules", "clickhouse", "clock", "tables", "ledger", "alerts"), "ok"
    )


@pytest.mark.usefixtures("house")
def test_doctor_names_tables_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOUCHLINE_CLICKHOUSE__DATABASE", "not_migrated")
    checks = {check.name: check for check in check_servers(load_settings())}
    assert (checks["tables"].status, checks["tables"].what_to_do) == ("fail", "run `touchline migrate`")


def test_a_wrong_password_is_told_as_one(
    house: House, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUCHLINE_CLICKHOUSE__PASSWORD", "wrong")
    for command in (["query", "SELECT 1"], ["reconcile"]):
        status, output, said = house.run(capfdbinary, *command)
        assert (status, output) == (1, b"")
        assert "Authentication failed" in said
        assert "Traceback" not in said


def test_reconcile_before_migrate_says_what_to_run(
    house: House, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUCHLINE_CLICKHOUSE__DATABASE", "not_migrated")
    status, _, said = house.run(capfdbinary, "reconcile")
    assert status == 1
    assert "touchline migrate" in said


def test_query_before_migrate_says_what_to_run(
    house: House, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOUCHLINE_CLICKHOUSE__DATABASE", "not_migrated")
    status, _, said = house.run(capfdbinary, "query", "SELECT 1")
    assert status == 1
    assert said.endswith("\n  run `touchline migrate` first\n")


def test_query_of_another_database_is_no_matter_of_migrate(
    house: House, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    status, _, said = house.run(capfdbinary, "query", "SELECT * FROM elsewhere.journeys")
    assert status == 1
    assert "elsewhere" in said
    assert "touchline migrate" not in said


DEAD = """
INSERT INTO dead_letters_raw
    (topic, partition, offset, incarnation, key, value, headers, stage, error, message, occurred_at)
VALUES ('touchline.phone', 1, 7, 1, 'k', unhex('FF7B0A00'), [('h', unhex('FF'))], 'decode', 'NotJson', 'not JSON',
        '2026-03-01 12:00:00.5'),
       ('touchline.visit', 0, 8, 1, NULL, '[]', [], 'validate', 'Missing', 'direction: mandatory',
        '2026-03-01 13:00:00'),
       ('events.jsonl', 0, 3, 9, NULL, '{}', [], 'validate', 'Missing', 'id: mandatory', '2026-03-01 14:00:00')
"""


@pytest.fixture(scope="module")
def dead(running: House) -> None:
    assert running.settings.clickhouse.url is not None
    client = connect(clickhouse_target(running.settings, running.settings.clickhouse.url))
    client.execute(DEAD)
    client.disconnect()


@pytest.mark.usefixtures("dead")
@pytest.mark.parametrize(
    ("options", "offsets"),
    [
        ([], [3, 8, 7]),
        (["--limit", "1"], [3]),
        (["--reason", "Missing"], [3, 8]),
        (["--reason", "DIRECTION"], [8]),
        (["--topic", "touchline.phone"], [7]),
        (["--since", "2026-03-01T15:00:00+02:00"], [3, 8]),
        (["--until", "2026-03-01T13:00:00Z"], [7]),
    ],
)
def test_dead_letters_are_listed_newest_first(
    options: list[str], offsets: list[int], house: House, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    status, output, _ = house.run(capfdbinary, "dead-letters", "list", "--json", *options)
    assert status == 0
    assert [letter["offset"] for letter in json.loads(output)] == offsets


@pytest.mark.usefixtures("dead")
def test_a_dead_letter_shows_its_bytes_exactly(
    house: House, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert house.run(capfdbinary, "dead-letters", "show", "touchline.phone", "1", "7", "--raw") == (
        0,
        b"\xff{\n\x00",
        "",
    )


@pytest.mark.usefixtures("dead")
def test_a_dead_letter_that_is_not_there_is_told(
    house: House, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    status, _, said = house.run(capfdbinary, "dead-letters", "show", "touchline.phone", "1", "8")
    assert status == 1
    assert said.startswith("error: no dead letter at touchline.phone 1 8")


@pytest.mark.usefixtures("dead")
def test_resend_publishes_the_original_record(
    house: House, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    status, output, _ = house.run(capfdbinary, "dead-letters", "resend", "--all", "--dry-run", "--json")
    expected = {"chosen": 3, "sent": 2, "skipped": 1, "failed": 0, "gone": 0}
    assert (status, json.loads(output)) == (0, {**expected, "dry_run": True})
    status, output, _ = house.run(capfdbinary, "dead-letters", "resend", "--all", "--json")
    assert (status, json.loads(output)) == (0, {**expected, "dry_run": False})
    consumer = KafkaConsumer(
        bootstrap_servers=house.settings.kafka.bootstrap,
        auto_offset_reset="earliest",
        api_version=PROTOCOL,
        consumer_timeout_ms=20_000,
    )
    partitions = range(house.settings.kafka.partitions)
    # Assigned, not subscribed: kafka-python 3.0.12 may connect and ask for no topic while it subscribes.
    consumer.assign([TopicPartition(f"touchline.{c}", n) for c in ("phone", "visit") for n in partitions])
    try:
        records: list[Any] = sorted((next(consumer), next(consumer)), key=lambda record: record.topic)
    finally:
        consumer.close()
    phone, visit = records
    assert (phone.topic, phone.partition, phone.key, phone.value) == (
        "touchline.phone",
        1,
        b"k",
        b"\xff{\n\x00",
    )
    assert list(phone.headers) == [("h", b"\xff")]
    assert (visit.partition, visit.key, visit.value) == (0, None, b"[]")


def test_resend_of_a_letter_without_its_original_reads_it_from_its_topic(
    house: House, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """What made the core raise was decoded before: its letter holds Touchline's own encoding."""
    value = (EXAMPLES / "email/valid/only_what_is_mandatory.json").read_bytes()
    headers = [("ce_unknown", b"1")]
    producer = KafkaProducer(bootstrap_servers=house.settings.kafka.bootstrap, api_version=PROTOCOL)
    for sent in (b"{}", value):
        producer.send("touchline.email", sent, b"k", headers, partition=1).get(timeout=20)
    producer.close()
    interaction = build_decoder(house.settings).decode(
        value, (), "touchline.email", 1, 1, None, 2_000_000_000_000_000
    )
    assert isinstance(interaction, Interaction)
    letter = f"unhex('{encode_interaction(interaction).hex()}'), [('content-type', '{DECODED.decode()}')]"
    assert house.settings.clickhouse.url is not None
    client = connect(clickhouse_target(house.settings, house.settings.clickhouse.url))
    client.execute(
        "INSERT INTO dead_letters_raw (topic, partition, offset, incarnation, key, value, headers, stage, error, "
        "message, occurred_at) VALUES "
        + ", ".join(
            f"('touchline.email', 1, {offset}, 1, NULL, {letter}, 'process', 'Poison', 'no', now64(6))"
            for offset in (0, 1, 9)
        )
    )
    client.disconnect()
    status, output, said = house.run(
        capfdbinary, "dead-letters", "resend", "--topic", "touchline.email", "--json"
    )
    counts = {"chosen": 3, "sent": 1, "skipped": 0, "failed": 0, "gone": 2}
    assert (status, json.loads(output)) == (1, {**counts, "dry_run": False})
    assert "of 2 of 3 the broker keeps the original no more" in said
    consumer = KafkaConsumer(
        bootstrap_servers=house.settings.kafka.bootstrap, auto_offset_reset="earliest", api_version=PROTOCOL
    )
    try:
        where = TopicPartition("touchline.email", 1)
        consumer.assign([where])
        assert consumer.end_offsets([where]) == {where: 3}
        consumer.seek(where, 2)
        (again,) = consumer.poll(timeout_ms=20_000)[where]
    finally:
        consumer.close()
    assert (again.key, again.value, list(again.headers)) == (b"k", value, headers)


def test_reconcile_reads_the_ledger(house: House, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    status, output, _ = house.run(capfdbinary, "reconcile", "--json")
    assert (status, json.loads(output)["balanced"]) == (0, True)


@pytest.mark.java
def test_topics_are_created_once_as_they_should_be_and_never_altered(tmp_path: Path) -> None:
    try:
        find_java()
        find_maven()
    except Exception as error:
        pytest.skip(str(error))
    environ = {"TOUCHLINE_HOME": str(tmp_path / "home"), "TOUCHLINE_KAFKA__PARTITIONS": "3"}
    settings = load_settings(environ, tmp_path / "absent.toml")
    layout = layout_of(settings.kafka)
    with servers(settings, kafka=True, clickhouse=True) as running:
        first = bring_up_to_date(running, settings, now=5)
        assert first.topics.created == tuple(layout.topics())
        assert (first.epoch, first.topics.differences, first.topics.config_known) == (5, (), True)
        again = bring_up_to_date(running, settings, now=6)
        assert (again.epoch, again.topics.created, again.migrations) == (None, (), ())
        client = connect(running.clickhouse)
        assert read_balance(client).balanced
        client.disconnect()
        other = layout_of(settings.kafka.model_copy(update={"partitions": 4}))
        with broker_admin(running.kafka) as admin:
            assert create_missing(admin, other).partitions_differ
            assert survey(admin, layout).differences == ()
