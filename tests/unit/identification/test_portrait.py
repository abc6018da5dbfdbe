"""What operators are shown of an identifier: its customer, and a reason for everything that is odd."""

from schemas.links import Link, Record, Statement
from streams.commands.link_log import bearing_on, united
from streams.core.identification.index import IdentityIndex
from streams.core.identification.policy import IdentityPolicy
from streams.core.identification.portrait import Portrait, portrait

PHONE = "phone:+359888123456"
MAIL = "email:ann@example.com"


def seen(a: str, b: str, at: int = 10) -> Link:
    return Link(a, b, at, 0, f"desk\x1fv-{at}")


def told(
    *names: str, links: bool = True, source: str = "operator:ann", at: int = 100, reason: str | None = "knows"
) -> Statement:
    return Statement(source, f"{at}", 0, at, links, names, reason)


def shown(name: str, *records: Record, policy: IdentityPolicy | None = None) -> Portrait:
    policy = policy or IdentityPolicy()
    return portrait(IdentityIndex(policy, records), policy, name)


def obstacles(picture: Portrait) -> dict[tuple[str, str], str | None]:
    return {(tie.a, tie.b): tie.why for tie in picture.ties}


def test_all_identifiers_of_the_customer_are_there_the_strongest_first() -> None:
    picture = shown(MAIL, seen("crm:A1", PHONE), seen(PHONE, MAIL, 20), seen("crm:B2", "device:d", 30))
    assert picture.customer == "crm:A1"
    assert [one.name for one in picture.features] == ["crm:A1", PHONE, MAIL]
    assert obstacles(picture) == {("crm:A1", PHONE): None, (PHONE, MAIL): None}


def test_a_link_tells_its_evidence_and_what_was_said_of_it() -> None:
    (tie,) = shown(PHONE, seen("crm:A1", PHONE, 10), told("crm:A1", PHONE, at=50)).ties
    assert (tie.first_seen, tie.evidence) == (10, ("desk", "v-10"))
    assert tie.rank == 2
    assert [one.reason for one in tie.told] == ["knows"]


def test_a_link_that_was_only_told_was_never_seen() -> None:
    (tie,) = shown(PHONE, told("crm:A1", PHONE)).ties
    assert (tie.first_seen, tie.last_seen, tie.evidence, tie.why) == (None, None, None, None)


def test_unlinked_says_who_and_why() -> None:
    picture = shown(PHONE, seen("crm:A1", PHONE), told("crm:A1", PHONE, links=False, reason="a neighbour's"))
    assert picture.customer == PHONE
    assert obstacles(picture) == {("crm:A1", PHONE): "kept apart by operator:ann: a neighbour's"}


def test_of_two_operators_the_later_one_is_named() -> None:
    picture = shown(
        PHONE,
        told("crm:A1", PHONE, links=False, source="operator:ann", at=100, reason="first"),
        told("crm:A1", PHONE, links=False, source="operator:bob", at=200, reason="second"),
    )
    assert obstacles(picture) == {("crm:A1", PHONE): "kept apart by operator:bob: second"}


def test_a_shared_identifier_names_those_who_share_it() -> None:
    picture = shown(PHONE, seen("crm:A1", PHONE), seen("crm:B2", PHONE, 20))
    assert picture.shared
    (feature,) = picture.features
    assert feature.why == "is shared by crm:A1, crm:B2"
    assert set(obstacles(picture).values()) == {f"{PHONE} is shared by crm:A1, crm:B2"}


def test_a_number_that_meets_too_many_addresses_says_the_limit() -> None:
    policy = IdentityPolicy(companions={"phone": 2, "email": 4, "device": 4})
    records = [seen(PHONE, f"email:{n}@example.com", n) for n in range(1, 4)]
    picture = shown("email:1@example.com", *records, policy=policy)
    (why,) = obstacles(picture).values()
    assert why == f"{PHONE} has more than 2 numbers or addresses: what was learnt does not count"


def test_a_contract_of_too_many_crm_ids_says_the_limit() -> None:
    policy = IdentityPolicy(customers={"contract": 1, "loyalty": 1, "phone": 1, "email": 1, "device": 1})
    picture = shown("crm:A1", seen("crm:A1", "contract:D"), seen("crm:B2", "contract:D", 20), policy=policy)
    assert obstacles(picture) == {
        ("crm:A1", "contract:D"): "contract:D has more than 1 CRM ids: what was learnt does not count"
    }


def test_a_hub_says_that_it_is_one() -> None:
    policy = IdentityPolicy(hub=2)
    records = [seen(f"crm:{n}", "device:kiosk", n) for n in range(1, 5)]
    (feature,) = shown("device:kiosk", *records, policy=policy).features
    assert feature.why == "was seen with more than 2 others: what was learnt does not count"


def test_a_catch_all_says_that_it_names_nobody() -> None:
    (feature,) = shown("crm:unknown").features
    assert feature.why == "stands for nobody: it never links"


def test_outweighed_says_for_whom_more_speaks() -> None:
    picture = shown("crm:B2", seen("crm:B2", PHONE), told("crm:A1", PHONE))
    assert obstacles(picture) == {("crm:B2", PHONE): f"{PHONE} belongs to crm:A1, for which more speaks"}


def test_nobody_else_is_a_customer_by_its_own_name() -> None:
    picture = shown(PHONE)
    assert (picture.customer, picture.shared, picture.ties) == (PHONE, False, ())


def test_what_bears_on_an_identifier_answers_as_the_whole_log_does() -> None:
    near: list[Record] = [seen("crm:A1", PHONE), seen(PHONE, MAIL, 20), told("crm:A1", "crm:B2", links=False)]
    far: list[Record] = [seen("crm:C3", "device:x"), told("crm:C3", "contract:D9")]
    assert set(bearing_on([*far, *near], MAIL)) == set(near)
    assert set(bearing_on([*far, *near], "crm:C3")) == set(far)
    assert bearing_on(far, MAIL) == []


def test_records_of_one_key_are_united_whichever_came_last() -> None:
    early, late = seen("crm:A1", PHONE, 10), seen("crm:A1", PHONE, 20)
    assert united(united(None, late), early) == united(early, late) == early
