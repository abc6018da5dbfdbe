"""What people read after writes: once and in the latest revision, however often and in whatever cut it was written."""

import asyncio
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec
import pytest

from schemas.interaction import Interaction
from schemas.records import Coordinates, DeadLetter, Journey, PlacedInteraction, SinkBatch
from sinks.clickhouse.client import ClickHouseTarget
from sinks.clickhouse.errors import SinkMisconfigured, SinkRefused, SinkUnavailable
from sinks.clickhouse.pseudonyms import CLEAR
from sinks.clickhouse.writer import ClickHouseWriter
from tests.builders import call, instant, mail, page_view
from tests.clickhouse_server import Database

ANN, BOB = "crm:ann", "crm:bob"


@pytest.fixture
def writer(clickhouse: Database) -> Iterator[ClickHouseWriter]:
    writer = ClickHouseWriter(clickhouse.target, CLEAR)
    yield writer
    writer.close_sync()


def placed(*interactions: Interaction, journey: str | None = "j1") -> tuple[PlacedInteraction, ...]:
    return tuple(PlacedInteraction(interaction, journey) for interaction in interactions)


def journey(journey_id: str = "j1", customer: str = ANN, **more: object) -> Journey:
    return msgspec.structs.replace(
        Journey(
            journey_id, customer, instant("2026-03-01T10:00Z"), instant("2026-03-01T11:00Z"), False, 2, 2,
            ("phone", "email"), ("phone", "email"), ("case:1",), 12.5, None, 12.5, None, None,
        ),
        **more,
    )  # fmt: skip


def letter(offset: int) -> DeadLetter:
    return DeadLetter(
        "touchline.phone", 3, offset, b"key\xff", b"{\x00broken", (("h", b"\x01"), ("h", b"2")), "decode",
        "not_json", "expected an object", instant("2026-03-01T10:00Z"),
    )  # fmt: skip


EVERY_VIEW = {
    "interactions": "SELECT * EXCEPT (inserted_at) FROM interactions ORDER BY source, id",
    "journeys": "SELECT * EXCEPT (inserted_at) FROM journeys ORDER BY journey_id",
    "journey_steps": "SELECT * FROM journey_steps ORDER BY journey_id, step",
    "dead_letters": "SELECT * EXCEPT (inserted_at) FROM dead_letters ORDER BY offset",
    "ledger": "SELECT * FROM ledger ORDER BY topic, partition, offset_from",
    "reconciliation": "SELECT * FROM reconciliation ORDER BY topic, partition",
}


def everything(database: Database) -> dict[str, list[tuple[object, ...]]]:
    settings = {"strings_as_bytes": True}
    client = database.client()
    try:
        return {view: client.execute(sql, settings=settings) for view, sql in EVERY_VIEW.items()}
    finally:
        client.disconnect()


