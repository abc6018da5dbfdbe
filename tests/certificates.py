"""Certificates for tests: an authority, a broker and a client that it vouches for, and an authority of strangers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

KEY_PASSWORD: Final = "opens the key"


@dataclass(frozen=True)
class Papers:
    """PEM files."""

    authority: Path
    stranger: Path
    """Another authority, who has vouched for nobody here."""
    client: Path
    """A client's certificate."""
    client_key: Path
    """Its key, encrypted with `KEY_PASSWORD`."""
    broker: Path
    """Key and certificate of a broker, for `localhost` and no other name or address."""


def make_papers(directory: Path) -> Papers:
    """All of them, made anew."""
    directory.mkdir(parents=True, exist_ok=True)
    ours, others = trustme.CA(), trustme.CA()
    client, broker = ours.issue_cert("worker@touchline.example"), ours.issue_cert("localhost")
    names = ("authority", "stranger", "client", "client-key", "broker")
    papers = Papers(*(directory / f"{name}.pem" for name in names))
    ours.cert_pem.write_to_path(papers.authority)
    others.cert_pem.write_to_path(papers.stranger)
    papers.client.write_bytes(_chain(client))
    papers.client_key.write_bytes(_key(client, KEY_PASSWORD))
    papers.broker.write_bytes(_key(broker) + _chain(broker))
    return papers


def _chain(issued: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in issued.cert_chain_pems)


def _key(issued: trustme.LeafCert, password: str = "") -> bytes:
    """In PKCS #8, the one form that Kafka reads."""
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    sealed = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed)
