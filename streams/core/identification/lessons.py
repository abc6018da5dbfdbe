"""What a whole set of interactions teaches of who is whom: for runs that have all of it at once, in any order."""

from collections.abc import Iterator

from schemas.identifiers import Identifiers
from schemas.interaction import DAY, Interaction
from schemas.links import Link, Name, merged_links, names_of
from streams.core.identification.index import IdentityIndex
from streams.core.identification.policy import IdentityPolicy


class Lessons:
    """Collects links; each pair's are united as the log unites them."""

    def __init__(self, policy: IdentityPolicy) -> None:
        # Of links that it does not know, an index that knows nothing learns all.
        self._learn = IdentityIndex(policy).learn
        self._links: dict[tuple[Name, Name], Link] = {}

    def add(self, interaction: Interaction) -> Identifiers:
        """Take in what an interaction teaches; returns its identifiers."""
        identifiers = interaction.identifiers
        absent = identifiers.count(None)
        if absent >= 5:
            return identifiers
        at = interaction.occurred_at
        if absent == 4 and not interaction.unnormalised:
            a, b = names_of(identifiers)
            known = self._links.get((a, b))
            if known is not None and known.first_seen < at and at - at % DAY <= known.last_seen:
                return identifiers
        for link in self._learn(
            identifiers, interaction.unnormalised, at, interaction.source, interaction.id
        ):
            pair = link.a, link.b
            held = self._links.get(pair)
            self._links[pair] = link if held is None else merged_links(held, link)
        return identifiers

    def records(self) -> Iterator[Link]:
        """The links, each pair once."""
        return iter(self._links.values())
