import os
import socket

import pytest

from sinks.embedded.errors import PortTakenError
from sinks.embedded.ports import LOOPBACK, check_port_free, free_port


def test_a_free_port_can_be_bound():
    with socket.socket() as server:
        server.bind((LOOPBACK, free_port()))


def test_a_free_port_passes_the_check():
    check_port_free(LOOPBACK, free_port(), "Kafka", setting="SOME_PORT")


def test_a_taken_port_names_port_purpose_setting_and_holder():
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTakenError) as refused:
            check_port_free(LOOPBACK, port, "Kafka", setting="TOUCHLINE_KAFKA__PORT")
    message = str(refused.value)
    assert message.startswith(f"Kafka wants {LOOPBACK}:{port}")
    assert "TOUCHLINE_KAFKA__PORT" in message
    assert f"process {os.getpid()} (" in message


def test_an_address_that_is_not_ours_is_told_apart_from_a_taken_port():
    with pytest.raises(PortTakenError, match="cannot be used"):
        check_port_free("192.0.2.1", free_port(), "Kafka", setting="SOME_PORT")
