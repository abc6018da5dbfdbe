"""Files of events or facts, a JSON document a line, as a replay reads them."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple


class Source(NamedTuple):
    """One file: what it is called in rows, and its bytes (seekable)."""

    name: str
    file: BinaryIO


def once(files: Iterable[str]) -> tuple[str, ...]:
    """Each file once, in order: one that is given twice has each of its lines once."""
    return tuple(dict.fromkeys(str(Path(file)) for file in files))


def sources_named(paths: Sequence[Path]) -> list[str]:
    """What each file is called in the rows: its name; its path as given where two files share a name."""
    names = [path.name for path in paths]
    return [name if names.count(name) == 1 else str(path) for name, path in zip(names, paths, strict=True)]


def digest(sources: Iterable[Source], key: bytes = b"") -> int:
    """63 bits that tell one input from another: the incarnation of its coordinates in the ledger. Under a key nobody
    can try what a short file may have held.
    """
    total = hashlib.blake2b(digest_size=8, key=key)
    for source in sources:
        total.update(source.name.encode() + b"\x00")
        while part := source.file.read(1 << 20):
            total.update(part)
        source.file.seek(0)
    return int.from_bytes(total.digest(), "big") >> 1
