"""The mock Kafka inside librdkafka as a child process: for demonstrations and tests where Java is missing.

`python -m sinks.embedded.kafka.mock --topic NAME:PARTITIONS ...` prints one line of JSON when it serves,
`{"ready": true, "bootstrap": HOST:PORT, "control": HOST:PORT, "limits": [...]}`, and runs until SIGTERM or
SIGINT. The mock chooses its ports itself; librdkafka has no way to ask for one.

How it treats topics (librdkafka 2.16, `rdkafka_mock.c` and `rdkafka_mock_handlers.c`): a metadata request for
an unknown topic creates it with 4 partitions, unless the request says `allow_auto_topic_creation=false`; that
number is fixed, and CreateTopics is not implemented. But the C function `rd_kafka_mock_topic_create` takes
any number, so a topic that must have a certain number is created through `--topic` or, at any later time and
from any process, through the control port (`create_topic` below), *before* a client asks for it.
Retention is fixed in C with no setter.

Groups of one member are sound. In a larger one the mock declares the group settled as soon as the leader's
SyncGroup is in; a member whose own SyncGroup comes after it is answered INVALID_REQUEST, which aiokafka takes
for fatal (`rd_kafka_mock_cgrp_classic_sync_check`). Leaders compute the assignment first, so it is rare.
When a member leaves or dies, the group stands still for the session timeout less one second.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import signal
import socket
import socketserver
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from sinks.embedded.ports import LOOPBACK
from sinks.embedded.processes import Child, ready_line

LIMITS = (
    "chooses its own port, another one at each start",
    "keeps only the newest 5 MB, or 100,000 batches, of each partition and drops older records unread",
    "forgets everything when it stops",
    "never compacts: a compacted topic keeps its older values, within the 5 MB",
    "creates a topic that a client asks for by itself, with 4 partitions",
    "answers no admin request: no CreateTopics, DescribeConfigs or ListGroups",
    "now and then refuses a worker that joins a group together with others; the worker is then started again",
)

# For kafka-python's `api_version`: the mock's answer to ApiVersions 3 and later (Kafka 2.4) cannot be parsed,
# and a client that is told nothing begins with the newest. aiokafka needs no such help.
CLIENT_API_VERSION = (2, 3)

_RD_KAFKA_PRODUCER = 0
_TOPIC_ALREADY_EXISTS = 36
_ERROR_TEXT_BYTES = 512
# Where `python -m sinks...` finds this package, wherever we were called.
_IMPORT_ROOT = Path(__file__).resolve().parents[3]


class MockBroker:
    """The mock as a child process, used like `broker.KafkaBroker`; its address is known once it runs."""

    def __init__(self, log_file: Path, topics: Mapping[str, int] | None = None) -> None:
        """Describe a mock that has `topics` (name to number of partitions) before anyone can ask for them."""
        arguments = [f"--topic={name}:{partitions}" for name, partitions in (topics or {}).items()]
        command = [sys.executable, "-m", "sinks.embedded.kafka.mock", *arguments]
        self.child = Child("the mock Kafka", command, log_file, ready=ready_line, directory=_IMPORT_ROOT)

    @property
    def bootstrap(self) -> str:
        """HOST:PORT for clients. Raises `KeyError` before the start."""
        return str(self.child.announced["bootstrap"])

    @property
    def control(self) -> str:
        """HOST:PORT for `create_topic`. Raises `KeyError` before the start."""
        return str(self.child.announced["control"])

    def prepare(self) -> Child:
        """Return the child, not yet started; there is nothing to prepare."""
        return self.child

    def start(self) -> MockBroker:
        """Start the mock, wait until it serves and return self. Raises `ChildError`."""
        self.child.start()
        return self

    def stop(self) -> int | None:
        """Stop the mock, which forgets everything; return its exit status, 0 for a clean stop."""
        return self.child.stop()

    def __enter__(self) -> MockBroker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def create_topic(control: str, name: str, partitions: int) -> bool:
    """Create a topic in the mock whose control address is given; False when there is one of that name.

    A topic that exists may have another number of partitions, which its metadata tells. Raises `ValueError`
    when the mock refuses the name or the number, `OSError` when it cannot be reached.
    """
    host, _, port = control.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as connection,
        connection.makefile("rw") as line,
    ):
        line.write(json.dumps({"create_topic": name, "partitions": partitions}) + "\n")
        line.flush()
        answer = json.loads(line.readline())
    if "error" in answer:
        raise ValueError(f"the mock Kafka cannot create the topic {name!r}: {answer['error']}")
    return bool(answer["created"])


class _Cluster:
    """One mock broker in this process. Python's client offers the mock without its C functions; ctypes does."""

    def __init__(self) -> None:
        import confluent_kafka.cimpl

        # Symbols of a loaded extension's own libraries are found through it, wherever the wheel keeps them.
        self._library = library = ctypes.CDLL(confluent_kafka.cimpl.__file__)
        for function in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
            getattr(library, function).restype = ctypes.c_void_p
        library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        library.rd_kafka_err2str.restype = ctypes.c_char_p
        text = ctypes.create_string_buffer(_ERROR_TEXT_BYTES)
        configuration = ctypes.c_void_p(library.rd_kafka_conf_new())
        handle = library.rd_kafka_new(_RD_KAFKA_PRODUCER, configuration, text, ctypes.c_size_t(len(text)))
        if not handle:
            raise RuntimeError(f"librdkafka gives no handle: {text.value.decode()}")
        cluster = library.rd_kafka_mock_cluster_new(ctypes.c_void_p(handle), 1)
        if not cluster:
            raise RuntimeError("librdkafka gives no mock cluster")
        self._handle, self._cluster = ctypes.c_void_p(handle), ctypes.c_void_p(cluster)
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self.bootstrap: str = library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def create_topic(self, name: str, partitions: int) -> bool:
        """Create a topic; False when it exists. Raises `ValueError` when librdkafka refuses it."""
        # The C code allocates what it is told, and would end the process over a negative number.
        if not name or not 1 <= partitions <= 10_000:
            raise ValueError("a topic needs a name and 1 to 10,000 partitions")
        error = self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        if error == _TOPIC_ALREADY_EXISTS:
            return False
        if error:
            raise ValueError(self._library.rd_kafka_err2str(error).decode())
        return True

    def close(self) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._handle)


