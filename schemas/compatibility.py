"""The gate that keeps old events valid: what the released contract accepts, the models must accept too.

    python -m schemas.compatibility            exits 1 and names every field that would refuse old events
    python -m schemas.compatibility --accept   at a release: the models of now become the baseline

The mode is BACKWARD, as schema registries name it: consumers with the new contract read events of the old
one. `schemas/baseline/` holds the released JSON Schemas and examples. The comparison is by structure and errs
on the safe side: a pattern that changed is refused even if it only widened, since no program can tell.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from schemas.codec import Decoder, Rejected
from schemas.documents import FOLDER, contracts
from schemas.identity import FactDecoder
from schemas.interaction import Interaction
from schemas.links import Statement

BASELINE: Final = FOLDER / "baseline"
EXAMPLES: Final = FOLDER / "examples"

_END_OF_TIME: Final = 2**53
_UNIONS: Final = ("anyOf", "oneOf")
_WORDS_ONLY: Final = frozenset(
    {"$schema", "$id", "$defs", "title", "description", "examples", "default", "format", "discriminator"}
)
_BOUNDS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "minimum": lambda old, new: new <= old,
    "maximum": lambda old, new: new >= old,
    "minLength": lambda old, new: new <= old,
    "maxLength": lambda old, new: new >= old,
    "maxProperties": lambda old, new: new >= old,
    "minItems": lambda old, new: new <= old,
    "maxItems": lambda old, new: new >= old,
    "pattern": lambda old, new: new == old,
    "not": lambda old, new: new == old,
}
_UNDERSTOOD: Final = frozenset(
    {
        "$ref",
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "propertyNames",
        "items",
    }
)

Schema = dict[str, Any]


def narrowings(old: Schema, new: Schema) -> list[str]:
    """Why a document that is valid under `old` may be refused by `new`: one `field: reason` each."""
    return list(_Comparison(old, new).of(old, new, ""))


class _Comparison:
    """Compares two schemas of one document; each side resolves references in its own definitions."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new

    def of(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        old_union, new_union = _is_union(old), _is_union(new)
        if old_union or new_union:
            yield from self._branches(
                _branches(old) if old_union else [old], _branches(new) if new_union else [new], path
            )
            return
        yield from self._unknown(old, new, path)
        other_type = list(_types(old, new, path))
        if other_type:
            yield from other_type
            return
        yield from _values(old, new, path)
        yield from _bounds(old, new, path)
        yield from self._properties(old, new, path)
        yield from self._map(old, new, path)
        yield from self._items(old, new, path)
        if _branches(new):
            if not _branches(old):
                yield f"{_at(path)}: a new condition across its fields"
            elif list(self._branches(_branches(old), _branches(new), path)):
                yield f"{_at(path)}: the condition across its fields became stricter"

    def _branches(self, old: list[Schema], new: list[Schema], path: str) -> Iterator[str]:
        """Each old alternative must be inside a new one; else the nearest one says what is missing."""
        for branch in old:
            kind = _kind(_resolved(branch, self._old))
            compared = [
                (_kind(_resolved(candidate, self._new)) != kind, list(self.of(branch, candidate, path)))
                for candidate in new
            ]
            yield from min(compared, key=lambda pair: (bool(pair[1]), pair[0], len(pair[1])))[1]

    def _properties(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before: Schema = old.get("properties", {})
        after: Schema = new.get("properties", {})
        for name, schema in before.items():
            if name in after:
                yield from self.of(schema, after[name], _join(path, name))
            elif new.get("additionalProperties") is False:
                yield f"{_join(path, name)}: the field was removed"
        for name in new.get("required", []):
            if name not in old.get("required", []):
                new_or_not = "is now required" if name in before else "is new and required"
                yield f"{_join(path, name)}: {new_or_not}; old events lack it"

    def _map(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if after is False and before is not False and "properties" in {**old, **new}:
            yield f"{_at(path)}: unknown fields were accepted and would be refused"
        elif isinstance(before, dict) and isinstance(after, dict):
            yield from self.of(before, after, _join(path, "*"))
        elif before is True and isinstance(after, dict):
            yield f"{_at(path)}: any value was accepted and would be restricted"
        names = new.get("propertyNames")
        if names is not None:
            yield from self.of(old.get("propertyNames", {}), names, _join(path, "(name)"))

    def _items(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        if "items" in new:
            yield from self.of(old.get("items", {}), new["items"], f"{path}[]")

    def _unknown(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        known = _WORDS_ONLY | _UNDERSTOOD | set(_BOUNDS) | set(_UNIONS)
        for keyword in sorted({*old, *new} - known):
            if not keyword.startswith("x-") and old.get(keyword) != new.get(keyword):
                yield f"{_at(path)}: {keyword} changed, and the gate cannot compare it; teach it"


def _resolved(schema: Schema, document: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _is_union(schema: Schema) -> bool:
    """Whether the schema is nothing but alternatives (beside an object's `anyOf`, which is one more
    condition).
    """
    return bool(_branches(schema)) and "type" not in schema


def _branches(schema: Schema) -> list[Schema]:
    return [branch for union in _UNIONS for branch in schema.get(union, [])]


def _kind(schema: Schema) -> tuple[Any, ...]:
    """What tells alternatives apart: their type, and the constants of the fields that name a model."""
    tags = (schema.get("properties", {}).get(name, {}) for name in ("channel", "type"))
    return schema.get("type"), *(tag.get("const") for tag in tags)


def _types(old: Schema, new: Schema, path: str) -> Iterator[str]:
    before, after = old.get("type"), new.get("type")
    if after is not None and before != after and (before, after) != ("integer", "number"):
        yield f"{_at(path)}: {before or 'any type'} was accepted and would be refused, only {after} is left"


def _values(old: Schema, new: Schema, path: str) -> Iterator[str]:
    before, after = _enumerated(old), _enumerated(new)
    if after is not None:
        if before is None:
            yield f"{_at(path)}: any value was accepted and would be restricted to {_listed(after)}"
        elif lost := [value for value in before if value not in after]:
            yield f"{_at(path)}: {_listed(lost)} would be refused"


def _enumerated(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values: list[Any] | None = schema.get("enum")
    return values


def _bounds(old: Schema, new: Schema, path: str) -> Iterator[str]:
    for keyword, keeps in _BOUNDS.items():
        if keyword not in new:
            continue
        if keyword not in old:
            yield f"{_at(path)}: {keyword} {new[keyword]} is new"
        elif not keeps(old[keyword], new[keyword]):
            yield f"{_at(path)}: {keyword} changed from {old[keyword]} to {new[keyword]}"


def _listed(values: list[Any]) -> str:
    return ", ".join(str(value) for value in values)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _at(path: str) -> str:
    return path or "event"


def refusals(baseline: Path = BASELINE) -> list[str]:
    """Everything in which the models refuse what the baseline accepts, one line each."""
    now = contracts()
    lines = []
    files = sorted(baseline.glob("*.json"))
    if not files:
        return [f"{baseline}: no baseline; run `python -m schemas.compatibility --accept` at a release"]
    for file in files:
        if file.stem not in now:
            lines.append(f"{file.stem}: the contract was removed")
            continue
        old = json.loads(file.read_text(encoding="utf-8"))
        lines += [f"{file.stem}: {reason}" for reason in narrowings(old, now[file.stem])]
    for file in sorted(baseline.glob("examples/*/*.json")):
        result = _decoded(file)
        if isinstance(result, Rejected):
            lines.append(f"{file}: a valid example of the baseline is refused: {result.message}")
    return lines


def _decoded(example: Path) -> Interaction | Statement | Rejected:
    value = example.read_bytes()
    if example.parent.name == "identity":
        return FactDecoder("BG", 0).decode(value, (), _END_OF_TIME)
    return Decoder("BG", 0, lambda *_: None).decode(value, (), str(example), 0, 0, None, _END_OF_TIME)


def accept(baseline: Path = BASELINE, examples: Path = EXAMPLES) -> None:
    """Make the models of now, and their valid examples, the baseline."""
    shutil.rmtree(baseline, ignore_errors=True)
    baseline.mkdir(parents=True)
    for name, schema in contracts().items():
        text = json.dumps(schema, indent=2, ensure_ascii=False)
        (baseline / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
        if (folder := examples / name / "valid").is_dir():
            shutil.copytree(folder, baseline / "examples" / name)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m schemas.compatibility", description=__doc__)
    parser.add_argument("--accept", action="store_true", help="make the models of now the baseline")
    if parser.parse_args(arguments).accept:
        lost = refusals() if BASELINE.exists() else []
        accept()
        sys.stderr.write("".join(f"accepted although it breaks old events: {line}\n" for line in lost))
        return 0
    lines = refusals()
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
