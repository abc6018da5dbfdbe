"""What people read of findings, lights and alerts: once, as it is now, and faded exactly as the core fades it."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas.alerts import AlertRow
from schemas.findings import Evidence, Finding, FindingChange, Identity, Light
from schemas.interaction import DAY, Micros
from schemas.records import Fading, Journey, SinkBatch
from sinks.clickhouse.errors import SinkRefused
from sinks.clickhouse.finding_rows import ALERT_COLUMNS, FINDING_COLUMNS, HISTORY_COLUMNS, LIGHT_COLUMNS
from sinks.clickhouse.pseudonyms import CLEAR
from sinks.clickhouse.writer import ClickHouseWriter
from streams.core.detection.light import DEFAULT_LIGHT, light_of
from tests.builders import instant
from tests.clickhouse_server import Database

ANN, BOB, CID = "crm:ann", "crm:bob", "crm:cid"
START = instant("2026-03-01T10:00Z")
FADING = DEFAULT_LIGHT.fading

PROMISED = {
    "findings": """finding_id customer rule rule_version severity state raised_at resolved_at evidence sentence action
        counterfactual channel subjects weight""",
    "findings_history": """finding_id customer sequence kind at reason cause_source cause_id rule state severity
        evidence""",
    "customers": """customer light score light_phone light_email light_visit light_online score_phone score_email
        score_visit score_online journeys open_journeys""",
    "lights": "customer light score contributions evaluated_at decayed_to",
    "light_contributions": "customer finding_id rule channel severity raised_at weight points sentence",
    "alerts": "finding_id customer rule severity kind destination status reason at version",
    "alerts_history": "finding_id customer rule severity kind destination status reason at version",
}


@pytest.fixture
def writer(clickhouse: Database) -> Iterator[ClickHouseWriter]:
    for table in ("findings_raw", "findings_history_raw", "lights_raw", "alerts_raw", "alerts_history_raw"):
        clickhouse.rows(f"TRUNCATE TABLE {table}")
    writer = ClickHouseWriter(clickhouse.target, CLEAR)
    yield writer
    writer.close_sync()


def finding(finding_id: str = "f1", raised_at: Micros = START, **more: Any) -> Finding:
    evidence = (
        Evidence("telephony", "c1", "touchline.phone", 3, 7, raised_at - DAY, "phone", {"reason": "billing"}),
        Evidence("web", "Ж\n'\\", "replay.jsonl", 0, 2**40, raised_at, "online"),
    )
    plain = Finding(
        finding_id, "repeat_contact", "v1", "contacts", ANN, "major", 3.0, "phone", "open", raised_at, None,
        evidence[0].identity, evidence, (evidence[1].identity,), "Попита 3 пъти за 'billing'.", "Call\nback.",
        ("case:1", "reason:billing"), raised_at,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **more)


def change(
    kind: Any = "raised", sequence: int = 1, cause: Identity | None = None, **more: Any
) -> FindingChange:
    return FindingChange(
        kind, finding(**more), START + sequence, "arrived" if cause else "deadline", cause, sequence
    )


def journey(customer: str, number: int = 1, closed: bool = False) -> Journey:
    start = START + number * DAY
    return Journey(
        f"j{customer}{number}",
        customer,
        start,
        start + 60,
        closed,
        4,
        2,
        (),
        (),
        (),
        None,
        None,
        None,
        None,
        None,
    )


def lit(*findings: Finding, at: Micros) -> Light:
    """The core's light."""
    return light_of(findings[0].customer, findings, at)


def now() -> Micros:
    return time.time_ns() // 1_000


def sent(status: Any, at: Micros, **more: Any) -> AlertRow:
    row = AlertRow("f1", ANN, "repeat_contact", "major", "raised", "ops", status, "", at, 9)
    return row._replace(**more)


def columns_of(database: Database, table: str) -> dict[str, str]:
    return dict(
        database.rows(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = %(table)s",
            table=table,
        )
    )


# The tables and the views


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("findings_raw", FINDING_COLUMNS),
        ("findings_history_raw", HISTORY_COLUMNS),
        ("lights_raw", LIGHT_COLUMNS),
        ("alerts_raw", ALERT_COLUMNS),
        ("alerts_history_raw", ALERT_COLUMNS),
    ],
)
def test_the_mapping_names_every_column_of_its_table(
    clickhouse: Database, table: str, names: tuple[str, ...]
) -> None:
    assert len(set(names)) == len(names)
    assert {*names, "inserted_at"} == set(columns_of(clickhouse, table))


