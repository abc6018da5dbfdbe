"""Nothing that is planted as a weak identifier is found in clear text, in any column of any table."""

from collections import defaultdict
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from schemas.alerts import AlertRow
from schemas.findings import Contribution, Evidence, Finding, FindingChange, Light, weak_names
from schemas.records import Fading, IdentityChange, IdentityRow, Journey, PlacedInteraction, SinkBatch
from sinks.clickhouse.pseudonyms import CLEAR, Pseudonyms
from sinks.clickhouse.writer import ClickHouseWriter
from tests.builders import call, instant
from tests.clickhouse_server import Database

AT = instant("2026-03-01T10:00Z")
NUMBER, ADDRESS, DEVICE = "+359888123456", "ann@example.com", "cookie-4711"
PLANTED = (NUMBER, ADDRESS, DEVICE)
NAMES = (f"phone:{NUMBER}", f"email:{ADDRESS}", f"device:{DEVICE}")
NARROW = ("UInt", "Int", "Float", "DateTime", "Date", "Decimal", "Bool")


@pytest.fixture
def pseudonyms(request: pytest.FixtureRequest) -> Pseudonyms:
    chosen: Pseudonyms = getattr(request, "param", None) or Pseudonyms(b"the key of the tests")
    return chosen


@pytest.fixture
def writer(clickhouse: Database, pseudonyms: Pseudonyms) -> Iterator[ClickHouseWriter]:
    writer = ClickHouseWriter(clickhouse.target, pseudonyms)
    yield writer
    writer.close_sync()


def everything(customer: str, number: int) -> SinkBatch:
    """One row for every table, each with all the planted identifiers where it can have them."""
    it = call(
        AT, by="crm:A1", id=f"c{number}", topic="t", phone=NUMBER, email=ADDRESS, device=DEVICE,
        unnormalised=("phone",),
    )  # fmt: skip
    # The timeline names whom the interaction is stored under.
    placed = PlacedInteraction(replace(it, customer=customer, crm_id=None), f"j{number}")
    journey = Journey(
        f"j{number}", customer, AT, AT, False, 1, 1, ("phone",), ("phone",), (), None, None, None, None, None
    )
    values = {"phone": NUMBER, "email": ADDRESS, "device": DEVICE, "customer": customer}
    evidence = Evidence(*it.key, "t", 0, number, AT, "phone", values)
    sentence = f"{NUMBER}, {ADDRESS} and {DEVICE}: three times."
    finding = Finding(
        f"f{number}", "repeat_contact", "v1", "contacts", customer, "severe", 10.0, "phone", "open", AT, None,
        evidence.identity, (evidence,), (), sentence, "Call.", ("case:1", *NAMES), AT,
    )  # fmt: skip
    line = Contribution(
        f"f{number}",
        "repeat_contact",
        "phone",
        "severe",
        AT,
        10_000,
        f"{customer}: {sentence}",
        10.0,
        weak_names(finding),
    )
    known = tuple(IdentityRow(name, "crm:A1", False, AT, (f"operator:ann/{name}~crm:A1",)) for name in NAMES)
    moves = tuple(
        IdentityChange(name, name, "crm:A1", "merge", AT, "operator:ann", f"{name.partition(':')[2]} is hers")
        for name in NAMES
    )
    return SinkBatch(
        version=number,
        links_seen=number,
        interactions=(placed,),
        journeys=(journey,),
        retracted=((customer, f"gone{number}"),),
        findings=(FindingChange("raised", finding, AT, "completed", None, 1),),
        lights=(Light(customer, AT, 10_000, "red", (), (line,)),),
        fading=Fading(1, 0, 0),
        alerts=(
            AlertRow(
                f"f{number}", customer, "repeat_contact", "severe", "raised", "", "suppressed", "", AT, 1
            ),
        ),
        identities=known,
        identity_changes=moves,
    )


def columns_that_hold(database: Database) -> dict[str, list[str]]:
    """For each planted text `TABLE.COLUMN` of every column of the database that holds it, whatever its type."""
    columns: dict[str, list[str]] = defaultdict(list)
    for table, name, kind in database.rows(
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() "
        "AND default_kind != 'EPHEMERAL' ORDER BY table, position"
    ):
        if not kind.removeprefix("Nullable(").startswith(NARROW):
            columns[table].append(name)
    assert len(columns) > 25
    found: dict[str, list[str]] = {text: [] for text in PLANTED}
    for table, names in columns.items():
        counts = [
            f"countIf(positionCaseInsensitive(toString(`{name}`), '{text}') > 0)"
            for text in PLANTED
            for name in names
        ]
        row = iter(database.row(f"SELECT {', '.join(counts)} FROM `{table}`"))
        for text in PLANTED:
            found[text] += [f"{table}.{name}" for name in names if next(row)]
    return found


def test_no_column_of_any_table_or_view_holds_a_weak_identifier(
    writer: ClickHouseWriter, clickhouse: Database
) -> None:
    for number, customer in enumerate(NAMES, start=1):
        writer.write_sync(everything(customer, number))
    for view in ("interactions", "findings", "identity", "identity_history", "customers", "alerts"):
        assert clickhouse.row(f"SELECT count() > 0 FROM {view}") == (1,), view
    assert columns_that_hold(clickhouse) == {text: [] for text in PLANTED}


@pytest.mark.parametrize("pseudonyms", [CLEAR], indirect=True)
def test_the_search_finds_what_is_not_hashed(writer: ClickHouseWriter, clickhouse: Database) -> None:
    for number, customer in enumerate(NAMES, start=1):
        writer.write_sync(everything(customer, number))
    found = columns_that_hold(clickhouse)
    for text, kind in zip(PLANTED, ("phone", "email", "device"), strict=True):
        for column in (
            f"placed_interactions_raw.{kind}",
            "placed_interactions_raw.customer",
            "journeys_raw.customer",
            "findings_raw.sentence",
            "findings_raw.evidence.values",
            "findings_raw.subjects",
            "findings_history_raw.customer",
            "lights_raw.contributions.sentence",
            "alerts_raw.customer",
            "alerts_history_raw.customer",
            "identity_raw.name",
            "identity_raw.evidence",
            "identity_history_raw.reason",
        ):
            assert column in found[text], f"{text} in {column}"


def test_one_hash_stands_for_one_identifier_in_every_table(
    writer: ClickHouseWriter, clickhouse: Database, pseudonyms: Pseudonyms
) -> None:
    for number, customer in enumerate(NAMES, start=1):
        writer.write_sync(everything(customer, number))
    stored = {pseudonyms.customers[name] for name in NAMES}
    for table in (
        "placed_interactions",
        "journeys",
        "findings",
        "findings_history",
        "lights",
        "alerts",
        "alerts_history",
    ):
        assert {
            name for (name,) in clickhouse.rows(f"SELECT DISTINCT customer FROM {table}_raw")
        } == stored, table
    assert {name for (name,) in clickhouse.rows("SELECT name FROM identity_raw FINAL")} == stored
    assert {before for (before,) in clickhouse.rows("SELECT before FROM identity_history")} == stored
    for kind in ("phone", "email", "device"):
        bare = {value for (value,) in clickhouse.rows(f"SELECT DISTINCT {kind} FROM interactions")}
        assert {f"{kind}:{value}" for value in bare} <= stored, kind
        assert clickhouse.row(f"SELECT identifier FROM identity WHERE kind = '{kind}'") == tuple(bare), kind
