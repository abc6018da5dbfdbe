"""Why a broker does not let us in: listeners on loopback that behave as Kafka's do, and what is said of them.

`tests/integration/test_secured_kafka.py` asks the real ones.
"""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from pydantic import SecretStr

from streams.commands import rules_in_force
from streams.commands.failures import explain
from streams.commands.rules_in_force import broker_or_none
from streams.kafka import admin
from streams.kafka.access import KafkaAccess, Mechanism, Sasl
from streams.kafka.admin import BrokerRefused, BrokerUnreachable, broker_admin
from streams.kafka.refusal import Refusal, refusal_of
from streams.kafka.tls import Tls
from tests.certificates import KEY_PASSWORD, Papers, make_papers

Behaviour = Callable[[socket.socket], None]

API_VERSIONS, METADATA, HANDSHAKE, AUTHENTICATE = 18, 3, 17, 36


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return make_papers(tmp_path_factory.mktemp("papers"))


@contextmanager
def listening(behaviour: Behaviour) -> Iterator[str]:
    """A listener for the length of the block; each connection is closed when `behaviour` returns."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                connection.settimeout(5)
                with connection, suppress(OSError, EOFError):
                    behaviour(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"localhost:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def request(connection: socket.socket) -> int:
    """Which request came next."""
    size = struct.unpack(">i", _read(connection, 4))[0]
    if size > 1_000_000:  # as Kafka, which takes whatever comes for a size
        raise EOFError
    return int(struct.unpack_from(">h", _read(connection, size))[0])


def _read(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        if not (some := connection.recv(size - len(read))):
            raise EOFError
        read += some
    return read


def answering(answers: dict[int, bytes]) -> Behaviour:
    """Answers these requests, in any order, and ends the connection at any other one."""

    def behave(connection: socket.socket) -> None:
        while (body := answers.get(request(connection))) is not None:
            connection.sendall(struct.pack(">ii", len(body) + 4, 0) + body)

    return behave


def with_tls(papers: Papers, behaviour: Behaviour, *, client: bool = False) -> Behaviour:
    """The same behind TLS, with a certificate for `localhost`; `client`: one is wanted of us too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.broker)
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(papers.authority)

    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            behaviour(secured)

    return behave


def texts(*values: str) -> bytes:
    encoded = [value.encode() for value in values]
    return struct.pack(">i", len(values)) + b"".join(struct.pack(">h", len(e)) + e for e in encoded)


OPEN = answering({API_VERSIONS: b"\0\0", METADATA: b"\0\0", HANDSHAKE: struct.pack(">h", 34) + texts()})
WITH_SASL = answering(
    {
        API_VERSIONS: b"\0\0",
        HANDSHAKE: struct.pack(">h", 0) + texts("PLAIN"),
        AUTHENTICATE: struct.pack(">hh", 58, 2) + b"no" + struct.pack(">i", 0),
    }
)
OTHER_MECHANISM = answering(
    {API_VERSIONS: b"\0\0", HANDSHAKE: struct.pack(">h", 33) + texts("PLAIN", "GSSAPI")}
)
LETS_IN = answering(
    {
        API_VERSIONS: b"\0\0",
        HANDSHAKE: struct.pack(">h", 0) + texts("PLAIN"),
        AUTHENTICATE: struct.pack(">hhi", 0, -1, 0),
    }
)


def ann(mechanism: Mechanism = "PLAIN") -> Sasl:
    return Sasl(mechanism, "ann", SecretStr("hunter2"))


def asked(behaviour: Behaviour, tls: Tls | None = None, sasl: Sasl | None = None) -> Refusal | None:
    with listening(behaviour) as broker:
        return refusal_of(KafkaAccess(broker, tls, sasl))


