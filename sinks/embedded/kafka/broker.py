"""The real Apache Kafka as a child process: KRaft, one node, broker and controller in one, on loopback.

What was acknowledged survives a stop and a kill -9 of the broker. It is not flushed to the disk at once, as
in every Kafka by default: a power cut may take the last seconds, which a cluster would have on other
machines.
"""

from __future__ import annotations

import base64
import fcntl
import os
import socket
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from sinks.embedded.errors import ChildError, HomeInUseError
from sinks.embedded.kafka.config import LOG4J2, server_properties
from sinks.embedded.kafka.java import Java
from sinks.embedded.ports import LOOPBACK, check_port_free, free_port
from sinks.embedded.processes import Child, ready_when

# Measured on two cores with 220-byte records: with the first compiler tier alone the broker starts in half
# the CPU time *and* carries 1.5 times the records of its first two million, as nothing competes with it for
# the cores. The serial collector saves 50 MB and some threads.
JVM_FLAGS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Djava.awt.headless=true")

_SETTING = "TOUCHLINE_LOCAL__KAFKA_PORT"


@dataclass(frozen=True)
class KafkaRuntime:
    """All that it takes to run Kafka; `install.install_kafka` makes one.

    `class_archive` holds Kafka's classes as this Java wants them in memory; it halves the start-up and may be
    None.
    """

    java: Java
    jars: Path
    class_archive: Path | None = None

    def command(self, main_class: str, *arguments: str | Path, flags: tuple[str, ...] = ()) -> list[str]:
        """The command line that runs `main_class`, no shell involved."""
        # Java accepts a class archive only with the very class path that it was made with.
        class_path = os.pathsep.join(str(jar) for jar in sorted(self.jars.glob("*.jar")))
        archive = (f"-XX:SharedArchiveFile={self.class_archive}",) if self.class_archive else ()
        options = (*JVM_FLAGS, *archive, *flags)
        return [str(self.java.executable), *options, "-cp", class_path, main_class, *map(str, arguments)]


class KafkaBroker:
    """Kafka with its data in one directory. `start` after `stop`, or after a crash, goes on where it was."""

    def __init__(
        self,
        directory: Path,
        port: int,
        runtime: KafkaRuntime,
        *,
        log_file: Path | None = None,
        heap_megabytes: int = 512,
        port_setting: str = _SETTING,
        jvm_flags: tuple[str, ...] = (),
    ) -> None:
        """Describe a broker on loopback `port`; nothing is started or written yet.

        `log_file` defaults to `kafka.log` in `directory`. `port_setting` is named when the port is taken.
        """
        self.directory = directory
        self.port = port
        self.bootstrap = f"{LOOPBACK}:{port}"
        self._runtime = runtime
        self._port_setting = port_setting
        self._properties = directory / "server.properties"
        self._log4j2 = directory / "log4j2.properties"
        self._flags = (
            f"-Xmx{heap_megabytes}m",
            f"-Dlog4j2.configurationFile={self._log4j2.as_uri()}",
            *jvm_flags,
        )
        self.child = Child(
            "Kafka",
            runtime.command("kafka.Kafka", self._properties, flags=self._flags),
            log_file or directory / "kafka.log",
            ready=ready_when(self._answers),
            ready_timeout=90,
            stop_timeout=20,
        )

    @property
    def cluster_id(self) -> str:
        """Kafka's id of this cluster of one, kept with its data."""
        return (self.directory / "cluster-id").read_text().strip()

    def prepare(self) -> Child:
        """Make what the start needs (configuration, formatted storage) and return the child, not yet started.

        Raises `PortTakenError`, `HomeInUseError`, or `ChildError` when the storage cannot be formatted.
        """
        check_port_free(LOOPBACK, self.port, "Kafka", setting=self._port_setting)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = self.directory / "data"
        if _locked(data / ".lock"):
            raise HomeInUseError(
                f"Another Kafka works in {self.directory}. Stop it, or choose another directory."
            )
        self._properties.write_text(server_properties(self.port, free_port(), data))
        self._log4j2.write_text(LOG4J2)
        if not (data / "meta.properties").exists():
            self._format()
        return self.child

    def start(self) -> KafkaBroker:
        """Start the broker, wait until it answers a metadata request and return self.

        Raises `PortTakenError`, `HomeInUseError` or `ChildError`.
        """
        self.prepare().start()
        return self

    def stop(self) -> int | None:
        """Stop the broker (SIGTERM; SIGKILL after 20 s) and return its exit status, 143 for a clean stop."""
        return self.child.stop()

    def __enter__(self) -> KafkaBroker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _format(self) -> None:
        identity = self.directory / "cluster-id"
        if not identity.exists():
            identity.write_text(_new_cluster_id())
        arguments = (
            "format",
            "--ignore-formatted",
            "--cluster-id",
            self.cluster_id,
            "--config",
            self._properties,
        )
        command = self._runtime.command("kafka.tools.StorageTool", *arguments, flags=self._flags)
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-10:])
            raise ChildError(f"Kafka could not format its storage in {self.directory}:\n{last}")

    def _answers(self) -> bool:
        """Whether a broker of *this* cluster answers: another server may have got the port first."""
        try:
            socket.create_connection((LOOPBACK, self.port), timeout=1).close()
        except OSError:
            return False
        try:
            admin = KafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=5000)
        except KafkaError:
            return False
        try:
            cluster = admin.describe_cluster()
        except KafkaError:
            return False
        finally:
            admin.close()
        return bool(cluster["brokers"]) and cluster["cluster_id"] == self.cluster_id


def _locked(lock_file: Path) -> bool:
    """Whether a Java process holds the lock (POSIX's) by which Kafka claims a data directory.

    A second Kafka would notice too, but only after half a minute, and it leaves the first one without a
    controller.
    """
    if not lock_file.exists():
        return False
    with lock_file.open("r+b") as handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _new_cluster_id() -> str:
    """A random UUID as Kafka writes them: URL-safe base64 without padding, and no leading dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