class _Control(socketserver.ThreadingTCPServer):
    """Answers one line of JSON with one line of JSON, per connection."""

    daemon_threads = True

    def __init__(self, cluster: _Cluster) -> None:
        super().__init__((LOOPBACK, 0), _Request)
        self.cluster = cluster


class _Request(socketserver.StreamRequestHandler):
    timeout = 10
    server: _Control

    def handle(self) -> None:
        answer: dict[str, Any]
        try:
            order = json.loads(self.rfile.readline())
            answer = {
                "created": self.server.cluster.create_topic(order["create_topic"], int(order["partitions"]))
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            answer = {"error": str(error)}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


def _topic(text: str) -> tuple[str, int]:
    name, _, partitions = text.rpartition(":")
    if not name or not partitions.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:PARTITIONS")
    return name, int(partitions)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a mock until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m sinks.embedded.kafka.mock",
        description="A Kafka for demonstrations and tests. It " + "; it ".join(LIMITS) + ".",
    )
    parser.add_argument("--topic", metavar="NAME:PARTITIONS", type=_topic, action="append", default=[])
    topics = parser.parse_args(arguments).topic
    # Blocked before librdkafka starts its threads, which inherit it: so that only sigwait sees them.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    cluster = _Cluster()
    for name, partitions in topics:
        cluster.create_topic(name, partitions)
    with _Control(cluster) as control:
        threading.Thread(target=control.serve_forever, daemon=True).start()
        address = f"{LOOPBACK}:{control.server_address[1]}"
        ready = {"ready": True, "bootstrap": cluster.bootstrap, "control": address, "limits": LIMITS}
        print(json.dumps(ready), flush=True)
        signal.sigwait(ends)
        control.shutdown()
    cluster.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
