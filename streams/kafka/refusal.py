"""Why a broker does not let us in, in words that name the setting to look at.

Clients of Kafka try for as long as they may and then say that nobody answered. Asked once more, by hand and one step
at a time, the broker shows which step it is: TLS, our certificate, our name.
"""

import socket
import ssl
import struct
from typing import Final, NamedTuple

from streams.kafka.access import KafkaAccess, Sasl
from streams.kafka.tls import TlsProblem

_CONNECT_SECONDS: Final = 1.0
"""For the connection to one broker; the client has tried for longer."""

_ANSWER_SECONDS: Final = 3.0
"""For each step behind it."""

_LARGEST_ANSWER: Final = 2**20
"""Bytes; whatever claims to be more is no answer of Kafka to what is asked here."""

_PROTOCOL: Final = "TOUCHLINE_KAFKA__SECURITY_PROTOCOL"
_TLS_RECORDS: Final = (b"\x15\x03", b"\x16\x03")
"""What TLS answers to something else begins with: the size of a Kafka answer never does."""
_NOBODY_VOUCHES: Final = frozenset({2, 18, 19, 20, 21, 27})
_ANOTHER_NAME: Final = frozenset({62, 64})
"""OpenSSL's `X509_V_ERR_*`."""

_ALERTS_OF_CERTIFICATES: Final = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)
"""What a broker says of ours before TLS 1.3 within the handshake, since then behind it."""

_METADATA, _SASL_HANDSHAKE, _API_VERSIONS, _SASL_AUTHENTICATE = 3, 17, 18, 36
_UNKNOWN_MECHANISM, _NO_SASL_HERE, _NOT_AUTHENTICATED = 33, 34, 58
"""Kafka's codes of requests and errors."""


class Refusal(NamedTuple):
    """What the broker does, and what to do about it."""

    reason: str
    what_to_do: str
    certain: bool = True
    """False where the like may happen while a broker, or what stands before it, is being started."""


class _Closed(Exception):
    """The broker ended the connection without an answer."""


class _SpeaksTls(_Closed):
    """What came is no answer of Kafka but one of TLS."""


def refusal_of(access: KafkaAccess) -> Refusal | None:
    """Why the first broker that can be connected to refuses us; None where none can, or where it is not certain."""
    for broker in access.brokers:
        host, _, port = broker.rpartition(":")
        try:
            connection = socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS)
        except OSError:
            continue
        connection.settimeout(_ANSWER_SECONDS)
        with connection:
            try:
                return _asked(access, connection, broker, host.strip("[]"))
            except (_Closed, OSError, ValueError, KeyError, struct.error):
                return None  # it does what Kafka does not
    return None


def _asked(access: KafkaAccess, connection: socket.socket, broker: str, host: str) -> Refusal | None:
    if access.tls is None:
        return _entered(access, connection, broker)
    try:
        secured = access.tls.context().wrap_socket(connection, server_hostname=host)
    except TlsProblem as problem:
        return Refusal(str(problem), "mend that file")
    except ssl.SSLCertVerificationError as error:
        return _unbelieved(error, broker, host)
    except (ssl.SSLError, ConnectionError, TimeoutError) as error:
        if isinstance(error, ssl.SSLError) and error.reason in _ALERTS_OF_CERTIFICATES:
            return _unwelcome(access, broker, error)
        protocol = "sasl_plaintext" if access.sasl else "plaintext"
        return Refusal(
            f"{broker} does not speak TLS as we do",
            f"check the port in TOUCHLINE_KAFKA__BOOTSTRAP, or set {_PROTOCOL}={protocol} if that listener has no TLS",
            certain=False,
        )
    with secured:
        return _entered(access, secured, broker)


def _unbelieved(error: ssl.SSLCertVerificationError, broker: str, host: str) -> Refusal:
    said = error.verify_message
    if error.verify_code in _ANOTHER_NAME:
        return Refusal(
            f"the certificate of {broker} is not for {host} ({said})",
            "name the brokers in TOUCHLINE_KAFKA__BOOTSTRAP as their certificates do, or see "
            "TOUCHLINE_KAFKA__CHECK_HOSTNAME",
        )
    if error.verify_code in _NOBODY_VOUCHES:
        return Refusal(
            f"nobody whom we trust vouches for the certificate of {broker} ({said})",
            "set TOUCHLINE_KAFKA__CA_FILE to the certificate of the authority that issued it",
        )
    return Refusal(f"the certificate of {broker} does not count: {said}", "let the broker have another one")


