"""Epochs: the latest one of a prefix names the topics' life, the latest of all is where versions begin."""

from sinks.clickhouse.epochs import open_epoch, topics_incarnation, version_base
from tests.clickhouse_server import Database

NOW = 1_772_359_200_000_000


def test_without_an_epoch_there_is_no_incarnation_and_versions_begin_at_zero(clickhouse: Database) -> None:
    client = clickhouse.client()
    assert topics_incarnation(client, "touchline.") is None
    assert version_base(client) == 0


def test_the_latest_epoch_of_the_prefix_counts(clickhouse: Database) -> None:
    client = clickhouse.client()
    for prefix, at in (("touchline.", NOW + 1), ("touchline.", NOW), ("other.", NOW + 2), ("", NOW + 3)):
        open_epoch(client, "topics" if prefix else "replay", prefix, at)
    assert topics_incarnation(client, "touchline.") == NOW + 1
    assert topics_incarnation(client, "other.") == NOW + 2
    assert topics_incarnation(client, "unknown.") is None
    assert version_base(client) == NOW + 3


def test_opening_an_epoch_again_changes_nothing(clickhouse: Database) -> None:
    client = clickhouse.client()
    for _ in range(2):
        open_epoch(client, "topics", "touchline.", NOW)
    assert topics_incarnation(client, "touchline.") == NOW
    assert clickhouse.row("SELECT count() FROM epochs_raw FINAL") == (1,)
