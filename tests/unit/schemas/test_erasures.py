"""Records of the log of erasures."""

from hypothesis import given
from hypothesis import strategies as st

from schemas import erasures as module
from schemas.erasures import (
    HASHES_PER_RECORD,
    Erasure,
    Forgetting,
    decode_erasure,
    decode_forgetting,
    encode_erasure,
    encode_forgetting,
    erasure_key,
    erasure_parts,
)

hashes = st.lists(st.binary(min_size=16, max_size=16), max_size=12)


@given(hashes, hashes, st.integers(1, 5))
def test_parts_hold_everything_once_and_are_the_same_in_any_order(
    customers: list[bytes], interactions: list[bytes], limit: int
) -> None:
    before, module.HASHES_PER_RECORD = module.HASHES_PER_RECORD, limit  # type: ignore[misc]
    try:
        parts = erasure_parts("e", 1, customers, interactions, 4)
        again = erasure_parts("e", 1, customers[::-1] * 2, interactions[::-1], 4)
    finally:
        module.HASHES_PER_RECORD = before  # type: ignore[misc]
    assert parts == again
    assert [name for one in parts for name in one.customers] == sorted(set(customers))
    assert [name for one in parts for name in one.interactions] == sorted(set(interactions))
    assert all(0 < len(one.customers) + len(one.interactions) <= limit for one in parts) or len(parts) == 1
    assert [(one.part, one.parts, one.links_seen) for one in parts] == [
        (n, len(parts), 4) for n in range(len(parts))
    ]
    assert len({erasure_key(one) for one in parts}) == len(parts)
    assert [decode_erasure(encode_erasure(one)) for one in parts] == list(parts)


def test_a_full_record_is_smaller_than_a_megabyte() -> None:
    full = Erasure("e" * 32, 0, (), tuple(number.to_bytes(16) for number in range(HASHES_PER_RECORD)))
    assert len(encode_erasure(full)) < 1_000_000


def test_what_is_said_on_the_alerts_topic_is_json_with_a_type() -> None:
    said = Forgetting(("a", "b"), done=True)
    assert encode_forgetting(said) == b'{"type":"erasure","ids":["a","b"],"done":true}'
    assert decode_forgetting(encode_forgetting(said)) == said
