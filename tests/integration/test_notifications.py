"""From the alerts topic to people: the notify agent and real HTTP receivers on loopback.

Kafka and ClickHouse are stood in for by what they acknowledge; the agent's batches, leases and state are the product's.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiokafka.structs import ConsumerRecord
from faust.types import TP

from schemas.alerts import AlertRecord, AlertRow, alert_key, encode_alert_record
from schemas.erasures import FORGETTING_KEY, ErasureDone, Forgetting, encode_forgetting, erasure_parts
from schemas.findings import ERASED
from schemas.interaction import Micros
from schemas.records import SinkBatch
from sinks.notifications.alertmanager import Alertmanager
from sinks.notifications.chat import Chat
from sinks.notifications.pagerduty import PagerDuty
from sinks.notifications.posting import Poster
from sinks.notifications.signature import secret_bytes, verify
from sinks.notifications.webhook import Webhook
from streams.agents.lanes import Batch, Fenced
from streams.agents.notify import Notify
from streams.agents.refusals import Refusals
from streams.agents.telling import Destination
from streams.core.alerting.book import FLOOD_PREFIX, decode_book
from streams.core.alerting.policy import AlertPolicy, Route, Traits
from tests.alert_builders import (
    HOUR,
    MINUTE,
    START,
    acknowledged,
    alert,
    final,
    over,
    policy,
)
from tests.receivers import Received, ok, receiving
from tests.unit.agents.fakes import HASHES, Known

TOPIC = "touchline.alerts"
SECRET = "whsec_" + "QUFB" * 10
KEYS = [secret_bytes(SECRET)]


@dataclass
class Broker:
    """Acknowledges what is sent to the changelog and to dead letters, and keeps it."""

    sent: list[tuple[str, int, bytes | None, bytes | None]] = field(default_factory=list)

    def create_batch(self) -> "Broker._Builder":
        return Broker._Builder()

    async def send_batch(self, builder: "Broker._Builder", topic: str, *, partition: int) -> Any:
        self.sent += [(topic, partition, key, value) for key, value in builder.items]
        return self._acknowledged()

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None,
        partition: int,
        headers: Any,  # noqa: ARG002
    ) -> Any:
        self.sent.append((topic, partition, key, value))
        return self._acknowledged()

    def _acknowledged(self) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(type("Metadata", (), {"offset": len(self.sent)})())
        return future

    class _Builder:
        def __init__(self) -> None:
            self.items: list[tuple[bytes | None, bytes | None]] = []

        def append(self, *, key: bytes | None, value: bytes | None, timestamp: None) -> bool:  # noqa: ARG002
            self.items.append((key, value))
            return True

        def record_count(self) -> int:
            return len(self.items)


class Group:
    """The part of a Faust app that a lease looks at: generation, rebalances, assignment."""

    def __init__(self, partitions: int = 2) -> None:
        self.consumer_generation_id = 1
        self.rebalancing_count = 0
        self.rebalancing = False
        self.in_recovery = False
        self.assigned = {TP(TOPIC, number) for number in range(partitions)}
        self.consumer = self

    def assignment(self) -> set[TP]:
        return self.assigned

    def release(self, *_: object) -> None:
        """Flow control: nothing in flight here."""


class Worker:
    """One worker's notify agent over books that outlive it, as the changelog does."""

    def __init__(
        self,
        rules: AlertPolicy,
        destinations: dict[str, Destination],
        books: dict[int, dict[bytes, bytes]] | None = None,
        closing_patience: float = 10.0,
    ) -> None:
        self.group = Group()
        self.broker = Broker()
        self.books = {} if books is None else books
        self.rows: list[AlertRow] = []
        self.now: Micros = START
        self.offset = 0
        self.erasures: list[ErasureDone] = []
        self.known = Known()
        self.notify = Notify(
            app=self.group,
            policy=rules,
            destinations=destinations,
            books=lambda number: self.books.setdefault(number, {}),
            producer=lambda: self.broker,  # type: ignore[arg-type,return-value]
            store=self._store,
            topic=TOPIC,
            changelog="touchline.alert-books",
            changelog_written=lambda *_: None,
            refusals=Refusals(lambda: self.broker, "touchline.dead-letters", 8),  # type: ignore[arg-type,return-value]
            erasures=self.known,
            clock=lambda: self.now,
            first_pause=0.02,
            summary_patience=0.05,
            closing_patience=closing_patience,
        )

    async def take(self, *records: AlertRecord | Forgetting | bytes, partition: int = 0) -> None:
        """One batch of the alerts topic."""
        tp = TP(TOPIC, partition)
        batch = Batch(self.group, tp, self.group.consumer_generation_id, self.group.rebalancing_count)
        for record in records:
            key, raw = _told(record)
            self.offset += 1
            batch.records.append(
                ConsumerRecord(TOPIC, partition, self.offset, 0, 0, key, raw, None, len(key), len(raw), ())
            )
        rest = await self.notify(batch)
        if rest is not None:
            await rest

    async def until_stored(self, status: str, count: int = 1, seconds: float = 15.0) -> list[AlertRow]:
        """Wait until so many notices show this status."""
        deadline = time.monotonic() + seconds
        while len(found := [row for row in final(self.rows).values() if row.status == status]) < count:
            assert time.monotonic() < deadline, f"{status} x {count}: {final(self.rows).values()}"
            await asyncio.sleep(0.005)
        return found

    async def _store(self, rows: SinkBatch, batch: Batch) -> None:
        batch.check()
        self.rows += rows.alerts
        self.erasures += rows.erasures


