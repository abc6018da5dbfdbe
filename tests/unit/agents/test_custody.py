"""Which timelines are judged, and when."""

from schemas.interaction import Interaction, routing_key
from schemas.links import Link
from streams.agents import custody as module
from streams.agents.custody import Custody
from streams.core.batch import advance_batch
from streams.core.policy import DEFAULT_POLICY
from streams.kafka.store import State
from tests.builders import call, mail, revised
from tests.unit.agents.fakes import Known

PEOPLE = [call("2026-03-01T10:00Z", by=f"phone:+35988812345{n}") for n in range(4)]
KEYS = [routing_key(one) for one in PEOPLE]


def timelines(*told: Interaction) -> State:
    states = advance_batch({}.get, told, (), 0, DEFAULT_POLICY).states
    return {key: state for key, state in states.items() if state is not None} | {b"\x00clock": b""}


def swept(known: Known, *told: Interaction) -> Custody:
    custody = Custody(timelines(*told), known)
    custody.judge(custody.take((), 100))
    assert not custody.waiting
    return custody


def link(number: int) -> Link:
    return Link("crm:ann", PEOPLE[number].customer or "", 0, 0, "web\x1f1")


def test_at_first_everything_is_judged_in_portions_and_what_is_wanted_first() -> None:
    custody = Custody(timelines(*PEOPLE), Known())
    assert custody.take([KEYS[2], b"crm:nobody"], 0) == [KEYS[2]]
    taken = custody.take((), 2) + custody.take((), 2)
    assert sorted(taken) == sorted({*KEYS} - {KEYS[2]})
    assert not custody.waiting


def test_then_only_what_links_touch_and_lies_here() -> None:
    known = Known()
    custody = swept(known, *PEOPLE[:3])
    known.learn(link(1), link(3))
    custody.notice()
    assert custody.take((), 10) == [KEYS[1]]
    custody.notice()
    assert custody.take((), 10) == []


def test_news_come_before_the_sweep() -> None:
    known = Known()
    custody = Custody(timelines(*PEOPLE), known)
    known.learn(link(2))
    custody.notice()
    assert custody.take((), 1) == [KEYS[2]]


def test_everything_again_when_nobody_knows_what_is_touched() -> None:
    known = Known()
    custody = swept(known, *PEOPLE)
    known.links_seen, known._began = 5, 5
    custody.notice()
    assert sorted(custody.take((), 100)) == sorted(KEYS)


def test_who_holds_what_is_corrected_is_found_also_what_came_since_the_sweep_and_the_anonymous() -> None:
    known = Known()
    nobodys = call("2026-03-02", id="n")
    custody = swept(known, PEOPLE[0], nobodys)
    later = mail("2026-03-03", by="phone:+359888123450")
    result = advance_batch(custody._timelines.get, [later], (), 0, DEFAULT_POLICY)
    custody.hold(result.marks)
    for one in (later, nobodys, PEOPLE[3]):
        known.correct(revised(one))
        custody.notice()
    assert custody.take((), 10) == [KEYS[0], routing_key(nobodys)]


def test_who_holds_what_is_corrected_is_found_by_what_the_sweep_has_looked_through() -> None:
    known = Known()
    custody = swept(known, *PEOPLE)
    known.correct(revised(PEOPLE[1]))
    custody.notice()
    assert custody.take((), 10) == [KEYS[1]]


def test_the_index_of_holders_is_made_anew_before_it_is_mostly_garbage() -> None:
    custody = swept(Known(), *PEOPLE)
    mark = b"\0\0\0\1"
    for _ in range(module.GARBAGE // 1_000 + 1):
        custody.hold({KEYS[0]: mark * 1_000})
    assert len(custody._holders) < 2_000
    assert custody._holders.find(PEOPLE[1].key) == {KEYS[1]}
