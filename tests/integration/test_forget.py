"""`touchline forget` on the whole pipeline: nothing is left, nothing comes back, and a new event starts fresh."""

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

from schemas.vocabulary import Channel
from sinks.clickhouse.erasure import Erasing
from sinks.clickhouse.migrate import private_database
from sinks.embedded.home import Home
from streams.cli import cli
from tests.integration.pipeline_fixtures import PATIENCE, Road, open_road, wait_until

ANN, BOB = "PLANTED-4711", "OTHER-4712"
NUMBER, ADDRESS = "+359888471147", "planted.ann@example.com"
SPOKEN = "0888 471 147"
SAID = "the-word-that-only-she-said"
PLANTED = (ANN, NUMBER, SPOKEN, ADDRESS, SAID)
NARROW = ("UInt", "Int", "Float", "DateTime", "Date", "Decimal", "Bool")


class Event(NamedTuple):
    """One record for a raw topic."""

    channel: Channel
    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def call(id_: str, hours_ago: float, text: str = "", **customer: str) -> Event:
    """A call about a bill that was not settled."""
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    document = {
        "id": id_, "source": "desk", "channel": "phone", "type": "call", "occurred_at": at.isoformat(),
        "direction": "inbound", "customer": customer, "subject": {"reason": "billing"}, "outcome": "unresolved",
        "text": text,
    }  # fmt: skip
    return Event("phone", json.dumps(document).encode(), key=id_.encode())


HERS = (
    call("h-1", 60, SAID, crm_id=ANN, phone=NUMBER),
    call("h-2", 50, SAID, phone=NUMBER),
    call("h-3", 40, SAID, crm_id=ANN, email=ADDRESS),
    call("h-4", 30, SAID, email=ADDRESS.upper()),
    call("h-5", 20, SAID, phone=NUMBER),
)
REVISED = Event("phone", HERS[1].value.replace(b'"id": "h-2"', b'"id": "h-2", "revision": 1'))
BROKEN = Event("phone", json.dumps({"id": "b-1", "caller": SPOKEN, "said": SAID}).encode())
HIS = (call("x-1", 55, crm_id=BOB), call("x-2", 45, crm_id=BOB), call("x-3", 35, crm_id=BOB))


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    with open_road(
        tmp_path_factory.mktemp("forget"), "mock", environ={"TOUCHLINE_IDENTITY__CLEAR_TEXT": "false"}
    ) as running:
        yield running


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def columns_that_hold(road: Road, *texts: str) -> dict[str, list[str]]:
    """For each text the columns, as `TABLE.COLUMN`, of all tables that hold it, in whatever case."""
    main = road.running.servers.clickhouse.database
    columns = road.rows(
        "SELECT concat('`', c.database, '`.`', c.table, '`') AS whole, groupArray(c.name) FROM system.columns AS c "
        "INNER JOIN system.tables AS t ON c.database = t.database AND c.table = t.name "
        "WHERE c.database IN (%(main)s, %(private)s) AND t.engine LIKE '%%MergeTree' "
        "AND c.default_kind != 'EPHEMERAL' AND c.type NOT LIKE 'AggregateFunction%%' "
        "AND NOT match(c.type, %(narrow)s) GROUP BY whole",
        main=main,
        private=private_database(main),
        narrow=f"^(Nullable\\()?({'|'.join(NARROW)})",
    )
    assert len(columns) > 15
    found: dict[str, list[str]] = {text: [] for text in texts}
    for table, names in columns:
        # The last place at which each text stands in any row; of no row nothing.
        last = [
            f"maxForEach(multiSearchAllPositionsCaseInsensitive(toString(`{name}`), %(texts)s))"
            for name in names
        ]
        (places,) = road.rows(f"SELECT {', '.join(last)} FROM {table}", texts=list(texts))
        for name, of_texts in zip(names, places, strict=True):
            for text, place in zip(texts, of_texts or [0] * len(texts), strict=True):
                if place:
                    found[text].append(f"{table}.{name}")
    return found


def files_that_hold(road: Road, text: str) -> list[str]:
    """Files of ClickHouse in which a text stands. Folders that are merged away meanwhile are passed over."""
    return [
        str(file)
        for folder, _, names in os.walk(Home(road.settings.home).clickhouse)
        for file in (Path(folder, name) for name in names)
        if file.is_file() and text.encode() in _bytes_of(file)
    ]


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # merged away since it was listed
        return b""


def seen(road: Road, id_: str) -> bool:
    return bool(road.rows("SELECT 1 FROM interactions WHERE id = %(id)s", id=id_))


