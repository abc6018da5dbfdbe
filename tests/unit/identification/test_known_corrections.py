"""Which correction of an interaction counts, and for how long."""

from schemas.corrections import Correction
from schemas.identifiers import Identifiers
from streams.core.identification.known_corrections import KnownCorrections

KEPT = 100
BOB, CID = Identifiers(crm_id="bob"), Identifiers(crm_id="cid")


def correction(id_: str, revision: int, names: Identifiers = BOB) -> Correction:
    return Correction("calls", id_, revision, names)


def test_the_first_of_equal_revisions_stands_and_a_higher_one_replaces_it() -> None:
    known = KnownCorrections(KEPT)
    known.note(correction("7", 1), 0, 0)
    known.note(correction("7", 1, CID), 1, 0)
    assert known.get(("calls", "7")) == correction("7", 1)
    known.note(correction("7", 2, CID), 2, 0)
    assert known.get(("calls", "7")) == correction("7", 2, CID)


def test_one_is_forgotten_when_the_log_keeps_it_no_more_and_the_one_that_replaced_it_is_not() -> None:
    known = KnownCorrections(KEPT)
    known.note(correction("7", 1), 0, 0)
    known.note(correction("8", 1), 1, 0)
    known.note(correction("7", 2), 2, 50)
    known.note(correction("9", 1), 3, KEPT)
    assert known.get(("calls", "8")) is not None, "exactly as old as the log keeps it"
    known.note(correction("9", 2), 4, KEPT + 1)
    assert known.get(("calls", "8")) is None
    assert known.get(("calls", "7")) == correction("7", 2)


def test_since_begins_with_the_record_at_that_position() -> None:
    known = KnownCorrections(KEPT)
    for offset, id_ in enumerate("789"):
        known.note(correction(id_, 1), offset, 0)
    assert sorted(known.since(1)) == [("calls", "8"), ("calls", "9")]
    assert known.since(3) == []
