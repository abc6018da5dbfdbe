"""The rules in force, as they travel: a control record on every partition of the interactions topic.

What stands in the log before it was judged by the rules before it, so every worker changes over at the same place
of each partition, and a new owner finds the rules beside the timelines.
"""

from typing import Final

import msgspec

RULES_KEY: Final = b"\x00rules"
"""Kafka key of the record, and key of the state that keeps the last one; no customer key begins with a NUL."""


class RuleFiles(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The texts of the rule files by name, as they were validated together."""

    version: str
    """The version of the set that they compile to."""
    files: dict[str, str]


_decode = msgspec.msgpack.Decoder(RuleFiles).decode


def encode_rules(rules: RuleFiles) -> bytes:
    """Encode for the interactions topic."""
    return msgspec.msgpack.encode(rules)


def decode_rules(value: bytes) -> RuleFiles:
    """The inverse of `encode_rules`; raises `msgspec.DecodeError` on foreign bytes."""
    return _decode(value)
