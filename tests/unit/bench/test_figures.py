"""Medians, ratios and verdicts, and the document that they are written into."""

import json

import pytest

from bench.budget import Budget
from bench.contest import CONTESTANTS
from bench.figures import Figures, Goal, Spread, figures
from bench.report import BEGIN, END, PATH, Results, with_results
from bench.roads.stopwatch import Reading
from bench.rule_cost import RuleCosts
from streams.commands.bench import NAMES


def of(rate: float) -> Figures:
    return figures([Reading(1_000, 1_000 / rate, 500 / rate)])


def results(**rates: float) -> Results:
    measured = {name.replace("_", "-"): of(rate) for name, rate in rates.items()}
    return Results({"cores": "2"}, "make bench", "the mock", True, 0.1, CONTESTANTS, measured)


def test_a_figure_is_the_median_of_the_rounds_with_the_least_and_the_greatest() -> None:
    one = figures([Reading(100, 1.0, 0.5), Reading(100, 4.0, 1.0), Reading(100, 2.0, 0.25)])
    assert one.by_clock == Spread(50.0, 25.0, 100.0)
    assert one.by_cpu == Spread(200.0, 100.0, 400.0)
    assert one.rounds == 3


def test_no_rounds_are_no_figure() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        figures([])


@pytest.mark.parametrize(("faust", "reached"), [(4_000.0, True), (4_000.5, False)])
def test_a_goal_is_reached_exactly_at_its_factor(faust: float, reached: bool) -> None:
    measured = {"touchline-count": of(100_000.0), "faust": of(faust)}
    verdict = Goal("touchline-count", 25, "faust").verdict(measured)
    assert verdict is not None
    assert verdict[1] is reached


def test_a_goal_without_a_rival_is_a_rate() -> None:
    assert Goal("pipeline", 20_000, None).verdict({"pipeline": of(19_000.0)}) == (
        pytest.approx(19_000),
        False,
    )


def test_a_goal_whose_rival_was_not_measured_has_no_verdict() -> None:
    assert Goal("touchline-count", 5, "quix").verdict({"touchline-count": of(1.0)}) is None


def test_the_command_offers_exactly_the_contestants() -> None:
    assert [one.name for one in CONTESTANTS] == list(NAMES)
    assert len({one.letter for one in CONTESTANTS}) == len(CONTESTANTS)


def test_the_table_has_a_row_for_what_was_measured_and_none_for_what_was_not() -> None:
    text = results(faust=2_500.0).markdown()
    assert "| b | count in stock Faust, Table | 2,500 | 2,500 to 2,500 | 5,000 | 1 |" in text
    assert "bytewax" not in text


def test_a_missed_goal_is_said_to_be_missed() -> None:
    text = results(touchline_count=50_000.0, faust=2_500.0).markdown()
    assert "| touchline-count | 25 x faust | 20.0 | **missed** |" in text


def test_the_budget_tells_what_the_stages_leave_unexplained() -> None:
    budget = Budget({"decode": 10.0, "advance": 15.0}, 1_000, 990, 100)
    text = results(pipeline=10_000.0)._replace(budget=budget).markdown()
    assert "| **together** | **25.0** |" in text
    assert "| **the worker (d)** | **50.0** |" in text
    assert "| 25.0 |" in text.partition("**together**")[2]


@pytest.mark.parametrize(("weight", "reached"), [(3_071.0, True), (3_072.0, False)])
def test_memory_is_judged_by_its_limit(weight: float, reached: bool) -> None:
    assert results()._replace(bytes_per_customer=weight).goals()[-1]["reached"] is reached


def test_results_are_json() -> None:
    document = json.loads(json.dumps(results(pipeline=21_000.0).as_json()))
    assert document["figures"]["pipeline"]["by_clock"]["median"] == pytest.approx(21_000)
    assert document["goals"] == [
        {"road": "pipeline", "goal": "20,000 a second and core", "measured": 21_000.0, "reached": True}
    ]


def test_only_the_part_between_the_marks_is_rewritten() -> None:
    written = with_results(f"before\n{BEGIN}\nold\n{END}\nafter\n", results(pipeline=1.0))
    assert written.startswith("before\n")
    assert written.endswith("\nafter\n")
    assert "old" not in written
    assert with_results(written, results(pipeline=1.0)) == written


def test_a_document_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="missing"):
        with_results("no marks", results())


def test_the_document_has_its_marks() -> None:
    text = PATH.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1


def test_rules_stand_in_a_table_dearest_first_and_in_the_json() -> None:
    costs = RuleCosts(10.0, {"cheap": 0.25, "dear": 2.04}, 5.5, 13_000)
    told = results(pipeline=1_000.0)._replace(rules=costs)
    lines = told.markdown().splitlines()
    table = lines[lines.index("| rule | us |") :]
    assert table[2:5] == ["| `dear` | 2.0 |", "| `cheap` | 0.2 |", "| **all together** | **5.5** |"]
    assert json.loads(json.dumps(told.as_json()))["rules"]["alone"] == {"cheap": 0.25, "dear": 2.04}
