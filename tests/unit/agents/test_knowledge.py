"""What a worker knows of who is whom: read whole at the start, followed from there on, asked by position."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from schemas.corrections import Correction, correction_key
from schemas.erasures import Erasure
from schemas.identifiers import Identifiers
from schemas.interaction import DAY
from schemas.links import Link, Statement, encode_record, record_key
from schemas.records import IdentityChange
from schemas.topics import LINKS as LINKS_TOPIC
from streams.agents import knowledge as reading
from streams.agents.knowledge import Ends, Knowledge
from tests.unit.agents.fake_logs import CORRECTIONS, ERASURES, LINKS, Logs
from tests.unit.agents.fakes import HASHES

ANN, BOB, PHONE, MAIL = "crm:ann", "crm:bob", "phone:+359888000111", "email:ann@example.com"


def learnt(a: str, b: str, at: int = 5, evidence: str = "calls\x1f1") -> Link:
    return Link(a, b, at, 0, evidence)


def told(
    *names: str, links: bool = True, at: int = 9, revision: int = 0, source: str = "operator:eva"
) -> Statement:
    return Statement(source, "f1", revision, at, links, names, "they said so")


@pytest.fixture
async def logs() -> Logs:
    return Logs()


@pytest.fixture
async def known(logs: Logs) -> AsyncIterator[Knowledge]:
    """Not started."""
    knowledge = logs.knowledge()
    yield knowledge
    await knowledge.close()


async def test_what_is_there_is_known_when_it_has_started(logs: Logs, known: Knowledge) -> None:
    logs.link(learnt(ANN, PHONE))
    logs.correct(Correction("calls", "7", 2, Identifiers(crm_id="bob")))
    await known.start()
    assert known.index.customer(PHONE) == ANN
    assert (known.links_seen, known.corrections_seen) == (1, 1)
    found = known.correction(("calls", "7"))
    assert found is not None
    assert found.revision == 2
    assert sorted(known.names()) == [ANN, PHONE]


@pytest.mark.parametrize("log", Ends._fields)
def test_who_has_read_one_log_too_little_has_not_read_all(log: str) -> None:
    ends = Ends(3, 3, 3, 3)
    assert not ends.falls_short_of(ends)
    assert ends._replace(**{log: 2}).falls_short_of(ends)
    assert not ends._replace(**{log: 4}).falls_short_of(ends)


async def test_what_comes_later_is_known_to_who_waits_for_it(logs: Logs, known: Knowledge) -> None:
    await known.start()
    logs.link(learnt(ANN, PHONE), learnt(ANN, MAIL))
    await known.wait_for(2)
    assert known.index.customer(MAIL) == ANN
    await known.wait_for(1)  # long since


async def test_reading_to_the_end_sees_all_that_is_there(logs: Logs, known: Knowledge) -> None:
    await known.start()
    logs.held_back = True
    logs.link(learnt(ANN, PHONE))
    logs.correct(Correction("calls", "7", 1, Identifiers()))
    reader = asyncio.create_task(known.read_to_end())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not reader.done()
    logs.release()
    await reader
    assert (known.links_seen, known.corrections_seen) == (1, 1)


async def test_records_that_compaction_removed_leave_the_positions_as_they_are(
    logs: Logs, known: Knowledge
) -> None:
    logs.link(learnt(ANN, PHONE, 9), learnt(ANN, MAIL), learnt(ANN, PHONE, 3))
    logs.compact()
    await known.start()
    assert known.links_seen == 3
    assert [edge.first_seen for edge in known.index.edges(PHONE)] == [3]


async def test_nobody_waits_for_what_compaction_removed_behind_the_last_record(
    logs: Logs, known: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("POLL_MS", 1), ("LOOK_SECONDS", 0.0)):
        monkeypatch.setattr(reading, name, value)
    logs.link(learnt(ANN, PHONE))
    await known.start()
    logs.ends[LINKS] += 2
    await asyncio.wait_for(known.read_to_end(), 5)
    assert known.links_seen == 3
    assert known.index.customer(PHONE) == ANN


async def test_a_tombstone_forgets_what_was_learnt_before_it_and_nothing_after(
    logs: Logs, known: Knowledge
) -> None:
    logs.link(learnt(ANN, PHONE, 3), learnt(ANN, MAIL, 3))
    logs.forget(learnt(ANN, PHONE))
    logs.forget(learnt(ANN, MAIL))
    logs.link(learnt(ANN, MAIL, 8))
    await known.start()
    assert known.index.customer(PHONE) == PHONE
    assert [edge.first_seen for edge in known.index.edges(MAIL)] == [8]
    logs.forget(learnt(ANN, MAIL))
    await known.wait_for(6)
    assert known.index.customer(MAIL) == MAIL
    (row,) = known.rows_of([MAIL])
    assert row.removed


async def test_a_statement_is_forgotten_by_its_key(logs: Logs, known: Knowledge) -> None:
    logs.link(told(ANN, PHONE))
    await known.start()
    logs.forget(told(ANN, PHONE))
    await known.wait_for(2)
    assert known.index.customer(PHONE) == PHONE


async def test_foreign_records_are_skipped(logs: Logs, known: Knowledge) -> None:
    logs.append(LINKS, b"?", b"\xff")
    await known.start()
    logs.append(LINKS, b"?", b"\xff")
    logs.append(LINKS, b"no key of ours", None)
    logs.link(learnt(ANN, PHONE))
    await known.wait_for(4)
    assert known.index.customer(PHONE) == ANN


async def test_touched_are_those_who_may_hold_what_belongs_elsewhere(logs: Logs, known: Knowledge) -> None:
    logs.link(learnt(ANN, PHONE))
    await known.start()
    begin = known.links_seen
    assert known.touched_since(begin) == frozenset()
    logs.link(learnt(BOB, MAIL))
    await known.wait_for(begin + 1)
    assert known.touched_since(begin) == {MAIL, BOB}
    assert known.touched_since(begin + 1) == frozenset()
    assert known.touched_since(begin - 1) is None, "of what was before the start nothing can be said"


async def test_what_the_latest_records_changed_is_known_at_a_start_too(
    logs: Logs, known: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "TAIL", 3)
    now = int(time.time() * 1_000)
    logs.link(learnt(ANN, "email:of@old.example"))
    logs.link(learnt(BOB, MAIL), learnt(ANN, PHONE), told(ANN, PHONE, links=False), timestamp=now)
    logs.forget(learnt(BOB, MAIL), timestamp=now)
    await known.start()
    assert known.links_seen == 5
    assert known.touched_since(1) is None, "more than is read one by one"
    assert {name: change.kind for name, change in known.changes_since(2).items()} == {
        PHONE: "unmerge", MAIL: "unmerge",
    }  # fmt: skip
    assert known.changes_since(3)[PHONE][:3] == (PHONE, ANN, PHONE)
    assert known.touched_since(4) == {BOB}
    assert known.touched_since(5) == frozenset()


async def test_what_compaction_may_have_touched_is_not_told_from_what_it_repeats(
    logs: Logs, known: Knowledge
) -> None:
    """The second record of a link is no merge, though the first one is gone."""
    kept = LINKS_TOPIC.uncompacted
    assert kept is not None
    old = int((time.time() - kept.total_seconds()) * 1_000)
    logs.link(learnt(ANN, PHONE, 3), timestamp=old)
    logs.link(learnt(ANN, PHONE, 2), timestamp=old)
    logs.compact()
    logs.link(learnt(ANN, MAIL, 4), timestamp=int(time.time() * 1_000))
    await known.start()
    assert known.touched_since(1) is None
    assert known.changes_since(2).keys() == {MAIL}


async def test_a_change_says_who_why_and_when(logs: Logs, known: Knowledge) -> None:
    logs.link(learnt(ANN, PHONE))
    await known.start()
    logs.link(learnt(ANN, MAIL, 4), told(ANN, PHONE, links=False))
    await known.wait_for(3)
    changes = known.changes_since(1)
    assert changes[MAIL] == IdentityChange(MAIL, MAIL, ANN, "merge", 4, "learnt", None)
    assert changes[PHONE] == IdentityChange(PHONE, ANN, PHONE, "unmerge", 9, "operator:eva", "they said so")
    assert known.changes_since(3) == {}


async def test_changes_are_told_from_where_somebody_was_to_where_they_are(
    logs: Logs, known: Knowledge
) -> None:
    await known.start()
    logs.link(told(ANN, PHONE, at=5))
    await known.wait_for(1)
    logs.link(told(BOB, PHONE, at=6, revision=1))
    await known.wait_for(2)
    assert known.changes_since(0)[PHONE][:3] == (PHONE, PHONE, BOB)
    assert known.changes_since(1)[PHONE][:3] == (PHONE, ANN, BOB)


async def test_a_customer_has_a_row_once_the_first_link_names_it(logs: Logs, known: Knowledge) -> None:
    await known.start()
    logs.link(learnt(ANN, PHONE, 5))
    await known.wait_for(1)
    assert known.named_since(0) == {ANN, PHONE}
    rows = {row.identifier: row for row in known.rows_of(known.named_since(0))}
    assert rows[PHONE] == (PHONE, ANN, False, 5, ("calls/1",), False)
    assert rows[ANN].customer == ANN


async def test_evidence_begins_with_the_weightiest(logs: Logs, known: Knowledge) -> None:
    logs.link(learnt(ANN, PHONE, 5), told(ANN, PHONE, at=9))
    await known.start()
    (row,) = known.rows_of([PHONE])
    assert row.evidence == ("operator:eva/f1", "calls/1")
    assert row.since == 5


async def test_the_highest_correction_counts_until_the_log_keeps_it_no_more(
    logs: Logs, known: Knowledge
) -> None:
    await known.start()
    logs.correct(Correction("calls", "7", 2, Identifiers(crm_id="bob")))
    logs.correct(Correction("calls", "7", 1, Identifiers(crm_id="ann")))
    await known.read_to_end()
    found = known.correction(("calls", "7"))
    assert found is not None
    assert found.revision == 2
    assert known.corrected_since(0) == [("calls", "7")]
    assert known.corrected_since(1) == []
    logs.correct(Correction("calls", "8", 1, Identifiers()), timestamp=38 * DAY // 1_000)
    await known.read_to_end()
    assert known.correction(("calls", "7")) is None
    assert known.corrected_since(0) == [("calls", "8")]


async def test_an_own_record_that_says_less_than_is_known_is_to_be_written_whole(
    logs: Logs, known: Knowledge
) -> None:
    await known.start()
    mine = learnt(ANN, PHONE, 9, "calls\x1f9")
    known.known.expect([(record_key(mine), encode_record(mine))])
    logs.link(learnt(ANN, PHONE, 3, "calls\x1f3"), mine)
    await known.wait_for(2)
    assert known.known.incomplete() == [
        (record_key(mine), encode_record(learnt(ANN, PHONE, 3, "calls\x1f3")))
    ]
    assert known.known.incomplete() == []


async def test_records_of_others_are_theirs_to_complete(logs: Logs, known: Knowledge) -> None:
    await known.start()
    logs.link(learnt(ANN, PHONE, 3), learnt(ANN, PHONE, 9))
    await known.wait_for(2)
    assert known.known.incomplete() == []


async def test_a_broker_that_fails_is_asked_again(
    logs: Logs, known: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "FIRST_PAUSE", 0.001)
    logs.link(learnt(ANN, PHONE))
    logs.failing = 2
    await known.start()
    assert known.index.customer(PHONE) == ANN
    logs.failing = 3
    logs.link(learnt(ANN, MAIL))
    await known.wait_for(2)
    assert known.index.customer(MAIL) == ANN
    assert all(consumer.stopped for consumer in logs.opened[:-1])


async def test_a_reader_that_gets_nothing_though_there_is_more_begins_anew(
    logs: Logs, known: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("FIRST_PAUSE", 0.001), ("POLL_MS", 1), ("LOOK_SECONDS", 0.0)):
        monkeypatch.setattr(reading, name, value)
    await known.start()
    logs.held_back = True
    logs.link(learnt(ANN, PHONE))
    while len(logs.opened) < 3:
        await asyncio.sleep(0.001)
    proven = known.standing_still()
    await asyncio.sleep(0.01)
    assert known.standing_still() > proven, "the watchdog can see that nothing is heard"
    logs.release()
    await known.wait_for(1)
    assert known.index.customer(PHONE) == ANN


async def test_silence_at_the_end_of_the_logs_is_no_standstill(
    known: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("POLL_MS", 1), ("LOOK_SECONDS", 0.0)):
        monkeypatch.setattr(reading, name, value)
    await known.start()
    longest = known.standing_still()
    while (since := known.standing_still()) >= longest:
        longest = since
        await asyncio.sleep(0.001)


async def test_logs_that_were_made_anew_end_the_worker(
    logs: Logs, known: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []

    def end(status: int) -> None:
        ended.append(status)
        raise asyncio.CancelledError

    for name, value in (("POLL_MS", 1), ("LOOK_SECONDS", 0.0), ("end_process", end)):
        monkeypatch.setattr(reading, name, value)
    logs.link(learnt(ANN, PHONE))
    await known.start()
    logs.ends[LINKS], logs.records[LINKS] = 0, []
    while not ended:
        await asyncio.sleep(0.001)


def erasure(part: int, parts: int, *, links_seen: int = 0, id_: str = "e1") -> Erasure:
    return Erasure(
        id_,
        0,
        (HASHES.erased_customer(ANN if part == 0 else MAIL),),
        (HASHES.erased_identity("calls", str(part)),),
        links_seen,
        part,
        parts,
    )


@pytest.mark.parametrize("before", [True, False])
async def test_what_was_erased_is_known(logs: Logs, known: Knowledge, before: bool) -> None:
    if not before:
        await known.start()
    logs.append(ERASURES, b"?", b"\xff")
    logs.append(ERASURES, b"e1/0", None)
    logs.erase(erasure(0, 2))
    if before:
        await known.start()
    await known.read_to_end()
    assert known.erasures_seen == 3
    assert (known.is_erased("calls", "0"), known.is_erased("calls", "1")) == (True, False)
    assert known.erasure("e1") is None, "one part is missing"
    logs.erase(erasure(1, 2))
    await known.read_to_end()
    found = known.erasure("e1")
    assert found is not None
    assert [known.is_of(name, found.customers) for name in (ANN, MAIL, BOB)] == [True, True, False]
    assert known.erased_since(3) == [found]
    assert known.erased_since(4) == []
    assert not known.is_erased_fact("calls", "0"), "facts are told apart"


async def test_a_correction_without_a_value_is_forgotten(logs: Logs, known: Knowledge) -> None:
    logs.correct(Correction("calls", "7", 2, Identifiers(crm_id="bob")))
    logs.correct(Correction("calls", "8", 1, Identifiers(crm_id="bob")))
    await known.start()
    logs.append(CORRECTIONS, correction_key(Correction("calls", "7", 0, Identifiers())), None)
    logs.append(CORRECTIONS, b"no key of ours", None)
    await known.read_to_end()
    assert [known.correction(("calls", one)) is not None for one in "78"] == [False, True]
    logs.correct(Correction("calls", "9", 1, Identifiers()), timestamp=38 * DAY // 1_000)
    await known.read_to_end()
    assert [known.correction(("calls", one)) is not None for one in "789"] == [False, False, True]


async def test_closing_survives_a_consumer_that_breaks_off_its_own_stop(logs: Logs, known: Knowledge) -> None:
    async def broken_off() -> None:
        raise asyncio.CancelledError  # as aiokafka does where the broker is gone

    await known.start()
    logs.at_stop = broken_off
    await known.close()
    assert logs.opened[0].stopped


async def test_who_is_cancelled_while_closing_is_cancelled(logs: Logs, known: Knowledge) -> None:
    stopping = asyncio.Event()

    async def for_ever() -> None:
        stopping.set()
        await asyncio.Event().wait()

    await known.start()
    logs.at_stop = for_ever
    closing = asyncio.create_task(known.close())
    await stopping.wait()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    logs.at_stop = None


async def test_it_closes_although_a_cancellation_was_lost(
    logs: Logs, known: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await known.start()
    (consumer,) = logs.opened
    lost, fetching = 0, asyncio.Event()

    async def getmany(*_partitions: object, timeout_ms: int = 0) -> dict[object, object]:
        nonlocal lost
        fetching.set()
        try:
            await asyncio.sleep(timeout_ms)
        except asyncio.CancelledError:
            lost += 1
            if lost > 2:
                raise
        return {}

    monkeypatch.setattr(consumer, "getmany", getmany)
    logs.release()  # the fetch that is under way ends
    await fetching.wait()
    await asyncio.wait_for(known.close(), 5)
    assert lost == 3