@pytest.mark.parametrize("view", PROMISED)
def test_a_view_has_the_columns_that_others_rely_on_in_the_types_that_it_computes(
    clickhouse: Database, view: str
) -> None:
    declared = columns_of(clickhouse, view)
    assert set(PROMISED[view].split()) <= set(declared)
    body = clickhouse.row(
        "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = %(view)s",
        view=view,
    )
    described = clickhouse.rows(f"DESCRIBE ({body[0]}) SETTINGS print_pretty_type_names = 0")
    assert {name: kind for name, kind, *_ in described} == declared


REACHES = {
    "SELECT * FROM findings WHERE customer = 'crm:7'": "customer in ['crm:7', 'crm:7']",
    "SELECT * FROM findings WHERE finding_id = 'f7'": "by_finding",
    "SELECT * FROM findings WHERE raised_at > '2026-05-01'": "by_raise",
    "SELECT * FROM findings_history WHERE customer = 'crm:7'": "customer in ['crm:7', 'crm:7']",
    "SELECT * FROM findings_history WHERE finding_id = 'f7'": "by_finding",
    "SELECT * FROM findings_history WHERE at > '2026-05-01'": "by_time",
    "SELECT * FROM lights WHERE customer = 'crm:7'": "customer in ['crm:7', 'crm:7']",
    "SELECT * FROM light_contributions WHERE customer = 'crm:7'": "customer in ['crm:7', 'crm:7']",
    "SELECT * FROM alerts WHERE customer = 'crm:7'": "customer in ['crm:7', 'crm:7']",
    "SELECT * FROM alerts WHERE finding_id = 'f7'": "by_finding",
    "SELECT * FROM alerts WHERE at > '2026-05-01'": "by_time",
    "SELECT * FROM alerts_history WHERE customer = 'crm:7'": "customer in ['crm:7', 'crm:7']",
    "SELECT * FROM alerts_history WHERE finding_id = 'f7'": "by_finding",
    "SELECT * FROM alerts_history WHERE at > '2026-05-01'": "by_time",
}


def test_a_filter_on_a_view_reaches_the_index(writer: ClickHouseWriter, clickhouse: Database) -> None:
    one = finding()
    writer.write_sync(
        SinkBatch(
            journeys=(journey(ANN),),
            findings=(change(),),
            lights=(lit(one, at=START),),
            alerts=(sent("pending", START),),
            fading=FADING,
        )
    )
    for query, index in REACHES.items():
        plan = "\n".join(text for (text,) in clickhouse.rows(f"EXPLAIN indexes = 1 {query}"))
        assert index in plan, f"{query}\n{plan}"
    plan = [text for (text,) in clickhouse.rows(
        "EXPLAIN indexes = 1 SELECT * FROM customers WHERE customer = 'crm:7'"
    )]  # fmt: skip
    assert sum("customer in ['crm:7', 'crm:7']" in text for text in plan) == 2, "both tables are cut"


# Findings


def test_every_field_of_a_finding_arrives_as_it_was(writer: ClickHouseWriter, clickhouse: Database) -> None:
    told = finding(state="resolved", resolved_at=START + 5)
    writer.write_sync(
        SinkBatch(version=9, findings=(FindingChange("resolved", told, START + 6, "arrived", None, 2),))
    )
    instants = ("raised_at", "resolved_at", "extends_to", "changed_at")
    numbers = ", ".join(f"toUnixTimestamp64Micro({name})" for name in instants)
    assert clickhouse.row(f"SELECT {numbers}, sequence, version FROM findings") == (
        START, START + 5, START, START + 6, 2, 9,
    )  # fmt: skip
    plain = ("finding_id", "customer", "rule", "rule_version", "rule_case", "severity", "state", "weight", "channel",
             "anchor_source", "anchor_id", "sentence", "action", "subjects")  # fmt: skip
    row = dict(zip(plain, clickhouse.row(f"SELECT {', '.join(plain)} FROM findings"), strict=True))
    assert tuple(row.pop("subjects")) == told.subjects
    assert (row.pop("anchor_source"), row.pop("anchor_id")) == told.anchor
    assert row.pop("rule_case") == told.case
    assert row == {name: getattr(told, name) for name in row}
    evidence = clickhouse.rows(
        "SELECT item.source, item.id, item.topic, item.partition, item.offset, "
        "toUnixTimestamp64Micro(item.occurred_at), item.channel, item.values FROM findings ARRAY JOIN evidence AS item"
    )
    assert evidence == [msgspec.structs.astuple(item) for item in told.evidence]
    assert clickhouse.row("SELECT counterfactual FROM findings") == ([tuple(told.counterfactual[0])],)


