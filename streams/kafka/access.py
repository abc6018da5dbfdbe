"""How the brokers of Kafka are reached: their addresses, and who we are to them. Each client is told here.

Every connection of Touchline begins with a `KafkaAccess`. There are four clients: kafka-python (commands), aiokafka
(the logs of identity), Faust, which hands on to aiokafka, and librdkafka (simulated load).
"""

import ssl
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import SecretStr

from streams.kafka.tls import Tls

Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]


@dataclass(frozen=True)
class Sasl:
    """Who we are, by name and password."""

    mechanism: Mechanism
    user: str
    password: SecretStr


@dataclass(frozen=True)
class KafkaAccess:
    """Brokers, `HOST:PORT[,HOST:PORT]`, and what they want of us: nothing, unless TLS or SASL is given."""

    bootstrap: str
    tls: Tls | None = None
    sasl: Sasl | None = None

    def __str__(self) -> str:
        """The addresses."""
        return self.bootstrap

    @property
    def protocol(self) -> Protocol:
        """Kafka's name of the kind of listener that this is for."""
        if self.sasl is None:
            return "PLAINTEXT" if self.tls is None else "SSL"
        return "SASL_PLAINTEXT" if self.tls is None else "SASL_SSL"

    @property
    def brokers(self) -> list[str]:
        """Each HOST:PORT."""
        return self.bootstrap.split(",")

    def for_kafka_python(self) -> dict[str, Any]:
        """Arguments of `KafkaProducer`, `KafkaConsumer` and `KafkaAdminClient`. Raises `TlsProblem`."""
        told = self._for_python()
        if self.sasl is not None and self.sasl.mechanism != "PLAIN":
            # RFC 5802, 5.1; the other clients do this themselves.
            told["sasl_plain_username"] = self.sasl.user.replace("=", "=3D").replace(",", "=2C")
        return told

    def for_aiokafka(self) -> dict[str, Any]:
        """Arguments of `AIOKafkaProducer` and `AIOKafkaConsumer`. Raises `TlsProblem`."""
        return self._for_python()

    def for_faust(self) -> dict[str, Any]:
        """Arguments of `faust.App`, for its consumers and its producer alike. Raises `TlsProblem`."""
        import faust

        told: dict[str, Any] = {"broker": "kafka://" + ";".join(self.brokers)}
        context = self._context()
        if self.sasl is not None:
            told["broker_credentials"] = faust.SASLCredentials(
                mechanism=self.sasl.mechanism,
                username=self.sasl.user,
                password=_Unshown(self.sasl.password.get_secret_value()),
                ssl_context=context,
            )
        elif context is not None:
            told["broker_credentials"] = faust.SSLCredentials(context)
        return told

    def for_librdkafka(self) -> dict[str, str]:
        """Its own settings, from `bootstrap.servers` on. It reads the files of TLS itself."""
        told = {"bootstrap.servers": self.bootstrap, "security.protocol": self.protocol.lower()}
        if self.sasl is not None:
            told["sasl.mechanism"] = self.sasl.mechanism
            told["sasl.username"] = self.sasl.user
            told["sasl.password"] = _Unshown(self.sasl.password.get_secret_value())
        if self.tls is not None:
            told["ssl.ca.location"] = str(self.tls.authorities or _believed_here())
            told["ssl.endpoint.identification.algorithm"] = "https" if self.tls.check_hostname else "none"
            if self.tls.certificate is not None:
                told["ssl.certificate.location"] = str(self.tls.certificate)
                told["ssl.key.location"] = str(self.tls.key)
                if self.tls.key_password:
                    told["ssl.key.password"] = _Unshown(self.tls.key_password.get_secret_value())
        return told

    def _for_python(self) -> dict[str, Any]:
        told: dict[str, Any] = {"bootstrap_servers": self.brokers, "security_protocol": self.protocol}
        if self.tls is not None:
            told["ssl_context"] = self._context()
        if self.sasl is not None:
            told["sasl_mechanism"] = self.sasl.mechanism
            told["sasl_plain_username"] = self.sasl.user
            told["sasl_plain_password"] = _Unshown(self.sasl.password.get_secret_value())
        return told

    def _context(self) -> ssl.SSLContext | None:
        return None if self.tls is None else self.tls.context()


class _Unshown(str):
    """A secret for a client that wants text: kafka-python writes all of its arguments to the debug log."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"


def _believed_here() -> str:
    """Where this machine keeps whom it believes, as Python finds it; librdkafka looks elsewhere by itself."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or "probe"
