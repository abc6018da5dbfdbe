"""The publisher of rules: what the worker in charge publishes of its folder, and what it leaves alone."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAuthorizationFailedError

from schemas.interaction import DAY
from schemas.rule_sets import RULES_KEY, RuleFiles, decode_rules
from streams.agents import rules as module
from streams.agents.rules import RulesPublisher
from streams.catalogue import rule_sets
from streams.catalogue.rule_files import RuleProblem
from streams.catalogue.rule_sets import compile_record, read_contents, read_folder, validated
from tests.unit.agents.fakes import Producer

RULE = """\
id: long_wait
title: A long wait
cool_down: 1d
sentence: Waited for long.
action: Apologise.
stands_when:
  - {kind: threshold, severity: minor, where: {wait_seconds: {above: 600}}}
"""

OTHER = RULE.replace("long_wait", "other")


class Desk:
    """A publisher over a folder of one rule, and a broker with two partitions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "long_wait.yaml"
        self.file.write_text(RULE)
        self.broken_with: KafkaError | None = None
        self.producer: Any = Producer(self._before)
        self.publisher = RulesPublisher(folder, 30 * DAY, lambda: self.producer, "interactions", [0, 1])

    def _before(self, _topic: str) -> None:
        if self.broken_with is not None:
            raise self.broken_with

    async def look(self, times: int = 1, *, in_charge: bool = True) -> list[RuleFiles]:
        """What partition 1 was told in these looks."""
        before = len(self.told(1))
        for _ in range(times):
            await self.publisher.look(in_charge)
        return self.told(1)[before:]

    def told(self, partition: int) -> list[RuleFiles]:
        records = self.producer.sent.get(("interactions", partition), [])
        assert all(key == RULES_KEY for key, _ in records)
        return [decode_rules(value) for _, value in records]


