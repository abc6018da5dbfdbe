"""What the Kafka road leans on inside faust-streaming and aiokafka: an upgrade fails here and not in production.

Each test names a private method, attribute or habit that `streams/kafka` and `streams/app.py` use, and proves it on
the installed library, not on a copy of what we believe.
"""

import asyncio
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher as AiokafkaFetcher
from aiokafka.consumer.subscription_state import Assignment, SubscriptionState, TopicPartitionState
from aiokafka.errors import KafkaError, KafkaTimeoutError, LeaderNotAvailableError
from aiokafka.structs import ConsumerRecord
from faust.app.base import App
from faust.stores.base import Store
from faust.tables import recovery
from faust.tables.recovery import Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service
from mode.utils.queues import FlowControlEvent

from sinks.clickhouse.pseudonyms import CLEAR
from streams.app import build_app, build_knowledge, faust_app
from streams.kafka.access import KafkaAccess
from streams.kafka.store import TimelineStore
from streams.kafka.transport import FETCH_WAIT_MS, Consumer, Transport, _ConsumerThread
from streams.settings import Settings
from tests.unit.agents.fakes import Epochs, Sink

RAW = TP("touchline.phone", 0)


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.fixture
async def app(tmp_path: Path) -> faust.App:
    settings, access = Settings(), KafkaAccess("127.0.0.1:1")
    knowledge = build_knowledge(settings, access, CLEAR)
    built = build_app(settings, access, Sink(), Epochs(), knowledge, tmp_path)
    built.finalize()
    return built


def consumer_of(app: faust.App) -> Consumer:
    async def unused(*_: Any, **__: Any) -> None:
        raise AssertionError

    consumer = app.transport.create_consumer(
        unused, on_partitions_revoked=unused, on_partitions_assigned=unused
    )
    assert isinstance(consumer, Consumer)
    return consumer


# -- versions


@pytest.mark.parametrize(("name", "pinned"), [("faust-streaming", "0.15.3"), ("aiokafka", "0.14.0")])
def test_installed_is_the_pinned_version(name: str, pinned: str) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert f"{name}=={pinned}" in project["dependencies"]
    assert version(name) == pinned


# -- the transport: what is overridden is what Faust calls


@pytest.mark.parametrize(
    ("ours", "theirs", "method"),
    [
        (Consumer, driver.Consumer, "_drain_messages"),
        (Consumer, driver.Consumer, "_new_consumer_thread"),
        (Consumer, driver.Consumer, "_new_offset"),
        (Consumer, driver.Consumer, "on_partitions_assigned"),
        (Consumer, driver.Consumer, "on_partitions_revoked"),
        (Consumer, driver.Consumer, "perform_seek"),
        (Consumer, driver.Consumer, "verify_event_path"),
        (_ConsumerThread, driver.AIOKafkaConsumerThread, "_create_worker_consumer"),
        (TimelineStore, Store, "on_recovery_completed"),
        (TimelineStore, Store, "apply_changelog_batch"),
        (TimelineStore, Store, "persisted_offset"),
    ],
)
def test_overridden_method_exists_and_takes_the_same_arguments(ours: type, theirs: type, method: str) -> None:
    assert parameters(getattr(ours, method)) == parameters(getattr(theirs, method))
    assert inspect.iscoroutinefunction(getattr(ours, method)) == inspect.iscoroutinefunction(
        getattr(theirs, method)
    )


def test_fetch_records_is_called_with_what_we_pass_on() -> None:
    assert parameters(driver.AIOKafkaConsumerThread._fetch_records) == [
        "self",
        "consumer",
        "active_partitions",
        "timeout",
        "max_records",
    ]
    assert "self._fetch_records" in inspect.getsource(driver.AIOKafkaConsumerThread.getmany)


async def test_faust_fetcher_service_drains_through_our_method(app: faust.App) -> None:
    drained: list[object] = []

    async def drain(fetcher: object) -> None:
        drained.append(fetcher)

    app._consumer = SimpleNamespace(_drain_messages=drain)
    fetcher = faust_consumer.Fetcher(app)
    await fetcher._fetcher.fun(fetcher)
    assert drained == [fetcher]


