"""Facts of `touchline.identity`: every example, and what is made of one."""

import json
from pathlib import Path

import pytest

from schemas.codec import Rejected
from schemas.identity import FactDecoder
from schemas.links import OPERATOR, UPSTREAM, Statement
from schemas.timestamps import parse_timestamp

EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples" / "identity"
NOW = parse_timestamp("2026-06-01T00:00:00Z")
DECODER = FactDecoder("BG", 0)


def decoded(value: bytes | None) -> Statement | Rejected:
    return DECODER.decode(value, (), NOW)


def example(name: str) -> Statement:
    result = decoded((EXAMPLES / "valid" / f"{name}.json").read_bytes())
    assert isinstance(result, Statement), result
    return result


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("valid/*.json")), ids=lambda file: file.stem)
def test_valid_examples_are_accepted(file: Path) -> None:
    result = decoded(file.read_bytes())
    assert isinstance(result, Statement), result
    assert len(result.identifiers) >= 2


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("invalid/*.json")), ids=lambda file: file.stem)
def test_invalid_examples_are_refused_for_the_expected_reason(file: Path) -> None:
    written = json.loads(file.read_text(encoding="utf-8"))
    result = decoded((written["raw"] if "raw" in written else json.dumps(written["event"])).encode())
    assert isinstance(result, Rejected), "accepted, although the example is invalid"
    assert (result.error, written["expect"] in result.message) == (written["error"], True), result


def test_there_are_examples() -> None:
    assert len(list(EXAMPLES.glob("valid/*.json"))) >= 8
    assert len(list(EXAMPLES.glob("invalid/*.json"))) >= 8


def test_identifiers_are_normalised_and_sorted_by_strength() -> None:
    assert example("a_kind_holds_a_list").identifiers == (
        "crm:A1",
        "contract:D-1",
        "contract:D-2",
        "phone:+359888123456",
        "phone:+359888123457",
        "email:ann@example.com",
    )


def test_only_sources_named_operator_speak_for_operators() -> None:
    assert example("unlink_a_shared_number").rank == OPERATOR
    assert example("only_what_is_mandatory").rank == UPSTREAM
    assert Statement("operators-crm", "1", 0, 0, True, ("crm:A", "crm:B")).rank == UPSTREAM


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"{", b"[]", b"null", b'"x"', b"{}" * 600_000])
def test_no_bytes_make_it_raise(value: bytes | None) -> None:
    assert isinstance(decoded(value), Rejected)


def test_a_rejection_repeats_no_value() -> None:
    fact = {
        "id": "1",
        "source": "crm",
        "occurred_at": "x",
        "operation": "link",
        "identifiers": {"phone": 359888123456},
    }
    result = decoded(json.dumps(fact).encode())
    assert isinstance(result, Rejected)
    assert "359888123456" not in result.message