def _told(record: AlertRecord | Forgetting | bytes) -> tuple[bytes, bytes]:
    if isinstance(record, bytes):
        return b"k", record
    if isinstance(record, Forgetting):
        return FORGETTING_KEY, encode_forgetting(record)
    return alert_key(record), encode_alert_record(record)


@contextlib.asynccontextmanager
async def posting(timeout: float = 2.0) -> AsyncIterator[Poster]:
    poster = Poster(timeout)
    try:
        yield poster
    finally:
        await poster.close()


@contextlib.asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[Worker]:
    try:
        yield worker
    finally:
        await worker.notify.close()


def all_to(*names: str, **said: Any) -> AlertPolicy:
    destinations = dict.fromkeys(names, Traits(holds_open=True, acknowledges=True))
    return policy(Route(names), **{"destinations": destinations, "cool_down": 0, **said})


def actions(items: list[Received]) -> list[tuple[str, str]]:
    return [(item.json["event_action"], item.json["dedup_key"]) for item in items]


async def test_pagerduty_is_triggered_acknowledged_and_resolved_under_one_key() -> None:
    async with receiving() as pager, posting() as poster:
        worker = Worker(all_to("pager"), {"pager": PagerDuty("pager", poster, "R0", pager.url)})
        async with working(worker):
            await worker.take(alert())
            await worker.until_stored("delivered")
            await worker.take(acknowledged())
            await worker.until_stored("delivered", 2)
            await worker.take(over())
            await worker.until_stored("delivered", 3)
    assert pager.received[0].path == "/v2/enqueue"
    key = "touchline:f1"
    assert actions(pager.received) == [("trigger", key), ("acknowledge", key), ("resolve", key)]


async def test_alertmanager_gets_the_alert_its_repetition_and_its_end() -> None:
    rules = policy(Route(("am",)), destinations={"am": Traits(holds_open=True, repeat=15 * MINUTE)})
    async with receiving() as receiver, posting() as poster:
        worker = Worker(rules, {"am": Alertmanager("am", poster, receiver.url + "/", HOUR)})
        async with working(worker):
            await worker.take(alert())
            await _until_told(worker)
            worker.now = START + 15 * MINUTE
            await worker.notify.tick()
            await receiver.until(lambda items: len(items) == 2)
            await worker.take(over(state="withdrawn"))
            await worker.until_stored("delivered", 2)
    assert {item.path for item in receiver.received} == {"/api/v2/alerts"}
    ends = [item.json[0]["endsAt"] for item in receiver.received]
    assert ends == ["2026-03-01T11:00:00Z", "2026-03-01T11:15:00Z", "2026-03-01T10:15:00Z"]


