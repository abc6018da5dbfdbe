"""`touchline findings` and `light`: what is asked, what is published, what people read."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.alerts import Acknowledgement
from schemas.timestamps import parse_timestamp
from streams import cli
from streams.commands import findings, light
from streams.commands.findings import description
from streams.commands.known_findings import Chosen, Light, Row, findings_of, gravest, light_of
from streams.commands.light import explanation
from streams.kafka.access import KafkaAccess
from streams.pseudonymity import pseudonyms_of
from streams.settings import load_settings

Capture = pytest.CaptureFixture[str]
NOON = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
ID = "0123456789abcdef0123456789abcdef"


def finding(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "finding_id": ID,
        "customer": "crm:ann",
        "rule": "overcharge",
        "rule_version": "v1",
        "rule_case": "default",
        "severity": "severe",
        "state": "open",
        "channel": "online",
        "weight": 10.0,
        "raised_at": NOON,
        "resolved_at": None,
        "subjects": ["order:O-1"],
        "sentence": "Charged 80.",
        "action": "Refund.",
        "evidence": [
            {
                "source": "web",
                "id": name,
                "topic": "touchline.online",
                "partition": 1,
                "offset": 7,
                "occurred_at": NOON,
                "channel": "online",
                "values": values,
            }
            for name, values in (("o-1", {}), ("i-1", {"price_charged": "80"}))
        ],
        "counterfactual": [{"source": "web", "id": "i-1"}],
    }
    return fields | changes


class Stored:
    """What ClickHouse has, and what went to the broker."""

    def __init__(self) -> None:
        self.rows: list[Row] = [finding()]
        self.customers = {"crm:ann"}
        self.renamed: dict[str, str] = {}
        self.clear: dict[str, str] = {}
        self.asked: list[Chosen] = []
        self.said: list[Acknowledgement] = []

    def find(self, _client: Any, chosen: Chosen, limit: int) -> list[Row]:
        self.asked.append(chosen)
        return [
            row
            for row in self.rows
            if all(
                getattr(chosen, name) in (None, row[name])
                for name in ("customer", "rule", "severity", "state")
            )
        ][:limit]


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stored:
    known = Stored()
    monkeypatch.setenv("TOUCHLINE_HOME", str(tmp_path))

    @contextmanager
    def servers(*_arguments: Any, **_ordered: bool) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(clickhouse=None, kafka=KafkaAccess("broker:9092"))

    for module in (findings, light):
        monkeypatch.setattr(module, "servers", servers)
        monkeypatch.setattr(module, "reading", nullcontext)
    monkeypatch.setattr(findings, "findings_of", known.find)
    monkeypatch.setattr(
        findings,
        "finding_of",
        lambda _client, name: [row for row in known.rows if row["finding_id"].startswith(name)],
    )
    monkeypatch.setattr(findings, "changes_of", lambda *_: [])
    monkeypatch.setattr(findings, "alerts_of", lambda *_: [])
    monkeypatch.setattr(findings, "present_name", lambda _client, name: known.renamed.get(name))
    monkeypatch.setattr(findings, "clear_name", lambda _client, _settings, name: known.clear.get(name, name))
    monkeypatch.setattr(findings, "is_known", lambda _client, customer: customer in known.customers)
    monkeypatch.setattr(findings, "_publish", lambda _access, _prefix, said: known.said.append(said))
    return known


# list


@pytest.mark.parametrize(
    "arguments",
    [["findings"], ["findings", "list"], ["findings", "--json"], ["findings", "list", "--limit", "5"]],
)
def test_without_a_subcommand_findings_lists(arguments: list[str], stored: Stored, capsys: Capture) -> None:
    assert cli.run(arguments) == 0
    assert stored.asked == [Chosen()]
    assert ID[:12] in capsys.readouterr().out


def test_help_is_the_groups_own(capsys: Capture) -> None:
    for option in ("--help", "-h"):
        assert cli.run(["findings", option]) == 0
        assert "snooze" in capsys.readouterr().out


def test_a_misspelt_subcommand_is_not_taken_for_an_option(capsys: Capture) -> None:
    assert cli.run(["findings", "lst"]) == 2
    assert "No such command 'lst'" in capsys.readouterr().err


def test_every_filter_reaches_the_query(stored: Stored) -> None:
    options = ["--customer", "crm:ann", "--rule", "overcharge", "--severity", "severe", "--state", "open"]
    assert cli.run(["findings", *options]) == 0
    assert stored.asked == [Chosen("crm:ann", "overcharge", "severe", "open")]


@pytest.mark.usefixtures("stored")
def test_nothing_that_matches_is_an_answer_and_an_unknown_customer_is_not(capsys: Capture) -> None:
    assert cli.run(["findings", "--customer", "crm:ann", "--rule", "gave_up"]) == 0
    assert capsys.readouterr().out == "no findings match\n"
    assert cli.run(["findings", "--customer", "ann"]) == 1
    assert "customers are written with the kind of identifier: crm:ann" in capsys.readouterr().err


def test_conditions_are_parameters_never_text() -> None:
    condition, parameters = Chosen(customer="x' OR 1", finding_id="abc").where()
    assert condition == "customer = %(customer)s AND startsWith(finding_id, %(id)s)"
    assert parameters == {"customer": "x' OR 1", "id": "abc"}
    assert Chosen(finding_id=ID).where()[0] == "finding_id = %(id)s"
    assert Chosen().where() == ("1", {})


class Client:
    """Answers a query by how it begins, and remembers it."""

    def __init__(self, answers: dict[str, list[tuple[Any, ...]]]) -> None:
        self.answers = answers
        self.queries: list[str] = []

    def execute(self, sql: str, _parameters: object) -> list[tuple[Any, ...]]:
        self.queries.append(sql)
        return next((rows for part, rows in self.answers.items() if part in sql), [])


def test_withdrawn_findings_are_read_from_their_last_change() -> None:
    client = Client({})
    assert findings_of(client, Chosen(state="withdrawn"), 5) == []
    assert (
        "FROM (SELECT * FROM findings_history ORDER BY sequence DESC LIMIT 1 BY finding_id)"
        in client.queries[0]
    )


# show


@pytest.mark.usefixtures("stored")
def test_a_finding_is_shown_with_what_it_hangs_on(capsys: Capture) -> None:
    assert cli.run(["findings", "show", ID[:4]]) == 0
    printed = capsys.readouterr().out
    assert "severe · overcharge · open\n  Charged 80.\n  to do: Refund." in printed
    assert "    2026-03-01 12:00:00Z  online  web o-1  touchline.online/1/7\n" in printed
    assert (
        "  * 2026-03-01 12:00:00Z  online  web i-1  touchline.online/1/7\n      price_charged 80\n" in printed
    )


def test_history_and_alerts_are_told_in_order() -> None:
    change = {"at": NOON, "cause_source": None, "cause_id": None, "severity": "severe", "sentence": "x"}
    lines = list(
        description(
            finding(state="resolved", resolved_at=NOON),
            [
                {**change, "sequence": 1, "kind": "raised", "reason": "deadline"},
                {
                    **change,
                    "sequence": 2,
                    "kind": "resolved",
                    "reason": "arrived",
                    "cause_source": "mail",
                    "cause_id": "m",
                },
            ],
            [{"kind": "raised", "destination": "", "status": "suppressed", "reason": "no route", "at": NOON}],
        )
    )
    assert "raised     2026-03-01 12:00:00Z, resolved 2026-03-01 12:00:00Z" in lines
    assert lines[-5:] == [
        "    1  2026-03-01 12:00:00Z  raised    deadline",
        "    2  2026-03-01 12:00:00Z  resolved  arrived by mail m",
        "",
        "alerts",
        "       2026-03-01 12:00:00Z  raised    (no destination) suppressed: no route",
    ]


def test_what_a_customer_wrote_does_not_reach_the_terminal_as_control() -> None:
    lines = list(description(finding(sentence="\x1b[2J", action="a\nb"), [], []))
    assert lines[1:3] == ["  \\x1b[2J", "  to do: a\\nb"]


def test_an_id_that_names_two_is_refused(stored: Stored, capsys: Capture) -> None:
    stored.rows.append(finding(finding_id="0123" + 28 * "f"))
    assert cli.run(["findings", "show", "0123"]) == 1
    assert "more than one finding begins with '0123'" in capsys.readouterr().err


# ack and snooze


def test_an_acknowledgement_hushes_what_the_finding_is_and_nothing_graver(
    stored: Stored, capsys: Capture
) -> None:
    stored.rows = [finding(severity="major")]
    assert cli.run(["findings", "ack", ID, "--for", "90m", "--by", "ann", "--json"]) == 0
    (said,) = stored.said
    assert (said.action, said.customer, said.finding_id, said.severity) == (
        "acknowledge",
        "crm:ann",
        ID,
        "major",
    )
    assert parse_timestamp(said.until) - parse_timestamp(said.at) == 90 * 60 * 1_000_000
    assert json.loads(capsys.readouterr().out)["by"] == "ann"


@pytest.mark.parametrize(
    ("open_ones", "options", "severity"),
    [
        ([], [], "major"),
        (["minor"], [], "minor"),
        (["minor", "severe", "major"], [], "severe"),
        (["minor"], ["--severity", "severe"], "severe"),
    ],
)
def test_a_snooze_hushes_up_to_the_gravest_open_finding(
    open_ones: list[str], options: list[str], severity: str, stored: Stored
) -> None:
    stored.rows = [finding(severity=one) for one in open_ones] + [finding(severity="severe", state="settled")]
    assert (
        cli.run(["findings", "snooze", "crm:ann", "overcharge", "--for", "3d", "--by", "ann", *options]) == 0
    )
    (said,) = stored.said
    assert (said.action, said.rule, said.finding_id, said.severity) == (
        "snooze",
        "overcharge",
        None,
        severity,
    )


def test_a_year_is_the_longest_and_who_says_so_is_kept_without_blanks(stored: Stored) -> None:
    assert cli.run(["findings", "ack", ID, "--for", "366d", "--by", " ann "]) == 0
    (said,) = stored.said
    assert said.by == "ann"
    assert parse_timestamp(said.until) - parse_timestamp(said.at) == 366 * 86_400 * 1_000_000


def test_for_no_time_ends_an_earlier_one(stored: Stored, capsys: Capture) -> None:
    assert cli.run(["findings", "ack", ID, "--for", "0s", "--by", "ann"]) == 0
    assert stored.said[0].until == stored.said[0].at
    assert capsys.readouterr().out == f"overcharge of crm:ann ({ID[:12]}) acknowledged no more\n"


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (["ack", ID, "--by", "ann"], 2, "Missing option '--for'"),
        (["ack", ID, "--for", "8h"], 2, "Missing option '--by'"),
        (["ack", "ff", "--for", "8h", "--by", "ann"], 1, "no finding 'ff'"),
        (["snooze", "crm:bob", "overcharge", "--for", "8h", "--by", "ann"], 1, "no customer 'crm:bob'"),
        (
            ["snooze", "crm:ann", "overchrage", "--for", "8h", "--by", "ann"],
            1,
            "there is no rule 'overchrage'",
        ),
        (["snooze", "crm:ann", "overcharge", "--for", "soon", "--by", "ann"], 2, "soon"),
        (["ack", ID, "--for", "367d", "--by", "ann"], 2, "'--for': '367d' is not between 0s"),
        (["ack", ID, "--for", "9999999d", "--by", "ann"], 2, "'--for': '9999999d' is not between 0s"),
        (["ack", ID, "--for", f"{10**15}d", "--by", "ann"], 2, "'--for': "),
        (["ack", ID, "--for", "-1", "--by", "ann"], 2, "'--for': '-1' is not between 0s"),
        (["snooze", "crm:ann", "overcharge", "--for", "9999999d", "--by", "ann"], 2, "'--for': "),
        (["ack", ID, "--for", "8h", "--by", ""], 2, "'--by': say who"),
        (["snooze", "crm:ann", "overcharge", "--for", "8h", "--by", " \t"], 2, "'--by': say who"),
    ],
)
def test_what_cannot_be_hushed_is_told_and_nothing_is_published(
    arguments: list[str], status: int, error: str, stored: Stored, capsys: Capture
) -> None:
    assert cli.run(["findings", *arguments]) == status
    assert error in capsys.readouterr().err
    assert stored.said == []


def test_a_withdrawn_finding_needs_no_acknowledgement(stored: Stored, capsys: Capture) -> None:
    stored.rows = [finding(state="withdrawn")]
    assert cli.run(["findings", "ack", ID, "--for", "8h", "--by", "ann"]) == 1
    error = capsys.readouterr().err
    assert f"`touchline findings show {ID}` says why" in error
    assert "true" not in error, "it may be true of another customer"
    assert stored.said == []


def test_the_gravest_of_nothing_is_nothing() -> None:
    assert gravest([]) is None


# customers by any of their identifiers


def hashed(name: str) -> str:
    return pseudonyms_of(load_settings()).stored_customer(name)


def test_a_weak_identifier_is_asked_for_as_it_is_stored_however_it_is_written(stored: Stored) -> None:
    phone = hashed("phone:+359888123456")
    stored.customers.add(phone)
    for written in ("phone:+359888123456", "phone:0888 123 456", phone):
        assert cli.run(["findings", "--customer", written]) == 0
    assert [chosen.customer for chosen in stored.asked] == [phone] * 3


def test_an_identifier_of_another_customer_leads_there(stored: Stored, capsys: Capture) -> None:
    stored.renamed[hashed("email:ann@example.com")] = "crm:ann"
    assert cli.run(["findings", "--customer", "email:Ann@example.com"]) == 0
    assert stored.asked == [Chosen("crm:ann")]
    assert "email:Ann@example.com belongs to crm:ann" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["ack", ID], ["snooze", "phone:+359888123456", "overcharge"]], ids=["ack", "snooze"]
)
def test_what_is_said_goes_to_the_customer_by_the_clear_name(arguments: list[str], stored: Stored) -> None:
    phone = hashed("phone:+359888123456")
    stored.customers.add(phone)
    stored.rows = [finding(customer=phone)]
    stored.clear[phone] = "phone:+359888123456"
    assert cli.run(["findings", *arguments, "--for", "8h", "--by", "ann"]) == 0
    assert stored.said[0].customer == "phone:+359888123456"


# light


def line(points: str, finding_id: str = ID) -> dict[str, Any]:
    return {
        "finding_id": finding_id,
        "rule": "overcharge",
        "channel": "online",
        "severity": "severe",
        "raised_at": NOON,
        "weight": 10.0,
        "points": Decimal(points),
        "sentence": "Charged 80.",
    }


def test_a_light_is_explained_by_lines_that_add_up() -> None:
    channels = {"phone": ("green", Decimal(0)), "online": ("red", Decimal("9.5"))}
    lines = list(
        explanation(
            Light("crm:ann", "red", Decimal("10.501"), channels, NOON, (line("9.500"), line("1.001")))
        )
    )
    assert lines[0] == "crm:ann is red: 10.501 points at 2026-03-01 12:00:00Z"
    assert lines[1] == "  phone green, online red"
    assert [text.split()[0] for text in lines[4:]] == ["9.500", "1.001", "10.501"]
    assert lines[-1].split() == ["10.501", "=", "the", "score"]


def test_a_light_is_read_greatest_first_without_lines_that_have_faded() -> None:
    columns = [
        list(column)
        for column in zip(
            *(line(points, name).values() for points, name in (("0", "a"), ("1", "b"), ("2", "c"))),
            strict=True,
        )
    ]
    per_channel = ["green", Decimal(0)] * 3 + ["yellow", Decimal(3)]
    read = light_of(
        Client({"FROM lights": [("yellow", Decimal(3), *per_channel, NOON, *columns)]}), "crm:ann"
    )
    assert read is not None
    assert [one["finding_id"] for one in read.lines] == ["c", "b"]
    assert read.channels["online"] == ("yellow", Decimal(3))


def test_a_customer_without_a_light_is_green_and_an_unknown_one_is_nobody() -> None:
    green = light_of(Client({"FROM customers": [(NOON,)]}), "crm:ann")
    assert green is not None
    assert (green.light, green.score, list(green.lines)) == ("green", Decimal(0), [])
    assert light_of(Client({}), "crm:ann") is None


@pytest.mark.usefixtures("stored")
def test_the_light_of_an_unknown_customer_is_an_error(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(light, "light_of", lambda _client, _customer: None)
    assert cli.run(["light", "ann"]) == 1
    assert "no customer 'ann'" in capsys.readouterr().err
