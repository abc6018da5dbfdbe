"""Addresses of brokers as people write them: `HOST:PORT[,HOST:PORT]`."""

import re
from typing import Final

# A name, an IPv4 address, or an IPv6 one in brackets.
_ADDRESS: Final = re.compile(r"(?:[^\s:,/@\[\]]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")


def broker_addresses(text: str) -> str:
    """The same list without blanks; raise ValueError where one is not HOST:PORT.

    >>> broker_addresses("kafka-1:9092, kafka-2:9092")
    'kafka-1:9092,kafka-2:9092'
    """
    addresses = [part.strip() for part in text.split(",")]
    for address in addresses:
        found = _ADDRESS.fullmatch(address)
        if found is None or not 1 <= int(found[1]) <= 65_535:
            raise ValueError(f"{address!r} is not HOST:PORT; write brokers as HOST:PORT[,HOST:PORT]")
    return ",".join(addresses)
