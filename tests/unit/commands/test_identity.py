"""Identifiers as people type them, and what `touchline identity` refuses before it asks a server."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schemas.identifiers import Normaliser
from schemas.identity import FACT
from schemas.links import LEARNT, OPERATOR, Statement
from streams.commands.identity import identity
from streams.commands.identity_picture import description, document
from streams.core.identification.portrait import Feature, Portrait, Tie
from streams.named_identifiers import by_kind, read_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("crm:A1", "crm:A1"),
        ("CRM: A1 ", "crm:A1"),
        ("phone:0888 123 456", "phone:+359888123456"),
        ("phone:+44 20 7946 0018", "phone:+442079460018"),
        ("email:Ann@Example.COM", "email:ann@example.com"),
        ("device:a:b", "device:a:b"),
        ("contract:D-7", "contract:D-7"),
    ],
)
def test_names_are_normalised_as_events_are(text: str, name: str) -> None:
    assert read_name(text, Normaliser("BG")) == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("A1", "does not begin with a kind"),
        ("crm_id:A1", "crm:, contract:"),
        ("crm:", "no value"),
        ("phone:12", "no telephone number in BG"),
        ("email:ann", "no e-mail address"),
    ],
)
def test_what_names_nothing_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_name(text, Normaliser("BG"))


def test_names_become_the_identifiers_of_a_fact() -> None:
    assert by_kind(("crm:A1", "phone:+1", "phone:+2")) == {"crm_id": ["A1"], "phone": ["+1", "+2"]}


def run(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(identity, arguments, env={"TOUCHLINE_HOME": str(tmp_path)})


@pytest.mark.parametrize("command", ["link", "unlink"])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["crm:A1", "phone:+359888123456"], "--reason"),
        (["crm:A1", "phone:+359888123456", "--reason", "  "], "say why"),
        (["crm:A1", "--reason", "x"], "two or more"),
        (["phone:0888123456", "phone:+359888123456", "--reason", "x"], "two or more"),
        (["crm:A1", "fax:1", "--reason", "x"], "'fax:1' does not begin with a kind"),
        (["crm:A1", "email:noreply@example.com", "--reason", "x"], "stands for nobody"),
        (["crm:A1", "crm:B2", "--reason", "x", "--as", " "], "name who says so"),
        (["crm:A1", "crm:B2", "--reason", "x" * 1_025], "1024 characters"),
    ],
)
def test_bad_input_is_named_and_nothing_is_started(
    tmp_path: Path, command: str, arguments: list[str], says: str
) -> None:
    result = run(tmp_path, command, *arguments)
    assert result.exit_code == 2
    assert says in result.output
    assert not list(tmp_path.iterdir())


def picture() -> Portrait:
    said = Statement(
        "operator:ann", "f-1", 0, 1_700_000_000_000_000, False, ("crm:A1", "device:d"), "a kiosk\x1b"
    )
    return Portrait(
        "phone:+359888123456",
        "crm:A1",
        False,
        (Feature("crm:A1", False, None), Feature("phone:+359888123456", False, None)),
        (
            Tie("crm:A1", "phone:+359888123456", LEARNT, True, 0, 86_400_000_000, ("desk", "v-1"), (), None),
            Tie(
                "crm:A1", "device:d", OPERATOR, False, None, None, None, (said,), "kept apart by operator:ann"
            ),
        ),
    )


def test_the_document_has_everything_by_name() -> None:
    shown = json.loads(json.dumps(document(picture())))
    assert shown["customer"] == "crm:A1"
    assert [one["identifier"] for one in shown["identifiers"]] == ["crm:A1", "phone:+359888123456"]
    learnt, apart = shown["links"]
    assert (learnt["together"], learnt["rank"]) == (True, "learnt")
    assert learnt["evidence"] == {"source": "desk", "id": "v-1"}
    assert learnt["last_seen_on"] == "1970-01-02"
    assert (apart["together"], apart["operation"], apart["why_not"]) == (
        False, "unlink", "kept apart by operator:ann",
    )  # fmt: skip
    assert apart["statements"][0]["reason"] == "a kiosk\x1b"


def test_the_description_obeys_no_control_character_and_gives_reasons() -> None:
    lines = "\n".join(description(picture()))
    assert "belongs to crm:A1" in lines
    assert "crm:A1 ≠ device:d" in lines
    assert "\x1b" not in lines
    assert "operator:ann f-1 says unlink: a kiosk" in lines


def test_a_stated_fact_is_one_of_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from streams.commands import identity as command
    from streams.settings import load_settings

    monkeypatch.chdir(tmp_path)
    value, told = command._statement(
        load_settings({}), "unlink", ("phone:0888 123 456", "crm:A1"), " a neighbour's ", "ann"
    )
    fact = FACT.validate_json(value)
    assert (fact.source, fact.operation, fact.reason) == ("operator:ann", "unlink", "a neighbour's")
    assert told.identifiers == ("crm:A1", "phone:+359888123456")
    assert told.rank == OPERATOR
