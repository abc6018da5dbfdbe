"""Lines of a table for a terminal: columns as wide as their widest cell, two spaces between them."""

import unicodedata
from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()) -> list[str]:
    """The heading and the rows as lines; columns named in `right` are right-aligned. No rows give no lines."""
    cells = [[shown(cell) for cell in row] for row in rows]
    if not cells:
        return []
    widths = [max(width(row[index]) for row in (headings, *cells)) for index in range(len(headings))]
    return [
        "  ".join(
            " " * (wide - width(cell)) + cell if name in right else cell + " " * (wide - width(cell))
            for name, cell, wide in zip(headings, row, widths, strict=True)
        ).rstrip()
        for row in (headings, *cells)
    ]


def shown(cell: object) -> str:
    """A cell as text: nothing for None, thousands apart, control characters shown and not obeyed."""
    if cell is None:
        return ""
    if isinstance(cell, int) and not isinstance(cell, bool):
        return f"{cell:,}"
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in str(cell))


def width(text: str) -> int:
    """How many columns of a terminal a text takes: East Asian wide characters two, combining ones none."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )
