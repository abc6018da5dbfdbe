"""A coordinator that is not ready yet is asked again; whatever else goes wrong is told at once."""

from types import SimpleNamespace
from typing import cast

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    NotCoordinatorError,
)

from streams.commands.link_log import workers_of
from streams.kafka import groups
from streams.kafka.groups import PATIENCE, PAUSE, asked_of_coordinator
from streams.kafka.lag import group_lag


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses; time passes in them alone."""
    pauses: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(pauses), sleep=pauses.append)
    monkeypatch.setattr(groups, "time", clock)
    return pauses


@pytest.mark.parametrize(
    "error", [CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError]
)
def test_a_coordinator_that_is_not_ready_is_asked_again(error: type[Exception], paused: list[float]) -> None:
    answers = [error(), error(), None]

    def ask() -> str:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return "two members"

    assert asked_of_coordinator(ask) == "two members"
    assert paused == [PAUSE, PAUSE]


def test_one_that_is_never_ready_is_told_when_patience_ends(paused: list[float]) -> None:
    def ask() -> None:
        raise NotCoordinatorError

    with pytest.raises(NotCoordinatorError):
        asked_of_coordinator(ask)
    assert sum(paused) == PATIENCE


def test_any_other_error_is_told_at_once(paused: list[float]) -> None:
    def ask() -> None:
        raise GroupAuthorizationFailedError

    with pytest.raises(GroupAuthorizationFailedError):
        asked_of_coordinator(ask)
    assert paused == []


def test_lag_and_members_are_asked_for_again(paused: list[float]) -> None:
    class Admin:
        """A broker that has just started: its coordinator answers the second question."""

        def __init__(self) -> None:
            self.asked = 0

        def describe_topics(self) -> list[dict[str, object]]:
            return [{"name": "t", "partitions": [{"partition_index": 0}]}]

        def list_partition_offsets(
            self, wanted: dict[TopicPartition, object]
        ) -> dict[TopicPartition, object]:
            return {partition: SimpleNamespace(offset=5) for partition in wanted}

        def list_group_offsets(self, _wanted: object) -> dict[str, dict[TopicPartition, object]]:
            self._begin()
            return {"workers": {TopicPartition("t", 0): SimpleNamespace(offset=3)}}

        def describe_groups(self, _names: list[str]) -> dict[str, dict[str, object]]:
            self._begin()
            return {"workers": {"members": []}}

        def _begin(self) -> None:
            self.asked += 1
            if self.asked == 1:
                raise NotCoordinatorError

    (row,) = group_lag(cast(KafkaAdminClient, Admin()), "workers", ["t"])
    assert (row.committed, row.end) == (3, 5)
    assert workers_of(cast(KafkaAdminClient, Admin()), "workers") == 0
    assert paused == [PAUSE, PAUSE]
