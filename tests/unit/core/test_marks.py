"""The marks of identities."""

from zlib import crc32

from streams.core.marks import identity_mark, marks_of
from streams.core.timeline import step_of
from tests.builders import call, mail


def test_a_mark_is_the_checksum_of_source_and_id_whatever_sources_came_before() -> None:
    sources = [f"source-{number}" for number in range(2_500)]
    for source in [*sources, *sources]:
        assert identity_mark(source, "id-é") == crc32(f"{source}\x1fid-é".encode()).to_bytes(4, "big")


def test_marks_stand_in_the_order_of_their_steps() -> None:
    told = [call(100, "crm:ann", source="one", id="a"), mail(101, "crm:ann", source="two", id="a")]
    assert marks_of(map(step_of, told)) == identity_mark("one", "a") + identity_mark("two", "a")
