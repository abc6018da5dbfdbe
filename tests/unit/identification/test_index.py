"""Whose an identifier is, told as stories: who was seen with whom, and who said what of it."""

from itertools import count

import pytest

from schemas.identifiers import Identifiers
from schemas.interaction import DAY
from schemas.links import (
    Link,
    Name,
    Statement,
    decode_record,
    encode_record,
    merged_links,
    merged_statements,
    order_of,
    record_key,
)
from streams.core.identification.index import IdentityIndex
from streams.core.identification.policy import IdentityPolicy

ANN, BOB, CID = "crm:ann", "crm:bob", "crm:cid"
DEAL, CARD = "contract:D-1", "loyalty:L-1"
PHONE, OTHER_PHONE, MAIL, LAPTOP = (
    "phone:+359888000111",
    "phone:+359888000222",
    "email:a@example.com",
    "device:l",
)
_ids = count()


def seen(*names: Name, day: int = 100) -> list[Link]:
    """An interaction with these identifiers, as the links that it teaches."""
    fields = {"crm": "crm_id"}
    parts = [name.partition(":") for name in names]
    known = Identifiers(**{fields.get(kind, kind): value for kind, _, value in parts})
    return IdentityIndex().learn(known, (), day * DAY, "web", str(next(_ids)))


def told(*names: Name, links: bool = True, by: str = "crm", at: int = 0, **other: int) -> Statement:
    revision = other.get("revision", 0)
    number = other.get("number", next(_ids))
    return Statement(by, str(number), revision, at, links, tuple(sorted(names, key=order_of)))


def index(*records: list[Link] | Statement, policy: IdentityPolicy | None = None) -> IdentityIndex:
    flat = [one for given in records for one in (given if isinstance(given, list) else [given])]
    return IdentityIndex(policy or IdentityPolicy(), flat)


def test_what_is_not_linked_is_its_own_customer() -> None:
    assert index().customer(PHONE) == PHONE


def test_a_call_a_mail_and_a_visit_stand_on_one_line() -> None:
    who = index(seen(ANN, PHONE), seen(PHONE, MAIL), seen(ANN, DEAL))
    assert {who.customer(name) for name in (PHONE, MAIL, DEAL, ANN)} == {ANN}


def test_weak_identifiers_alone_are_one_customer_named_by_the_strongest_then_the_smallest() -> None:
    who = index(seen(OTHER_PHONE, MAIL), seen(PHONE, MAIL), seen(MAIL, LAPTOP))
    assert {who.customer(name) for name in (PHONE, OTHER_PHONE, MAIL, LAPTOP)} == {PHONE}


def test_strong_identifiers_never_merge_through_a_weak_one() -> None:
    who = index(seen(ANN, PHONE), seen(BOB, PHONE))
    assert (who.customer(ANN), who.customer(BOB)) == (ANN, BOB)


def test_strong_identifiers_never_merge_through_a_chain_of_weak_ones() -> None:
    who = index(seen(ANN, PHONE), seen(PHONE, MAIL), seen(MAIL, LAPTOP), seen(BOB, LAPTOP))
    assert [who.customer(name) for name in (ANN, PHONE, LAPTOP, BOB)] == [ANN, ANN, BOB, BOB]
    assert who.place(MAIL) == (MAIL, True), "equally near to both"


def test_a_contract_and_a_crm_id_do_not_merge_through_a_telephone_but_the_crm_id_has_it() -> None:
    who = index(seen(ANN, PHONE), seen(DEAL, PHONE))
    assert (who.customer(DEAL), who.customer(PHONE)) == (DEAL, ANN)


def test_crm_ids_merge_through_a_contract_within_the_limit_and_not_beyond() -> None:
    crowd = [f"crm:{letter}" for letter in "abcd"]
    assert index(*(seen(one, DEAL) for one in crowd[:3])).customer("crm:c") == "crm:a"
    who = index(*(seen(one, DEAL) for one in crowd))
    assert [who.customer(one) for one in crowd] == crowd
    assert who.place(DEAL) == (DEAL, True)


def test_a_family_telephone_is_shared_from_the_second_customer_on() -> None:
    assert index(seen(ANN, PHONE)).place(PHONE) == (ANN, False)
    assert index(seen(ANN, PHONE), seen(BOB, PHONE)).place(PHONE) == (PHONE, True)


