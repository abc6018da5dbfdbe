"""The data dictionary, generated from the comments of a freshly migrated database.

`python -m sinks.clickhouse.dictionary` writes docs/data-dictionary.md; `--check` writes nothing and exits
with 1 when the file is not what would be written. The migrations run in chDB, the ClickHouse engine in this
process: no server is needed.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from sinks.clickhouse.migrate import available, render

PATH: Final = Path("docs/data-dictionary.md")
DATABASE: Final = "touchline"

EXAMPLES: Final[dict[str, tuple[str, str]]] = {
    "interactions": (
        "What every channel is used for, and how long people wait there",
        """\
SELECT channel, type, count() AS interactions, countIf(is_contact) AS contacts,
       round(avg(wait_seconds)) AS mean_wait
FROM interactions
GROUP BY channel, type
ORDER BY interactions DESC""",
    ),
    "journeys": (
        "The commonest paths that took more than one contact, and how often they ended well",
        """\
SELECT arrayCompact(path) AS road, count() AS journeys,
       round(avg(contacts), 1) AS mean_contacts, avg(resolved) AS resolved_share
FROM journeys
WHERE contacts > 1
GROUP BY road
ORDER BY journeys DESC
LIMIT 10""",
    ),
    "journey_steps": (
        "The longest unresolved journey, step by step",
        """\
SELECT step, occurred_at, channel, type, direction, reason, outcome
FROM journey_steps
WHERE journey_id = (
    SELECT journey_id FROM journeys WHERE resolved = false ORDER BY interactions DESC, journey_id LIMIT 1
)
ORDER BY step""",
    ),
    "findings": (
        "Whom to call first: what is open and severe, why, and what to do",
        """\
SELECT raised_at, customer, rule, sentence, action, evidence.source, evidence.id
FROM findings
WHERE state = 'open' AND severity = 'severe'
ORDER BY raised_at DESC
LIMIT 20""",
    ),
    "findings_history": (
        "How often each rule took something back, and which interactions made it do so",
        """\
SELECT rule, uniqExact(finding_id) AS findings, uniqExactIf(finding_id, kind = 'withdrawn') AS withdrawn,
       topKIf(3)(reason, kind = 'withdrawn') AS why
FROM findings_history
GROUP BY rule
ORDER BY withdrawn DESC, rule""",
    ),
    "customers": (
        "The customers that are being lost, and on which channel",
        """\
SELECT customer, score, light_phone, light_email, light_visit, light_online, open_journeys, last_seen_at
FROM customers
WHERE light = 'red'
ORDER BY score DESC
LIMIT 20""",
    ),
    "lights": (
        "The same without a look at journeys, each with its heaviest reason",
        """\
SELECT customer, score, contributions[1].sentence AS reason
FROM lights
WHERE light = 'red'
ORDER BY score DESC
LIMIT 20""",
    ),
    "light_contributions": (
        "Why a light is what it is: the lines add up to the score",
        """\
SELECT customer, raised_at, channel, rule, points, sum(points) OVER (PARTITION BY customer) AS score, sentence
FROM light_contributions
ORDER BY score DESC, customer, points DESC
LIMIT 50""",
    ),
    "alerts": (
        "What nobody was told, and why",
        """\
SELECT rule, severity, status, reason, count() AS alerts, max(at) AS latest
FROM alerts
WHERE status != 'delivered'
GROUP BY rule, severity, status, reason
ORDER BY alerts DESC""",
    ),
    "alerts_history": (
        "What was held back of whom within a day, each time and why, and what it came to",
        """\
SELECT customer, finding_id, destination,
       arraySort(groupArray((at, kind, if(reason = '', toString(status), reason)))) AS story
FROM alerts_history
WHERE at > now() - INTERVAL 1 DAY
GROUP BY customer, finding_id, destination
HAVING countIf(status = 'suppressed') > 0
ORDER BY max(at) DESC
LIMIT 50""",
    ),
    "identity": (
        "Everything that is known of whoever called last",
        """\
SELECT customer, kind, identifier, shared, since, evidence
FROM identity
WHERE customer = (SELECT customer FROM interactions WHERE type = 'call' ORDER BY occurred_at DESC LIMIT 1)
ORDER BY kind, identifier""",
    ),
    "identity_history": (
        "What operators joined and took apart, and why",
        """\
SELECT changed_at, change, decided_by, reason, before, after
FROM identity_history
WHERE decided_by != 'learnt'
ORDER BY changed_at DESC
LIMIT 20""",
    ),
    "renamed_customers": (
        "How many customers in rows of old are others now",
        """\
SELECT uniqExact(name) AS earlier, uniqExact(customer) AS now
FROM renamed_customers""",
    ),
    "erasures": (
        "How long it took to forget whoever asked for it",
        """\
SELECT asked_at, asked_by, dateDiff('second', asked_at, gone_at) AS seconds, counts
FROM erasures
ORDER BY asked_at DESC""",
    ),
    "dead_letters": (
        "What upstream systems get wrong most often",
        """\
SELECT topic, error, message, count() AS records, max(occurred_at) AS last_seen
FROM dead_letters
GROUP BY topic, error, message
ORDER BY records DESC
LIMIT 10""",
    ),
    "ledger": (
        "The ranges of offsets in which something is missing",
        """\
SELECT topic, partition, offset_from, offset_to, received, missing
FROM ledger
WHERE missing > 0
ORDER BY topic, partition, offset_from""",
    ),
    "reconciliation": (
        "One line: is every record accounted for?",
        """\
SELECT sum(received) AS received, sum(stored) AS stored, sum(superseded) AS superseded, sum(dead) AS dead,
       min(balanced) AS balanced
