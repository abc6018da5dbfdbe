"""The configuration of the embedded Kafka: one node on loopback, for one machine's data."""

from pathlib import Path

from sinks.embedded.ports import LOOPBACK

# Everything to standard output, which goes to the child's log file. Kafka's own INFO is 2,000 lines a start.
LOG4J2 = """\
status = error
shutdownHook = disable
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""


def server_properties(port: int, controller_port: int, data: Path) -> str:
    """The text of `server.properties` for a broker that is its own controller, with its log in `data`.

    Ports may differ from start to start: nothing of them is kept in the log.
    """
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": data,
        # A topic with a guessed number of partitions would break co-partitioning without a word.
        "auto.create.topics.enable": "false",
        # Retention is each topic's own affair; by default nothing goes. Offsets outlive a home not started
        # for a week.
        "log.retention.ms": -1,
        "offsets.retention.minutes": 2**31 - 1,
        # Smaller segments let the changelog be compacted sooner and a killed broker come back faster.
        "log.segment.bytes": 128 * 2**20,
        "log.cleaner.dedupe.buffer.size": 32 * 2**20,
        # Alone on a laptop there is nobody to wait for.
        "group.initial.rebalance.delay.ms": 0,
        # Also how long a broker that was killed waits for its former self to expire, before it may serve again.
        "broker.session.timeout.ms": 4000,
        "broker.heartbeat.interval.ms": 1000,
        "group.min.session.timeout.ms": 1000,
        # One replica is all that one node can keep.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 2,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        # Threads for a handful of clients, not for a data centre.
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 4,
    }
    return "".join(f"{name}={_escape(str(value))}\n" for name, value in settings.items())


def _escape(value: str) -> str:
    """Java reads properties as Latin-1 with backslash escapes; a home may be named in any script."""
    escaped = value.replace("\\", "\\\\")
    units = escaped.encode("utf-16-be")
    codes = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
    return "".join(chr(code) if 0x20 <= code < 0x7F else f"\\u{code:04x}" for code in codes)
