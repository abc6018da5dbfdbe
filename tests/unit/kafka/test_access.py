"""What each client of Kafka is told."""

import logging
import ssl
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from pydantic import SecretStr

from streams.app import faust_app
from streams.kafka.access import KafkaAccess, Mechanism, Sasl
from streams.kafka.tls import Tls, TlsProblem
from streams.settings import Settings
from tests.certificates import KEY_PASSWORD, Papers, make_papers

BROKERS = "kafka-1:9094,kafka-2:9094"
PASSWORD = "hunter2"


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return make_papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture
def tls(papers: Papers) -> Tls:
    return Tls(papers.authority, papers.client, papers.client_key, SecretStr(KEY_PASSWORD))


def named(mechanism: Mechanism = "SCRAM-SHA-512", user: str = "ann") -> Sasl:
    return Sasl(mechanism, user, SecretStr(PASSWORD))


@pytest.mark.parametrize(
    ("with_tls", "with_sasl", "protocol"),
    [
        (False, False, "PLAINTEXT"),
        (True, False, "SSL"),
        (False, True, "SASL_PLAINTEXT"),
        (True, True, "SASL_SSL"),
    ],
)
def test_every_client_speaks_the_same_protocol(
    with_tls: bool, with_sasl: bool, protocol: str, tls: Tls, tmp_path: Path
) -> None:
    access = KafkaAccess(BROKERS, tls if with_tls else None, named() if with_sasl else None)
    app = faust_app(Settings(), access, tmp_path)
    told = {
        "kafka-python": access.for_kafka_python(),
        "aiokafka": access.for_aiokafka(),
        "faust's consumers": credentials_to_aiokafka_auth(app.conf.broker_credentials, app.conf.ssl_context),
        "faust's producer": app.producer._settings_auth(),
    }
    for client, settings in told.items():
        assert settings["security_protocol"] == protocol, client
        assert (settings.get("ssl_context") is not None) == with_tls, client
        assert (settings.get("sasl_mechanism") == "SCRAM-SHA-512") == with_sasl, client
        assert (settings.get("sasl_plain_username") == "ann") == with_sasl, client
        assert (settings.get("sasl_plain_password") == PASSWORD) == with_sasl, client
    assert access.for_librdkafka()["security.protocol"] == protocol.lower()


def test_every_client_is_told_all_brokers(tmp_path: Path) -> None:
    access = KafkaAccess(BROKERS)
    app = faust_app(Settings(), access, tmp_path)
    assert access.for_kafka_python()["bootstrap_servers"] == BROKERS.split(",")
    assert access.for_aiokafka()["bootstrap_servers"] == BROKERS.split(",")
    assert [f"{url.host}:{url.port}" for url in app.conf.broker] == BROKERS.split(",")
    assert access.for_librdkafka()["bootstrap.servers"] == BROKERS


async def test_the_clients_take_what_they_are_told(tls: Tls) -> None:
    access = KafkaAccess("127.0.0.1:1", tls, named())
    AIOKafkaConsumer(**access.for_aiokafka())
    Producer(access.for_librdkafka())  # it reads the files at once
    with pytest.raises(KafkaError):
        KafkaAdminClient(**access.for_kafka_python(), bootstrap_timeout_ms=1)


def test_a_broker_must_prove_its_name_unless_told_otherwise(tls: Tls) -> None:
    context = tls.context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert KafkaAccess(BROKERS, tls).for_librdkafka()["ssl.endpoint.identification.algorithm"] == "https"


def test_a_name_that_is_not_checked_leaves_the_authority(papers: Papers) -> None:
    tls = Tls(papers.authority, check_hostname=False)
    assert (tls.context().verify_mode, tls.context().check_hostname) == (ssl.CERT_REQUIRED, False)
    assert KafkaAccess(BROKERS, tls).for_librdkafka()["ssl.endpoint.identification.algorithm"] == "none"


def test_authorities_given_are_the_only_ones(papers: Papers) -> None:
    assert len(Tls(papers.authority).context().get_ca_certs()) == 1
    assert KafkaAccess(BROKERS, Tls(papers.authority)).for_librdkafka()["ssl.ca.location"] == str(
        papers.authority
    )


def test_librdkafka_believes_whom_python_believes(monkeypatch: pytest.MonkeyPatch, papers: Papers) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(papers.authority))
    access = KafkaAccess(BROKERS, Tls())
    assert access.for_librdkafka()["ssl.ca.location"] == str(papers.authority)
    assert len(Tls().context().get_ca_certs()) == 1


def test_librdkafka_reads_the_files_itself(tls: Tls) -> None:
    told = KafkaAccess(BROKERS, tls).for_librdkafka()
    assert (told["ssl.certificate.location"], told["ssl.key.location"], told["ssl.key.password"]) == (
        str(tls.certificate),
        str(tls.key),
        KEY_PASSWORD,
    )


@pytest.mark.parametrize(("mechanism", "quoted"), [("SCRAM-SHA-256", "a=3D=2Cb"), ("PLAIN", "a=,b")])
def test_kafka_python_needs_names_quoted_for_scram(mechanism: Mechanism, quoted: str) -> None:
    access = KafkaAccess(BROKERS, None, named(mechanism, "a=,b"))
    assert access.for_kafka_python()["sasl_plain_username"] == quoted
    assert access.for_aiokafka()["sasl_plain_username"] == "a=,b"
    assert access.for_librdkafka()["sasl.username"] == "a=,b"


def test_no_password_shows_in_what_clients_are_told(
    tls: Tls, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    access = KafkaAccess("127.0.0.1:1", tls, named())
    told = (
        access.for_kafka_python(),
        access.for_aiokafka(),
        access.for_faust(),
        access.for_librdkafka(),
        access,
    )
    with caplog.at_level(logging.DEBUG, logger="kafka"), pytest.raises(KafkaError):
        KafkaAdminClient(**access.for_kafka_python(), bootstrap_timeout_ms=1)
    assert "Starting KafkaAdminClient with configuration" in caplog.text
    for shown in (repr(told), str(told), caplog.text, repr(faust_app(Settings(), access, tmp_path).conf)):
        assert PASSWORD not in shown
        assert KEY_PASSWORD not in shown


def test_a_file_that_went_away_since_the_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(TlsProblem, match=r"gone\.pem cannot be read: No such file or directory"):
        KafkaAccess(BROKERS, Tls(tmp_path / "gone.pem")).for_aiokafka()
