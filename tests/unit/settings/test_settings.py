"""Settings: where they come from, and what is said when one is wrong."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.settings import SettingsError, load_settings
from streams.settings.identity import identity_policy


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "touchline.toml"


def test_nothing_given_means_the_embedded_servers(file: Path) -> None:
    settings = load_settings({}, file)
    assert settings.kafka.bootstrap is None
    assert settings.clickhouse.url is None
    assert settings.journeys.gap == timedelta(days=7)


def test_the_environment_wins_over_the_file(file: Path) -> None:
    file.write_text('[journeys]\ngap = "3d"\nhorizon = "20d"\n')
    settings = load_settings({"TOUCHLINE_JOURNEYS__GAP": "1d"}, file)
    assert settings.journeys.gap == timedelta(days=1)
    assert settings.journeys.horizon == timedelta(days=20)


def test_a_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[kafka]\npartitions = 3\n")
    assert load_settings({"TOUCHLINE_CONFIG": str(other)}).kafka.partitions == 3


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"TOUCHLINE_CONFIG: no such file"):
        load_settings({"TOUCHLINE_CONFIG": str(tmp_path / "absent.toml")})


def test_asking_for_plain_python_is_no_misspelt_setting(file: Path) -> None:
    assert load_settings({"TOUCHLINE_PURE": "1"}, file) == load_settings({}, file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOUCHLINE_KAFKA__PARTITIONS", "0"),
        ("TOUCHLINE_KAFKA__PARTITIONS", "many"),
        ("TOUCHLINE_KAFKA__PREFIX", "a b"),
        ("TOUCHLINE_KAFKA__BOOTSTRAP", "nohost"),
        ("TOUCHLINE_KAFKA__BOOTSTRAP", ""),
        ("TOUCHLINE_KAFKA__BOOTSTRAP", "kafka-1:9092,kafka-2"),
        ("TOUCHLINE_JOURNEYS__GAP", "0s"),
        ("TOUCHLINE_JOURNEYS__GAP", "a week"),
        ("TOUCHLINE_TIME__LATENESS", "-1"),
        ("TOUCHLINE_IDENTITY__REGION", "bulgaria"),
        ("TOUCHLINE_LOCAL__KAFKA_PORT", "65536"),
        ("TOUCHLINE_LOG_LEVEL", "loud"),
        ("TOUCHLINE_CLICKHOUSE__URL", "http://localhost:8123"),
        ("TOUCHLINE_CLICKHOUSE__URL", "clickhouse://:9000"),
        ("TOUCHLINE_CLICKHOUSE__HTTP_URL", "localhost:8123"),
        ("TOUCHLINE_CLICKHOUSE__DATABASE", "x; DROP"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(name: str, value: str, file: Path) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: "):
        load_settings({name: value}, file)


def test_brokers_are_a_list_of_addresses(file: Path) -> None:
    settings = load_settings({"TOUCHLINE_KAFKA__BOOTSTRAP": "kafka-1:9092, [::1]:9093"}, file)
    assert settings.kafka.bootstrap == "kafka-1:9092,[::1]:9093"


@pytest.mark.parametrize(
    ("section", "name"), [("journeys", "gap"), ("time", "lateness"), ("alerts", "timeout")]
)
def test_a_truth_value_is_no_duration(section: str, name: str, file: Path) -> None:
    file.write_text(f"[{section}]\n{name} = true\n")
    with pytest.raises(
        SettingsError, match=rf"touchline\.toml: {section}\.{name}: a truth value is not a duration"
    ):
        load_settings({}, file)


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("kafka", "partitions"),
        ("rules", "yellow"),
        ("worker", "processes"),
        ("local", "kafka_port"),
        ("alerts", "flood_limit"),
    ],
)
def test_a_truth_value_is_no_number(section: str, name: str, file: Path) -> None:
    file.write_text(f"[{section}]\n{name} = true\n")
    with pytest.raises(
        SettingsError, match=rf"touchline\.toml: {section}\.{name}: .*a truth value is not a number"
    ):
        load_settings({}, file)


def test_a_truth_value_is_one_where_it_belongs(file: Path) -> None:
    file.write_text("[identity]\nclear_text = true\n")
    assert load_settings({}, file).identity.clear_text


@pytest.mark.parametrize(
    "name",
    ["TOUCHLINE_KAFKA__BOOTSTRP", "TOUCHLINE_KAFK__BOOTSTRAP", "TOUCHLINE_GAP", "TOUCHLINE_KAFKA__A__B"],
)
def test_a_misspelt_variable_is_refused_and_not_ignored(name: str, file: Path) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: unknown setting"):
        load_settings({name: "1"}, file)


def test_a_misspelt_key_is_named_with_its_file(file: Path) -> None:
    file.write_text("[kafka]\npartition = 3\n")
    with pytest.raises(SettingsError, match=r"touchline\.toml: kafka\.partition: unknown setting"):
        load_settings({}, file)


def test_every_wrong_setting_is_named_at_once(file: Path) -> None:
    environ = {"TOUCHLINE_KAFKA__PARTITIONS": "0", "TOUCHLINE_LOG_LEVEL": "loud"}
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, file)
    assert {line.partition(":")[0] for line in str(caught.value).splitlines()} == set(environ)


@pytest.mark.parametrize("content", [b"[kafka", b"\xff\xfe", b"a = "])
def test_a_file_that_is_no_toml_is_named(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"touchline\.toml: not valid TOML"):
        load_settings({}, file)


def test_a_section_that_is_no_table_is_named(file: Path) -> None:
    file.write_text("kafka = 3\n")
    with pytest.raises(SettingsError, match=r"expected a table \[kafka\]"):
        load_settings({"TOUCHLINE_KAFKA__PARTITIONS": "3"}, file)


def test_other_variables_are_none_of_our_business(file: Path) -> None:
    assert load_settings({"TOUCHLINER": "1", "PATH": "/bin"}, file) == load_settings({}, file)


def test_a_password_shows_in_no_repr(file: Path) -> None:
    settings = load_settings({"TOUCHLINE_CLICKHOUSE__PASSWORD": "hunter2"}, file)
    assert settings.clickhouse.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_a_password_in_the_url_is_refused_and_not_repeated(file: Path) -> None:
    with pytest.raises(SettingsError, match=r"TOUCHLINE_CLICKHOUSE__PASSWORD") as caught:
        load_settings({"TOUCHLINE_CLICKHOUSE__URL": "clickhouse://ann:hunter2@db:9000"}, file)
    assert "hunter2" not in str(caught.value)


def test_settings_cannot_be_changed_after_they_were_read(file: Path) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings({}, file).kafka.partitions = 1  # type: ignore[misc]


def test_lists_are_words_with_commas_between_or_arrays(file: Path) -> None:
    file.write_text('[identity]\nblocked = ["device:kiosk-7", "phone:0888 123 456"]\n')
    settings = load_settings({"TOUCHLINE_IDENTITY__OWN_DOMAINS": "example.com, example.org,"}, file)
    assert settings.identity.own_domains == {"example.com", "example.org"}
    assert settings.identity.blocked == {"device:kiosk-7", "phone:0888 123 456"}
    assert identity_policy(settings.identity).blocked == {"device:kiosk-7", "phone:+359888123456"}


def test_own_numbers_are_read_in_the_default_region_and_words_are_added(file: Path) -> None:
    settings = load_settings(
        {
            "TOUCHLINE_IDENTITY__OWN_NUMBERS": "02 123 4567",
            "TOUCHLINE_IDENTITY__WORDS": "Walk-In",
            "TOUCHLINE_IDENTITY__CUSTOMERS_OF_PHONE": "2",
        },
        file,
    )
    policy = identity_policy(settings.identity)
    assert policy.own_numbers == {"+35921234567"}
    assert {"walk-in", "unknown"} <= policy.words
    assert policy.customers["phone"] == 2


@pytest.mark.parametrize(
    ("name", "value"), [("OWN_NUMBERS", "12"), ("BLOCKED", "kiosk-7"), ("BLOCKED", "fax:1"), ("HUB", "0")]
)
def test_an_identifier_that_no_event_could_have_is_refused(name: str, value: str, file: Path) -> None:
    with pytest.raises(SettingsError, match=f"TOUCHLINE_IDENTITY__{name}"):
        load_settings({f"TOUCHLINE_IDENTITY__{name}": value}, file)
