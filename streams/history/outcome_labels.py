"""Outcome labels: what became of customers, said by whoever knows (they cancelled, they complained to the regulator).

One JSON object a line: `{"customer": "crm:A1", "when": "2026-03-01T10:00:00Z", "what": "churn"}`. Further entries are
ignored. Errors name file, line and field.
"""

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from schemas.interaction import Micros
from schemas.timestamps import TimestampError, parse_timestamp
from schemas.vocabulary import CUSTOMER_PREFIX

SHOWN_PROBLEMS: Final = 10

_PREFIXES: Final = tuple(f"{prefix}:" for prefix in CUSTOMER_PREFIX.values())


class Label(NamedTuple):
    """One outcome of one customer."""

    customer: str
    """The canonical customer, as in the column `customer`: `crm:A1`."""
    when: Micros
    what: str


class LabelProblem(ValueError):
    """What is wrong with a file of labels, one line a problem."""


def read_labels(file: Path, what: Collection[str] = ()) -> list[Label]:
    """Read labels, those of `what` only if it names any; raises `LabelProblem` with the first problems."""
    with file.open("rb") as lines:
        return parse_labels(lines, str(file), what)


def parse_labels(lines: Iterable[bytes], name: str, what: Collection[str] = ()) -> list[Label]:
    """Labels from lines; blank ones are skipped. `name` is the file's, for the errors."""
    labels: list[Label] = []
    problems: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            label = _label(json.loads(line))
        except ValueError as error:
            reason = "not JSON" if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) else error
            problems.append(f"{name}:{number}: {reason}")
            if len(problems) == SHOWN_PROBLEMS:
                problems.append("... further ones are not shown")
                break
            continue
        if not what or label.what in what:
            labels.append(label)
    if problems:
        raise LabelProblem("\n".join(problems))
    return labels


def _label(told: Any) -> Label:
    if not isinstance(told, dict):
        raise ValueError("a label is an object with customer, when and what")
    for field in ("customer", "when", "what"):
        if not isinstance(told.get(field), str) or not told[field]:
            raise ValueError(f"{field}: is missing, or no text")
    if not told["customer"].startswith(_PREFIXES):
        raise ValueError(
            f"customer: {told['customer']!r} does not say what kind of identifier it is; write crm:A1 "
            f"(one of {', '.join(_PREFIXES)})"
        )
    try:
        when = parse_timestamp(told["when"])
    except TimestampError as error:
        raise ValueError(f"when: {error}") from None
    return Label(told["customer"], when, told["what"])