def test_a_higher_limit_gives_it_to_who_was_seen_with_it_first() -> None:
    policy = IdentityPolicy(customers={"phone": 2})
    who = index(seen(ANN, PHONE, day=102), seen(BOB, PHONE, day=101), policy=policy)
    assert who.place(PHONE) == (BOB, False)
    who.apply(seen(CID, PHONE))
    assert who.place(PHONE) == (PHONE, True)
    of_ann = seen(ANN, DEAL), seen(DEAL, PHONE, day=101), seen(ANN, PHONE, day=103)
    who = index(*of_ann, seen(BOB, PHONE, day=102), policy=policy)
    assert who.place(PHONE) == (ANN, False), "by whichever of the names it was seen with first"


def test_a_kiosk_that_met_too_many_addresses_links_nobody() -> None:
    mails = [f"email:{n}@example.com" for n in range(5)]
    who = index(*(seen(LAPTOP, mail) for mail in mails))
    assert who.place(LAPTOP).shared
    assert {who.customer(mail) for mail in mails} == set(mails)
    assert index(*(seen(LAPTOP, mail) for mail in mails[:4])).customer(LAPTOP) == mails[0]


def test_what_a_system_of_record_says_outranks_what_was_seen() -> None:
    who = index(seen(ANN, PHONE), told(BOB, PHONE))
    assert who.customer(PHONE) == BOB


def test_an_operator_outranks_both() -> None:
    who = index(told(BOB, PHONE), told(BOB, PHONE, links=False, by="operator:x"), seen(ANN, PHONE))
    assert who.customer(PHONE) == ANN


def test_within_a_rank_what_was_told_latest_holds() -> None:
    yes, no = told(ANN, BOB, at=1), told(ANN, BOB, links=False, at=2)
    assert index(yes, no).customer(BOB) == BOB
    assert index(no, told(ANN, BOB, at=3)).customer(BOB) == ANN
    early, late = told(ANN, BOB, at=1, number=9), told(ANN, BOB, links=False, at=2, number=1)
    assert index(early, late).customer(BOB) == BOB, "by when it was told, not by its id"


def test_what_was_told_latest_is_heard_first_where_all_of_it_cannot_hold() -> None:
    joins, parts = told(ANN, CID, at=9), told(ANN, BOB, links=False, at=5)
    who = index(told(BOB, CID, at=1), parts, joins)
    assert (who.customer(BOB), who.customer(CID)) == (BOB, ANN)


@pytest.mark.parametrize(("parted_at", "customer"), [(4, ANN), (5, PHONE), (6, PHONE)])
def test_only_what_weighs_more_than_an_unlink_puts_an_identifier_where_it_was_kept_out(
    parted_at: int, customer: Name
) -> None:
    who = index(seen(ANN, DEAL), told(ANN, PHONE, at=5), told(DEAL, PHONE, links=False, at=parted_at))
    assert who.customer(PHONE) == customer


def test_what_a_system_tells_links_nobody_either_once_it_alone_tells_too_much() -> None:
    mails = [f"email:{n}@example.com" for n in range(5)]
    facts = [told(LAPTOP, mail) for mail in mails]
    who = index(*facts)
    assert {who.customer(mail) for mail in mails} == set(mails)
    who = index(*facts, told(LAPTOP, mails[3], by="operator:x"))
    assert [who.customer(name) for name in (LAPTOP, *mails)] == [mails[3], *mails], (
        "an operator's word counts"
    )


def test_a_higher_revision_takes_back_what_the_lower_one_said_also_when_it_came_first() -> None:
    first, second = told(ANN, PHONE, number=900), told(ANN, MAIL, number=900, revision=1)
    for order in ([first, second], [second, first]):
        who = IdentityIndex()
        for one in order:
            who.apply([one])
        assert (who.customer(PHONE), who.customer(MAIL)) == (PHONE, ANN)


def test_unlinking_keeps_an_identifier_out_whatever_else_connects_it() -> None:
    who = index(seen(ANN, PHONE), seen(PHONE, MAIL), told(ANN, MAIL, links=False, by="operator"))
    assert (who.customer(PHONE), who.customer(MAIL)) == (ANN, MAIL)