@pytest.fixture
def desk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Desk:
    caplog.set_level(logging.INFO, logger=module.__name__)
    return Desk(tmp_path)


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged as an error since this was asked last."""
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    caplog.clear()
    return said


async def test_whoever_comes_into_charge_publishes_to_every_partition_once(desk: Desk) -> None:
    (told,) = await desk.look(times=3)
    assert told.files == {"long_wait.yaml": RULE}
    assert desk.told(0) == desk.told(1) == [told]
    value = desk.producer.sent["interactions", 0][0][1]
    assert compile_record(value, 30 * DAY).version == told.version


async def test_whoever_is_not_in_charge_publishes_nothing(desk: Desk) -> None:
    assert await desk.look(times=3, in_charge=False) == []


async def test_who_was_not_in_charge_for_a_while_publishes_again(desk: Desk) -> None:
    first = await desk.look()
    assert await desk.look(in_charge=False) == []
    assert await desk.look() == first


async def test_a_changed_rule_is_published_at_the_second_look_that_sees_it(desk: Desk) -> None:
    (old,) = await desk.look(times=2)
    desk.file.write_text(RULE.replace("600", "300"))
    assert await desk.look() == [], "somebody may be writing still"
    (new,) = await desk.look()
    assert new.files == {"long_wait.yaml": RULE.replace("600", "300")}
    assert new.version != old.version
    assert await desk.look(times=3) == []


async def test_a_folder_that_is_written_for_a_while_is_left_alone_meanwhile(desk: Desk) -> None:
    await desk.look()
    desk.file.unlink()
    assert await desk.look() == [], "a rule that is gone for a moment is in force all the while"
    desk.file.write_text(RULE.replace("600", "300"))
    assert await desk.look() == []
    (desk.folder / "other.yaml").write_text(OTHER)
    assert await desk.look() == []
    (told,) = await desk.look()
    assert list(told.files) == ["long_wait.yaml", "other.yaml"]


async def test_files_that_say_the_same_in_another_layout_are_not_published(desk: Desk) -> None:
    await desk.look()
    desk.file.write_text("# a comment\n" + RULE)
    assert await desk.look(times=3) == []


async def test_a_rule_that_is_removed_is_published_by_its_absence(desk: Desk) -> None:
    (desk.folder / "other.yaml").write_text(OTHER)
    await desk.look()
    (desk.folder / "other.yaml").unlink()
    (told,) = await desk.look(times=2)
    assert list(told.files) == ["long_wait.yaml"]


async def test_a_set_that_does_not_validate_is_told_once_and_published_when_mended(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = await desk.look()
    desk.file.write_text(RULE.replace("600", "a lot"))
    assert await desk.look(times=4) == []
    (said,) = complaints(caplog)
    assert f"those in force stay: {desk.file}:7: stands_when.0.where.wait_seconds" in said
    desk.file.write_text(RULE.replace("600", "yet more"))
    assert await desk.look(times=2) == []
    assert len(complaints(caplog)) == 1, "another attempt has another answer"
    desk.file.write_text(RULE)
    assert await desk.look(times=3) == []
    assert f"those in force: version {first.version}" in caplog.text
    desk.file.write_text(RULE.replace("600", "300"))
    assert len(await desk.look(times=2)) == 1
    assert complaints(caplog) == []


async def test_what_is_wrong_from_the_beginning_is_told_and_mended(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.file.write_text("id: [")
    assert await desk.look(times=3) == []
    assert len(complaints(caplog)) == 1
    desk.file.write_text(RULE)
    assert len(await desk.look(times=2)) == 1


async def test_locks_and_leftovers_of_editors_are_no_rule_files(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = await desk.look()
    (desk.folder / ".#long_wait.yaml").symlink_to("ann@host.1:9")
    for name in ("#long_wait.yaml#", "#long_wait.yaml", ".long_wait.yaml.swp", "long_wait.yaml~", "._x.yaml"):
        (desk.folder / name).write_text("id: [")
    assert await desk.look(times=3) == []
    assert complaints(caplog) == []
    assert read_folder(desk.folder, 30 * DAY) == first


async def test_a_file_that_vanishes_between_the_listing_and_the_reading_is_gone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = rule_sets.rule_files
    monkeypatch.setattr(rule_sets, "rule_files", lambda folder: [*seen(folder), folder / "renamed.yaml"])
    (told,) = await desk.look()
    assert list(told.files) == ["long_wait.yaml"]


async def test_a_link_that_leads_nowhere_is_in_the_way_of_the_set(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.look()
    (desk.folder / "other.yaml").symlink_to(desk.folder / "nowhere")
    assert await desk.look(times=3) == []
    (said,) = complaints(caplog)
    assert f"{desk.folder}/other.yaml: cannot be read: No such file or directory" in said


async def test_a_file_that_cannot_be_read_is_in_the_way_of_the_set_until_it_can(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.look()
    (desk.folder / "other.yaml").mkdir()
    assert await desk.look(times=3) == []
    (said,) = complaints(caplog)
    assert f"{desk.folder}/other.yaml: cannot be read: Is a directory" in said
    (desk.folder / "other.yaml").rmdir()
    (desk.folder / "other.yaml").write_text(OTHER)
    assert len(await desk.look(times=2)) == 1


async def test_a_folder_that_is_gone_is_told_once_and_its_rules_stay(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.look()
    away = desk.folder.rename(desk.folder.with_name("away"))
    assert await desk.look(times=3) == []
    assert [said.endswith("give the folder that holds the rule files") for said in complaints(caplog)] == [
        True
    ]
    away.rename(desk.folder)
    assert await desk.look(times=3) == []
    desk.file.write_text(RULE.replace("600", "300"))
    assert len(await desk.look(times=2)) == 1


async def test_a_folder_that_comes_back_is_not_read_while_it_is_filled(desk: Desk) -> None:
    (desk.folder / "other.yaml").write_text(OTHER)
    await desk.look()
    away = desk.folder.rename(desk.folder.with_name("away"))
    await desk.look()
    desk.folder.mkdir()
    assert await desk.look() == []
    (away / "long_wait.yaml").rename(desk.file)
    assert await desk.look() == []
    (away / "other.yaml").rename(desk.folder / "other.yaml")
    assert await desk.look(times=3) == []


@pytest.mark.parametrize("error", [KafkaConnectionError("away"), TopicAuthorizationFailedError("no")])
async def test_a_broker_that_does_not_take_the_rules_is_told_once_and_tried_until_it_does(
    desk: Desk, caplog: pytest.LogCaptureFixture, error: KafkaError
) -> None:
    desk.broken_with = error
    assert await desk.look(times=3) == []
    (said,) = complaints(caplog)
    assert type(error).__name__ in said
    desk.broken_with = None
    assert len(await desk.look(times=3)) == 1
    assert complaints(caplog) == []
    desk.broken_with = error
    desk.file.write_text(RULE.replace("600", "300"))
    assert await desk.look(times=3) == []
    assert len(complaints(caplog)) == 1, "it was mended meanwhile, so this is news"


async def test_what_is_no_foreseen_trouble_goes_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "validated", bug)
    with pytest.raises(ZeroDivisionError):
        await desk.look()


def test_what_was_validated_is_what_is_published(desk: Desk) -> None:
    contents = read_contents(desk.folder)
    desk.file.write_text(RULE.replace("600", "a lot"))
    assert validated(contents, 30 * DAY).files == {"long_wait.yaml": RULE}
    with pytest.raises(RuleProblem):
        read_folder(desk.folder, 30 * DAY)


def test_each_file_is_read_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    read = Path.open

    def noted(self: Path, *arguments: Any, **named: Any) -> Any:
        opened.append(self)
        return read(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", noted)
    read_folder(desk.folder, 30 * DAY)
    assert opened == [desk.file]


async def test_looks_do_not_stop_the_worker_while_they_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[bool] = []

    def read(folder: Path) -> rule_sets.FileContents:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            threads.append(True)
        return read_contents(folder)

    monkeypatch.setattr(module, "read_contents", read)
    await desk.look()
    assert threads == [True]
