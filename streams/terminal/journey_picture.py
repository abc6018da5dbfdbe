"""One customer's journey as a picture: four lanes over time, and under them what happened at each mark.

Works in 80 columns and without colour: the outcome is told by the mark's shape and by its word, colour
repeats it.
"""

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import log1p
from typing import Any, Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from schemas.vocabulary import CHANNELS
from streams.terminal.masking import masked_customer, masked_text

MOST_STEPS: Final = 24
"""Of a longer journey the list shows the first and the last half of so many; the lanes show all that fit."""

_MARKS: Final[dict[str | None, tuple[str, str]]] = {
    "resolved": ("●", "green"),
    "unresolved": ("✗", "bold red"),
    "abandoned": ("○", "red"),
    "promised": ("◇", "yellow"),
    "unknown": ("·", "cyan"),
    None: ("•", "cyan"),
}
_LANE_STYLE: Final = "dim"
_NAME_WIDTH: Final = 8
_INDENT: Final = 5
_DAY: Final = 86_400.0


def journey_picture(journey: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Draw a row of the view `journeys` with its rows of `journey_steps`.

    Times are datetimes (naive ones are UTC). Every column may be missing or None, save `occurred_at` and
    `channel` of a step. Texts are masked and cut to one line. An empty journey is drawn as its headline
    alone.
    """
    return _Picture(
        journey, sorted(steps, key=lambda step: (_utc(step["occurred_at"]), step.get("step") or 0))
    )


class _Picture:
    """Measures the console when it is drawn."""

    def __init__(self, journey: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]):
        self._journey = journey
        self._steps = steps

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(options.max_width, 40)
        yield from (line for line in _headline(self._journey, width))
        if self._steps:
            yield Text()
            yield from _lanes(self._steps, width - _NAME_WIDTH - 2)
            yield Text()
            yield from _list(self._steps, width)
            yield Text(_legend(), style="dim", no_wrap=True)


def _headline(journey: Mapping[str, Any], width: int) -> list[Text]:
    customer = masked_customer(str(journey.get("customer") or "somebody"))
    first = Text("Journey of ", no_wrap=True, overflow="ellipsis").append(customer, style="bold")
    status = [str(journey["status"])] if journey.get("status") else []
    if journey.get("resolved") is not None:
        status.append("resolved" if journey["resolved"] else "not resolved")
    if journey.get("first_contact_resolved"):
        status.append("at the first contact")
    if status:
        first.append(f" · {', '.join(status)}")
    counts = [
        f"{journey[name]} {name if journey[name] != 1 else name[:-1]}"
        for name in ("interactions", "contacts", "transfers")
        if journey.get(name)
    ]
    if journey.get("wait_seconds"):
        counts.append(f"waited {duration(journey['wait_seconds'])}")
    if journey.get("effort_seconds"):
        counts.append(f"cost {duration(journey['effort_seconds'])}")
    lines = [first]
    if counts:
        lines.append(Text(_cut("  " + " · ".join(counts), width), no_wrap=True))
    if journey.get("subjects"):
        lines.append(
            Text(_cut("  about " + ", ".join(journey["subjects"]), width), style="dim", no_wrap=True)
        )
    return lines


def _lanes(steps: Sequence[Mapping[str, Any]], width: int) -> list[Text]:
    columns = places([_utc(step["occurred_at"]).timestamp() for step in steps], width)
    lines = []
    for channel in CHANNELS:
        line = Text(f"  {channel:<{_NAME_WIDTH - 2}}  ", no_wrap=True)
        at = {column: step for step, column in zip(steps, columns, strict=True) if step["channel"] == channel}
        for column in range(width):
            if column in at:
                line.append(*_MARKS.get(at[column].get("outcome"), _MARKS[None]))
            else:
                line.append("─", style=_LANE_STYLE)
        lines.append(line)
    lines.append(_axis(steps, columns, width))
    return lines


def places(instants: Sequence[float], width: int) -> list[int]:
    """The column of each instant (ascending, seconds) in a lane of `width` columns.

    Each step goes at least one column on as long as there is room; what is left is shared out by the
    logarithm of the silences, so that a burst of minutes and a silence of days can both be read.
    """
    if not instants:
        return []
    weights = [log1p((after - before) / 600) for before, after in itertools.pairwise(instants)]
    least = 2 if 2 * len(weights) < width else 1 if len(weights) < width else 0
    spare = width - 1 - least * len(weights)
    total = sum(weights)
    columns, passed = [0], 0.0
    for number, weight in enumerate(weights, start=1):
        passed += weight
        columns.append(
            least * number + int(spare * passed / total if total else spare * number / len(weights))
        )
    return columns


def _axis(steps: Sequence[Mapping[str, Any]], columns: Sequence[int], width: int) -> Text:
    axis = " " * width
    free_from, shown = 0, ""
    for step, column in zip(steps, columns, strict=True):
        label = f"{_utc(step['occurred_at']):%d %b}"
        start = min(column, width - len(label))
        if label != shown and start >= free_from:
            axis = axis[:start] + label + axis[start + len(label) :]
            free_from, shown = start + len(label) + 1, label
    return Text(" " * (_NAME_WIDTH + 2) + axis.rstrip(), style="dim", no_wrap=True)


def _list(steps: Sequence[Mapping[str, Any]], width: int) -> list[Text]:
    left_out = range(0, 0)
    if len(steps) > MOST_STEPS:
        left_out = range(MOST_STEPS // 2, len(steps) - MOST_STEPS // 2)
    lines: list[Text] = []
    before: datetime | None = None
    for index, step in enumerate(steps):
        at = _utc(step["occurred_at"])
        if index in left_out:
            if index == left_out.start:
                lines.append(Text(f"{'':>{_INDENT}}… {len(left_out)} more …", style="dim"))
        else:
            silence = (at - before).total_seconds() if before is not None else 0.0
            if silence >= _DAY / 2:
                lines.append(Text(f"{'':>{_INDENT}}┆ {duration(silence)} later", style="dim"))
            lines += _step_lines(index + 1, step, at, width)
        before = at
    return lines


def _step_lines(number: int, step: Mapping[str, Any], at: datetime, width: int) -> list[Text]:
    outcome = step.get("outcome")
    mark, style = _MARKS.get(outcome, _MARKS[None])
    kind = str(step.get("type") or "").replace("_", " ")
    what = step["channel"] if kind in ("", step["channel"]) else f"{step['channel']} {kind}"
    if step.get("direction") == "outbound":
        what += " out"
    details = [str(outcome)] if outcome else []
    if step.get("success") is False:
        details.append("failed")
    about = step.get("reason") or step.get("order_id") or step.get("case_id") or step.get("target")
    if about:
        details.append(str(about))
    details += [
        f"{name} {step[f'price_{name}']:g}" for name in ("agreed", "charged") if step.get(f"price_{name}")
    ]
    if step.get("treatment") and step["treatment"] != "professional":
        details.append(str(step["treatment"]))
    if step.get("transfers"):
        details.append(f"{step['transfers']} transfer{'s' if step['transfers'] != 1 else ''}")
    if step.get("wait_seconds"):
        details.append(f"waited {duration(step['wait_seconds'])}")
    line = Text(f"{number:>3} ", no_wrap=True).append(mark, style=style)
    rest = set_cell_size(what, 19) if cell_len(what) < 19 else what
    line.append(_cut(f" {at:%d %b %H:%M}  {rest} {' · '.join(details)}".rstrip(), width - _INDENT))
    lines = [line]
    if step.get("text"):
        snippet = _cut(f"“{masked_text(str(step['text']))}”", width - 2 * _INDENT)
        lines.append(Text(f"{'':>{_INDENT}}{snippet}", style="italic dim", no_wrap=True))
    return lines


def _legend() -> str:
    return "  " + "  ".join(f"{mark} {outcome or 'no outcome'}" for outcome, (mark, _) in _MARKS.items())


def duration(seconds: float) -> str:
    """A length of time in its two greatest units: `45 s`, `4 min 10 s`, `3 h`, `2 d 5 h`.

    >>> duration(45), duration(250), duration(10_800), duration(190_900)
    ('45 s', '4 min 10 s', '3 h', '2 d 5 h')
    """
    rest = round(seconds)
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        amount, rest = divmod(rest, size)
        if amount:
            parts.append(f"{amount} {unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts) or "0 s"


def _cut(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    closing = "”" if text.endswith("”") else ""
    return set_cell_size(text, width - 1 - len(closing)).rstrip() + "…" + closing


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