def test_a_broker_that_lets_us_in_refuses_nothing(papers: Papers) -> None:
    ours = Tls(papers.authority, papers.client, papers.client_key, SecretStr(KEY_PASSWORD))
    assert asked(OPEN) is None
    assert asked(LETS_IN, sasl=ann()) is None
    assert asked(with_tls(papers, OPEN, client=True), ours) is None
    assert asked(with_tls(papers, LETS_IN), Tls(papers.authority), ann()) is None


def test_nobody_who_listens_is_no_refusal() -> None:
    with listening(OPEN) as broker:
        gone = broker
    assert refusal_of(KafkaAccess(gone)) is None


def test_a_broker_that_cannot_be_connected_to_is_passed_over(papers: Papers) -> None:
    with listening(OPEN) as gone:
        pass
    with listening(with_tls(papers, OPEN)) as broker:
        found = refusal_of(KafkaAccess(f"{gone},{broker}"))
    assert found is not None
    assert broker in found.reason


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff\xff\xff\xff", b"\0\0\0\4abcd"])
def test_what_is_no_kafka_is_no_refusal_of_one(said: bytes) -> None:
    def other(connection: socket.socket) -> None:
        while request(connection):
            connection.sendall(said)

    assert asked(other, sasl=ann()) is None


def test_a_broker_that_does_not_know_the_password_itself_is_not_believed() -> None:
    first = b"r=somebody else's,s=c2FsdA==,i=4096"
    impostor = {
        API_VERSIONS: b"\0\0",
        HANDSHAKE: struct.pack(">h", 0) + texts("SCRAM-SHA-512"),
        AUTHENTICATE: struct.pack(">hhi", 0, -1, len(first)) + first,
    }
    assert asked(answering(impostor), sasl=ann("SCRAM-SHA-512")) is None


def test_tls_where_there_is_none(papers: Papers) -> None:
    found = asked(OPEN, Tls(papers.authority))
    assert found is not None
    assert "does not speak TLS" in found.reason
    assert "TOUCHLINE_KAFKA__SECURITY_PROTOCOL=plaintext" in found.what_to_do
    assert not found.certain


def test_plaintext_where_there_is_tls(papers: Papers) -> None:
    found = asked(with_tls(papers, OPEN))
    assert found is not None
    assert "seems to speak TLS" in found.reason
    assert "TOUCHLINE_KAFKA__SECURITY_PROTOCOL=ssl" in found.what_to_do


def test_an_authority_that_we_do_not_know(papers: Papers) -> None:
    found = asked(with_tls(papers, OPEN), Tls(papers.stranger))
    assert found is not None
    assert "nobody whom we trust vouches for" in found.reason
    assert "TOUCHLINE_KAFKA__CA_FILE" in found.what_to_do
    assert found.certain


def test_a_certificate_for_another_name(papers: Papers) -> None:
    with listening(with_tls(papers, OPEN)) as broker:
        by_address = broker.replace("localhost", "127.0.0.1")
        found = refusal_of(KafkaAccess(by_address, Tls(papers.authority)))
        assert refusal_of(KafkaAccess(by_address, Tls(papers.authority, check_hostname=False))) is None
    assert found is not None
    assert "is not for 127.0.0.1" in found.reason
    assert "TOUCHLINE_KAFKA__BOOTSTRAP" in found.what_to_do


def test_a_certificate_of_ours_is_wanted(papers: Papers) -> None:
    found = asked(with_tls(papers, OPEN, client=True), Tls(papers.authority))
    assert found is not None
    assert "wants a certificate of ours" in found.reason.replace("seems to want", "wants")
    assert "TOUCHLINE_KAFKA__CERTIFICATE_FILE and TOUCHLINE_KAFKA__KEY_FILE" in found.what_to_do


