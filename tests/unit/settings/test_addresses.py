"""Addresses of brokers as people write them."""

import pytest

from streams.settings.addresses import broker_addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:9092", "localhost:9092"),
        ("10.0.0.1:1,my_kafka-2.example:65535", "10.0.0.1:1,my_kafka-2.example:65535"),
        (" a:1 , b:2 ", "a:1,b:2"),
        ("[2001:db8::1]:9092", "[2001:db8::1]:9092"),
    ],
)
def test_accepted_forms(text: str, expected: str) -> None:
    assert broker_addresses(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        "host:",
        ":9092",
        "host:0",
        "host:65536",
        "host:http",
        "a:1,",
        "a:1;b:2",
        "kafka://a:1",
        "::1:9092",
    ],
)
def test_anything_else_is_refused_with_the_accepted_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not HOST:PORT; write brokers as HOST:PORT\[,HOST:PORT\]"):
        broker_addresses(text)