def test_a_withdrawn_finding_is_gone_and_stays_in_the_history(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    cause = Identity("mail", "m1")
    writer.write_sync(SinkBatch(version=1, findings=(change(),)))
    gone = change("withdrawn", 2, cause, state="withdrawn")
    writer.write_sync(SinkBatch(version=2, findings=(gone,)))
    assert clickhouse.rows("SELECT finding_id FROM findings") == []
    writer.write_sync(SinkBatch(version=1, findings=(change(),)))
    assert clickhouse.rows("SELECT finding_id FROM findings") == [], "an older evaluation brings nothing back"
    told = (
        "SELECT sequence, kind, reason, cause_source, cause_id, state FROM findings_history ORDER BY sequence"
    )
    assert clickhouse.rows(told) == [
        (1, "raised", "deadline", None, None, "open"),
        (2, "withdrawn", "arrived", "mail", "m1", "withdrawn"),
    ]
    writer.write_sync(SinkBatch(version=3, findings=(change("raised", 3),)))
    assert clickhouse.row("SELECT finding_id, state, sequence FROM findings") == ("f1", "open", 3)


def test_changes_of_one_batch_end_with_the_last(writer: ClickHouseWriter, clickhouse: Database) -> None:
    many = (
        change(),
        change(finding_id="f2"),
        change("resolved", 2, state="resolved", resolved_at=START),
        change("withdrawn", 2, finding_id="f2", state="withdrawn"),
    )
    writer.write_sync(SinkBatch(version=1, findings=many))
    assert clickhouse.rows("SELECT finding_id, state FROM findings") == [("f1", "resolved")]
    assert clickhouse.row("SELECT count() FROM findings_history") == (4,)


EVERYTHING = {
    "findings": "SELECT * EXCEPT (inserted_at) FROM findings ORDER BY finding_id",
    "findings_history": "SELECT * EXCEPT (inserted_at) FROM findings_history ORDER BY finding_id, sequence",
    "lights": "SELECT * EXCEPT (inserted_at) FROM lights_raw FINAL ORDER BY customer",
    "customers": "SELECT customer, journeys, open_journeys, interactions FROM customers ORDER BY customer",
    "alerts": "SELECT * EXCEPT (inserted_at) FROM alerts ORDER BY finding_id, kind",
    "alerts_history": "SELECT * EXCEPT (inserted_at) FROM alerts_history ORDER BY finding_id, at, status",
}


def everything(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    return {view: database.rows(sql) for view, sql in EVERYTHING.items()}


def whole_batch() -> SinkBatch:
    return SinkBatch(
        version=100,
        journeys=(journey(ANN), journey(ANN, 2, closed=True)),
        findings=(change(), change(finding_id="f2"), change("updated", 2, severity="severe")),
        lights=(lit(finding(severity="severe"), finding("f2"), at=START + DAY),),
        alerts=(
            sent("pending", START),
            sent("delivered", START + 1),
            sent("suppressed", START, finding_id="f2"),
        ),
        fading=FADING,
    )


def test_writing_a_batch_again_changes_nothing(writer: ClickHouseWriter, clickhouse: Database) -> None:
    writer.write_sync(whole_batch())
    once = everything(clickhouse)
    assert all(once.values())
    for _ in range(3):
        writer.write_sync(whole_batch())
    assert everything(clickhouse) == once


def test_a_batch_cut_differently_changes_nothing(writer: ClickHouseWriter, clickhouse: Database) -> None:
    whole = whole_batch()
    writer.write_sync(whole)
    once = everything(clickhouse)
    first = whole._replace(version=50, findings=whole.findings[:2], lights=(lit(finding(), at=START),))
    second = whole._replace(findings=whole.findings[2:], alerts=whole.alerts[1:])
    for part in (first, second, first):
        writer.write_sync(part)
    assert everything(clickhouse) == once


# Lights

STORIES = {
    "red from one severe finding": [("f1", 0.5, "severe", 4.0, "phone")],
    "red that has faded to yellow": [("f1", 9.0, "severe", 10.0, "visit")],
    "red that has gone out": [("f1", 60.0, "severe", 10.0, "online")],
    "yellow held by hysteresis": [("f1", 5.0, "major", 3.0, "email")],
    "a thousand cuts": [(f"f{n}", n / 3, "minor", 1.0, ("phone", "email")[n % 2]) for n in range(12)],
    "all channels": [
        (f"f{n}", 1.0 + n, "major", 2.5, channel)
        for n, channel in enumerate(("phone", "email", "visit", "online"))
    ],
    "below a thousandth": [("f1", 400.0, "minor", 1.0, "phone"), ("f2", 1.0, "minor", 1.0, "phone")],
    "the clock of the database is behind": [("f1", -3.0, "major", 3.0, "phone")],
}
"""Findings: id, raised so many days ago, severity, weight, channel."""


@pytest.mark.parametrize("story", STORIES)
def test_a_light_fades_exactly_as_the_core_fades_it(
    writer: ClickHouseWriter, clickhouse: Database, story: str
) -> None:
    """It was evaluated when the last finding was raised; the core evaluates at the instant of the query."""
    today = now()
    findings = [
        finding(name, today - round(days * DAY), severity=severity, weight=weight, channel=channel)
        for name, days, severity, weight, channel in STORIES[story]
    ]
    then = lit(*findings, at=max(one.raised_at for one in findings))
    writer.write_sync(SinkBatch(version=1, lights=(then,), fading=FADING))
    channels = ("phone", "email", "visit", "online")
    lights = ", ".join(f"light_{channel}, score_{channel}" for channel in channels)
    decayed_to, colour, score, lines, *parts = clickhouse.row(
        "SELECT toUnixTimestamp64Micro(decayed_to), light, score, "
        f"arrayMap(line -> (line.finding_id, line.points), contributions), {lights} FROM lights"
    )
    core = light_of(ANN, findings, decayed_to)
    assert (colour, score * 1000) == (core.colour, core.score)
    told = {part.channel: (part.colour, Decimal(part.score) / 1000) for part in core.by_channel}
    assert parts == [value for channel in channels for value in told.get(channel, ("green", Decimal(0)))]
    said = {line.finding_id: line.points for line in core.contributions}
    assert {name: round(points * 1000) for name, points in lines if points} == said
    assert sum(round(points * 1000) for _, points in lines) == score * 1000


def test_a_weight_that_was_not_said_fades_right_to_a_thousandth_a_line(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    today = now()
    findings = [finding(f"f{n}", today - n * DAY, weight=1 + n / 7) for n in range(20)]
    writer.write_sync(SinkBatch(lights=(light_of(ANN, findings, today - DAY),), fading=FADING))
    decayed_to, score = clickhouse.row("SELECT toUnixTimestamp64Micro(decayed_to), score FROM lights")
    assert abs(score * 1000 - light_of(ANN, findings, decayed_to).score) <= len(findings)


def test_the_lines_of_every_customer_add_up_to_the_score(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    """Raised whole half-lives ago, so few points that no minute that ends meanwhile moves one across a rounding."""
    today = now()
    lights, due = [], {}
    for number in range(60):
        halvings = [(number + n) % 4 for n in range(1 + number % 5)]
        findings = [
            finding(f"{number}.{n}", today - times * FADING.half_life, customer=f"crm:{number}", weight=4.0)
            for n, times in enumerate(halvings)
        ]
        lights.append(lit(*findings, at=today))
        due[f"crm:{number}"] = sum(Decimal(4) / 2**times for times in halvings)
    writer.write_sync(SinkBatch(lights=tuple(lights), fading=FADING))
    assert dict(clickhouse.rows("SELECT customer, score FROM customers")) == due
    lines = clickhouse.rows("SELECT customer, sum(points) FROM light_contributions GROUP BY customer")
    assert dict(lines) == due


def test_a_light_of_a_withdrawn_finding_is_as_if_it_had_never_been(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    one = finding(raised_at=now(), severity="severe")
    writer.write_sync(SinkBatch(version=1, journeys=(journey(ANN),)))
    before = clickhouse.rows("SELECT * FROM customers")
    writer.write_sync(SinkBatch(version=2, lights=(lit(one, at=one.raised_at),), fading=FADING))
    assert clickhouse.row("SELECT light FROM customers") == ("red",)
    writer.write_sync(SinkBatch(version=3, lights=(light_of(ANN, [], one.raised_at),)))
    assert clickhouse.rows("SELECT * FROM customers") == before
    assert clickhouse.rows("SELECT * FROM lights") == []
    assert clickhouse.rows("SELECT * FROM light_contributions") == []


def test_customers_are_all_that_have_a_journey_or_a_light(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    unseen = finding(customer=CID, raised_at=now())
    writer.write_sync(
        SinkBatch(
            version=1,
            journeys=(journey(ANN), journey(ANN, 2, closed=True), journey(BOB)),
            lights=(lit(unseen, at=unseen.raised_at),),
            fading=FADING,
        )
    )
    writer.write_sync(SinkBatch(version=2, retracted=((BOB, f"j{BOB}1"),)))
    assert clickhouse.rows(
        "SELECT customer, light, light_phone, light_email, score > 0, journeys, open_journeys, interactions, contacts, "
        "toUnixTimestamp64Micro(first_seen_at), toUnixTimestamp64Micro(last_seen_at) FROM customers ORDER BY customer"
    ) == [
        (ANN, "green", "green", "green", False, 2, 1, 8, 4, START + DAY, START + 2 * DAY + 60),
        (CID, "yellow", "yellow", "green", True, 0, 0, 0, 0, None, None),
    ]


# Alerts


def test_what_became_of_an_alert_replaces_what_was_known_of_it(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    told = "SELECT destination, status, reason FROM alerts ORDER BY destination"
    writer.write_sync(
        SinkBatch(
            alerts=(sent("pending", START), sent("suppressed", START, destination="sms", reason="cool_down"))
        )
    )
    quiet = ("sms", "suppressed", "cool_down")
    assert clickhouse.rows(told) == [("ops", "pending", ""), quiet]
    writer.write_sync(SinkBatch(alerts=(sent("failed", START + 9, reason="refused: 404"),)))
    writer.write_sync(SinkBatch(alerts=(sent("pending", START),)))
    assert clickhouse.rows(told) == [("ops", "failed", "refused: 404"), quiet]


def test_the_history_keeps_each_time_that_an_alert_was_held_back_and_why(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    story = (
        sent("suppressed", START, reason="cool_down"),
        sent("suppressed", START + 5, reason="snoozed"),
        sent("suppressed", START + 9, reason="flood"),
        sent("pending", START + 20),
        sent("delivered", START + 21),
    )
    for _ in range(2):
        for row in story:
            writer.write_sync(SinkBatch(alerts=(row,)))
    clickhouse.client().execute("OPTIMIZE TABLE alerts_history_raw FINAL")
    clickhouse.client().execute("OPTIMIZE TABLE alerts_raw FINAL")
    assert clickhouse.rows("SELECT status, reason FROM alerts") == [("delivered", "")]
    assert clickhouse.rows("SELECT status, reason FROM alerts_history ORDER BY at") == [
        (row.status, row.reason) for row in story
    ]


def test_at_one_instant_the_later_answer_counts(writer: ClickHouseWriter, clickhouse: Database) -> None:
    writer.write_sync(SinkBatch(alerts=(sent("pending", START), sent("delivered", START))))
    assert clickhouse.row("SELECT status FROM alerts") == ("delivered",)


def test_another_kind_or_version_is_another_alert_and_a_summary_has_no_customer(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    writer.write_sync(
        SinkBatch(
            alerts=(
                sent("delivered", START),
                sent("delivered", START, kind="resolved"),
                sent("delivered", START, version=10),
                sent("delivered", START, finding_id="flood:repeat_contact:major", customer="", kind="folded"),
            )
        )
    )
    assert clickhouse.row("SELECT count(), countIf(customer = '') FROM alerts") == (4, 1)


@pytest.mark.parametrize(
    "batch",
    [
        SinkBatch(findings=(change(finding_id=""),)),
        SinkBatch(findings=(change(customer=""),)),
        SinkBatch(alerts=(sent("pending", START, finding_id=""),)),
        SinkBatch(lights=(lit(finding(), at=START),)),
        SinkBatch(lights=(lit(finding(), at=START),), fading=Fading(0, 0, 0)),
    ],
)
def test_rows_that_do_not_fit_are_refused(writer: ClickHouseWriter, batch: SinkBatch) -> None:
    with pytest.raises(SinkRefused):
        writer.write_sync(batch)


def test_the_driver_reads_every_view_whole(writer: ClickHouseWriter, clickhouse: Database) -> None:
    """It cannot read a Decimal inside of a tuple."""
    found = finding(raised_at=now())
    raised = FindingChange("raised", found, found.raised_at, "completed", None, 1)
    light = lit(found, at=found.raised_at)
    writer.write_sync(SinkBatch(version=1, findings=(raised,), lights=(light,), fading=FADING))
    for view in PROMISED:
        clickhouse.rows(f"SELECT * FROM {view}")
    ((line,),) = clickhouse.row("SELECT contributions FROM lights")
    assert line[0] == found.finding_id
    assert line[6] == pytest.approx(3.0, abs=0.01)