async def test_a_webhook_is_signed_so_that_its_receiver_can_trust_it() -> None:
    async with receiving() as hook, posting() as poster:
        worker = Worker(all_to("hook"), {"hook": Webhook("hook", poster, hook.url + "/touchline", [SECRET])})
        async with working(worker):
            await worker.take(alert())
            await worker.until_stored("delivered")
    (request,) = hook.received
    assert verify(KEYS, {k.lower(): v for k, v in request.headers.items()}, request.body, START // 1_000_000)
    assert request.json["alert"]["finding_id"] == "f1"


async def test_a_service_of_apprise_gets_title_and_body() -> None:
    async with receiving() as chat:
        worker = Worker(all_to("chat"), {"chat": Chat("chat", f"json://127.0.0.1:{chat.port}/token-of-chat")})
        async with working(worker):
            await worker.take(alert())
            await worker.until_stored("delivered")
    (request,) = chat.received
    assert request.json["title"] == "[major] overcharge - crm:ann"
    assert "credit the difference" in request.json["message"]


async def test_a_service_of_apprise_that_refuses_has_failed_and_shows_no_secret() -> None:
    async with receiving() as chat:
        chat.answer = lambda _: web.Response(status=400)
        worker = Worker(all_to("chat"), {"chat": Chat("chat", f"json://127.0.0.1:{chat.port}/token-of-chat")})
        async with working(worker):
            await worker.take(alert())
            (row,) = await worker.until_stored("failed")
    assert "400" in row.reason
    assert "token-of-chat" not in row.reason
    assert len(chat.received) == 1


async def test_a_service_of_apprise_that_does_not_know_us_for_a_while_loses_nothing() -> None:
    async with receiving() as chat:
        chat.answer = lambda _: web.Response(status=401)
        worker = Worker(all_to("chat"), {"chat": Chat("chat", f"json://127.0.0.1:{chat.port}/token-of-chat")})
        async with working(worker):
            await worker.take(alert())
            await _until_failing(worker, "chat", 2)
            chat.answer = ok
            await worker.until_stored("delivered")
    assert all(row.status != "failed" for row in worker.rows)


async def test_a_service_of_apprise_that_is_down_is_tried_until_it_is_back() -> None:
    async with receiving() as chat:
        destination = Chat("chat", f"json://127.0.0.1:{chat.port}/")
        await chat.stop()
        worker = Worker(all_to("chat"), {"chat": destination})
        async with working(worker):
            await worker.take(alert())
            await _until_failing(worker, "chat", 2)
            await chat.start()
            await worker.until_stored("delivered")
    assert len(chat.received) == 1


async def test_a_destination_that_is_down_delays_its_own_alerts_only_and_then_gets_them_all() -> None:
    findings = [f"f{number}" for number in range(20)]
    async with receiving() as well, receiving() as ill, posting() as poster:
        await ill.stop()
        destinations: dict[str, Destination] = {
            "well": PagerDuty("well", poster, "R0", well.url),
            "ill": PagerDuty("ill", poster, "R1", ill.url),
        }
        worker = Worker(all_to("well", "ill"), destinations)
        async with working(worker):
            await worker.take(*[alert(name) for name in findings])
            await worker.until_stored("delivered", len(findings))
            assert worker.notify.backlog()["ill"] == len(findings)
            await _until_failing(worker, "ill", 1)
            await ill.start()
            await worker.until_stored("delivered", 2 * len(findings))
            assert worker.notify.failing() == {}
    for receiver in (well, ill):
        assert sorted(key for _, key in actions(receiver.received)) == sorted(
            f"touchline:{n}" for n in findings
        )


async def test_what_ended_while_a_destination_was_down_is_never_told_there() -> None:
    async with receiving() as pager, posting() as poster:
        await pager.stop()
        worker = Worker(all_to("pager"), {"pager": PagerDuty("pager", poster, "R0", pager.url)})
        async with working(worker):
            await worker.take(alert("f1"), alert("f2"))
            await _until_failing(worker, "pager", 1)
            await worker.take(over("f1", state="withdrawn"))
            await pager.start()
            await worker.until_stored("delivered")
            await worker.take(over("f2"))
            await worker.until_stored("delivered", 2)
    assert actions(pager.received) == [("trigger", "touchline:f2"), ("resolve", "touchline:f2")]


async def test_a_limit_is_kept_for_as_long_as_the_destination_asks() -> None:
    times: list[float] = []

    def limited(_: Received) -> web.Response:
        times.append(time.monotonic())
        return web.Response(status=429, headers={"Retry-After": "1"}) if len(times) == 1 else web.Response()

    async with receiving() as pager, posting() as poster:
        pager.answer = limited
        worker = Worker(all_to("pager"), {"pager": PagerDuty("pager", poster, "R0", pager.url)})
        async with working(worker):
            await worker.take(alert("f1"))
            await _until_failing(worker, "pager", 1)
            await worker.take(alert("f2"))
            await worker.until_stored("delivered", 2)
    assert min(times[1:]) - times[0] >= 1.0


async def test_a_stalled_attempt_may_have_arrived_so_the_end_is_told_too() -> None:
    async with receiving() as pager, posting(timeout=0.3) as poster:
        pager.stalled = True
        worker = Worker(all_to("pager"), {"pager": PagerDuty("pager", poster, "R0", pager.url)})
        async with working(worker):
            await worker.take(alert())
            await _until_failing(worker, "pager", 1)
            pager.stalled = False
            await worker.take(over(state="withdrawn"))
            await worker.until_stored("delivered")
    assert actions(pager.received)[-1] == ("resolve", "touchline:f1")


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405, 407, 410])
async def test_a_destination_that_is_not_itself_for_a_while_loses_no_notice_and_no_withdrawal(
    status: int,
) -> None:
    async with receiving() as pager, posting() as poster:
        worker = Worker(all_to("pager"), {"pager": PagerDuty("pager", poster, "R0", pager.url)})
        async with working(worker):
            for said in (alert(), over(state="withdrawn")):
                told = len(actions(pager.received))
                pager.answer = lambda _: web.Response(status=status, headers={"location": "/elsewhere"})
                await worker.take(said)
                await pager.until(lambda items, told=told: len(items) >= told + 2)
                pager.answer = ok
                await worker.until_stored("delivered", 1 + (said.state == "withdrawn"))
    assert {item.path for item in pager.received} == {"/v2/enqueue"}
    assert set(actions(pager.received)) == {("trigger", "touchline:f1"), ("resolve", "touchline:f1")}
    assert all(row.status != "failed" for row in worker.rows)


