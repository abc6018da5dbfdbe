"""What `doctor` asks the servers: topics, lag, clocks, tables, the ledger, alerts. Servers that do not run are not
started.
"""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from streams.commands.checks import Check, guarded
from streams.commands.checks_alerts import judge_untold, read_untold
from streams.commands.servers import Found, locate
from streams.kafka.access import KafkaAccess
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.kafka.admin import Survey
    from streams.kafka.lag import PartitionLag

SKEW_WARN_SECONDS: Final = 2.0

MOVING: Final = 10
"""Records of a partition that count as no lag: watermarks travel as records, so a live partition is never still."""


def check_servers(settings: Settings) -> Iterator[Check]:
    """The broker and ClickHouse, as far as they are configured or run in this home."""
    from sinks.embedded.errors import HomeUnusableError

    try:
        found = locate(settings)
    except HomeUnusableError as error:
        yield Check("servers", "fail", str(error))
        return
    if found.kafka is None:
        yield Check(
            "kafka", "ok", "not running: `touchline up` starts it, and other commands when they need it"
        )
    else:
        yield from _check_broker(settings, found.kafka, found.broker_kind)
    if found.clickhouse is None:
        yield Check(
            "clickhouse", "ok", "not running: `touchline up` starts it, and other commands when they need it"
        )
    else:
        yield from _check_clickhouse(settings, found)


def _check_broker(settings: Settings, access: KafkaAccess, kind: str) -> Iterator[Check]:
    from streams.commands.checks_rules import check_rules
    from streams.commands.migrate import layout_of
    from streams.kafka.admin import BrokerRefused, BrokerUnreachable, broker_admin, survey
    from streams.kafka.lag import group_lag, read_topics

    layout = layout_of(settings.kafka, settings.journeys.horizon)
    try:
        with broker_admin(access, seconds=5.0) as admin:
            yield Check("kafka", "ok", f"answers at {access} ({kind})")
            yield guarded("topics", lambda: judge_topics(survey(admin, layout)))
            yield guarded(
                "lag", lambda: judge_lag(group_lag(admin, settings.kafka.group, read_topics(layout)))
            )
            yield guarded("rules", lambda: check_rules(settings, access))
    except BrokerRefused as error:
        yield Check("kafka", "fail", str(error), error.what_to_do)
    except BrokerUnreachable as error:
        yield Check("kafka", "fail", str(error), "start it, or correct TOUCHLINE_KAFKA__BOOTSTRAP")


def judge_topics(found: "Survey") -> Check:
    """Missing topics and differences; only another number of partitions stops the workers."""
    if found.missing:
        return Check("topics", "fail", f"missing: {', '.join(found.missing)}", "run `touchline migrate`")
    differences = "; ".join(map(str, found.differences))
    if found.partitions_differ:
        return Check(
            "topics",
            "fail",
            differences,
            "set TOUCHLINE_KAFKA__PARTITIONS to what the topics have, or use another TOUCHLINE_KAFKA__PREFIX",
        )
    if found.differences:
        return Check(
            "topics", "warn", differences, "alter the topics yourself when this is not what you want"
        )
    known = "" if found.config_known else "; this broker does not tell their configuration"
    return Check("topics", "ok", f"{len(found.existing)} there, as they should be{known}")


def judge_lag(partitions: "Sequence[PartitionLag]") -> Check:
    """How much the workers have yet to read."""
    if not partitions:
        return Check("lag", "ok", "no topics yet")
    behind = {(row.topic, row.partition): row.lag for row in partitions if row.lag > MOVING}
    if not behind:
        return Check("lag", "ok", f"none on {len(partitions)} partitions")
    (topic, partition), worst = max(behind.items(), key=lambda entry: entry[1])
    found = f"{sum(behind.values()):,} records, most on {topic}/{partition} ({worst:,})"
    if all(row.committed is None for row in partitions):
        return Check(
            "lag", "warn", f"{found}; no worker has ever committed", "start a worker: `touchline worker`"
        )
    return Check(
        "lag", "warn", found, "look again: when it does not fall, see the workers' logs or start more workers"
    )


def _check_clickhouse(settings: Settings, found: Found) -> Iterator[Check]:
    from sinks.clickhouse.client import connect
    from streams.commands.reconcile import read_balance

    target = found.clickhouse
    assert target is not None
    # The tables' own database may not exist yet: the first questions go to one that always does.
    client = connect(target, database="")
    answered = guarded("clickhouse", lambda: _check_answer(client, f"{target.host}:{target.port}"))
    try:
        yield answered
        if answered.status == "fail":
            return
        yield guarded("clock", lambda: judge_clock(clock_ahead(client)))
        tables = guarded("tables", lambda: _check_tables(target))
        yield tables
        if tables.status == "ok":
            client.execute(f"USE {settings.clickhouse.database}")
            yield guarded("ledger", lambda: _check_ledger(read_balance(client)))
            yield guarded("alerts", lambda: judge_untold(read_untold(client)))
    finally:
        client.disconnect()


def _check_answer(client: Any, address: str) -> Check:
    version = client.execute("SELECT version()")[0][0]
    return Check("clickhouse", "ok", f"answers at {address}, version {version}")


def clock_ahead(client: Any) -> float:
    """Seconds that the server's clock is ahead of ours, taken in the middle of one round trip."""
    before = time.time()
    micros = client.execute("SELECT toUnixTimestamp64Micro(now64(6, 'UTC'))")[0][0]
    after = time.time()
    return float(micros) / 1e6 - (before + after) / 2


def judge_clock(skew: float) -> Check:
    """The two clocks agree: promises and watermarks are judged by ours, rows are stamped by theirs."""
    found = f"ClickHouse's is {abs(skew):.2f} s {'ahead of' if skew > 0 else 'behind'} ours"
    if abs(skew) <= SKEW_WARN_SECONDS:
        return Check("clock", "ok", found)
    return Check("clock", "warn", found, "let both machines keep time by NTP")


def _check_tables(target: Any) -> Check:
    from sinks.clickhouse.migrate import pending

    waiting = [migration.name for migration in pending(target)]
    if waiting:
        return Check("tables", "fail", f"not applied: {', '.join(waiting)}", "run `touchline migrate`")
    return Check("tables", "ok", f"all migrations applied in database {target.database}")


def _check_ledger(balance: Any) -> Check:
    if balance.balanced:
        return Check("ledger", "ok", balance.sentence())
    return Check(
        "ledger",
        "warn",
        balance.sentence(),
        "events may still be on their way: `touchline reconcile --wait 1m`",
    )
