"""The whole road over listeners that want TLS, certificates, names and passwords: on the real Kafka."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.cli import run
from streams.kafka.refusal import refusal_of
from streams.settings import load_settings
from tests.integration.pipeline_fixtures import needs_real_kafka, open_road, simulated
from tests.integration.secured_kafka import PASSWORD, USER, SecuredKafka, secured_kafka

pytestmark = pytest.mark.java

CALL = {
    "source": "pbx",
    "channel": "phone",
    "type": "call",
    "direction": "inbound",
    "customer": {"crm_id": "A1"},
}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    needs_real_kafka()
    with secured_kafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.mark.parametrize("listener", ["scram", "mutual", "open"])
def test_every_client_is_let_in(
    listener: str, kafka: SecuredKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = kafka.environment(listener) | {
        "TOUCHLINE_KAFKA__PREFIX": f"{listener}.",
        "TOUCHLINE_KAFKA__GROUP": listener,
    }
    events = tmp_path / "events.jsonl"
    times = ("2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z")
    lines = [CALL | {"id": f"c-{number}", "occurred_at": time} for number, time in enumerate(times)]
    events.write_text("".join(json.dumps(line) + "\n" for line in [*lines, CALL]))
    with open_road(tmp_path / "home", getattr(kafka, listener), workers=2, environ=environ) as road:
        road.publish(simulated(3, 20))
        assert run(["publish", "--allow-invalid", "--channel", "phone", str(events)]) == 0
        road.published += 3
        road.wait_until_balanced(60)
        assert road.rows("SELECT count() FROM interactions WHERE source = 'pbx'") == [(2,)]
        assert run(["reconcile", "--wait", "1m"]) == 0
        for command in (
            ["migrate"],
            ["dead-letters", "resend", "--all"],
            ["identity", "link", "crm:A1", "email:ann@example.org", "--reason", "a test"],
            ["identity", "show", "crm:A1"],
            ["rules", "list"],
            ["forget", "crm:A1", "--reason", "a test", "--yes"],
            ["doctor"],
        ):
            assert run(command) == 0, capsys.readouterr()
        said = capsys.readouterr()
        logs = "".join(file.read_text() for file in (tmp_path / "home" / "logs").iterdir())
    assert "answers at localhost:" in said.out
    assert PASSWORD not in said.out + said.err + logs


WRONG = {
    "a wrong password": ("scram", {"PASSWORD": "hunter2"}, "does not accept the user", "KAFKA__PASSWORD"),
    "an unknown user": ("scram", {"USER": "bob"}, "does not accept the user 'bob'", "KAFKA__USER"),
    "another mechanism": (
        "scram",
        {"SASL_MECHANISM": "SCRAM-SHA-256"},
        "SCRAM-SHA-512",
        "KAFKA__SASL_MECHANISM",
    ),
    "another authority": ("scram", {"CA_FILE": "stranger"}, "nobody whom we trust", "KAFKA__CA_FILE"),
    "no authority": ("scram", {"CA_FILE": ""}, "nobody whom we trust", "KAFKA__CA_FILE"),
    "another name": ("scram", {"BOOTSTRAP": "unnamed"}, "is not for 127.0.0.1", "KAFKA__BOOTSTRAP"),
    "TLS at plaintext": (
        "mutual",
        {"BOOTSTRAP": "plaintext"},
        "does not speak TLS",
        "KAFKA__SECURITY_PROTOCOL",
    ),
    "plaintext at TLS": ("plaintext", {"BOOTSTRAP": "mutual"}, "to speak TLS", "KAFKA__SECURITY_PROTOCOL"),
    "no certificate": (
        "mutual",
        {"CERTIFICATE_FILE": "", "KEY_FILE": "", "KEY_PASSWORD": ""},
        "a certificate of ours",
        "KAFKA__CERTIFICATE_FILE",
    ),
    "no name": ("plaintext", {"BOOTSTRAP": "open"}, "who we are", "KAFKA__SASL_MECHANISM"),
    "a name for nobody": ("open", {"BOOTSTRAP": "plaintext"}, "asks nobody", "KAFKA__SECURITY_PROTOCOL"),
}


@pytest.fixture(params=WRONG)
def wrong(
    request: pytest.FixtureRequest, kafka: SecuredKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    """Settings that are wrong in one thing; what is to be said of it, and the setting to be named."""
    listener, changes, reason, setting = WRONG[request.param]
    places = {
        "stranger": str(kafka.papers.stranger),
        "unnamed": kafka.unnamed,
        "plaintext": kafka.plaintext,
        "mutual": kafka.mutual,
        "open": kafka.open,
    }
    environ = kafka.environment(listener)
    environ |= {f"TOUCHLINE_KAFKA__{name}": places.get(value, value) for name, value in changes.items()}
    environ |= {"TOUCHLINE_HOME": str(tmp_path), "TOUCHLINE_CLICKHOUSE__URL": "clickhouse://127.0.0.1:1"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return reason, setting


@pytest.mark.timeout(60)
def test_whoever_is_not_let_in_is_told_why(
    wrong: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text("{}\n")
    for command in (["worker"], ["publish", str(events)], ["doctor"]):
        assert run(command) == 1
        said = capsys.readouterr()
        for text in wrong:
            assert text in said.out + said.err, command
        assert "hunter2" not in said.out + said.err


def test_a_broker_that_lets_us_in_refuses_nothing(kafka: SecuredKafka) -> None:
    plain = {"TOUCHLINE_KAFKA__SASL_MECHANISM": "PLAIN", "TOUCHLINE_KAFKA__USER": "plain"}
    for environ in (
        *map(kafka.environment, ("scram", "mutual", "open", "plaintext")),
        kafka.environment("scram") | plain,
    ):
        access = load_settings(environ, Path("/absent.toml")).kafka.access()
        assert access is not None
        assert refusal_of(access) is None, access
    assert "=" in USER  # which SCRAM has to quote
