"""Rules in the log that this version refuses: the worker goes on, and every reading of the log decides alike."""

import logging
from itertools import pairwise

import msgspec
import pytest

from schemas.interaction import Interaction
from schemas.rule_sets import RULES_KEY, RuleFiles, encode_rules
from streams.agents import journeys as module
from streams.agents.lanes import finish
from streams.catalogue.rule_files import CATALOGUE
from tests.builders import call
from tests.unit.agents.fakes import Record
from tests.unit.agents.test_journeys import Bench, SlowSink, records

FILES = {name: (CATALOGUE / name).read_text("utf-8") for name in ("bad_treatment.yaml", "gave_up.yaml")}
GOOD = encode_rules(RuleFiles("good", FILES))
FEWER = encode_rules(RuleFiles("fewer", {"bad_treatment.yaml": FILES["bad_treatment.yaml"]}))
STRICT = encode_rules(RuleFiles("v1", {**FILES, "gave_up.yaml": "id: gave_up\nno_more: allowed\n"}))
DOUBLE = encode_rules(RuleFiles("v2", {**FILES, "again.yaml": FILES["gave_up.yaml"]}))
FOREIGN = b"\xc1 not a record of ours"
REFUSED = {"stricter": STRICT, "one id twice": DOUBLE, "foreign": FOREIGN, "empty": b""}

ANN = msgspec.structs.replace(call("2026-03-01T10:00Z", by="crm:ann"), treatment="rude")
BOB = msgspec.structs.replace(call("2026-03-01T11:00Z", by="crm:bob"), treatment="rude")


def rules(offset: int, value: bytes | None) -> Record:
    return Record(offset, value, RULES_KEY)


def one(offset: int, interaction: Interaction) -> Record:
    return records(interaction, first=offset)[0]


def found(bench: Bench) -> list[tuple[str, str, str]]:
    """What was told of findings: customer, kind, reason."""
    return [
        (change.finding.customer, change.kind, change.reason)
        for batch in bench.sink.written
        for change in batch.findings
    ]


RAISED = [("crm:ann", "raised", "completed"), ("crm:bob", "raised", "completed")]


@pytest.fixture(autouse=True)
def _errors(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger=module.__name__)


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_leaves_those_in_force_and_is_told(
    refused: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    await bench.handle(rules(0, GOOD), one(1, ANN))
    await bench.handle(rules(2, refused))
    await bench.handle(one(3, BOB))
    assert found(bench) == RAISED
    assert bench.states[0][RULES_KEY] == GOOD
    (said,) = caplog.messages
    assert "refused on t/0, those in force stay: " in said


async def test_what_is_refused_is_named_by_version_file_line_and_field(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await Bench().handle(rules(0, STRICT))
    (said,) = caplog.messages
    assert said.startswith("rules v1 refused on t/0")
    assert "gave_up.yaml:2: no_more: there is no such entry" in said


async def test_with_none_in_force_what_is_refused_brings_none(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    await bench.handle(rules(0, STRICT), one(1, ANN))
    assert found(bench) == []
    assert RULES_KEY not in bench.states[0]
    await bench.handle(rules(2, GOOD), one(3, BOB))
    assert sorted(found(bench)) == RAISED, "the next good set looks at everybody again"
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    "cuts", [(0, 6), (0, 1, 6), (0, 2, 6), (0, 2, 3, 6), (0, 1, 2, 3, 4, 5, 6)], ids=repr
)
@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
async def test_however_the_log_is_cut_the_last_good_set_is_in_force(
    cuts: tuple[int, ...], refused: bytes
) -> None:
    log = [
        rules(0, FEWER), rules(1, GOOD), rules(2, refused), rules(3, None), one(4, ANN), one(5, BOB),
    ]  # fmt: skip
    bench = Bench()
    for begin, end in pairwise(cuts):
        await bench.handle(*log[begin:end])
    assert bench.states[0][RULES_KEY] == GOOD
    assert found(bench) == RAISED


async def taken_over(bench: Bench, *after: Record) -> Bench:
    """The next owner: another version of Touchline, or the same again."""
    successor = Bench()
    successor.states = bench.states
    successor.app.consumer_generation_id = 2
    for record in after:
        batch = successor.app.batch([record], generation=2)
        await finish(batch, await successor.agent(batch))
    return successor


async def test_stored_rules_that_a_new_version_refuses_do_not_end_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    await bench.handle(rules(0, GOOD), one(1, ANN))
    bench.states[0][RULES_KEY] = STRICT  # by the version before, to which that was good
    successor = await taken_over(bench, one(2, BOB))
    assert found(successor) == RAISED[:1], "what was owed, once more; nothing of Bob"
    assert successor.states[0][RULES_KEY] == STRICT, "should the version before come back, it goes on with it"
    (said,) = caplog.messages
    assert "rules v1 refused on t/0, none are in force until a set is published" in said
    again = await taken_over(successor, rules(3, STRICT), rules(4, GOOD))
    assert found(again) == [("crm:bob", "raised", "completed")], "of Ann it was told, and nothing has changed"
    assert again.states[0][RULES_KEY] == GOOD


async def test_whoever_is_looked_at_without_rules_keeps_what_is_remembered() -> None:
    bench = Bench()
    await bench.handle(rules(0, GOOD), one(1, ANN))
    bench.states[0][RULES_KEY] = STRICT
    later = msgspec.structs.replace(call("2026-03-01T12:00Z", by="crm:ann"), direction="inbound")
    successor = await taken_over(bench, one(2, later), rules(3, GOOD))
    assert [(kind, reason) for _, kind, reason in found(successor)] == [
        ("raised", "completed"),  # what was owed, once more
        ("settled", "rule changed"),
        ("reopened", "rule changed"),
    ]
    numbers = [change.sequence for batch in successor.sink.written for change in batch.findings]
    assert numbers == [1, 2, 3], "the history goes on"


async def test_what_was_owed_of_findings_is_paid_although_their_rules_are_refused() -> None:
    bench = Bench(sink=SlowSink())
    await bench.agent(bench.app.batch([rules(0, GOOD), one(1, ANN)]))
    bench.states[0][RULES_KEY] = STRICT
    successor = await taken_over(bench, one(1, ANN))
    told = [change for change in found(successor) if change[1] == "raised"]
    assert told == [("crm:ann", "raised", "completed")]
    assert len(successor.producer.sent["alerts", 0]) >= 1