@pytest.mark.parametrize("kind", ["alertmanager", "pagerduty", "webhook"])
async def test_what_a_destination_repeats_of_its_secret_is_neither_stored_nor_logged(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = "tok-0123456789"

    def echo(item: Received) -> web.Response:
        said = {**item.headers, "body": item.body.decode(), "expected": SECRET}
        kept = [text for text in said.values() if token in text or SECRET in text]
        return web.Response(status=400 if len(hook.received) > 1 else 503, text="\n".join(kept))

    async with receiving() as hook, posting() as poster:
        hook.answer = echo
        destination: Destination = {
            "alertmanager": Alertmanager(kind, poster, hook.url, HOUR, token),
            "pagerduty": PagerDuty(kind, poster, token, hook.url),
            "webhook": Webhook(kind, poster, hook.url, [SECRET]),
        }[kind]
        worker = Worker(all_to(kind), {kind: destination})
        async with working(worker):
            await worker.take(alert())
            (row,) = await worker.until_stored("failed")
    assert row.reason.startswith("refused: HTTP 400: ")
    assert "***" in row.reason
    secret = SECRET if kind == "webhook" else token
    assert "HTTP 503" in caplog.text
    assert secret not in row.reason + caplog.text


async def test_a_secret_that_an_answer_is_too_long_for_shows_no_beginning() -> None:
    token = "tok-" + "0123456789" * 6
    async with receiving() as am, posting() as poster:
        am.answer = lambda _: web.Response(status=400, text=" " * 790 + token)
        worker = Worker(all_to("am"), {"am": Alertmanager("am", poster, am.url, HOUR, token)})
        async with working(worker):
            await worker.take(alert())
            (row,) = await worker.until_stored("failed")
    assert row.reason == "refused: HTTP 400"


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_what_is_refused_is_not_tried_again_and_holds_up_nothing(status: int) -> None:
    async with receiving() as pager, posting() as poster:
        pager.answer = lambda item: web.Response(
            status=status if item.json["dedup_key"].endswith("f1") else 202
        )
        worker = Worker(all_to("pager"), {"pager": PagerDuty("pager", poster, "R0", pager.url)})
        async with working(worker):
            await worker.take(alert("f1"), alert("f2"))
            (row,) = await worker.until_stored("failed")
            await worker.until_stored("delivered")
    assert row.reason.startswith(f"refused: HTTP {status}")
    assert len(pager.received) == 2


async def test_a_worker_that_dies_in_an_attempt_is_followed_by_one_that_says_it_with_the_same_id() -> None:
    async with receiving() as hook, posting(timeout=30.0) as poster:
        hook.stalled = True
        first = Worker(all_to("hook"), {"hook": Webhook("hook", poster, hook.url, [SECRET])})
        await first.take(alert())
        await hook.until(lambda items: len(items) == 1)
        await first.notify.close()
        hook.stalled = False
        second = Worker(all_to("hook"), {"hook": Webhook("hook", poster, hook.url, [SECRET])}, first.books)
        async with working(second):
            await second.notify.tick()
            await second.until_stored("delivered")
    ids = [item.headers["webhook-id"] for item in hook.received]
    assert len(ids) == 2
    assert len(set(ids)) == 1


async def test_the_books_are_in_the_changelog_before_anybody_is_told() -> None:
    async with receiving() as pager, posting() as poster:
        worker = Worker(all_to("pager"), {"pager": PagerDuty("pager", poster, "R0", pager.url)})
        seen: list[int] = []

        def watch(_: Received) -> web.Response:
            seen.append(len(worker.broker.sent))
            return web.Response()

        pager.answer = watch
        async with working(worker):
            await worker.take(alert())
            await worker.until_stored("delivered")
    assert seen
    assert seen[0] >= 1
    assert all(topic == "touchline.alert-books" for topic, *_ in worker.broker.sent)


async def test_a_partition_that_was_lost_tells_nothing_more_and_takes_nothing_in() -> None:
    async with receiving() as pager, posting() as poster:
        await pager.stop()
        worker = Worker(all_to("pager"), {"pager": PagerDuty("pager", poster, "R0", pager.url)})
        async with working(worker):
            await worker.take(alert("f1"))
            await _until_failing(worker, "pager", 1)
            worker.group.rebalancing_count += 1
            worker.group.consumer_generation_id += 1
            worker.group.assigned = {TP(TOPIC, 1)}
            await worker.notify.tick()
            await pager.start()
            await worker.take(alert("f2"), partition=1)
            await worker.until_stored("delivered")
            assert actions(pager.received) == [("trigger", "touchline:f2")]
            tp = TP(TOPIC, 0)
            with pytest.raises(Fenced):
                await worker.notify(Batch(worker.group, tp, 1, 0, [], []))


async def test_an_attempt_that_outlives_a_rebalance_still_counts_when_the_partition_is_ours_again() -> None:
    async with receiving() as hook, posting(timeout=30.0) as poster:
        release = asyncio.Event()
        worker = Worker(all_to("hook"), {"hook": _Slow(Webhook("hook", poster, hook.url, [SECRET]), release)})
        async with working(worker):
            await worker.take(alert())
            await hook.until(lambda items: len(items) == 1)
            worker.group.rebalancing_count += 1
            worker.group.consumer_generation_id += 1
            await worker.notify.tick()
            release.set()
            await worker.until_stored("delivered")
            assert len(hook.received) == 1


async def test_a_record_that_cannot_be_read_is_a_dead_letter_and_its_neighbours_pass() -> None:
    async with receiving() as pager, posting() as poster:
        worker = Worker(all_to("pager"), {"pager": PagerDuty("pager", poster, "R0", pager.url)})
        async with working(worker):
            await worker.take(b"{", alert(), b'{"type":"alert"}')
            await worker.until_stored("delivered")
    dead = [value for topic, _, _, value in worker.broker.sent if topic == "touchline.dead-letters"]
    assert dead == [b"{", b'{"type":"alert"}']


async def test_a_destination_with_a_fault_of_its_own_fails_that_notice_only() -> None:
    async with receiving() as pager, posting() as poster:
        worker = Worker(
            all_to("pager", "broken"),
            {"pager": PagerDuty("pager", poster, "R0", pager.url), "broken": _Broken()},
        )
        async with working(worker):
            await worker.take(alert())
            (row,) = await worker.until_stored("failed")
            await worker.until_stored("delivered")
    assert (row.destination, row.reason) == (
        "broken",
        "refused: unforeseen ZeroDivisionError: see the worker's log",
    )


async def test_what_waits_for_a_destination_that_is_configured_no_more_has_failed() -> None:
    async with receiving() as pager, posting() as poster:
        await pager.stop()
        first = Worker(all_to("pager"), {"pager": PagerDuty("pager", poster, "R0", pager.url)})
        await first.take(alert())
        await first.notify.close()
        second = Worker(policy(destinations={}), {}, first.books)
        async with working(second):
            await second.notify.tick()
            (row,) = await second.until_stored("failed")
    assert "configured no more" in row.reason


async def test_a_flood_in_several_partitions_is_one_summary_with_all_counts_and_one_end() -> None:
    rules = all_to("pager", flood_limit=1, flood_window=5 * MINUTE)
    async with receiving() as pager, posting() as poster:
        worker = Worker(rules, {"pager": PagerDuty("pager", poster, "R0", pager.url)})
        async with working(worker):
            await _flooded(worker, {0: 3, 1: 5})
            assert len(pager.received) == 3
            worker.now = START + 60 * MINUTE
            await _end_flood(worker, 0, 3)
            assert len(pager.received) == 3, "what the other partition folded stands"
            await _end_flood(worker, 1, 5)
    key = "touchline:flood:overcharge:major:0"
    assert actions(pager.received)[2:] == [("trigger", key), ("resolve", key)]
    assert "6 more findings" in pager.received[2].json["payload"]["custom_details"]["why"]


async def test_a_worker_whose_flood_is_over_ends_no_incident_of_another_worker() -> None:
    rules = all_to("pager", flood_limit=1, flood_window=5 * MINUTE)
    async with receiving() as pager, posting() as poster:
        here, there = (
            Worker(rules, {"pager": PagerDuty("pager", poster, "R0", pager.url)}) for _ in range(2)
        )
        async with working(here), working(there):
            for partition, worker in enumerate((here, there)):
                for number in range(3):
                    name = f"f{partition}.{number}"
                    await worker.take(alert(name, customer=f"crm:{name}"), partition=partition)
                await _until_told(worker)
                worker.now = START + 5 * MINUTE
                await worker.notify.tick()
                await pager.until(lambda items, partition=partition: len(items) == 2 * partition + 2)
                await _until_told(worker)
            await _end_flood(here, 0, 3)
    key = "touchline:flood:overcharge:major"
    assert actions(pager.received)[1::2] == [("trigger", f"{key}:0"), ("trigger", f"{key}:1")]
    assert actions(pager.received)[4] == ("resolve", f"{key}:0")


async def test_partitions_of_one_incident_that_come_apart_end_nothing_that_the_other_stands_in() -> None:
    rules = all_to("pager", flood_limit=1, flood_window=5 * MINUTE)
    async with receiving() as pager, posting() as poster:
        worker = Worker(rules, {"pager": PagerDuty("pager", poster, "R0", pager.url)})
        await _flooded(worker, {0: 3, 1: 4})
        await worker.notify.close()
        host, guest = (
            Worker(rules, {"pager": PagerDuty("pager", poster, "R0", pager.url)}, worker.books)
            for _ in range(2)
        )
        async with working(host), working(guest):
            for number, one in enumerate((host, guest)):
                one.now = START + 60 * MINUTE
                one.group.assigned = {TP(TOPIC, number)}
                await one.notify.tick()
                await _until_told(one)
            key = "touchline:flood:overcharge:major"
            assert actions(pager.received)[2:] == [("trigger", f"{key}:0"), ("trigger", f"{key}:1")]
            assert "3 more findings" in pager.received[3].json["payload"]["custom_details"]["why"]
            await _end_flood(host, 0, 3)
            assert actions(pager.received)[4:] == [("resolve", f"{key}:0")]
            await _end_flood(guest, 1, 4)
            assert actions(pager.received)[5:] == [("resolve", f"{key}:1")]


async def test_a_host_that_is_calm_ends_the_incident_when_the_others_have_left_it() -> None:
    rules = all_to("pager", flood_limit=1, flood_window=5 * MINUTE)
    async with receiving() as pager, posting() as poster:
        worker = Worker(rules, {"pager": PagerDuty("pager", poster, "R0", pager.url)})
        async with working(worker):
            await _flooded(worker, {0: 3, 1: 4})
            await _end_flood(worker, 0, 3)
            assert len(pager.received) == 3
        host, guest = (
            Worker(rules, {"pager": PagerDuty("pager", poster, "R0", pager.url)}, worker.books)
            for _ in range(2)
        )
        async with working(host), working(guest):
            for number, one in reversed(list(enumerate((host, guest)))):
                one.now = START + 60 * MINUTE
                one.group.assigned = {TP(TOPIC, number)}
                await one.notify.tick()
                await _until_told(one)
    key = "touchline:flood:overcharge:major"
    assert actions(pager.received)[3:] == [("trigger", f"{key}:1"), ("resolve", f"{key}:0")]


async def _flooded(worker: Worker, findings: dict[int, int]) -> None:
    """So many findings in each partition, of which the first was told by itself, and the others in one summary."""
    for partition, count in findings.items():
        names = [f"f{partition}.{number}" for number in range(count)]
        await worker.take(*[alert(name, customer=f"crm:{name}") for name in names], partition=partition)
    await _until_told(worker)
    worker.now = START + 5 * MINUTE
    await worker.notify.tick()
    await _until_told(worker)


async def _end_flood(worker: Worker, partition: int, findings: int) -> None:
    """All that was folded is over, and what follows from it was said."""
    for number in range(1, findings):
        name = f"f{partition}.{number}"
        await worker.take(over(name, customer=f"crm:{name}"), partition=partition)
    await worker.notify.tick()
    await _until_told(worker)


class _Broken:
    async def send(self, *_: object) -> Any:
        return 1 // 0

    async def close(self) -> None:
        """Nothing."""


class _Slow:
    """Answers only when it is let."""

    def __init__(self, inner: Webhook, release: asyncio.Event) -> None:
        self._inner = inner
        self._release = release

    async def send(self, notice: Any, now: Micros) -> Any:
        outcome = await self._inner.send(notice, now)
        await self._release.wait()
        return outcome

    async def close(self) -> None:
        """Nothing."""


async def _until_told(worker: Worker) -> None:
    deadline = time.monotonic() + 15.0
    while sum(worker.notify.backlog().values()):
        assert time.monotonic() < deadline, worker.notify.backlog()
        await asyncio.sleep(0.005)


async def _until_failing(worker: Worker, name: str, attempts: int) -> None:
    deadline = time.monotonic() + 15.0
    while worker.notify.failing().get(name, 0) < attempts:
        assert time.monotonic() < deadline, worker.notify.failing()
        await asyncio.sleep(0.005)


def forgetting(worker: Worker, customer: str) -> Forgetting:
    worker.known.erase(*erasure_parts("e1", START, [HASHES.erased_customer(customer)], []))
    return Forgetting(("e1",))


async def test_who_was_told_of_a_forgotten_customer_hears_the_end_without_the_name_and_nothing_is_kept() -> (
    None
):
    async with receiving() as hook, posting() as poster:
        worker = Worker(all_to("hook"), {"hook": Webhook("hook", poster, hook.url, [SECRET])})
        async with working(worker):
            await worker.take(alert(customer="crm:ann"), alert("f2", customer="crm:bob"), acknowledged())
            await worker.until_stored("delivered", 2)
            gone = over(
                state="withdrawn", customer="crm:ann", reason=ERASED, sentence="The customer was forgotten."
            )
            await worker.take(gone, forgetting(worker, "crm:ann"), alert("f3", customer="crm:ann"))
            await worker.until_stored("delivered", 4)
            assert worker.erasures == []
            await worker.take(Forgetting(("e1",), done=True))
    closing = next(item for item in hook.received if b"withdrawn" in item.body)
    assert b"crm:" not in closing.body
    assert worker.erasures == [ErasureDone("e1", 0)]
    book = decode_book(worker.books[0][b"crm:ann"])
    assert [record.finding_id for record in book.records] == ["f3"], "what came behind the erasure is new"
    assert decode_book(worker.books[0][b"crm:bob"]).records
    assert ("touchline.alert-books", 0, b"crm:ann", None) in worker.broker.sent


async def test_a_destination_that_is_down_keeps_nobody_from_being_forgotten() -> None:
    async with receiving() as hook, posting() as poster:
        hook.answer = lambda _: web.Response(status=503)
        worker = Worker(
            all_to("hook"), {"hook": Webhook("hook", poster, hook.url, [SECRET])}, closing_patience=0.05
        )
        async with working(worker):
            await worker.take(alert(customer="crm:ann"), forgetting(worker, "crm:ann"))
            assert b"crm:ann" not in worker.books[0]
            rows = len(worker.rows)
            await worker.notify.tick()
            assert len(worker.rows) == rows


async def test_a_flood_of_which_only_findings_of_a_forgotten_customer_stood_is_over() -> None:
    rules = all_to("pager", flood_limit=1, flood_window=5 * MINUTE)
    async with receiving() as pager, posting() as poster:
        worker = Worker(rules, {"pager": PagerDuty("pager", poster, "R0", pager.url)})
        async with working(worker):
            await worker.take(alert("f1", customer="crm:bob"), *(alert(f"f{n}") for n in (2, 3)))
            await _until_told(worker)
            worker.now = START + 5 * MINUTE
            await worker.notify.tick()
            await _until_told(worker)
            await worker.take(forgetting(worker, "crm:ann"))
            await worker.notify.tick()
            await _until_told(worker)
    key = "touchline:flood:overcharge:major:0"
    assert actions(pager.received)[1:] == [("trigger", key), ("resolve", key)]


async def test_floods_name_no_forgotten_customer() -> None:
    folded = (alert(f"f{n}", customer=name) for n, name in enumerate(["crm:a", "crm:ann", "crm:bob"]))
    async with receiving() as hook, posting() as poster:
        worker = Worker(all_to("hook", flood_limit=1), {"hook": Webhook("hook", poster, hook.url, [SECRET])})
        async with working(worker):
            await worker.take(*folded, forgetting(worker, "crm:ann"))
    books = [decode_book(book) for key, book in worker.books[0].items() if key.startswith(FLOOD_PREFIX)]
    (flood,) = (book.flood for book in books)
    assert flood is not None
    assert [line.examples for line in flood.lines] == [("crm:bob",)]
    assert [line.folded for line in flood.lines] == [1], "who is forgotten is not counted either"
