"""The mapping of records to columns."""

from datetime import date

import msgspec

from schemas.interaction import Interaction
from schemas.records import DeadLetter, Journey, PlacedInteraction, SinkBatch
from sinks.clickhouse.pseudonyms import CLEAR, Pseudonyms
from sinks.clickhouse.rows import (
    BLOCK_ROWS,
    DEAD_LETTER_COLUMNS,
    INTERACTION_COLUMNS,
    JOURNEY_COLUMNS,
    dead_letter_rows,
    interaction_rows,
    journey_rows,
)
from tests.builders import call, interaction, page_view


def placed(*rows: PlacedInteraction, version: int = 7, links_seen: int = 0) -> SinkBatch:
    return SinkBatch(version=version, interactions=rows, links_seen=links_seen)


def test_every_field_of_an_interaction_has_its_column() -> None:
    it = msgspec.structs.replace(call("2026-03-01T10:00Z", by="crm:ann"), promise_due_on="2026-03-05")
    rows = interaction_rows([placed(PlacedInteraction(it, "j1", False), links_seen=3)], CLEAR)
    (block,) = rows.blocks
    values = {name: column[0] for name, column in zip(rows.names, block, strict=True)}
    assert values.pop("promise_due_on") == date(2026, 3, 5)
    assert (values.pop("journey_id"), values.pop("beyond_horizon")) == ("j1", False)
    assert (values.pop("version"), values.pop("links_seen")) == (7, 3)
    assert values == {name: getattr(it, name) for name in values}
    assert set(values) == set(Interaction.__struct_fields__) - {"promise_due_on"}


def test_what_is_beyond_the_horizon_never_replaces_a_row() -> None:
    late, timely = (call("2026-03-01T10:00Z", by="crm:ann", id=name) for name in "ab")
    batches = [
        placed(PlacedInteraction(late, None, True), version=7, links_seen=1),
        placed(PlacedInteraction(timely, "j"), version=8, links_seen=2),
    ]
    (block,) = interaction_rows(batches, CLEAR).blocks
    assert list(block[INTERACTION_COLUMNS.index("version")]) == [0, 8]
    assert list(block[INTERACTION_COLUMNS.index("links_seen")]) == [0, 2]


def test_a_block_holds_one_channel_and_each_row_the_versions_of_its_batch() -> None:
    both = [(call, page_view)[n % 2](n, by="crm:ann", id=str(n)) for n in range(6)]
    rows = interaction_rows(
        [placed(PlacedInteraction(it, None), version=n, links_seen=10 + n) for n, it in enumerate(both)],
        CLEAR,
    )
    chosen = [INTERACTION_COLUMNS.index(name) for name in ("channel", "id", "version", "links_seen")]
    seen = [[list(block[column]) for column in chosen] for block in rows.blocks]
    assert seen == [
        [["phone"] * 3, ["0", "2", "4"], [0, 2, 4], [10, 12, 14]],
        [["online"] * 3, ["1", "3", "5"], [1, 3, 5], [11, 13, 15]],
    ]


def test_blocks_end_exactly_at_their_limit() -> None:
    for count, sizes in ((0, []), (BLOCK_ROWS, [BLOCK_ROWS]), (BLOCK_ROWS + 1, [BLOCK_ROWS, 1])):
        rows = interaction_rows(
            [placed(*(PlacedInteraction(call(n, id=str(n)), None) for n in range(count)))], CLEAR
        )
        assert rows.size == count
        assert [len(block[0]) for block in rows.blocks] == sizes


def test_customers_and_weak_identifiers_are_hashed_alike_and_strong_ones_stay() -> None:
    pseudonyms = Pseudonyms(b"key")
    known = interaction("phone", "call", 1, by="phone:+359888123456", contract="C1", email="ann@example.com")
    (block,) = interaction_rows([placed(PlacedInteraction(known, "j1"))], pseudonyms).blocks
    row = {name: column[0] for name, column in zip(INTERACTION_COLUMNS, block, strict=True)}
    assert row["customer"] == "phone:" + row["phone"] == pseudonyms.customers["phone:+359888123456"]
    assert "email:" + row["email"] == pseudonyms.customers["email:ann@example.com"]
    assert (row["contract"], row["device"], row["crm_id"]) == ("C1", None, None)


def test_a_retracted_journey_is_a_deletion_of_its_key() -> None:
    open_one = Journey(
        "j1", "crm:ann", 1, 2, False, 1, 1, ("phone",), ("phone",), (), None, None, None, None, None
    )
    closed_one = msgspec.structs.replace(open_one, journey_id="j2", closed=True, dropped=4)
    rows = journey_rows([(open_one, 5), (closed_one, 5)], [("crm:ann", "j0", 6)], CLEAR)
    (block,) = rows.blocks
    chosen = [
        JOURNEY_COLUMNS.index(name) for name in ("journey_id", "status", "dropped", "version", "is_deleted")
    ]
    assert list(zip(*(block[n] for n in chosen), strict=True)) == [
        ("j1", "open", 0, 5, 0),
        ("j2", "closed", 4, 5, 0),
        ("j0", "closed", 0, 6, 1),
    ]
    assert block[JOURNEY_COLUMNS.index("customer")] == ("crm:ann",) * 3


def test_a_dead_letter_row_is_the_letter_and_the_incarnation() -> None:
    letter = DeadLetter("t", 1, 2, b"k", None, (("h", b"v"),), "decode", "not_json", "m", 3)
    rows = dead_letter_rows([(letter, 9)])
    (block,) = rows.blocks
    assert [column[0] for column in block] == [*letter, 9]
    assert len(DEAD_LETTER_COLUMNS) == len(block)


def test_a_header_without_a_value_can_be_stored() -> None:
    letter = DeadLetter("t", 0, 0, None, None, (("a", None), ("b", b"1")), "decode", "empty", "m", 0)
    (block,) = dead_letter_rows([(letter, 1)]).blocks
    assert block[DEAD_LETTER_COLUMNS.index("headers")] == ((("a", b""), ("b", b"1")),)
