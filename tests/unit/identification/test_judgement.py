"""What a customer may keep, and what an arrival is refused for."""

import msgspec
import pytest

from schemas.corrections import Correction, correction_of
from schemas.interaction import Interaction, encode_interaction
from schemas.links import Link
from streams.core.identification.index import IdentityIndex
from streams.core.identification.judgement import BELONGS, judge, judge_arrival
from streams.core.identification.naming import Naming, naming_of
from streams.core.timeline import Identity, coordinates_of, step_of
from tests.builders import call, mail, revised

BY_PHONE = call("2026-03-01", by="phone:+359888123456")
OF_ANN = mail("2026-03-02", by="crm:ann")
JOINED = IdentityIndex(records=[Link("crm:ann", "phone:+359888123456", 0, 0, "web\x1f1")])
APART = IdentityIndex()


def knowing(*corrected: Interaction) -> dict[Identity, Correction]:
    return {one.key: correction for one in corrected if (correction := correction_of(one)) is not None}


def test_the_naming_is_the_first_fields_of_an_interaction() -> None:
    fields = Naming.__struct_fields__
    assert fields == Interaction.__struct_fields__[: len(fields)]
    read = naming_of(encode_interaction(BY_PHONE))
    assert [getattr(read, name) for name in fields] == [getattr(BY_PHONE, name) for name in fields]
    with pytest.raises(msgspec.DecodeError):
        naming_of(b"\x93\x01")


def test_what_belongs_stays() -> None:
    steps = [step_of(OF_ANN)]
    assert judge(steps, "crm:ann", JOINED.customer_of, knowing().get) is BELONGS
    assert judge([step_of(call("2026-03-01"))], None, JOINED.customer_of, knowing().get) is BELONGS


def test_what_is_anothers_is_sent_on_with_that_customer_in_it() -> None:
    steps = [step_of(BY_PHONE)]
    judged = judge(steps, "phone:+359888123456", JOINED.customer_of, knowing().get)
    assert judged.leaving == [BY_PHONE.key]
    assert judged.forwards == [msgspec.structs.replace(BY_PHONE, customer="crm:ann")]
    assert judged.superseded == []


def test_what_a_higher_revision_gives_to_somebody_else_goes_nowhere() -> None:
    known = knowing(revised(OF_ANN, crm_id="bob"))
    judged = judge([step_of(OF_ANN)], "crm:ann", APART.customer_of, known.get)
    assert judged == ([OF_ANN.key], [], [coordinates_of(OF_ANN)])


def test_what_is_anothers_and_corrected_goes_nowhere_either() -> None:
    known = knowing(revised(BY_PHONE))
    judged = judge([step_of(BY_PHONE)], "phone:+359888123456", JOINED.customer_of, known.get)
    assert judged == ([BY_PHONE.key], [], [coordinates_of(BY_PHONE)])


def test_what_its_own_customer_corrects_waits_to_be_replaced() -> None:
    assert judge([step_of(OF_ANN)], "crm:ann", APART.customer_of, knowing(revised(OF_ANN)).get) is BELONGS


def test_an_arrival_of_the_customers_own_is_accepted() -> None:
    assert judge_arrival(OF_ANN, False, JOINED.customer_of, None) is None
    assert judge_arrival(revised(OF_ANN), False, JOINED.customer_of, correction_of(revised(OF_ANN))) is None


def test_an_arrival_of_anothers_is_refused_and_sent_on() -> None:
    refusal = judge_arrival(BY_PHONE, False, JOINED.customer_of, None)
    assert refusal == ((), (msgspec.structs.replace(BY_PHONE, customer="crm:ann"),), ())


def test_an_arrival_that_is_corrected_is_refused_and_superseded() -> None:
    refusal = judge_arrival(OF_ANN, True, JOINED.customer_of, correction_of(revised(OF_ANN)))
    assert refusal == ((), (), (coordinates_of(OF_ANN),))


def test_of_two_tellings_of_one_revision_the_one_announced_first_keeps_the_interaction() -> None:
    first, second = revised(OF_ANN, crm_id="bob"), revised(OF_ANN, crm_id="cleo")
    known = knowing(first)
    assert judge([step_of(second)], "crm:cleo", APART.customer_of, known.get) == (
        [OF_ANN.key],
        [],
        [coordinates_of(second)],
    )
    assert judge([step_of(first)], "crm:bob", APART.customer_of, known.get) is BELONGS
    assert judge_arrival(second, True, APART.customer_of, known[OF_ANN.key]) == (
        (),
        (),
        (coordinates_of(second),),
    )
    assert judge_arrival(first, True, APART.customer_of, known[OF_ANN.key]) is None
