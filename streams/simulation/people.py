"""Who the simulated customers are: names, languages, identifiers, habits.

People are drawn from the seed alone, so the same seed meets the same people whatever the time span. Some
share a telephone with a relative, some change their number one day, most own more than one device: what
identity has to cope with, and the ground truth of it.
"""

from bisect import bisect_right
from collections.abc import Iterator
from hashlib import blake2s
from itertools import accumulate
from random import Random
from typing import Final, Literal

from schemas.interaction import DAY, Micros
from streams.simulation.names import FAMILY, GIVEN, LANGUAGES, OFFICES, Language, family_after, latin

Habit = Literal["caller", "writer", "visitor", "clicker"]
HABITS: Final[tuple[tuple[Habit, float], ...]] = (
    ("clicker", 0.45),
    ("caller", 0.3),
    ("writer", 0.15),
    ("visitor", 0.1),
)

_MAILBOXES: Final = ("example.com", "example.net", "example.org", "mail.example.com", "поща.example.org")
_LANGUAGE_LIMITS: Final = list(accumulate(share for _, share in LANGUAGES))
_HABIT_LIMITS: Final = list(accumulate(share for _, share in HABITS))
_SHARED_PHONE: Final = 0.06
_CHANGED_PHONE: Final = 0.05
_HAS_LOYALTY: Final = 0.4


class Person:
    """A customer as nobody in the pipeline knows them: everything, from every system.

    `identified` people are known to every system by their CRM id; of the others each system knows only what
    it sees itself (a number, an address, a device, a contract).
    """

    __slots__ = (
        "contract",
        "crm_id",
        "devices",
        "email",
        "habit",
        "identified",
        "index",
        "language",
        "loyalty",
        "name",
        "new_phone_after",
        "office",
        "phones",
        "quiet_until",
        "troubled_at",
    )

    def __init__(self, index: int, realm: str, rng: Random, *, identified: bool, relative: "Person | None"):
        self.index = index
        self.identified = identified
        self.language: Language = LANGUAGES[_drawn(rng, _LANGUAGE_LIMITS)][0]
        self.habit: Habit = HABITS[_drawn(rng, _HABIT_LIMITS)][0]
        given = _one(rng, GIVEN[self.language])
        family = _one(rng, FAMILY[self.language])
        self.name = f"{given} {family_after(given, family, self.language)}"
        self.crm_id = f"{realm}{index:06d}"
        self.contract = f"D-{realm}-{index * 7 + 1000}"
        self.loyalty = f"L{realm}{index * 3 + 500_000}" if rng.random() < _HAS_LOYALTY else None
        domain = _MAILBOXES[min(int(rng.random() ** 2 * len(_MAILBOXES)), len(_MAILBOXES) - 1)]
        self.email = f"{latin(given)}.{latin(family)}.{realm.lower()}{index}@{domain}"
        own = _number(index, realm, 0)
        shared = relative is not None and rng.random() < _SHARED_PHONE
        self.phones: tuple[str, ...] = (relative.phones[0] if shared and relative else own,)
        self.new_phone_after: float | None = None
        """Share of the simulated span after which the second number is in use."""
        if rng.random() < _CHANGED_PHONE:
            self.phones = (*self.phones, _number(index, realm, 1))
            self.new_phone_after = 0.2 + 0.6 * rng.random()
        self.devices = tuple(
            f"{realm.lower()}-{index:x}-{'abc'[n]}" for n in range(1 + int(rng.random() * 2.6))
        )
        self.office = _one(rng, OFFICES)
        self.quiet_until: dict[str, Micros] = {}
        """By reason, until when no other story may be about it."""
        self.troubled_at: tuple[Micros, ...] = ()
        """When the stories began in which something went wrong."""

    def phone_at(self, elapsed: float) -> str:
        """The number in use when `elapsed` (0..1) of the span has passed, in E.164."""
        changed = self.new_phone_after is not None and elapsed >= self.new_phone_after
        return self.phones[-1] if changed else self.phones[0]

    def troubles_since(self, at: Micros) -> int:
        """How many such stories began at that instant or later."""
        return sum(began >= at for began in self.troubled_at)

    def facts(self) -> dict[str, object]:
        """The ground truth of this person's identifiers, for the truth file."""
        return {
            "customer": self.crm_id,
            "name": self.name,
            "language": self.language,
            "identified": self.identified,
            "identifiers": {
                "crm_id": self.crm_id,
                "contract": self.contract,
                "loyalty": self.loyalty,
                "phone": list(self.phones),
                "email": self.email,
                "device": list(self.devices),
            },
        }


def realm_of(seed: int) -> str:
    """Three letters that keep the people of different seeds apart in one database."""
    digest = blake2s(b"realm/%d" % seed, digest_size=3).digest()
    return "".join(chr(65 + byte % 26) for byte in digest)


def populate(seed: int, customers: int, share_identified: float) -> Iterator[Person]:
    """Yield the people of a seed, one after the other; the first n are the same for any `customers` >= n."""
    rng = Random(f"people/{seed}")
    realm = realm_of(seed)
    before: Person | None = None
    for index in range(customers):
        identified = rng.random() < share_identified
        person = Person(index, realm, rng, identified=identified, relative=before)
        yield person
        before = person


def waking_start(day: Micros, rng: Random) -> Micros:
    """An instant of that UTC day when people deal with companies: mostly 7 to 19, two humps."""
    hour = 7.0 + 12.0 * (0.5 * rng.random() + 0.5 * rng.random() ** 1.3)
    return day - day % DAY + int(hour * 3_600_000) * 1_000


def _number(index: int, realm: str, generation: int) -> str:
    tail = int.from_bytes(blake2s(f"{realm}{index}/{generation}".encode(), digest_size=4).digest(), "big")
    return f"+35988{tail % 10_000_000:07d}"


def _one(rng: Random, options: tuple[str, ...]) -> str:
    return options[int(rng.random() * len(options))]


def _drawn(rng: Random, limits: list[float]) -> int:
    return min(bisect_right(limits, rng.random()), len(limits) - 1)
