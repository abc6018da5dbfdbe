"""What `touchline forget` writes to the broker, and what it refuses before it asks a server."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from schemas.corrections import Correction, correction_key
from schemas.identifiers import Identifiers
from schemas.identity import fact_key
from schemas.links import Link, Statement, decode_record, record_key
from schemas.topics import CORRECTIONS, IDENTITY, LINKS
from streams.commands.erasure_records import EVERY_PARTITION, corrections_removed, named_in, removals
from streams.commands.forget import forget
from streams.commands.forget_receipt import description

PHONE = "phone:+359888123456"
HERS = Link("crm:A1", PHONE, 1, 0, "desk\x1f1")
BORDER = Link("crm:A1", "device:kiosk", 1, 0, "web\x1f2")
OTHERS = Link("crm:B2", "device:kiosk", 1, 0, "web\x1f3")
TOLD = Statement("crm", "f-1", 3, 7, True, ("crm:A1", PHONE), "A1 said so")
SEVERAL = Statement("operator:eve", "f-2", 0, 7, False, ("crm:A1", "crm:B2", "crm:C3"), "not A1")
NAMES = frozenset(("crm:A1", PHONE))


def test_whatever_names_her_is_taken_out_and_nothing_else() -> None:
    assert named_in((HERS, BORDER, OTHERS, TOLD, SEVERAL), NAMES) == [HERS, BORDER, TOLD, SEVERAL]
    removed = removals((HERS, BORDER, TOLD), NAMES)
    assert [(one.topic, one.key, one.value, one.partition) for one in removed] == [
        (LINKS, record_key(HERS), None, 0),
        (LINKS, record_key(BORDER), None, 0),
        (LINKS, record_key(TOLD), None, 0),
        (IDENTITY, fact_key("crm", "f-1"), None, EVERY_PARTITION),
    ]


def test_what_was_told_of_others_too_stands_again_behind_its_tombstone_without_her() -> None:
    gone, fact, rest = removals((SEVERAL,), NAMES)
    assert (gone.key, gone.value, fact.topic) == (rest.key, None, IDENTITY)
    assert rest.value is not None
    assert decode_record(rest.value) == Statement("operator:eve", "f-2", 0, 7, False, ("crm:B2", "crm:C3"))


def test_only_what_was_told_again_has_a_correction() -> None:
    (removed,) = corrections_removed([("desk", "1", 0), ("desk", "2", 4)])
    assert removed.topic is CORRECTIONS
    assert removed.key == correction_key(Correction("desk", "2", 1, Identifiers()))
    assert removed.value is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["crm:A1", "--json"], "say --yes"),
        (["crm:A1", "--yes", "--as", " "], "name who says so"),
        ([], "Missing argument 'CUSTOMER'"),
        (["crm:A1", "--wait", "soon"], "--wait"),
    ],
)
def test_bad_input_is_named_and_nothing_is_started(tmp_path: Path, arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(forget, arguments, env={"TOUCHLINE_HOME": str(tmp_path)})
    assert result.exit_code == 2
    assert says in result.output
    assert not list(tmp_path.iterdir())


def test_the_receipt_says_what_was_done_and_what_expires_by_itself() -> None:
    receipt = {
        "id": "r1", "customer": "crm:A1", "interactions": 1_200, "shared": ["device:kiosk"], "by": "eve",
        "identifiers": [{"identifier": "crm:A1"}, {"identifier": PHONE}], "asked_at": "2026-03-01T10:00:00Z",
        "reason": "a letter", "deleted": {"journeys_raw": 2}, "removed": {"links": 3},
        "gone_at": "2026-03-01T10:06:00Z", "expires": {"touchline.phone": "7 days"},
    }  # fmt: skip
    lines = "\n".join(description(receipt))
    for said in (
        "r1", "1,200 interactions", f"crm:A1, {PHONE}", "device:kiosk: shared", "by eve: a letter", "2 journeys_raw",
        "by 2026-03-01T10:06:00Z", "3 links", "touchline.phone keeps its records 7 days",
    ):  # fmt: skip
        assert said in lines
