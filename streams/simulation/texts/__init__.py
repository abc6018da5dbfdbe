"""What the simulated people write and say: templates by language and situation, filled and joined.

A situation is a word of `Situation`; each language module maps every situation to several templates with
the slots `{name}`, `{product}`, `{amount}`, `{order}` and `{days}`. Letters of customers get a greeting and
a closing, so that the same sentence seldom stands alone twice.
"""

from random import Random
from typing import Final, Literal, NamedTuple

from streams.simulation.names import Language
from streams.simulation.texts import bulgarian, english, russian, ukrainian

Situation = Literal[
    "ask_bill",
    "ask_tariff",
    "ask_delivery",
    "ask_technical",
    "ask_data",
    "overcharged",
    "again",
    "nudge",
    "rude",
    "indifferent",
    "complaint",
    "praise",
    "dissatisfied",
    "self_service",
    "answer",
    "sorry",
    "acknowledge",
    "promise",
    "note",
    "remedy",
]


class Phrasebook(NamedTuple):
    """One language: what is said in each situation, and how letters begin and end."""

    said: dict[Situation, tuple[str, ...]]
    greetings: tuple[str, ...]
    closings: tuple[str, ...]
    company_greetings: tuple[str, ...]
    company_closings: tuple[str, ...]


def _book(module: object) -> Phrasebook:
    names = ("SAID", "GREETINGS", "CLOSINGS", "COMPANY_GREETINGS", "COMPANY_CLOSINGS")
    return Phrasebook(*(getattr(module, name) for name in names))


PHRASEBOOKS: Final[dict[Language, Phrasebook]] = {
    "bg": _book(bulgarian),
    "ru": _book(russian),
    "uk": _book(ukrainian),
    "en": _book(english),
}


def say(rng: Random, language: Language, situation: Situation, slots: dict[str, str]) -> str:
    """One sentence or two for the situation, as noted by an agent or typed into a box."""
    templates = PHRASEBOOKS[language].said[situation]
    return templates[int(rng.random() * len(templates))].format_map(slots)


def letter(
    rng: Random, language: Language, situation: Situation, slots: dict[str, str], *, company: bool
) -> str:
    """A whole e-mail: greeting, what there is to say, closing."""
    book = PHRASEBOOKS[language]
    greetings = book.company_greetings if company else book.greetings
    closings = book.company_closings if company else book.closings
    greeting = greetings[int(rng.random() * len(greetings))]
    closing = closings[int(rng.random() * len(closings))]
    return f"{greeting}\n{say(rng, language, situation, slots)}\n{closing}".format_map(slots)