def test_a_certificate_of_ours_that_is_not_taken(
    papers: Papers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    foreign = make_papers(tmp_path_factory.mktemp("foreign"))
    theirs = Tls(papers.authority, foreign.client, foreign.client_key, SecretStr(KEY_PASSWORD))
    found = asked(with_tls(papers, OPEN, client=True), theirs)
    assert found is not None
    assert "does not take our certificate" in found.reason


def test_a_name_is_wanted(papers: Papers) -> None:
    for tls, behaviour, protocol in (
        (None, WITH_SASL, "sasl_plaintext"),
        (Tls(papers.authority), with_tls(papers, WITH_SASL), "sasl_ssl"),
    ):
        found = asked(behaviour, tls)
        assert found is not None
        assert "wants to know who we are" in found.reason
        assert f"TOUCHLINE_KAFKA__SECURITY_PROTOCOL={protocol}" in found.what_to_do


def test_a_name_that_nobody_asks_for() -> None:
    found = asked(OPEN, sasl=ann())
    assert found is not None
    assert "asks nobody for a name" in found.reason


def test_a_wrong_password_is_told_and_not_repeated() -> None:
    found = asked(WITH_SASL, sasl=ann())
    assert found is not None
    assert "does not accept the user 'ann' with this password" in found.reason
    assert "TOUCHLINE_KAFKA__PASSWORD" in found.what_to_do
    assert "hunter2" not in str(found)


def test_a_mechanism_that_the_broker_does_not_know() -> None:
    found = asked(OTHER_MECHANISM, sasl=ann("SCRAM-SHA-512"))
    assert found is not None
    assert "does not know SCRAM-SHA-512, but PLAIN, GSSAPI" in found.reason
    assert "TOUCHLINE_KAFKA__SASL_MECHANISM" in found.what_to_do


# What `broker_admin`, with which every command and worker begins, makes of it


def test_a_refusal_is_told_with_what_to_do() -> None:
    with (
        listening(WITH_SASL) as broker,
        pytest.raises(BrokerRefused) as caught,
        broker_admin(KafkaAccess(broker, None, ann()), seconds=0.5),
    ):
        pass
    told = explain(caught.value)
    assert "does not accept the user 'ann'" in told.message
    assert "TOUCHLINE_KAFKA__PASSWORD" in told.what_to_do
    assert (told.status, told.bug) == (1, False)


def test_a_refusal_is_not_taken_for_an_absent_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_in_force, "REACHABLE", 0.5)
    with listening(WITH_SASL) as broker:
        access = KafkaAccess(broker, None, ann())
        with pytest.raises(BrokerRefused):
            broker_or_none(access, "touchline.", 0)
    assert broker_or_none(KafkaAccess("127.0.0.1:1"), "touchline.", 0) is None


def refusals(monkeypatch: pytest.MonkeyPatch, *told: Refusal | None) -> Callable[[], BrokerUnreachable]:
    """What comes of an absent broker when these are told of it, one after the other."""
    left = list(told)
    monkeypatch.setattr(admin, "refusal_of", lambda _access: left.pop(0))

    def connect() -> BrokerUnreachable:
        with (
            pytest.raises(BrokerUnreachable) as caught,
            broker_admin(KafkaAccess("127.0.0.1:1"), seconds=0.3),
        ):
            pass
        return caught.value

    return connect


MAY_PASS = Refusal("it may pass", "wait", certain=False)
CERTAIN = Refusal("it will not pass", "mend it")


def test_what_is_certain_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(refusals(monkeypatch, CERTAIN)()) == "it will not pass"


def test_what_may_pass_is_told_when_it_has_not_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(refusals(monkeypatch, MAY_PASS, MAY_PASS)()) == "it may pass"


def test_what_has_passed_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusals(monkeypatch, MAY_PASS, None, None)()
    assert not isinstance(error, BrokerRefused)
    assert str(error).startswith("no Kafka broker answers at 127.0.0.1:1 (")


def test_a_client_that_found_no_broker_leaves_no_thread() -> None:
    before = threading.active_count()
    with pytest.raises(BrokerUnreachable), broker_admin(KafkaAccess("127.0.0.1:1"), seconds=0.3):
        pass
    assert threading.active_count() == before
