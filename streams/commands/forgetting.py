"""Forgetting a customer, step by step: whom, what, telling the workers, deleting from ClickHouse, the receipt.

Each step is noted in the table of the erasure, so that a command that was interrupted goes on with the next.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import click

from schemas.identifiers import Normaliser
from schemas.links import Name, Record, kind_of
from schemas.topics import ALL
from streams.commands.failures import CommandFailed
from streams.commands.forget_receipt import counted, days_of, instant_of
from streams.commands.servers import Servers
from streams.named_identifiers import read_name
from streams.settings import Settings

if TYPE_CHECKING:
    from sinks.clickhouse.erasure import Erasing
    from sinks.clickhouse.pseudonyms import Pseudonyms

LOOK_SECONDS: Final = 0.3
ROUNDS: Final = 5
"""Surveys of ClickHouse. The second finds nothing, unless somebody writes rows who should not."""

ABANDONED_SECONDS: Final = 86_400
AGAIN: Final = "run the same command again: it goes on where it stopped"


class Forgetting:
    """One run of the command."""

    def __init__(self, settings: Settings, running: Servers, seconds: float) -> None:
        from streams.pseudonymity import pseudonyms_of

        self._settings, self._running, self._seconds = settings, running, seconds
        self._pseudonyms: Pseudonyms = pseudonyms_of(settings)

    def run(self, customer: str, by: str, reason: str | None, *, ask: bool) -> dict[str, Any]:
        """Everything in its order; the receipt."""
        from sinks.clickhouse.erasure import erasing_client, unfinished
        from sinks.clickhouse.hash_key import hold_to_key

        hold_to_key(self._running.clickhouse, self._pseudonyms)
        client = erasing_client(self._running.clickhouse)
        try:
            name = self._clear(client, customer)
            for old in unfinished(client, self._running.clickhouse, older_than=ABANDONED_SECONDS):
                if old.noted("confirmed") is None:
                    old.finish()
            begun = [
                one
                for one in unfinished(client, self._running.clickhouse)
                if one.noted("confirmed") and name in one.names
            ]
            if begun:
                click.echo(f"going on with the erasure {begun[0].id}", err=True)
                erasing = begun[0]
            else:
                erasing = self._begin(client, name, by, reason, ask=ask)
            return self._erase(client, erasing)
        finally:
            client.disconnect()

    # --- whom ------------------------------------------------------------------------------------------------

    def _clear(self, client: Any, text: str) -> Name:
        from streams.commands.stored_customers import clear_name

        if self._pseudonyms.is_stored(text) and not self._pseudonyms.clear:
            return clear_name(client, self._settings, text)
        try:
            return read_name(text, Normaliser(self._settings.identity.region))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="CUSTOMER") from None

    def _begin(self, client: Any, name: Name, by: str, reason: str | None, *, ask: bool) -> "Erasing":
        """Find out whom and what it is about, show it and ask."""
        from sinks.clickhouse.erasure import begin

        self._wait_for_the_workers()
        customer, names, shared, facts = self._known_of(name)
        erasing = begin(client, self._running.clickhouse, uuid4().hex, names, self._pseudonyms)
        try:
            erasing.collect()
            erasing.note_facts(facts)
            self._look_through_letters(erasing, names)
            held = erasing.held()
            if not held and len(names) < 2 and not facts:
                raise CommandFailed(
                    f"nothing is known of {name}",
                    "give it as sources write it: `touchline identity show` tells whose an identifier is",
                )
            click.echo(f"{customer} is to be forgotten", err=True)
            click.echo(f"  known as  {', '.join(names)}", err=True)
            if shared:
                click.echo(f"  shared with others, stays theirs: {', '.join(shared)}", err=True)
            click.echo(f"  stored    {counted(held) or 'nothing but links'}", err=True)
            if ask:
                click.confirm("It cannot be undone. Forget?", abort=True, err=True)
        except BaseException:
            erasing.finish()
            raise
        for what, value in {
            "asked_at": str(time.time_ns() // 1_000),
            "by": by,
            "reason": json.dumps(reason),
            "customer": customer,
            "shared": json.dumps(shared),
            "counts": "{}",
            "confirmed": "yes",
        }.items():
            erasing.note(what, value)
        return erasing

    def _known_of(self, name: Name) -> tuple[Name, list[Name], list[Name], list[tuple[str, str]]]:
        """The customer, all names that are the customer's alone, those that are shared, and facts that name them."""
        from schemas.links import Statement
        from streams.commands.erasure_records import named_in
        from streams.core.identification.index import IdentityIndex
        from streams.core.identification.portrait import portrait
        from streams.settings.identity import identity_policy

        policy = identity_policy(self._settings.identity)
        records = self._links()
        index = IdentityIndex(policy, records)
        picture = portrait(index, policy, name)
        names = [feature.name for feature in picture.features]
        linked = {end for tie in picture.ties for end in (tie.a, tie.b) if end not in names}
        shared = sorted(one for one in linked if index.place(one).shared)
        facts = [
            (one.source, one.id) for one in named_in(records, frozenset(names)) if isinstance(one, Statement)
        ]
        names.sort(key=lambda one: one != picture.customer)
        return picture.customer, names, shared, facts

    def _links(self) -> list[Record]:
        from streams.commands.link_log import open_log

        with (
            self._doing("reading links"),
            open_log(self._running.kafka, self._settings.kafka.prefix) as log,
        ):
            return log.records()

    def _look_through_letters(self, erasing: "Erasing", names: list[Name]) -> None:
        from schemas.erasures import letter_identity
        from streams.mentions import Mentions

        identities = {(source, id_) for source, id_, _ in erasing.interactions()}
        mentions = Mentions(names, identities, Normaliser(self._settings.identity.region))
        with self._doing("looking through dead letters"):
            erasing.note_letters(
                [
                    (one, letter_identity(one.value)[1] if mentions.in_record(b"", one.value, ()) else "")
                    for one in erasing.letters()
                    if mentions.in_record(one.key, one.value, one.headers)
                ]
            )

    # --- erasing ---------------------------------------------------------------------------------------------

    def _erase(self, client: Any, erasing: "Erasing") -> dict[str, Any]:
        from sinks.clickhouse.receipts import Receipt, record_erased, record_receipt

        customer = erasing.noted("customer") or erasing.names[0]
        receipt = Receipt(
            erasing.id,
            int(erasing.noted("asked_at") or 0),
            erasing.noted("by") or "",
            json.loads(erasing.noted("reason") or "null"),
            self._pseudonyms.erased_customer(customer).hex(),
            {},
            None,
            None,
            time.time_ns() // 1_000,
        )
        interactions = erasing.interactions()
        if erasing.noted("published") is None:
            record_receipt(client, receipt)
            record_erased(
                client,
                erasing.id,
                self._hashes(erasing),
            )
            topics = self._publish(erasing, receipt.asked_at)
            erasing.told()
            erasing.note("topics", json.dumps(topics))
            erasing.note("published", "yes")
        self._wait_until_done(erasing)
        self._look_through_letters(erasing, list(erasing.names))
        tables = self._delete(erasing)
        topics = json.loads(erasing.noted("topics") or "{}")
        now = time.time_ns() // 1_000
        gone_at = now + erasing.lifetime_seconds() * 1_000_000
        record_receipt(
            client,
            receipt._replace(counts={**tables, **topics}, finished_at=now, gone_at=gone_at, version=now),
        )
        names = erasing.names
        shown = {
            "id": erasing.id,
            "customer": customer,
            "asked_at": instant_of(receipt.asked_at),
            "by": receipt.asked_by,
            "reason": receipt.reason,
            "identifiers": [{"kind": kind_of(name), "identifier": name} for name in names],
            "shared": json.loads(erasing.noted("shared") or "[]"),
            "interactions": len(interactions),
            "deleted": tables,
            "removed": topics,
            "finished_at": instant_of(now),
            "gone_at": instant_of(gone_at),
            "expires": self._expiries(),
        }
        erasing.finish()
        return shown

    def _hashes(self, erasing: "Erasing") -> list[bytes]:
        """What may not come back: interactions, facts, and the very bytes of dead letters."""
        hidden = self._pseudonyms
        hashes = [hidden.erased_identity(source, id_) for source, id_, _ in erasing.interactions()]
        hashes += [hidden.erased_identity("", letter) for letter in erasing.bytes_of_letters()]
        return hashes + [hidden.erased_fact(source, id_) for source, id_ in erasing.facts()]

    def _publish(self, erasing: "Erasing", asked_at: int) -> dict[str, int]:
        """Tell the workers, take the customer out of compacted topics, tell the workers that this was all."""
        from schemas.erasures import NOT_YET, erasure_parts
        from schemas.topics import LINKS
        from streams.commands.erasure_records import Sender, corrections_removed, erasures, named_in, removals

        names, interactions = frozenset(erasing.names), erasing.interactions()
        hidden = self._pseudonyms
        customers = [hidden.erased_customer(name) for name in names]
        hashes = self._hashes(erasing)
        links = removals(named_in(self._links(), names), names)
        corrections = corrections_removed(interactions)
        with self._doing("telling the workers"):
            sender = Sender(self._running.kafka, self._settings.kafka.prefix)
            try:
                sender.send(erasures(erasure_parts(erasing.id, asked_at, customers, hashes, NOT_YET)))
                ends = sender.send([*links, *corrections])
                position = ends.get(LINKS.name, 0)
                sender.send(erasures(erasure_parts(erasing.id, asked_at, customers, hashes, position)))
            finally:
                sender.close()
        counts: dict[str, int] = {}
        for letter in (*links, *corrections):
            if letter.value is None:
                counts[letter.topic.name] = counts.get(letter.topic.name, 0) + 1
        return counts

    def _delete(self, erasing: "Erasing") -> dict[str, int]:
        from sinks.clickhouse.erasure import WRITING_SECONDS

        with self._doing("deleting from ClickHouse"):
            counts: dict[str, int] = json.loads(erasing.noted("counts") or "{}")
            for _ in range(ROUNDS):
                time.sleep(
                    WRITING_SECONDS
                )  # what was being written when the workers were done can be read now
                found = erasing.survey()
                if not found:
                    return counts
                erasing.delete(found)
                counts = {table: counts.get(table, 0) + found.get(table, 0) for table in {**counts, **found}}
                erasing.note("counts", json.dumps(counts))
        raise CommandFailed(
            f"rows of the customer keep coming in {', '.join(found)}",
            f"see that all workers are of this version of Touchline; then {AGAIN}",
        )

    # --- waiting ---------------------------------------------------------------------------------------------

    def _wait_for_the_workers(self) -> None:
        """Return when the workers have taken in what was there when this was called."""
        from streams.commands.link_log import workers_of
        from streams.commands.migrate import layout_of
        from streams.kafka.admin import broker_admin
        from streams.kafka.lag import group_lag, read_topics

        group, topics = self._settings.kafka.group, read_topics(layout_of(self._settings.kafka))
        with broker_admin(self._running.kafka) as admin, self._doing("waiting for the workers"):
            if workers_of(admin, group) == 0:
                raise CommandFailed(
                    "no worker runs, and without one nothing is erased from its state",
                    "start one (`touchline up`, `touchline worker`), then run the same command again",
                )
            ends = {(one.topic, one.partition): one.end for one in group_lag(admin, group, topics)}
            if not ends:
                raise CommandFailed(
                    f"no topic begins with {self._settings.kafka.prefix}", "run `touchline migrate` first"
                )
            behind = 0

            def caught_up() -> bool:
                nonlocal behind
                behind = sum(
                    max(0, ends[one.topic, one.partition] - max(one.begin, one.committed or 0))
                    for one in group_lag(admin, group, topics)
                )
                return not behind

            if not self._until(caught_up, self._seconds):
                raise CommandFailed(
                    f"the workers have yet to take in {behind:,} records that came before; nothing is erased",
                    "see that they run (`touchline doctor`), or wait longer (--wait 10m)",
                )

    def _wait_until_done(self, erasing: "Erasing") -> None:
        from schemas.topics import INTERACTIONS
        from streams.kafka.admin import broker_admin

        topic = INTERACTIONS.full_name(self._settings.kafka.prefix)
        with broker_admin(self._running.kafka) as admin:
            partitions = next(
                {one["partition_index"] for one in found["partitions"]}
                for found in admin.describe_topics()
                if found["name"] == topic
            )
        with self._doing("waiting until the workers have let go"):
            if not self._until(lambda: partitions <= erasing.partitions_done(), self._seconds):
                left = partitions - erasing.partitions_done()
                raise CommandFailed(
                    f"the owners of {len(left)} of {len(partitions)} partitions have not let go of it yet",
                    f"see that workers run (`touchline doctor`); then {AGAIN}",
                )

    def _until(self, holds: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_SECONDS)
        return True

    @contextmanager
    def _doing(self, what: str) -> Iterator[None]:
        from rich.console import Console

        with Console(stderr=True).status(what):
            yield

    def _expiries(self) -> dict[str, str]:
        """Topics that still hold records of the customer, and for how long at the most after those were written."""
        horizon = self._settings.journeys.horizon
        return {
            topic.full_name(self._settings.kafka.prefix): days_of(
                topic.retention + (horizon if topic.beyond_horizon else timedelta())
            )
            for topic in ALL
            if "delete" in topic.cleanup and topic.retention is not None
        }
