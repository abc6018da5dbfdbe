"""Whether modules that were compiled ahead of time are used: only while their sources are what they were compiled from.

An extension module shadows the source beside it. So that nobody ever runs what the source no longer says, a build
leaves the digest of the sources behind (`setup.py`), and unless it still holds, every module comes from its source.
`TOUCHLINE_PURE=1` asks for that too.
"""

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Final, Literal

MANIFEST: Final = "compiled.json"
PACKAGES: Final = ("schemas.", "sinks.", "streams.")
COMPILED: Final = ("schemas", "sinks/clickhouse", "streams/core")
"""Where the modules of `tool.touchline.compiled` (pyproject.toml) and everything that they take in stand."""

PURE: Final = "TOUCHLINE_PURE"

Mode = Literal["compiled", "pure", "stale", "not compiled"]
"""compiled; pure: asked for; stale: a source was changed after it was compiled; not compiled: never built."""


class SourcesOnly(MetaPathFinder):
    """Finds the modules of our packages as sources, whatever extension modules stand beside them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's source; None leaves the search to the other finders."""
        if path is None or not fullname.startswith(PACKAGES):
            return None
        for folder in path:
            spec = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(fullname, target)
            if spec is not None and spec.loader is not None:
                return spec
        return None


def manifest(root: Path) -> str:
    """The text of the manifest for what stands below `root` now."""
    return json.dumps({"sources": digest(root)}) + "\n"


def digest(root: Path) -> str:
    """BLAKE2b of all sources that compiled modules are made from, or take constants from: of `COMPILED` packages."""
    total = hashlib.blake2b(digest_size=16)
    for package in COMPILED:
        for source in sorted(root.joinpath(package).rglob("*.py")):
            content = source.read_bytes()
            total.update(f"{source.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return total.hexdigest()


def mode(root: Path) -> Mode:
    """How the modules below `root` are to be imported."""
    if os.environ.get(PURE) == "1":
        return "pure"
    try:
        known: dict[str, str] = json.loads((root / "schemas" / MANIFEST).read_text())
    except FileNotFoundError:
        return "not compiled"
    return "compiled" if known.get("sources") == digest(root) else "stale"


def choose(root: Path) -> Mode:
    """Decide for this process, before any module that may be compiled is imported."""
    chosen = mode(root)
    if chosen != "compiled":
        sys.meta_path.insert(0, SourcesOnly())
    return chosen