def states(road: Road) -> list[tuple[Any, ...]]:
    """What is known of everybody, as people read it."""
    return [
        (view, row)
        for view in ("interactions", "journeys", "findings")
        for row in sorted(road.rows(f"SELECT * EXCEPT (version, inserted_at) FROM {view}"), key=repr)
    ]


def test_a_customer_is_forgotten_and_stays_so(road: Road, tmp_path: Path) -> None:
    road.publish(HIS)
    road.wait_until_balanced(60)
    road.publish([*HERS, REVISED, BROKEN])
    road.wait_until_balanced(60)
    wait_until(
        lambda: len(road.rows("SELECT 1 FROM findings")) >= 2, 30, lambda: road.rows("SELECT * FROM findings")
    )
    wait_until(lambda: bool(road.rows("SELECT 1 FROM identity")), 30, road.account)
    fact = {
        "id": "f-1", "source": "crm", "occurred_at": "2026-03-01T10:00:00Z", "operation": "link",
        "identifiers": {"crm_id": ANN, "phone": NUMBER, "email": [ADDRESS]}, "reason": f"{ANN} said so",
    }  # fmt: skip
    (tmp_path / "facts.jsonl").write_text(json.dumps(fact))
    assert run("publish", "--identity", str(tmp_path / "facts.jsonl")).exit_code == 0
    road.published += 1
    road.wait_until_balanced(60)
    his = [row for row in states(road) if BOB in repr(row)]
    assert his
    assert all(columns_that_hold(road, *PLANTED).values())
    hashed = {
        name for (name,) in road.rows("SELECT DISTINCT identifier FROM identity WHERE kind != 'crm_id'")
    }
    assert len(hashed) == 2
    assert files_that_hold(road, SAID)

    # Interrupted: the workers do not answer in time.
    with pytest.MonkeyPatch.context() as silent:
        silent.setattr(Erasing, "partitions_done", lambda _: set())
        said = run("forget", f"crm:{ANN}", "--reason", "a letter", "--as", "eve", "--yes", "--wait", "1s")
    assert "have not let go of it yet" in str(said.exception), said.output
    assert columns_that_hold(road, ANN)[ANN]

    said = run("forget", f"phone:{SPOKEN}", "--reason", "a letter", "--as", "eve", "--yes", "--json")
    assert said.exit_code == 0, f"{said.output}\n{said.exception}\n{road.account()}"
    assert "going on with the erasure" in said.stderr
    receipt = json.loads(said.stdout)
    assert receipt["customer"] == f"crm:{ANN}"
    assert receipt["interactions"] == len(HERS)
    assert {one["identifier"] for one in receipt["identifiers"]} == {
        f"crm:{ANN}", f"phone:{NUMBER}", f"email:{ADDRESS}"
    }  # fmt: skip
    assert receipt["deleted"]["dead_letters_raw"] == 1
    assert receipt["removed"]["links"] >= 2
    assert [row for row in states(road) if BOB in repr(row)] == his
    assert columns_that_hold(road, *PLANTED, *hashed) == {text: [] for text in (*PLANTED, *hashed)}
    assert road.rows("SELECT asked_by, reason FROM erasures") == [("eve", "a letter")]
    assert road.balance().balanced

    # Neither the same events nor a worker that was restarted bring anything back.
    for worker in road.workers:
        os.kill(worker.pid, signal.SIGKILL)
    road.publish([*HERS, REVISED, BROKEN])
    road.wait_until_balanced(60)
    assert [row for row in states(road) if BOB not in repr(row)] == []
    assert columns_that_hold(road, *PLANTED) == {text: [] for text in PLANTED}
    shown = json.loads(run("identity", "show", f"crm:{ANN}", "--json").stdout)
    assert [one["identifier"] for one in shown["identifiers"]] == [f"crm:{ANN}"]
    again = run("forget", f"crm:{ANN}", "--yes")
    assert "nothing is known of" in str(again.exception)

    # Whoever turns to us again is a new customer.
    road.publish([call("n-1", 0.5, crm_id=ANN, phone=NUMBER)])
    road.wait_until_balanced(60)
    wait_until(lambda: seen(road, "n-1"), 30, road.account)
    journeys = "SELECT customer, interactions FROM journeys WHERE customer = %(c)s"
    wait_until(lambda: road.rows(journeys, c=f"crm:{ANN}") == [(f"crm:{ANN}", 1)], 30, road.account)

    seconds = (
        datetime.fromisoformat(receipt["gone_at"]) - datetime.fromisoformat(receipt["finished_at"])
    ).total_seconds()
    wait_until(
        lambda: not files_that_hold(road, SAID), seconds / PATIENCE, lambda: files_that_hold(road, SAID)
    )