async def test_wait_next_records_returns_records_and_the_active_partitions(
    app: faust.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = consumer_of(app)
    consumer._set_active_tps({RAW})
    asked: list[object] = []

    async def getmany(active_partitions: set[TP], timeout: float) -> dict[TP, list[int]]:
        asked.append((active_partitions, timeout))
        return {RAW: [1]}

    monkeypatch.setattr(consumer, "_getmany", getmany)
    assert await consumer._wait_next_records(0.5) == ({RAW: [1]}, {RAW})
    assert asked == [({RAW}, 0.5)]


async def test_our_fetch_wait_is_the_one_that_aiokafka_sends(app: faust.App) -> None:
    thread = consumer_of(app)._new_consumer_thread()
    consumer = thread._create_worker_consumer(app.transport)
    assert isinstance(consumer, AIOKafkaConsumer)
    assert consumer._fetch_max_wait_ms == FETCH_WAIT_MS
    # `start` hands the attribute to the fetcher, and the fetcher puts it into each request.
    assert "fetch_max_wait_ms=self._fetch_max_wait_ms" in inspect.getsource(AIOKafkaConsumer.start)
    assert "self._fetch_max_wait_ms" in inspect.getsource(AiokafkaFetcher._get_actions_per_node)


async def test_message_of_a_record_can_carry_a_list_in_place_of_its_value(app: faust.App) -> None:
    app.consumer_generation_id = 4
    record = ConsumerRecord("touchline.phone", 0, 7, 1_000, 0, b"k", b"v", None, 1, 1, ())
    message = consumer_of(app)._to_message(RAW, record)
    message.key, message.value = None, [record]
    assert (message.tp, message.offset, message.generation_id, message.value) == (RAW, 7, 4, [record])


async def test_consumer_keeps_the_books_that_we_read_and_reset(app: faust.App) -> None:
    consumer = consumer_of(app)
    assert consumer._acked[RAW] == []
    assert consumer._acked_index[RAW] == set()
    assert consumer._committed_offset[RAW] is None
    assert consumer._read_offset[RAW] is None
    assert consumer._buffered_partitions == set()
    assert consumer.flow_active
    assert isinstance(consumer.suspend_flow, asyncio.Event)
    assert consumer.consumer_stopped_errors


async def test_acknowledging_puts_the_offset_where_our_new_offset_finds_it(app: faust.App) -> None:
    consumer = app._consumer = consumer_of(app)
    app.topics._acking_topics.add(RAW.topic)
    record = ConsumerRecord("touchline.phone", 0, 7, 1_000, 0, b"k", b"v", None, 1, 1, ())
    message = consumer._to_message(RAW, record)
    assert consumer.ack(message)
    assert consumer._filter_committable_offsets([RAW]) == {RAW: 8}


async def test_a_full_partition_leaves_the_active_ones_and_comes_back(app: faust.App) -> None:
    consumer = consumer_of(app)
    consumer._set_active_tps({RAW})
    assert not app.in_recovery
    consumer.on_buffer_full(RAW)
    assert (consumer._get_active_partitions(), consumer._buffered_partitions) == (set(), {RAW})
    consumer.on_buffer_drop(RAW)
    assert (consumer._get_active_partitions(), consumer._buffered_partitions) == ({RAW}, set())


async def test_a_stopped_flow_wakes_whoever_waits(app: faust.App) -> None:
    consumer = consumer_of(app)
    waiting = asyncio.create_task(consumer.wait_first(asyncio.Event().wait(), consumer.suspend_flow.wait()))
    await asyncio.sleep(0)
    consumer.stop_flow()
    await asyncio.wait_for(waiting, 5)


async def test_revocation_forgets_the_books_of_the_lost_partitions(app: faust.App) -> None:
    consumer = consumer_of(app)
    told: list[set[TP]] = []

    async def revoked(tps: set[TP]) -> None:
        told.append(tps)

    consumer._on_partitions_revoked = revoked
    consumer._acked[RAW].append(7)
    await consumer.on_partitions_revoked({RAW})
    assert RAW not in consumer._acked
    assert told == [{RAW}]


async def test_a_rebalance_counts_up_and_flags_before_anything_is_awaited(app: faust.App) -> None:
    before = app.rebalancing_count
    app.on_rebalance_start()
    assert app.rebalancing
    assert app.rebalancing_count == before + 1
    app.on_rebalance_end()
    assert not app.rebalancing
    source = inspect.getsource(driver.ConsumerRebalanceListener.on_partitions_revoked)
    assert not inspect.iscoroutinefunction(driver.ConsumerRebalanceListener.on_partitions_revoked)
    assert source.index("on_rebalance_start()") < source.index("thread.on_partitions_revoked")


def test_generation_is_set_on_the_app_before_the_new_partitions_are_told() -> None:
    source = inspect.getsource(driver.ConsumerRebalanceListener.on_partitions_assigned)
    assert source.index("app.consumer_generation_id = generation") < source.index("await")


# -- aiokafka's partition states, which tell ends and lag


async def test_state_of_a_partition_has_position_highwater_and_time_of_the_answer() -> None:
    subscription = SubscriptionState()
    subscription.subscribe({"t"})
    partition = TopicPartition("t", 0)
    subscription.assign_from_subscribed([partition])
    assignment = subscription.subscription.assignment
    assert isinstance(assignment, Assignment)
    assert set(assignment.tps) == {partition}
    state = assignment.state_value(partition)
    assert isinstance(state, TopicPartitionState)
    assert not state.has_valid_position
    assert (state.highwater, state.timestamp) == (None, None)
    state.reset_to(5)
    state.highwater = 5
    assert (state.has_valid_position, state.position) == (True, 5)
    assert assignment.state_value(TopicPartition("t", 1)) is None


def test_the_fetcher_notes_highwater_and_time_in_milliseconds() -> None:
    source = inspect.getsource(AiokafkaFetcher._proc_fetch_request)
    assert "tp_state.highwater = highwater" in source
    assert "tp_state.timestamp = fetch_response_time" in source or "tp_state.timestamp =" in source


# -- the producer


def test_batches_are_built_and_sent_with_these_arguments() -> None:
    assert parameters(AIOKafkaProducer.send_batch) == ["self", "batch", "topic", "partition"]
    assert parameters(AIOKafkaProducer.create_batch) == ["self"]


async def test_a_builder_takes_one_record_of_any_size_and_then_says_that_it_is_full() -> None:
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1", max_batch_size=1_000)
    builder = producer.create_batch()
    assert builder.append(key=b"k", value=b"x" * 50_000, timestamp=None) is not None
    assert builder.append(key=b"k", value=b"x", timestamp=None) is None
    assert builder.record_count() == 1


async def test_the_producer_of_the_app_is_aiokafkas_own(app: faust.App) -> None:
    assert parameters(driver.Producer._ensure_producer) == ["self"]
    assert app.transport.Producer is driver.Producer


def test_errors_say_whether_they_pass() -> None:
    assert LeaderNotAvailableError().retriable
    assert not KafkaTimeoutError().retriable, "why streams.agents.lanes.PASSING names it"
    assert not KafkaError().retriable


# -- the table and its recovery


async def test_the_apps_table_uses_our_store(app: faust.App) -> None:
    table = app.tables["timelines"]
    assert isinstance(table.data, TimelineStore)
    assert app.tables.changelog_topics == {"touchline.timelines", "touchline.alert-books"}


async def test_recovery_applies_changelog_batches_through_our_store(app: faust.App) -> None:
    table = app.tables["timelines"]
    change = SimpleNamespace(partition=2, key=b"k", value=b"v")
    table.apply_changelog_batch([SimpleNamespace(message=SimpleNamespace(value=[change]))])
    assert table.data.partition(2) == {b"k": b"v"}


async def test_active_offsets_are_where_recovery_goes_on(app: faust.App) -> None:
    recovery, tp = app.tables.recovery, TP("touchline.timelines", 2)
    assert isinstance(recovery, Recovery)
    table = app.tables["timelines"]
    recovery.add_active(table, tp)
    assert recovery.active_offsets[tp] is None, "a new owner begins at the beginning"
    recovery.active_offsets[tp] = 9
    recovery.add_active(table, tp)
    assert recovery.active_offsets[tp] == 9
    recovery.active_highwaters[tp] = 9
    assert not recovery.need_recovery()
    recovery.active_highwaters[tp] = 10
    assert recovery.need_recovery()
    recovery.revoke(tp)
    assert tp not in recovery.active_offsets


async def test_a_partition_that_leaves_is_recovered_from_the_beginning_when_it_returns(
    app: faust.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovery = app.tables.recovery
    stays, leaves = TP("touchline.timelines", 0), TP("touchline.timelines", 1)
    actives = {stays, leaves}
    monkeypatch.setattr(app, "assignor", SimpleNamespace(
        assigned_standbys=set, assigned_actives=lambda: actives
    ), raising=False)  # fmt: skip
    app.consumer_generation_id = 1
    await recovery.on_rebalance(set(actives), set(), set(actives), 1)
    recovery.active_offsets[stays] = recovery.active_offsets[leaves] = 5
    actives = {stays}
    await recovery.on_rebalance({stays}, {leaves}, set(), 1)
    assert dict(recovery.active_offsets) == {stays: 5}
    actives = {stays, leaves}
    await recovery.on_rebalance({stays, leaves}, set(), {leaves}, 1)
    assert dict(recovery.active_offsets) == {stays: 5, leaves: None}


def test_recovery_finishes_by_purging_seeking_and_only_then_ending_the_rebalance() -> None:
    source = inspect.getsource(Recovery.on_recovery_completed)
    order = [
        "table.on_recovery_completed",
        "consumer.perform_seek()",
        "flow_control.resume()",
        "consumer.resume_flow()",
        "on_rebalance_end()",
    ]
    places = [source.index(step) for step in order]
    assert places == sorted(places)


def test_whoever_seeks_resumes_the_flow_next() -> None:
    """Our `perform_seek` stops it, since resuming empties the queues of all agents."""
    source = inspect.getsource(Recovery._resume_streams)
    assert source.index("consumer.perform_seek()") < source.index("consumer.resume_flow()")
    assert "self.clear()" in inspect.getsource(FlowControlEvent.resume)
    calls = sum(inspect.getsource(module).count(".perform_seek()") for module in (recovery, faust_consumer))
    assert calls == 3, "two in the recovery, one in `getmany`, which is not used here"


async def test_a_wait_that_times_out_stops_recovery_and_never_lets_it_go_on_half_done() -> None:
    class Waiting(Service):  # type: ignore[misc]
        pass

    result = await Waiting().wait_first(asyncio.Event().wait(), timeout=0.01)
    assert result.stopped
    assert "if wait_result.stopped:" in inspect.getsource(Recovery._wait)


async def test_a_table_keeps_the_copartitioned_assignor(app: faust.App) -> None:
    consumer_of(app)._new_consumer_thread()._create_worker_consumer(app.transport)
    thread = consumer_of(app)._new_consumer_thread()
    thread._create_worker_consumer(app.transport)
    assert thread._assignor is app.assignor


# -- the app


def test_an_app_takes_its_transport_from_the_attribute(tmp_path: Path) -> None:
    bare = faust_app(Settings(), KafkaAccess("127.0.0.1:1"), tmp_path)
    assert isinstance(bare.transport, Transport)
    assert bare.transport.Consumer is Consumer
    assert isinstance(bare._new_consumer(), Consumer)


async def test_settings_that_keep_faust_from_doing_harm(app: faust.App) -> None:
    conf = app.conf
    assert conf.processing_guarantee.value == "at_least_once"
    assert not conf.topic_allow_declare
    assert not conf.stream_wait_empty
    assert not conf.web_enabled
    assert conf.topic_disable_leader
    assert conf.broker_max_poll_interval == 86_400
    assert conf.producer_acks == -1
    assert not conf.producer_threaded


async def test_streams_can_be_read_without_automatic_acknowledgement(app: faust.App) -> None:
    stream = app.stream(app.topic("t", value_serializer="raw"))
    assert not stream.noack().enable_acks


def test_an_agent_that_raises_would_acknowledge_what_it_was_given() -> None:
    """Why the agents end the process: the event of a failed agent counts as done."""
    source = inspect.getsource(faust.Stream._py_aiter)
    assert "finally" in source
    assert "ack" in source[source.index("finally") :]


async def test_app_members_that_agents_read(app: faust.App) -> None:
    assert isinstance(app, App)
    assert app.consumer_generation_id == 0
    assert not app.rebalancing
    assert not app.in_recovery
    assert callable(app.on_before_shutdown.connect)
    assert inspect.iscoroutinefunction(app.tables.wait_until_recovery_completed)