def _entered(access: KafkaAccess, connection: socket.socket, broker: str) -> Refusal | None:
    """Behind TLS, if there is any: does it answer, and does it want to know who we are?"""
    try:
        _answer(connection, _API_VERSIONS, 0, b"")
    except ssl.SSLError as error:
        return _unwelcome(access, broker, error)
    except (_Closed, ConnectionError) as error:
        if access.tls is not None:
            return _unwelcome(access, broker, error)
        protocol = "sasl_ssl" if access.sasl else "ssl"
        return Refusal(
            f"{broker} does not answer in plaintext: it seems to speak TLS",
            f"set {_PROTOCOL}={protocol}, or check the port in TOUCHLINE_KAFKA__BOOTSTRAP",
            certain=isinstance(error, _SpeaksTls),
        )
    if access.sasl is None:
        return _unnamed(access, connection, broker)
    return _named(access.sasl, connection, broker)


def _unwelcome(access: KafkaAccess, broker: str, error: Exception) -> Refusal:
    said = f" ({error.reason})" if isinstance(error, ssl.SSLError) and error.reason else ""
    if access.tls is not None and access.tls.certificate is not None:
        return Refusal(
            f"{broker} does not take our certificate{said}",
            "set TOUCHLINE_KAFKA__CERTIFICATE_FILE to one from an authority that the broker trusts",
            certain=bool(said),
        )
    return Refusal(
        f"{broker} ends the connection after the TLS handshake{said}: it seems to want a certificate of ours",
        "set TOUCHLINE_KAFKA__CERTIFICATE_FILE and TOUCHLINE_KAFKA__KEY_FILE, or check the port in "
        "TOUCHLINE_KAFKA__BOOTSTRAP",
        certain=bool(said),
    )


def _unnamed(access: KafkaAccess, connection: socket.socket, broker: str) -> Refusal | None:
    """A listener with SASL answers nothing else before it knows us."""
    try:
        _answer(connection, _METADATA, 1, struct.pack(">i", 0))
    except (_Closed, ConnectionError):
        protocol = "sasl_plaintext" if access.tls is None else "sasl_ssl"
        return Refusal(
            f"{broker} ends the connection: it wants to know who we are",
            f"set {_PROTOCOL}={protocol}, and TOUCHLINE_KAFKA__SASL_MECHANISM, TOUCHLINE_KAFKA__USER and "
            "TOUCHLINE_KAFKA__PASSWORD",
            certain=False,
        )
    return None


def _named(sasl: Sasl, connection: socket.socket, broker: str) -> Refusal | None:
    from kafka.net.sasl import get_sasl_mechanism

    answer = _answer(connection, _SASL_HANDSHAKE, 1, _text(sasl.mechanism))
    code, number = struct.unpack_from(">hi", answer)
    if code == _NO_SASL_HERE:
        return Refusal(
            f"{broker} asks nobody for a name",
            f"set {_PROTOCOL} to plaintext or ssl, or check the port in TOUCHLINE_KAFKA__BOOTSTRAP",
        )
    if code == _UNKNOWN_MECHANISM:
        offered = ", ".join(_texts(answer[6:], number)) or "none"
        return Refusal(
            f"{broker} does not know {sasl.mechanism}, but {offered}",
            "set TOUCHLINE_KAFKA__SASL_MECHANISM to what it knows",
        )
    talk = get_sasl_mechanism(sasl.mechanism)(**KafkaAccess(broker, sasl=sasl).for_kafka_python())
    while not code and not talk.is_done():
        token = talk.auth_bytes()
        answer = _answer(connection, _SASL_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
        code, length = struct.unpack_from(">hh", answer)
        rest = answer[4 + max(length, 0) :]
        if not code:
            talk.receive(rest[4:])
    if code == _NOT_AUTHENTICATED:
        return Refusal(
            f"{broker} does not accept the user {sasl.user!r} with this password",
            "check TOUCHLINE_KAFKA__USER, TOUCHLINE_KAFKA__PASSWORD and TOUCHLINE_KAFKA__SASL_MECHANISM",
        )
    return None


def _answer(connection: socket.socket, request: int, version: int, body: bytes) -> bytes:
    """What a broker answers to one request, behind the head. Raises `_Closed`, and what sockets raise."""
    head = struct.pack(">hhi", request, version, 0) + _text("touchline-doctor")
    connection.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
    size = _exactly(connection, 4)
    if size[:2] in _TLS_RECORDS:
        raise _SpeaksTls
    (length,) = struct.unpack(">i", size)
    if not 4 <= length <= _LARGEST_ANSWER:
        raise ValueError(f"{length} bytes are no answer")
    return _exactly(connection, length)[4:]


def _exactly(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        some = connection.recv(size - len(read))
        if not some:
            raise _Closed
        read += some
    return read


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack(">h", len(encoded)) + encoded


def _texts(encoded: bytes, number: int) -> list[str]:
    texts, at = [], 0
    for _ in range(number):
        (length,) = struct.unpack_from(">h", encoded, at)
        texts.append(encoded[at + 2 : at + 2 + length].decode())
        at += 2 + length
    return texts
