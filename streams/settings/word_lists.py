"""Lists in settings: an array in the file, words with commas between them in the environment."""

from typing import Annotated

from pydantic import BeforeValidator


def _parted(value: object) -> object:
    if isinstance(value, str):
        return [word for part in value.split(",") if (word := part.strip())]
    return value


WordList = Annotated[frozenset[str], BeforeValidator(_parted)]
"""A set of words; blank ones are left out."""
