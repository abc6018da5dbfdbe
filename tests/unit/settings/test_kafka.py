"""Settings of Kafka: how brokers let us in, and what contradicts itself."""

from pathlib import Path
from typing import Any

import pytest

from streams.commands.servers import access_to
from streams.kafka.access import KafkaAccess, Sasl
from streams.kafka.tls import Tls
from streams.settings import Settings, SettingsError, load_settings
from streams.settings.kafka import PLAINTEXT
from tests.certificates import KEY_PASSWORD, Papers, make_papers

BROKER = {"BOOTSTRAP": "kafka:9094"}
SASL = {"SASL_MECHANISM": "SCRAM-SHA-512", "USER": "touchline", "PASSWORD": "hunter2"}


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return make_papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture
def mutual(papers: Papers) -> dict[str, str]:
    """Settings of TLS with a certificate of ours."""
    return BROKER | {
        "SECURITY_PROTOCOL": "ssl",
        "CA_FILE": str(papers.authority),
        "CERTIFICATE_FILE": str(papers.client),
        "KEY_FILE": str(papers.client_key),
        "KEY_PASSWORD": KEY_PASSWORD,
    }


def variables(values: dict[str, str]) -> dict[str, str]:
    return {f"TOUCHLINE_KAFKA__{name}": value for name, value in values.items()}


def load(values: dict[str, str]) -> Settings:
    return load_settings(variables(values), Path("/absent.toml"))


def access(values: dict[str, str]) -> KafkaAccess:
    found = load(values).kafka.access()
    assert found is not None
    return found


def refused(values: dict[str, str]) -> dict[str, str]:
    """What is said of each variable."""
    with pytest.raises(SettingsError) as caught:
        load(values)
    lines = (line.split(": ", 1) for line in str(caught.value).splitlines())
    return {name.removeprefix("TOUCHLINE_KAFKA__"): said for name, said in lines}


def test_without_a_broker_of_ones_own_there_is_nothing_to_be_let_into() -> None:
    assert load({}).kafka.access() is None


def test_a_broker_alone_is_reached_in_plaintext() -> None:
    assert access(BROKER) == KafkaAccess("kafka:9094")


@pytest.mark.parametrize("written", ["sasl_ssl", "SASL_SSL", " Sasl_Ssl "])
def test_names_are_taken_in_any_letter_case(written: str) -> None:
    found = access(BROKER | SASL | {"SECURITY_PROTOCOL": written, "SASL_MECHANISM": "scram-sha-512"})
    assert found.protocol == "SASL_SSL"
    assert found.sasl is not None
    assert (found.sasl.mechanism, found.sasl.user) == ("SCRAM-SHA-512", "touchline")


def test_sasl_without_tls_is_possible() -> None:
    found = access(BROKER | SASL | {"SECURITY_PROTOCOL": "sasl_plaintext"})
    assert (found.protocol, found.tls) == ("SASL_PLAINTEXT", None)


def test_files_are_found_wherever_a_worker_is_started(
    mutual: dict[str, str], papers: Papers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(papers.authority.parent)
    found = access(mutual | {"CA_FILE": papers.authority.name})
    assert found.tls is not None
    assert found.tls.authorities == papers.authority
    assert (found.tls.certificate, found.tls.key, found.tls.check_hostname) == (
        papers.client,
        papers.client_key,
        True,
    )


def test_blank_values_are_none_at_all() -> None:
    blank = dict.fromkeys(
        (
            "SECURITY_PROTOCOL",
            "SASL_MECHANISM",
            "USER",
            "PASSWORD",
            "CA_FILE",
            "CERTIFICATE_FILE",
            "KEY_FILE",
            "KEY_PASSWORD",
        ),
        "",
    )
    assert access(BROKER | blank) == KafkaAccess("kafka:9094")


def test_what_sasl_lacks_is_named_variable_by_variable() -> None:
    said = refused(BROKER | {"SECURITY_PROTOCOL": "sasl_ssl"})
    assert set(said) == {"SASL_MECHANISM", "USER", "PASSWORD"}
    assert all("TOUCHLINE_KAFKA__SECURITY_PROTOCOL=sasl_ssl needs one" in text for text in said.values())


@pytest.mark.parametrize("protocol", ["plaintext", "ssl"])
@pytest.mark.parametrize("name", ["SASL_MECHANISM", "USER", "PASSWORD"])
def test_what_belongs_to_sasl_is_refused_without_it(name: str, protocol: str) -> None:
    said = refused(BROKER | {"SECURITY_PROTOCOL": protocol, name: SASL[name]})
    assert set(said) == {name}
    assert "set that to sasl_plaintext or sasl_ssl" in said[name]


@pytest.mark.parametrize(
    "name", ["CA_FILE", "CERTIFICATE_FILE", "KEY_PASSWORD", "KEY_FILE", "CHECK_HOSTNAME"]
)
def test_what_belongs_to_tls_is_refused_without_it(name: str, mutual: dict[str, str]) -> None:
    value = (mutual | {"CHECK_HOSTNAME": "false"})[name]
    assert refused(BROKER | {name: value})


@pytest.mark.parametrize("protocol", ["ssl", "sasl_plaintext", "sasl_ssl"])
def test_the_embedded_broker_has_no_security(protocol: str) -> None:
    said = refused(({} if protocol == "ssl" else SASL) | {"SECURITY_PROTOCOL": protocol})
    assert "needs TOUCHLINE_KAFKA__BOOTSTRAP" in said["SECURITY_PROTOCOL"]


@pytest.mark.parametrize("name", ["CA_FILE", "CERTIFICATE_FILE", "KEY_FILE"])
def test_a_file_that_is_not_there_is_named(name: str, mutual: dict[str, str]) -> None:
    said = refused(mutual | {name: "/no/such.pem"})
    assert said[name] == "/no/such.pem cannot be read: No such file or directory"


@pytest.mark.parametrize("name", ["CA_FILE", "CERTIFICATE_FILE", "KEY_FILE"])
def test_a_file_of_something_else_is_refused(name: str, mutual: dict[str, str], tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text("-----BEGIN NONSENSE-----\n")
    assert str(other) in refused(mutual | {name: str(other)})[name]


def test_a_certificate_needs_its_key(mutual: dict[str, str]) -> None:
    said = refused({name: value for name, value in mutual.items() if name != "KEY_FILE"})
    assert set(said) == {"KEY_FILE"}
    assert "TOUCHLINE_KAFKA__CERTIFICATE_FILE needs its key" in said["KEY_FILE"]


def test_a_key_needs_its_certificate(mutual: dict[str, str]) -> None:
    said = refused({name: value for name, value in mutual.items() if name != "CERTIFICATE_FILE"})
    assert said == {"KEY_FILE": "of no use without TOUCHLINE_KAFKA__CERTIFICATE_FILE"}


def test_the_key_must_be_that_of_the_certificate(mutual: dict[str, str], papers: Papers) -> None:
    said = refused(mutual | {"KEY_FILE": str(papers.broker), "KEY_PASSWORD": ""})
    assert said["KEY_FILE"] == f"the key in {papers.broker} is not that of the certificate in {papers.client}"


@pytest.mark.parametrize("password", ["", "hunter2"])
def test_a_key_that_does_not_open_is_refused_and_its_password_not_repeated(
    password: str, mutual: dict[str, str]
) -> None:
    said = refused(mutual | {"KEY_PASSWORD": password})
    assert "TOUCHLINE_KAFKA__KEY_PASSWORD" in said["KEY_FILE"]
    assert "hunter2" not in str(said)


def test_one_file_may_hold_certificate_and_key(papers: Papers) -> None:
    both = {"CERTIFICATE_FILE": str(papers.broker), "KEY_FILE": str(papers.broker)}
    assert access(BROKER | {"SECURITY_PROTOCOL": "ssl"} | both).tls == Tls(
        None, papers.broker, papers.broker, load({}).kafka.key_password
    )


def test_no_secret_shows(mutual: dict[str, str]) -> None:
    settings = load(mutual | SASL | {"SECURITY_PROTOCOL": "sasl_ssl"})
    shown = f"{settings!r} {settings} {settings.model_dump_json()} {settings.kafka.access()!r}"
    assert "hunter2" not in shown
    assert KEY_PASSWORD not in shown


def test_workers_of_an_embedded_broker_are_told_plaintext_whatever_is_set(
    mutual: dict[str, str], tmp_path: Path
) -> None:
    secured: dict[str, Any] = mutual | SASL | {"SECURITY_PROTOCOL": "sasl_ssl", "CHECK_HOSTNAME": "false"}
    file = tmp_path / "touchline.toml"
    file.write_text("[kafka]\n" + "".join(f"{name.lower()} = {value!r}\n" for name, value in secured.items()))
    environ = PLAINTEXT | {"TOUCHLINE_KAFKA__BOOTSTRAP": "127.0.0.1:9092"}
    assert load_settings(environ, file).kafka.access() == KafkaAccess("127.0.0.1:9092")


def test_an_address_on_the_command_line_is_entered_as_the_settings_say() -> None:
    settings = load(BROKER | SASL | {"SECURITY_PROTOCOL": "sasl_plaintext"})
    named = access_to(settings, "other:1")
    assert named == KafkaAccess("other:1", None, Sasl("SCRAM-SHA-512", "touchline", settings.kafka.password))
    assert access_to(settings, None) == settings.kafka.access()
    assert access_to(load({}), "other:1") == KafkaAccess("other:1")


@pytest.mark.parametrize("kind", ["kafka", "mock"])
def test_an_embedded_broker_that_is_asked_for_is_none_of_the_settings(kind: str) -> None:
    assert access_to(load(BROKER), kind) is None