def whole_batch() -> SinkBatch:
    calls = [
        call(f"2026-03-01T1{n}:00Z", by=ANN, topic="touchline.phone", partition=3, at_offset=n)
        for n in range(4)
    ]
    return SinkBatch(
        version=100,
        interactions=placed(*calls),
        journeys=(journey(),),
        retracted=((ANN, "j0"),),
        dead_letters=(letter(7),),
        received=tuple(Coordinates("touchline.phone", 3, n) for n in (0, 1, 2, 3, 7, 8)),
        superseded=(Coordinates("touchline.phone", 3, 8),),
        incarnation=5,
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
    first = whole._replace(interactions=whole.interactions[:3], received=whole.received[:3], retracted=())
    second = whole._replace(interactions=whole.interactions[2:], received=whole.received[2:])
    for part in (first, second, first):
        writer.write_sync(part)
    assert everything(clickhouse) == once


def test_an_older_evaluation_that_comes_later_changes_nothing(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    it = call("2026-03-01T10:00Z", by=ANN)
    newer = SinkBatch(version=200, interactions=placed(it, journey="j2"), journeys=(journey("j2"),))
    older = SinkBatch(
        version=100, interactions=placed(it, journey="j1"), journeys=(journey("j2", closed=True),)
    )
    writer.write_sync(newer)
    writer.write_sync(older)
    assert clickhouse.row("SELECT journey_id FROM interactions") == ("j2",)
    assert clickhouse.row("SELECT status FROM journeys") == ("open",)


def test_a_higher_revision_wins_over_any_version(writer: ClickHouseWriter, clickhouse: Database) -> None:
    first = call("2026-03-01T10:00Z", by=ANN, id="c1", revision=0)
    corrected = call("2026-03-09T10:00Z", by=BOB, id="c1", revision=2**64 - 1)
    writer.write_sync(SinkBatch(version=100, interactions=placed(corrected)))
    writer.write_sync(SinkBatch(version=2**63, interactions=placed(first)))
    assert clickhouse.row("SELECT customer, toDate(occurred_at)::String FROM interactions") == (
        BOB,
        "2026-03-09",
    )
    assert clickhouse.rows("SELECT id FROM interactions WHERE customer = 'crm:ann'") == []
    assert clickhouse.rows("SELECT id FROM interactions WHERE occurred_at < '2026-03-05'") == []


def test_a_retracted_journey_is_gone_until_it_comes_again(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    writer.write_sync(SinkBatch(version=1, journeys=(journey(),)))
    writer.write_sync(SinkBatch(version=2, retracted=((ANN, "j1"),)))
    assert clickhouse.rows("SELECT * FROM journeys") == []
    writer.write_sync(SinkBatch(version=1, journeys=(journey(),)))
    assert clickhouse.rows("SELECT * FROM journeys") == []
    writer.write_sync(SinkBatch(version=3, journeys=(journey(),)))
    assert clickhouse.row("SELECT journey_id FROM journeys") == ("j1",)


def test_absent_is_null_and_zero_is_zero(writer: ClickHouseWriter, clickhouse: Database) -> None:
    known = call("2026-03-01T10:00Z", by=ANN, id="known", wait=0.0, transfers=0)
    unknown = page_view("2026-03-01T11:00Z", by=None, id="unknown")
    batch = placed(known) + placed(unknown, journey=None)
    writer.write_sync(SinkBatch(version=1, interactions=batch))
    columns = "id, customer, journey_id, wait_seconds, transfers, reason, price_agreed, success, direction"
    assert clickhouse.rows(f"SELECT {columns} FROM interactions ORDER BY id") == [
        ("known", ANN, "j1", 0.0, 0, None, None, None, "inbound"),
        ("unknown", None, None, None, None, None, None, None, None),
    ]
    assert clickhouse.rows("SELECT id FROM journey_steps") == [("known",)]


def test_every_field_arrives_as_it_was(writer: ClickHouseWriter, clickhouse: Database) -> None:
    full = Interaction(
        "source", "id", 7, "phone", "call", 1_772_359_200_123_456, "crm:Ж", "outbound", "Ж", "к", "л", "+359", "e",
        "d", ("phone", "email"), "billing.overcharge", "case", "order", "product", "payment", "promised",
        Decimal("999999999999999999.999999"), Decimal("-0.01"), "BGN", "ref", "what", 1_772_359_200_000_001,
        "2261-12-31", "kept", "cancelled", "csat5", 4.5, True, "rude", -0.25, "refund", "acknowledged", 3, "follows",
        "staff", "текст\n\t'\"\\\0", {"ключ": "стойност", "": ""}, 1.5, 2.5, 3.5, 4.5, "1>2", "thread", "reply",
        "office", "ticket", 5.5, "session", "action", "target", False, 6.5, "topic", 5, 2**40, 1_772_359_200_000_002,
    )  # fmt: skip
    writer.write_sync(SinkBatch(version=9, interactions=(PlacedInteraction(full, "j", False),)))
    names = [*Interaction.__struct_fields__, "journey_id", "beyond_horizon", "version"]
    instants = {"occurred_at", "promise_due_at", "received_at"}
    chosen = [
        f"toUnixTimestamp64Micro({name})" if name in instants else f"toString({name})"
        if name == "promise_due_on" else name
        for name in names
    ]  # fmt: skip
    row = list(clickhouse.row(f"SELECT {', '.join(chosen)} FROM interactions"))
    row[names.index("unnormalised")] = tuple(row[names.index("unnormalised")])
    assert row == [*msgspec.structs.astuple(full), "j", False, 9]


def test_a_dead_letter_keeps_its_bytes(writer: ClickHouseWriter, clickhouse: Database) -> None:
    empty = letter(2)._replace(key=None, value=None, headers=())
    writer.write_sync(SinkBatch(dead_letters=(letter(1), empty), incarnation=5))
    rows = clickhouse.client().execute(
        "SELECT key, value, headers, stage, error, message, incarnation FROM dead_letters ORDER BY offset",
        settings={"strings_as_bytes": True},
    )
    why = (b"decode", b"not_json", b"expected an object", 5)
    assert rows == [
        (b"key\xff", b"{\x00broken", [(b"h", b"\x01"), (b"h", b"2")], *why),
        (None, None, [], *why),
    ]


def test_two_lives_of_a_topic_are_told_apart(writer: ClickHouseWriter, clickhouse: Database) -> None:
    for incarnation in (5, 6):
        writer.write_sync(whole_batch()._replace(incarnation=incarnation))
    assert clickhouse.rows("SELECT incarnation, received FROM reconciliation ORDER BY incarnation") == [
        (5, 6),
        (6, 6),
    ]
    assert clickhouse.row("SELECT count() FROM dead_letters") == (2,)


async def test_concurrent_batches_share_their_inserts(clickhouse: Database) -> None:
    writer = ClickHouseWriter(clickhouse.target, CLEAR)
    try:
        await asyncio.gather(
            *[
                writer.write(
                    SinkBatch(version=n, interactions=placed(call("2026-03-01T10:00Z", by=ANN, id=f"c{n}")))
                )
                for n in range(200)
            ]
        )
    finally:
        await writer.close()
    assert clickhouse.row("SELECT count() FROM interactions") == (200,)
    assert clickhouse.row("SELECT uniqExact(inserted_at) < 50 FROM interactions") == (1,)


async def test_a_row_that_is_refused_is_not_its_neighbours_fault(clickhouse: Database) -> None:
    """An empty id violates a CHECK of the table: no path may swallow that."""
    writer = ClickHouseWriter(clickhouse.target, CLEAR)
    good = [SinkBatch(interactions=placed(call("2026-03-01T10:00Z", by=ANN, id=f"c{n}"))) for n in range(20)]
    nameless = msgspec.structs.replace(call("2026-03-01T10:00Z", by=ANN), id="")
    bad = SinkBatch(interactions=placed(nameless))
    batches: Sequence[SinkBatch] = [*good[:10], bad, *good[10:]]
    try:
        outcomes = await asyncio.gather(*map(writer.write, batches), return_exceptions=True)
    finally:
        await writer.close()
    assert isinstance(outcomes.pop(10), SinkRefused)
    assert outcomes == [None] * 20
    assert clickhouse.row("SELECT count() FROM interactions") == (20,)


@pytest.mark.parametrize(
    "batch",
    [
        SinkBatch(journeys=(journey(customer=""),)),
        SinkBatch(dead_letters=(letter(1)._replace(topic=""),)),
        SinkBatch(interactions=placed(msgspec.structs.replace(call("2026-03-01T10:00Z"), offset=-1))),
    ],
)
def test_rows_that_do_not_fit_are_refused(writer: ClickHouseWriter, batch: SinkBatch) -> None:
    with pytest.raises(SinkRefused):
        writer.write_sync(batch)


def test_a_database_without_tables_says_what_to_do(blank_clickhouse: Database) -> None:
    writer = ClickHouseWriter(blank_clickhouse.target, CLEAR)
    with pytest.raises(SinkMisconfigured, match="touchline migrate"):
        writer.write_sync(SinkBatch(journeys=(journey(),)))
    writer.close_sync()


def test_nobody_listening_is_unavailable() -> None:
    writer = ClickHouseWriter(ClickHouseTarget("127.0.0.1", 1, timeout_seconds=2), CLEAR)
    with pytest.raises(SinkUnavailable) as raised:
        writer.write_sync(SinkBatch(journeys=(journey(),)))
    assert raised.value.retry_after > 0
    writer.close_sync()


def test_a_large_batch_of_every_channel_is_one_part(writer: ClickHouseWriter, clickhouse: Database) -> None:
    start = instant("2026-03-01T10:00Z")
    many = [
        (call, mail, page_view)[n % 3](start + n, by=ANN, id=f"{n:05d}", topic="t", at_offset=n)
        for n in range(9_000)
    ]
    writer.write_sync(SinkBatch(version=1, interactions=placed(*many)))
    assert clickhouse.row("SELECT count(), uniqExact(id), uniqExact(_part) FROM placed_interactions_raw") == (
        9_000,
        9_000,
        1,
    )
