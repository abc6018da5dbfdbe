"""Back-test: nothing that comes later is known, periods are exact, long lines are cut without a trace."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import Decoder
from schemas.findings import Severity
from schemas.interaction import DAY, SECOND, Interaction, Micros
from streams.catalogue.rule_files import load_rules
from streams.core.detection.detect import detect
from streams.core.detection.ruleset import RuleSet
from streams.core.identity import customer_of
from streams.history import backtest
from streams.history.backtest import Period, Raised, raised_in
from streams.history.outcome_labels import Label, LabelProblem, parse_labels
from streams.history.prediction import ANY_RULE, Judge, Predictions, Share
from streams.simulation import Simulation
from tests.builders import call, instant, interaction

HOUR = 3_600 * SECOND
RULES = load_rules()
UNTIL = instant("2026-06-01")


def simulated() -> list[list[Interaction]]:
    """Lines of customers of whom something can be found."""
    decoder = Decoder("BG", 0, customer_of)
    lines: dict[str, list[Interaction]] = defaultdict(list)
    events = Simulation(3, 60, datetime(2026, 6, 1, tzinfo=UTC), timedelta(days=120)).events()
    for offset, event in enumerate(events):
        one = decoder.decode(event.value, event.headers, "t", 0, offset, None, UNTIL)
        if isinstance(one, Interaction) and one.customer is not None:
            lines[one.customer].append(one)
    ordered = [
        sorted({one.key: one for one in reversed(by_revision)}.values(), key=lambda one: one.position)
        for by_revision in (sorted(line, key=lambda one: -one.revision) for line in lines.values())
    ]
    return [line for line in ordered if raised(line, Period(0, UNTIL))]


def raised(line: list[Interaction], period: Period, rules: RuleSet = RULES) -> list[Raised]:
    assert line[0].customer is not None
    return raised_in(line[0].customer, line, period, rules)


LINES = simulated()
lines = st.sampled_from(LINES)
shares = st.floats(0, 1)


def within(line: list[Interaction], share: float) -> Micros:
    """An instant between a day before the line begins and two months after it ends."""
    begin, end = line[0].occurred_at - DAY, line[-1].occurred_at + 60 * DAY
    return begin + int(share * (end - begin))


def told(found: list[Raised]) -> list[tuple[str, Micros, Severity]]:
    """What was known when it was told: a later withdrawal was not."""
    return [(one.finding_id, one.at, one.severity) for one in found]


# Laws


def test_the_sample_is_worth_the_laws() -> None:
    assert len(LINES) > 30
    assert len({one.rule for line in LINES for one in raised(line, Period(0, UNTIL))}) > 8


@settings(max_examples=60, deadline=None)
@given(lines, shares)
def test_what_comes_later_changes_nothing_of_what_was_raised(line: list[Interaction], share: float) -> None:
    cut = within(line, share)
    early = [one for one in line if one.occurred_at < cut]
    whole = raised(line, Period(0, UNTIL + 90 * DAY))
    before = raised(early, Period(0, cut)) if early else []
    assert told(before) == [one for one in told(whole) if one[1] < cut]


@settings(max_examples=60, deadline=None)
@given(lines, shares)
def test_a_period_tells_what_the_whole_tells_of_that_time(line: list[Interaction], share: float) -> None:
    since, until = within(line, share), within(line, 0.9)
    whole = raised(line, Period(0, UNTIL + 90 * DAY))
    period = Period(min(since, until - 1), until)
    assert told(raised(line, period)) == [one for one in told(whole) if period.since <= one[1] < period.until]


@settings(max_examples=40, deadline=None)
@given(lines, shares)
def test_what_is_not_withdrawn_is_what_the_live_rules_see(line: list[Interaction], share: float) -> None:
    until = within(line, share)
    early = [one for one in line if one.occurred_at < until]
    found = raised(early, Period(0, until)) if early else []
    live = detect(line[0].customer or "", early, until - 1, RULES).findings
    assert {one.finding_id for one in found if one.withdrawn_at is None} == {one.finding_id for one in live}


def test_a_long_line_is_cut_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    line: list[Interaction] = []
    for number, day in enumerate(range(0, 900, 20)):
        at = instant("2023-01-01") + day * DAY
        line += [
            call(at, "crm:ann", about="billing", ends="abandoned"),
            call(at + HOUR, "crm:ann", about="billing", case=f"K{number}", wait=900.0, ends="unresolved"),
            call(at + 2 * HOUR, "crm:ann", about="billing", ends="resolved"),
        ]
    # A promise that falls due long after all that surrounds it has left the line.
    line.insert(
        1,
        call(
            instant("2023-01-01") + 60 * SECOND,
            "crm:ann",
            promise_what="a call",
            promise_due_at=instant("2025-01-01"),
        ),
    )
    period = Period(0, instant("2026-01-01"))
    monkeypatch.setattr(backtest, "LONG", 10**9)
    whole = raised(line, period)
    cuts = []
    cut = backtest._Walk._cut

    def counted(walk: backtest._Walk, *arguments: object) -> None:
        length = len(walk._line)
        cut(walk, *arguments)  # type: ignore[arg-type]
        cuts.append(length - len(walk._line))

    monkeypatch.setattr(backtest, "LONG", 1)
    monkeypatch.setattr(backtest._Walk, "_cut", counted)
    assert raised(line, period) == whole
    assert "broken_promise" in {one.rule for one in whole}
    assert sum(cuts) > 50


# Boundaries


def complaint() -> list[Interaction]:
    """A complaint on a Monday: 8 working hours are over on Tuesday at 10:00."""
    return [
        interaction(
            "email",
            "message",
            "2026-03-02T10:00Z",
            "crm:ann",
            direction="inbound",
            complaint_stage="received",
            case="K",
        )
    ]


@pytest.mark.parametrize(
    ("until", "found"),
    [("2026-03-03T10:00:00Z", []), ("2026-03-03T10:00:00.000001Z", []), ("2026-03-03T10:00:00.000002Z", [1])],
)
def test_a_deadline_counts_from_the_first_instant_after_it(until: str, found: list[int]) -> None:
    told_of = [
        one
        for one in raised(complaint(), Period(0, instant(until)))
        if one.rule == "complaint_unacknowledged"
    ]
    assert [one.at - instant("2026-03-03T10:00Z") for one in told_of] == found


@pytest.mark.parametrize(
    ("since", "found"), [("2026-03-02T10:00:00Z", 1), ("2026-03-02T10:00:00.000001Z", 0)]
)
def test_a_period_includes_its_begin(since: str, found: int) -> None:
    line = [call("2026-03-02T10:00Z", "crm:ann", treatment="rude")]
    assert len(raised(line, Period(instant(since), UNTIL))) == found


@pytest.mark.parametrize(
    ("until", "found"), [("2026-03-02T10:00:00Z", 0), ("2026-03-02T10:00:00.000001Z", 1)]
)
def test_a_period_excludes_its_end(until: str, found: int) -> None:
    line = [call("2026-03-02T10:00Z", "crm:ann", treatment="rude")]
    assert len(raised(line, Period(0, instant(until)))) == found


def test_what_is_disproved_later_stays_raised_and_says_when_it_was_disproved() -> None:
    days = ("02", "03", "04")
    line = [call(f"2026-03-{day}T10:00Z", "crm:ann", about="billing", case="K") for day in days]
    line.append(call("2026-03-05T10:00Z", "crm:ann", about="billing"))
    # Three share the case, four the reason: the finding about the case lies within the other from the fourth on.
    by_case, by_reason = (one for one in raised(line, Period(0, UNTIL)) if one.rule == "repeat_contact")
    assert (by_case.at, by_case.withdrawn_at) == (instant("2026-03-04T10:00Z"), instant("2026-03-05T10:00Z"))
    assert (by_reason.at, by_reason.withdrawn_at) == (instant("2026-03-05T10:00Z"), None)


# Prediction


def found(customer: str, at: Micros, rule: str = "r") -> Raised:
    return Raised(f"{customer}/{at}/{rule}", customer, rule, "major", at, "why")


def label(customer: str, when: Micros, what: str = "churn") -> Label:
    return Label(customer, when, what)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    # R: prop.test(hits, trials, correct = FALSE)$conf.int
    [
        (10, 100, 0.0552291, 0.1743657),
        (0, 10, 0.0, 0.2775328),
        (10, 10, 0.7224672, 1.0),
        (1, 2, 0.0945312, 0.9054688),
    ],
)
def test_shares_have_wilsons_interval(hits: int, trials: int, low: float, high: float) -> None:
    assert Share(hits, trials).interval == pytest.approx((low, high), abs=1e-6)


def test_no_trial_says_nothing() -> None:
    assert (Share(0, 0).value, Share(0, 0).interval) == (None, (0.0, 1.0))


def judged(
    customers: dict[str, list[Raised]],
    labels: list[Label],
    *,
    until: Micros = 100 * DAY,
    horizon: Micros = 10 * DAY,
    labels_until: Micros | None = 200 * DAY,
) -> Predictions:
    judge = Judge(labels, Period(0, until), horizon, labels_until)
    for customer, mine in customers.items():
        judge.add(customer, 0, mine)
    return judge.predictions(["r"])


@pytest.mark.parametrize(
    ("after", "hits"),
    [(0, 0), (1, 1), (10 * DAY, 1), (10 * DAY + 1, 0)],
    ids=["at once", "next", "horizon", "later"],
)
def test_a_finding_announces_what_comes_strictly_later_within_the_horizon(after: Micros, hits: int) -> None:
    verdict = judged({"crm:a": [found("crm:a", 20 * DAY)]}, [label("crm:a", 20 * DAY + after)]).verdicts[1]
    assert (verdict.precision, verdict.recall) == (Share(hits, 1), Share(hits, 1))


def test_each_customer_is_one_trial() -> None:
    findings = [found("crm:a", day * DAY) for day in (10, 11, 12)]
    customers = {"crm:a": findings, "crm:b": [found("crm:b", 5 * DAY)], "crm:c": []}
    verdict = judged(
        customers, [label("crm:a", 15 * DAY), label("crm:a", 16 * DAY), label("crm:c", DAY)]
    ).verdicts[1]
    assert (verdict.precision, verdict.recall) == (Share(1, 2), Share(1, 2))


def test_rules_are_judged_apart_and_together() -> None:
    customers = {"crm:a": [found("crm:a", 5 * DAY, "other"), found("crm:a", 50 * DAY)]}
    every, one = judged(customers, [label("crm:a", 55 * DAY)]).verdicts
    assert (every.rule, one.rule) == (ANY_RULE, "r")
    assert (every.precision, every.recall) == (Share(0, 1), Share(1, 1))
    assert (one.precision, one.recall) == (Share(1, 1), Share(1, 1))


@pytest.mark.parametrize(("at", "trials", "undecided"), [(90 * DAY, 1, 0), (90 * DAY + 1, 0, 1)])
def test_a_finding_whose_horizon_is_not_over_is_not_judged(at: Micros, trials: int, undecided: int) -> None:
    verdict = judged({"crm:a": [found("crm:a", at)]}, [label("crm:b", DAY)], labels_until=100 * DAY).verdicts[
        1
    ]
    assert (verdict.precision.trials, verdict.undecided) == (trials, undecided)


def test_the_base_rate_is_the_share_of_time_before_an_outcome() -> None:
    # One customer's time ends with the outcome (50 days, 10 of them before it), the other's with the period (100 days).
    answer = judged({"crm:a": [], "crm:b": []}, [label("crm:a", 50 * DAY)])
    assert answer.base_rate == pytest.approx(10 / 150)


def test_horizons_that_overlap_count_once_in_the_base_rate() -> None:
    answer = judged({"crm:a": []}, [label("crm:a", 48 * DAY), label("crm:a", 50 * DAY)])
    assert answer.base_rate == pytest.approx(12 / 50)


def test_lift_is_precision_over_the_base_rate_and_so_is_its_interval() -> None:
    answer = judged({"crm:a": [found("crm:a", 45 * DAY)], "crm:b": []}, [label("crm:a", 50 * DAY)])
    verdict = answer.verdicts[1]
    lift = answer.lift(verdict)
    assert answer.base_rate is not None
    assert lift == pytest.approx(tuple(one / answer.base_rate for one in (1.0, *verdict.precision.interval)))


def test_findings_that_know_nothing_have_a_lift_of_one() -> None:
    # Findings of every customer at every tenth day: they announce no more than any other instant does.
    customers, labels = {}, []
    for number in range(1_000):
        name = f"crm:{number}"
        customers[name] = [found(name, (number % 80) * DAY)]
        labels.append(label(name, (number * 7919 % 1_000) * DAY))
    answer = judged(customers, labels, until=80 * DAY, labels_until=2_000 * DAY)
    lift = answer.lift(answer.verdicts[1])
    assert lift is not None
    assert lift[1] < 1 < lift[2]


def test_customers_of_whom_nothing_was_known_before_are_told_and_left_out() -> None:
    answer = judged({"crm:a": []}, [label("crm:nobody", DAY), label("crm:a", 0)])
    assert (answer.customers, answer.unknown, answer.verdicts[0].recall) == (0, 2, Share(0, 0))


# Labels


def test_labels_are_read_line_by_line() -> None:
    read = parse_labels(
        [
            b'{"customer": "crm:A1", "when": "2026-03-01T12:00:00+02:00", "what": "churn", "why": "?"}\n',
            b"\n",
        ],
        "f",
    )
    assert read == [Label("crm:A1", instant("2026-03-01T10:00Z"), "churn")]


def test_labels_of_other_kinds_are_left_out() -> None:
    line = b'{"customer": "crm:A1", "when": "2026-03-01T12:00:00Z", "what": "churn"}'
    assert (parse_labels([line], "f", ["suit"]), len(parse_labels([line], "f", ["churn"]))) == ([], 1)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "a label is an object"),
        (b'{"customer": "crm:A", "when": "2026-03-01T12:00:00Z"}', "what: is missing"),
        (b'{"customer": 1, "when": "2026-03-01T12:00:00Z", "what": "x"}', "customer: is missing, or no text"),
        (
            b'{"customer": "A1", "when": "2026-03-01T12:00:00Z", "what": "x"}',
            "customer: 'A1' does not say what kind",
        ),
        (b'{"customer": "crm:A1", "when": "1 March", "what": "x"}', "when: "),
    ],
)
def test_a_wrong_label_is_named_with_file_line_and_field(line: bytes, reason: str) -> None:
    with pytest.raises(LabelProblem) as problem:
        parse_labels([b"", line], "labels.jsonl")
    assert str(problem.value).startswith(f"labels.jsonl:2: {reason}")


def test_not_every_wrong_line_of_a_long_file_is_shown() -> None:
    with pytest.raises(LabelProblem) as problem:
        parse_labels([b"{"] * 1_000, "f")
    assert len(str(problem.value).splitlines()) == 11
