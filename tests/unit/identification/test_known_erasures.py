"""Which erasures are complete, and what is new in them."""

from schemas.erasures import NOT_YET, Erasure, erasure_parts
from sinks.clickhouse.pseudonyms import Pseudonyms
from streams.core.identification.known_erasures import KnownErasures

HASHES = Pseudonyms(b"key")
ANN = HASHES.erased_customer("crm:ann")
CALLS = [HASHES.erased_identity("calls", str(number)) for number in range(3)]


class NoHashes:
    """Nothing may be hashed."""

    def erased_customer(self, name: str, /) -> bytes:
        raise AssertionError(name)

    def erased_identity(self, source: str, id_: str, /) -> bytes:
        raise AssertionError(source, id_)

    erased_fact = erased_identity


def test_nothing_is_erased_at_first_and_nothing_is_hashed_for_it() -> None:
    known = KnownErasures(NoHashes())
    assert not known.is_erased("calls", "0")
    assert not known.is_erased_fact("crm", "0")


def test_an_erasure_that_is_published_once_more_is_told_again_with_nothing_new_in_it() -> None:
    known = KnownErasures(HASHES)
    for offset, links_seen in enumerate((NOT_YET, 7)):
        (part,) = erasure_parts("e1", 0, [ANN], CALLS[:2], links_seen)
        known.note(part, offset)
    (found,) = known.since(1)
    assert (found.id, found.links_seen, found.news) == ("e1", 7, 0)
    assert [known.is_erased("calls", str(number)) for number in range(3)] == [True, True, False]
    (grown,) = erasure_parts("e1", 0, [ANN], CALLS, 7)
    known.note(grown, 2)
    assert [one.news for one in known.since(2)] == [2]
    (wider,) = erasure_parts("e1", 0, [ANN, HASHES.erased_customer("phone:+1")], CALLS, 7)
    known.note(wider, 3)
    assert [one.news for one in known.since(3)] == [3]


def test_parts_that_say_otherwise_up_to_where_links_are_gone_make_no_whole() -> None:
    known = KnownErasures(HASHES)

    def part(number: int, links_seen: int) -> Erasure:
        return Erasure("e1", 0, (ANN,), (CALLS[number],), links_seen, number, 2)

    for offset, (number, links_seen) in enumerate(((0, NOT_YET), (1, NOT_YET), (0, 7))):
        known.note(part(number, links_seen), offset)
    assert known.since(2) == []
    assert [one.links_seen for one in known.since(1)] == [NOT_YET]
    known.note(part(1, 7), 3)
    assert [one.links_seen for one in known.since(3)] == [7]


def test_since_names_what_became_complete_in_the_order_of_the_log() -> None:
    known = KnownErasures(HASHES)
    for offset, id_ in enumerate(("a", "b", "a")):
        (part,) = erasure_parts(id_, 0, [ANN], ())
        known.note(part, offset)
    assert [one.id for one in known.since(0)] == ["b", "a"]
    assert [one.id for one in known.since(2)] == ["a"]
