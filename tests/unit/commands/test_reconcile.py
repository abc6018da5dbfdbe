"""`touchline reconcile`: what the ledger adds up to."""

import json

import pytest

from streams import cli
from streams.commands import reconcile
from streams.commands.reconcile import Balance, balance_of

GOOD = ("touchline.phone", 0, 7, 12, 10, 1, 1, 0, 0, 1)
LOST = ("touchline.phone", 1, 7, 12, 10, 1, 0, 1, 0, 0)
EXTRA = ("touchline.visit", 3, 7, 4, 5, 0, 0, 0, 1, 0)
SWAPPED = ("touchline.email", 2, 7, 5, 5, 0, 0, 1, 1, 0)


def test_an_empty_ledger_is_balanced() -> None:
    assert balance_of([]).balanced
    assert balance_of([]).sentence() == "balanced: nothing received yet"


def test_a_balanced_ledger_is_one_equation() -> None:
    balance = balance_of([GOOD, (*GOOD[:3], 1_200, 1_100, 50, 50, 0, 0, 1)])
    assert balance.sentence() == "balanced: received 1,212 = stored 1,110 + superseded 51 + dead 51"


def test_what_does_not_balance_is_named_by_partition() -> None:
    assert balance_of([GOOD, LOST, EXTRA]).sentence() == (
        "NOT balanced: touchline.phone/1: 1 of 12 received not accounted for; "
        "touchline.visit/3: 1 accounted for but never received"
    )


def test_one_offset_missing_and_another_surplus_do_not_cancel_out() -> None:
    balance = balance_of([SWAPPED])
    assert balance.total("received") == balance.total("stored")
    assert not balance.balanced


def test_a_long_list_of_partitions_is_cut_with_a_count() -> None:
    balance = balance_of([(f"t{number}", *LOST[1:]) for number in range(11)])
    assert balance.sentence().endswith("; and 3 more")


class Ledger:
    """A client whose answers come one after the other; the last one stays."""

    def __init__(self, *answers: Balance) -> None:
        self.answers = list(answers)
        self.asked = 0

    def read(self, _client: object) -> Balance:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> "type[Ledger]":
    """`reconcile` reads what the test puts into the ledger, and does not pause between two looks."""
    from contextlib import nullcontext

    def install(*answers: Balance) -> Ledger:
        fake = Ledger(*answers)
        monkeypatch.setattr(reconcile, "_client", nullcontext)
        monkeypatch.setattr(reconcile, "read_balance", fake.read)
        monkeypatch.setattr(reconcile, "POLL_SECONDS", 0.0)
        return fake

    return install  # type: ignore[return-value]


def test_balanced_ends_with_status_0(ledger: "type[Ledger]", capsys: pytest.CaptureFixture[str]) -> None:
    ledger(balance_of([GOOD]))
    assert cli.run(["reconcile"]) == 0
    assert capsys.readouterr().out == "balanced: received 12 = stored 10 + superseded 1 + dead 1\n"


def test_not_balanced_ends_with_status_1_and_says_it_once(
    ledger: "type[Ledger]", capsys: pytest.CaptureFixture[str]
) -> None:
    ledger(balance_of([LOST]))
    assert cli.run(["reconcile"]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("NOT balanced: touchline.phone/1")
    assert printed.err == ""


def test_json_is_one_document_also_when_not_balanced(
    ledger: "type[Ledger]", capsys: pytest.CaptureFixture[str]
) -> None:
    ledger(balance_of([GOOD, LOST]))
    assert cli.run(["reconcile", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert {key: document[key] for key in ("received", "stored", "superseded", "dead", "balanced")} == {
        "received": 24,
        "stored": 20,
        "superseded": 2,
        "dead": 1,
        "balanced": False,
    }
    assert [one["balanced"] for one in document["partitions"]] == [True, False]


def test_without_wait_the_ledger_is_read_once(ledger: "type[Ledger]") -> None:
    fake = ledger(balance_of([LOST]))
    cli.run(["reconcile"])
    assert fake.asked == 1


def test_wait_looks_until_it_balances(ledger: "type[Ledger]") -> None:
    fake = ledger(balance_of([LOST]), balance_of([LOST]), balance_of([GOOD]))
    assert cli.run(["reconcile", "--wait", "1m"]) == 0
    assert fake.asked == 3


def test_wait_gives_up_after_its_time(ledger: "type[Ledger]") -> None:
    fake = ledger(balance_of([LOST]))
    assert cli.run(["reconcile", "--wait", "20ms"]) == 1
    assert fake.asked > 1


def test_a_wait_that_is_no_duration_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["reconcile", "--wait", "soon"]) == 2
    assert "7d, 12h, 30m" in capsys.readouterr().err
