"""A real Kafka with the listeners that deployments have: TLS with SASL, TLS with certificates of clients, SASL alone.

The product's own embedded broker has none of them. Certificates are made here, by an authority that lives as
long as the test.
"""

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sinks.embedded.kafka.broker import KafkaRuntime
from sinks.embedded.kafka.config import LOG4J2, server_properties
from sinks.embedded.kafka.install import install_kafka
from sinks.embedded.ports import LOOPBACK, free_port
from sinks.embedded.processes import Child, ready_when
from tests.certificates import KEY_PASSWORD, Papers, make_papers

USER: Final = "touch=line"
"""With a character that SCRAM has to quote."""
PASSWORD: Final = "correct horse battery staple"

_READY_SECONDS: Final = 90


@dataclass(frozen=True)
class SecuredKafka:
    """Addresses of the listeners of one broker, and the papers for them."""

    scram: str
    """SASL_SSL, SCRAM-SHA-512 and PLAIN."""
    mutual: str
    """SSL that wants a client's certificate."""
    open: str
    """SASL_PLAINTEXT, SCRAM-SHA-256."""
    plaintext: str
    unnamed: str
    """`scram`, under an address that is not in the broker's certificate."""
    papers: Papers

    def environment(self, listener: str) -> dict[str, str]:
        """The settings with which that listener lets us in."""
        sasl = {"USER": USER, "PASSWORD": PASSWORD}
        tls = {"CA_FILE": str(self.papers.authority)}
        values = {
            "scram": {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-512", **sasl, **tls},
            "mutual": {
                "SECURITY_PROTOCOL": "SSL",
                **tls,
                "CERTIFICATE_FILE": str(self.papers.client),
                "KEY_FILE": str(self.papers.client_key),
                "KEY_PASSWORD": KEY_PASSWORD,
            },
            "open": {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_MECHANISM": "SCRAM-SHA-256", **sasl},
            "plaintext": {},
        }[listener]
        values["BOOTSTRAP"] = getattr(self, listener)
        return {f"TOUCHLINE_KAFKA__{name}": value for name, value in values.items()}


@contextmanager
def secured_kafka(directory: Path) -> Iterator[SecuredKafka]:
    """A broker for the length of the block, its data in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    papers, runtime = make_papers(directory / "papers"), install_kafka(print)
    ports = {name: free_port() for name in ("plaintext", "scram", "mutual", "open", "controller")}
    properties, log4j2 = directory / "server.properties", directory / "log4j2.properties"
    # Of a property given twice Java takes the last.
    ours = server_properties(ports["plaintext"], ports["controller"], directory / "data")
    properties.write_text(
        ours + "".join(f"{k}={_escaped(v)}\n" for k, v in _listeners(ports, papers).items())
    )
    log4j2.write_text(LOG4J2)
    flags = ("-Xmx512m", f"-Dlog4j2.configurationFile={log4j2.as_uri()}")
    _format(runtime, properties, flags)
    child = Child(
        "Kafka",
        runtime.command("kafka.Kafka", properties, flags=flags),
        directory / "kafka.log",
        ready=ready_when(lambda: _shows_certificate(ports["mutual"], papers)),
        ready_timeout=_READY_SECONDS,
        stop_timeout=20,
    )
    child.start()
    try:
        yield SecuredKafka(
            scram=f"localhost:{ports['scram']}",
            mutual=f"localhost:{ports['mutual']}",
            open=f"localhost:{ports['open']}",
            plaintext=f"{LOOPBACK}:{ports['plaintext']}",
            unnamed=f"{LOOPBACK}:{ports['scram']}",
            papers=papers,
        )
    finally:
        child.stop()


def _listeners(ports: dict[str, int], papers: Papers) -> dict[str, str]:
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    plain = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_plain="{PASSWORD}";'
    named = {"PLAINTEXT": "plaintext", "SCRAM": "scram", "MUTUAL": "mutual", "OPEN": "open"}
    hosts = {name: LOOPBACK if name == "PLAINTEXT" else "localhost" for name in named}
    listeners = ",".join(f"{name}://{LOOPBACK}:{ports[port]}" for name, port in named.items())
    return {
        "listeners": f"{listeners},CONTROLLER://{LOOPBACK}:{ports['controller']}",
        "advertised.listeners": ",".join(
            f"{name}://{hosts[name]}:{ports[port]}" for name, port in named.items()
        ),
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SCRAM:SASL_SSL,MUTUAL:SSL,"
        "OPEN:SASL_PLAINTEXT",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(papers.broker),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(papers.authority),
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
        "listener.name.scram.scram-sha-512.sasl.jaas.config": scram,
        "listener.name.scram.plain.sasl.jaas.config": plain,
        "listener.name.open.sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "listener.name.open.scram-sha-256.sasl.jaas.config": scram,
    }


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\")


def _format(runtime: KafkaRuntime, properties: Path, flags: tuple[str, ...]) -> None:
    users = [
        argument
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        for argument in ("--add-scram", f'{mechanism}=[name="{USER}",password="{PASSWORD}"]')
    ]
    arguments = ("format", "--cluster-id", "AAAAAAAAAAAAAAAAAAAAAA", "--config", properties)
    command = runtime.command("kafka.tools.StorageTool", *arguments, *users, flags=flags)
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert not done.returncode, done.stdout + done.stderr


def _shows_certificate(port: int, papers: Papers) -> bool:
    """Listeners are opened together, when the broker serves; this one must show its own certificate."""
    try:
        ssl.get_server_certificate(("localhost", port), ca_certs=str(papers.authority), timeout=2)
    except OSError:
        return False
    return True