FROM reconciliation""",
    ),
}
"""For each view that people read: a question and the query that answers it."""

NOTES: Final[dict[str, str]] = {
    "findings_history": """\
The words of `reason` are `completed`, `deadline`, `corrected`, `moved`, `arrived`, `horizon`, `rule changed`, `erased`
and `time`; [rules.md](rules.md) says what each means.""",
    "alerts_history": """\
The words of `reason` are in [alerts.md](alerts.md). What a worker wrote ahead of its state before it died, the next one
says again: it can stand here twice then, at two instants (in steps of more than 256 KB only).""",
}
"""What is to be known of a view beside its columns."""

_HEAD: Final = """\
# Data dictionary

<!-- Generated by `python -m sinks.clickhouse.dictionary` from the comments in sinks/clickhouse/migrations.
Do not edit. -->

The database is `touchline` unless `TOUCHLINE_CLICKHOUSE__DATABASE` says otherwise. Read the **views**: they
need no `FINAL` and no deduplication. Times are UTC, durations are seconds, and null means unknown, never
zero.

## Personal data

`customer` and the columns of identifiers hold CRM ids, contracts and loyalty cards in clear text, but telephone
numbers, e-mail addresses and devices as keyed hashes (BLAKE2b, 16 bytes, 32 hex digits): `phone:` and the hash in
`customer`, the hash alone in `phone`, the same in every table. Sentences and evidence of findings, and the reasons of
links, are treated likewise. The key is `TOUCHLINE_IDENTITY__HASH_KEY`, or a file in `TOUCHLINE_HOME` that is made once;
the database knows its fingerprint and takes rows hashed with no other. With `TOUCHLINE_IDENTITY__CLEAR_TEXT=true`
everything stands as it is.

What a hash stands for is told by `touchline_private.identifiers`, in a database of its own, so that a right to read
the main one does not include it. On a ClickHouse with users:

```sql
GRANT SELECT ON touchline.* TO analysts;
REVOKE SELECT(key, value, headers) ON touchline.dead_letters FROM analysts;
REVOKE SELECT(key, value, headers) ON touchline.dead_letters_raw FROM analysts;
GRANT SELECT ON touchline_private.* TO investigators;
```

The REVOKEs are needed because dead letters keep the bytes of the record as they came, whatever is in them. Not hashed
either are free texts that sources send (`text`, `attributes`, `promise_what`, ids of records). `journey_id` and
`finding_id` are made of the customer's name and an interaction, under a key that is derived from that one. In a
database that was begun before they had a key (`ids` in `hash_keys_raw` says `plain`) whoever reads them can test a
guess.

`touchline forget CUSTOMER` erases a customer from all of these tables. While it runs, a table
`touchline_private.erasing_...` says whom it is about; `erasures` keeps the receipt, without names.
"""

_STORAGE: Final = """\
## Storage

These tables hold every version that was written and is not merged away yet. They are for operators; queries
of their own belong to the views above.
"""


def dictionary() -> str:
    """The whole document. Opens a chDB session in a temporary directory; a process can have one such only."""
    from chdb.session import Session

    with tempfile.TemporaryDirectory(prefix="touchline-dictionary-") as directory:
        session = Session(directory)
        try:
            session.query(f"CREATE DATABASE {DATABASE}")
            session.query(f"USE {DATABASE}")
            for migration in available():
                for statement in render(migration, DATABASE):
                    session.query(statement)
            tables = _rows(
                session,
                "SELECT name, engine, sorting_key, comment FROM system.tables "
                f"WHERE database = '{DATABASE}' ORDER BY name",
            )
            columns = _rows(
                session,
                "SELECT table, name, type, comment FROM system.columns "
                f"WHERE database = '{DATABASE}' ORDER BY table, position",
            )
        finally:
            session.close()
    return _document(tables, columns)


def _rows(session: Any, sql: str) -> list[list[str]]:
    answer = json.loads(session.query(sql, "JSONCompact").bytes())
    rows: list[list[str]] = answer["data"]
    return rows


def _document(tables: list[list[str]], columns: list[list[str]]) -> str:
    about = {name: (engine, key, comment) for name, engine, key, comment in tables}
    views = {name for name, (engine, _, _) in about.items() if engine == "View"}
    if views != set(EXAMPLES):
        raise ValueError(f"views and EXAMPLES differ: {sorted(views ^ set(EXAMPLES))}")
    parts = [_HEAD, "## Views\n"]
    for name, (question, query) in EXAMPLES.items():
        parts += [f"### `{name}`\n", about[name][2] + "\n", _table(name, columns)]
        if name in NOTES:
            parts.append(NOTES[name] + "\n")
        parts.append(f"{question}:\n\n```sql\n{query}\n```\n")
    parts.append(_STORAGE)
    for name, (engine, key, comment) in about.items():
        if name not in views:
            parts += [f"### `{name}`\n", f"{comment}\n", f"Engine {engine}, ordered by `{key}`.\n"]
            parts.append(_table(name, columns))
    return "\n".join(parts)


def _table(table: str, columns: list[list[str]]) -> str:
    lines = ["| column | type | meaning |", "| --- | --- | --- |"]
    for owner, name, kind, comment in columns:
        if owner == table:
            meaning = comment.replace("|", "\\|")
            lines.append(f"| `{name}` | `{' '.join(kind.split())}` | {meaning} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the document, or with `--check` compare it; the exit status."""
    parser = argparse.ArgumentParser(description="Generate docs/data-dictionary.md from the migrations.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when it is outdated")
    options = parser.parse_args(arguments)
    text = dictionary()
    if not options.check:
        PATH.write_text(text, encoding="utf-8")
        return 0
    if PATH.exists() and PATH.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PATH} is outdated: run `python -m sinks.clickhouse.dictionary`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
