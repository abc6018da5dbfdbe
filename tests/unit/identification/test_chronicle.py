"""What the log of links changed since a position, as far back as it is remembered."""

from schemas.records import IdentityChange
from streams.core.identification.chronicle import Chronicle, Entry

ANN, BOB, CID, PHONE = "crm:ann", "crm:bob", "crm:cid", "phone:+359888000111"


def moved(position: int, before: str, after: str) -> Entry:
    change = IdentityChange(PHONE, before, after, "merge", position, "learnt", None)
    return Entry(position, frozenset({before}), [change], {PHONE})


def test_what_is_asked_of_a_position_is_what_came_behind_it() -> None:
    chronicle = Chronicle(4)
    chronicle.note(moved(5, PHONE, ANN))
    chronicle.note(moved(6, ANN, BOB))
    assert chronicle.touched_since(5) == {ANN}
    assert chronicle.touched_since(4) == {PHONE, ANN}
    assert chronicle.touched_since(3) is None, "before it began anybody may be concerned"
    assert [(one.before, one.after) for one in chronicle.changes_since(4).values()] == [(PHONE, BOB)]
    assert chronicle.named_since(6) == set()


def test_of_what_is_too_old_to_be_remembered_anybody_may_be_concerned() -> None:
    chronicle = Chronicle(0, limit=6)  # two entries of three names each
    for position, (before, after) in enumerate(((PHONE, ANN), (ANN, BOB), (BOB, CID)), 1):
        chronicle.note(moved(position, before, after))
    assert chronicle.touched_since(0) is None
    assert chronicle.touched_since(1) == {ANN, BOB}
