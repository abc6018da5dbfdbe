"""What a destination answered, fit for logs and tables: one line, not too long, and none of its secrets in it.

An answer may repeat what it was sent (`Authorization: ...`, the path of the URL, a routing key), in a notation of its
own: percent signs, JSON, HTML, base64. All of these are masked, in capitals or not.
"""

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote

from sinks.notifications.wording import shortened

MASK: Final = "***"

_SHORT: Final = 4
"""Secrets of fewer characters are masked as whole words only: elsewhere they are parts of any text."""


class Secrets:
    """The secrets of one destination. Its `repr` shows none of them."""

    def __init__(self, *secrets: str) -> None:
        notations = {one for secret in secrets if secret for one in _notations(secret)}
        ordered = sorted(notations, key=lambda one: (-len(one), one))
        self._longest = len(ordered[0]) if ordered else 0
        self._pattern = re.compile("|".join(map(_pattern, ordered)), re.IGNORECASE) if ordered else None

    def __repr__(self) -> str:
        return "Secrets(***)"

    def quoted(self, text: str, longest: int, *, cut: bool = False) -> str:
        """The text in one line of at most `longest` characters, its secrets masked.

        `cut`: the text may end in the middle of a secret, so what could be the beginning of one is left out.
        """
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
            if cut:
                text = text[: -self._longest]
        return shortened(" ".join(text.split()), longest)


NO_SECRETS: Final = Secrets()


def _notations(secret: str) -> Iterator[str]:
    for text in (secret, unquote(secret)):
        yield text
        yield quote(text, safe="")
        yield html.escape(text)
        for ascii_only in (True, False):
            in_json = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
            yield in_json
            yield in_json.replace("/", "\\/")
        yield b64encode(text.encode()).decode().rstrip("=")


def _pattern(notation: str) -> str:
    found = re.escape(notation)
    return rf"(?<!\w){found}(?!\w)" if len(notation) < _SHORT else found