def test_two_crm_ids_that_a_contract_connects_can_be_told_apart() -> None:
    who = index(seen(ANN, DEAL, day=1), seen(BOB, DEAL, day=2), told(ANN, BOB, links=False))
    assert (who.customer(ANN), who.customer(BOB), who.customer(DEAL)) == (ANN, BOB, ANN)


@pytest.mark.parametrize(
    "name",
    [
        "phone:withheld", "phone:0000000", "phone:+359999999999", "email:noreply@shop.bg", "email:no-reply@shop.bg",
        "email:anonymous@example.com", "email:mailer-daemon@mx.example.com", "device:system", "crm:0", "crm:UNKNOWN",
        "device:00000000-0000-0000-0000-000000000000", "email:info@acme.bg", "email:x@mail.acme.bg",
        "phone:+35921234567", "phone:+35921234567;ext=12", "contract:-", "device:kiosk-7",
    ],
)  # fmt: skip
def test_catch_all_values_neither_link_nor_name_anybody(name: Name) -> None:
    policy = IdentityPolicy(
        own_numbers=frozenset({"+35921234567"}),
        own_domains=frozenset({"acme.bg"}),
        blocked=frozenset({"device:kiosk-7"}),
    )
    who = index(seen(ANN, MAIL), policy=policy)
    kind, _, value = name.partition(":")
    known = Identifiers(**{{"crm": "crm_id"}.get(kind, kind): value})
    assert who.customer_of(known) is None
    assert who.learn(known._replace(loyalty="L-1"), (), 0, "web", "1") == []
    if name != ANN:
        who.apply([Link(min(ANN, name, key=order_of), max(ANN, name, key=order_of), 0, 0, "")])
        assert who.customer(name) == name


@pytest.mark.parametrize(
    "name", ["crm:1111", "phone:+359888111111", "email:anna@acme.bg.example.com", "device:aabb"]
)
def test_what_looks_a_little_like_a_catch_all_links_all_the_same(name: Name) -> None:
    policy = IdentityPolicy(own_domains=frozenset({"acme.bg"}))
    kind, _, value = name.partition(":")
    known = Identifiers(**{{"crm": "crm_id"}.get(kind, kind): value})
    assert index(policy=policy).customer_of(known) == name


def test_what_could_not_be_normalised_neither_links_nor_names_anybody() -> None:
    who, known = index(), Identifiers(phone="call centre", loyalty="L-1")
    assert who.learn(known, ("phone",), 0, "pbx", "1") == []
    assert who.customer_of(known, ("phone",)) == CARD
    assert who.customer_of(Identifiers(phone="call centre"), ("phone",)) is None


def test_an_interaction_goes_by_its_strongest_identifier() -> None:
    who = index(seen(BOB, PHONE))
    assert who.customer_of(Identifiers(crm_id="ann", phone="+359888000111")) == ANN


def test_a_shared_identifier_yields_to_another_and_names_a_customer_only_for_want_of_one() -> None:
    who = index(seen(ANN, PHONE), seen(BOB, PHONE), seen(BOB, MAIL))
    assert who.customer_of(Identifiers(phone="+359888000111", email="a@example.com")) == BOB
    assert who.customer_of(Identifiers(phone="+359888000111")) == PHONE
    assert who.customer_of(Identifiers(phone="+359888000111", email="z@example.com")) == "email:z@example.com"
    who = index(*(seen(f"crm:{letter}", DEAL) for letter in "abcd"), seen(ANN, PHONE))
    assert who.customer_of(Identifiers(contract="D-1", phone="+359888000111")) == ANN, "a company's contract"


def test_changes_name_what_was_and_what_is() -> None:
    who = index(seen(PHONE, MAIL))
    assert who.apply(seen(ANN, MAIL)) == {
        PHONE: ((PHONE, False), (ANN, False)),
        MAIL: ((PHONE, False), (ANN, False)),
    }


def test_holders_are_those_with_whom_an_interaction_may_lie() -> None:
    who = index(seen(PHONE, MAIL), told(PHONE, MAIL, links=False, by="operator"))
    changes = who.apply(seen(ANN, MAIL))
    assert set(changes) == {MAIL}
    assert PHONE in (who.holders(changes) or ())


def test_learning_again_what_is_known_adds_nothing_to_the_log_but_once_a_day() -> None:
    who, known = IdentityIndex(), Identifiers(crm_id="ann", phone="+359888000111")
    who.apply(who.learn(known, (), 100 * DAY + 5, "web", "1"))
    assert who.learn(known, (), 100 * DAY + 9, "web", "2") == []
    (later,) = who.learn(known, (), 101 * DAY + 7, "web", "3")
    assert (later.first_seen, later.last_seen, later.evidence) == (100 * DAY + 5, 101 * DAY, "web\x1f1")
    assert who.learn(known, (), 100 * DAY + 5, "web", "1") == []
    (smaller,) = who.learn(known, (), 100 * DAY + 5, "web", "0")
    assert smaller.evidence == "web\x1f0", "of two at one instant the smallest, whichever came first"


def test_the_evidence_is_the_earliest_interaction_whatever_the_order() -> None:
    early, late = Link(ANN, PHONE, 5, 0, "web\x1f1"), Link(ANN, PHONE, 9, DAY, "web\x1f2")
    assert merged_links(early, late) == merged_links(late, early) == Link(ANN, PHONE, 5, DAY, "web\x1f1")
    assert merged_links(early, early) == early


def test_two_facts_of_one_revision_unite_in_either_order() -> None:
    one, other = told(ANN, PHONE, number=7), told(BOB, PHONE, number=7)
    assert merged_statements(one, other) == merged_statements(other, one)


def test_a_record_that_says_less_than_is_known_is_completed() -> None:
    who = IdentityIndex(records=[Link(ANN, PHONE, 5, 0, "web\x1f1")])
    assert who.lacks(Link(ANN, PHONE, 9, DAY, "web\x1f2")) == Link(ANN, PHONE, 5, DAY, "web\x1f1")
    assert who.lacks(Link(ANN, PHONE, 5, DAY, "web\x1f1")) is None
    fact = told(ANN, PHONE, number=8, revision=3)
    who.apply([fact])
    assert who.lacks(told(ANN, PHONE, number=8, revision=1)) == fact


def test_forgetting_a_link_undoes_it_and_it_can_be_learnt_again() -> None:
    fact = told(ANN, MAIL)
    who = index(seen(ANN, PHONE), fact)
    assert set(who.forget([(ANN, PHONE)], [(fact.source, fact.id)])) == {PHONE, MAIL}
    assert (who.customer(PHONE), len(who)) == (PHONE, 0)
    who.apply(seen(ANN, PHONE))
    assert who.customer(PHONE) == ANN


def test_a_hub_is_bounded_in_memory_and_links_nobody() -> None:
    who = index(policy=IdentityPolicy(hub=3))
    for number in range(10):
        who.apply(seen(f"contract:{number}", LAPTOP))
    assert who.place(LAPTOP) == (LAPTOP, True)
    assert who.edges(LAPTOP) == ()
    assert who.learn(Identifiers(contract="1", device="l"), (), 100 * DAY + 1, "web", "9") == []
    who.apply([told("contract:1", LAPTOP, by="operator", number=901)])
    assert len(who.edges(LAPTOP)) == 1, "what somebody told of it is kept"
    who.apply([told(ANN, PHONE, by="operator", number=901, revision=1)])
    assert who.edges(LAPTOP) == ()


def test_a_record_reads_back_as_it_was_written_and_has_one_key() -> None:
    link, fact = Link(ANN, PHONE, 5, 0, "web\x1f1"), told(ANN, PHONE)
    assert [decode_record(encode_record(one)) for one in (link, fact)] == [link, fact]
    assert record_key(Link("crm:a", "crm:b", 0, 0, "")) != record_key(Link("crm:ac", "rm:b", 0, 0, ""))


@pytest.mark.parametrize("wrong", [{"customers": {"phone": 0}}, {"companions": {"device": 0}}, {"hub": 0}])
def test_a_limit_that_nothing_can_obey_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be 1 or more"):
        IdentityPolicy(**wrong)  # type: ignore[arg-type]
