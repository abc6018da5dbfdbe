"""What each destination is sent: Alertmanager, PagerDuty, a webhook, and the words for people."""

import msgspec
import pytest

from schemas.alerts import Alert, AlertEvidence, AlertIdentity
from schemas.findings import ERASED
from schemas.interaction import SECOND
from schemas.notices import Folded, Notice, NoticeKind
from schemas.timestamps import parse_timestamp
from sinks.notifications import alertmanager, pagerduty, webhook, wording
from sinks.notifications.posting import Poster
from tests.alert_builders import HOUR, START, alert, over


def notice(kind: NoticeKind = "raised", **said: object) -> Notice:
    fields: dict[str, object] = {
        "key": "touchline:f1",
        "delivery": "touchline:f1:1:raised:0",
        "severity": "major",
        "told": None,
        "alert": alert(),
    }
    return Notice(kind=kind, **{**fields, **said})  # type: ignore[arg-type]


FOLDED = notice(
    "folded", folded=Folded(412, "2026-03-01T10:00:00Z", "2026-03-01T10:05:00Z", ("crm:1", "crm:2"))
)


def resting(count: int) -> tuple[AlertEvidence, ...]:
    """So much evidence."""
    return tuple(
        AlertEvidence("web", f"o-{number}", "touchline.online", 0, number, "2026-03-01T10:00:00Z", "online")
        for number in range(count)
    )


def withdrawal(reason: str, cause: AlertIdentity | None) -> str:
    """The body of one."""
    gone: Alert = over(state="withdrawn", reason=reason, cause=cause)
    return wording.body(notice("withdrawn", alert=gone))


# Alertmanager


def test_alertmanager_holds_an_alert_for_a_while_ahead() -> None:
    (sent,) = alertmanager.alerts(notice(), START, HOUR)
    assert sent["labels"] == {
        "alertname": "overcharge",
        "severity": "major",
        "finding_id": "f1",
        "service": "touchline",
        "channel": "phone",
    }
    assert parse_timestamp(sent["startsAt"]) == START
    assert parse_timestamp(sent["endsAt"]) == START + HOUR


@pytest.mark.parametrize("kind", ["resolved", "withdrawn", "settled", "calmed"])
def test_alertmanager_is_told_that_an_alert_ends_now_under_the_same_labels(kind: NoticeKind) -> None:
    (raised,) = alertmanager.alerts(notice(), START, HOUR)
    (ended,) = alertmanager.alerts(notice(kind, told="major", alert=over()), START + SECOND, HOUR)
    assert ended["labels"] == raised["labels"]
    assert parse_timestamp(ended["endsAt"]) == START + SECOND


def test_alertmanager_ends_the_alert_of_the_old_severity_when_it_changes() -> None:
    new, old = alertmanager.alerts(notice("updated", severity="severe", told="major"), START, HOUR)
    assert (new["labels"]["severity"], parse_timestamp(new["endsAt"])) == ("severe", START + HOUR)
    assert (old["labels"]["severity"], parse_timestamp(old["endsAt"])) == ("major", START)


def test_the_customer_is_no_label() -> None:
    (sent,) = alertmanager.alerts(notice(), START, HOUR)
    assert "crm:ann" not in sent["labels"].values()
    assert sent["annotations"]["customer"] == "crm:ann"


def test_alertmanager_says_in_annotations_what_it_rests_on_and_where_to_read_on() -> None:
    (bare,) = alertmanager.alerts(notice(), START, HOUR)
    (sent,) = alertmanager.alerts(notice(alert=alert(evidence=resting(2))), START, HOUR)
    assert sent["annotations"]["evidence"] == "web/o-0, web/o-1"
    assert sent["annotations"]["show"] == "touchline findings show f1"
    assert sent["labels"] == bare["labels"], "labels are what an alert is known by"
    assert "evidence" not in bare["annotations"]


# PagerDuty


@pytest.mark.parametrize(
    ("severity", "theirs"), [("severe", "critical"), ("major", "error"), ("minor", "warning")]
)
def test_pagerduty_is_triggered_with_its_own_severity(severity: str, theirs: str) -> None:
    sent = pagerduty.event(notice(severity=severity), "R0")
    assert (sent["event_action"], sent["routing_key"], sent["dedup_key"]) == ("trigger", "R0", "touchline:f1")
    assert sent["payload"]["severity"] == theirs
    assert sent["payload"]["custom_details"]["action"] == "credit the difference"


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("updated", "trigger"),
        ("reminded", "trigger"),
        ("folded", "trigger"),
        ("acknowledged", "acknowledge"),
        ("resolved", "resolve"),
        ("withdrawn", "resolve"),
        ("settled", "resolve"),
        ("calmed", "resolve"),
    ],
)
def test_pagerduty_has_three_actions_for_all_kinds(kind: NoticeKind, action: str) -> None:
    assert pagerduty.event(notice(kind), "R0")["event_action"] == action


def test_a_summary_for_pagerduty_is_never_longer_than_it_takes() -> None:
    sent = pagerduty.event(notice(alert=alert(customer="crm:" + "x" * 5_000)), "R0")
    assert len(sent["payload"]["summary"]) == pagerduty.MAX_SUMMARY


# A webhook


def test_a_webhook_has_the_whole_alert_as_it_stands_on_the_topic() -> None:
    sent = msgspec.json.decode(msgspec.json.encode(webhook.document(notice("updated", told="minor"))))
    assert (sent["notice"], sent["told"], sent["alert"]["type"]) == ("updated", "minor", "alert")
    assert sent["alert"]["sentence"] == alert().sentence


def test_a_webhook_has_what_a_summary_folds_and_who_acknowledged() -> None:
    assert webhook.document(FOLDED)["folded"]["findings"] == 412
    assert webhook.document(notice("acknowledged", note="desk-7"))["by"] == "desk-7"


# Words


def test_a_title_says_what_how_bad_and_about_whom() -> None:
    assert wording.title(notice()) == "[major] overcharge - crm:ann"
    assert wording.title(notice("withdrawn")) == "Withdrawn: [major] overcharge - crm:ann"


def test_a_body_says_why_and_what_to_do() -> None:
    assert wording.body(notice()).splitlines()[:2] == [
        "charged 12.00 EUR above the agreed 30.00 EUR",
        "To do: credit the difference",
    ]


@pytest.mark.parametrize(
    ("count", "named"),
    [
        (1, "Rests on: web/o-0"),
        (5, "Rests on: web/o-0, web/o-1, web/o-2, web/o-3, web/o-4"),
        (8, "Rests on: web/o-0, web/o-1, web/o-2, web/o-3, web/o-4 and 3 more"),
    ],
)
def test_a_body_names_what_it_rests_on_at_most_five_and_where_to_read_on(count: int, named: str) -> None:
    lines = wording.body(notice(alert=alert(evidence=resting(count)))).splitlines()
    assert named in lines
    assert lines[-1] == "To see it whole: touchline findings show f1"


def test_a_long_sentence_leaves_room_for_the_evidence_and_the_way_on() -> None:
    text = wording.body(notice(alert=alert(sentence="x" * 100_000, evidence=resting(1))))
    assert len(text) == wording.MAX_BODY
    assert text.endswith("To see it whole: touchline findings show f1")


@pytest.mark.parametrize(
    ("reason", "cause", "said"),
    [
        ("corrected", "o-7", "Withdrawn, it is not true: web/o-7 was corrected."),
        ("arrived", "o-7", "Withdrawn, it is not true: web/o-7 has come in since."),
        ("moved", "o-7", "Withdrawn: web/o-7 is another customer's now."),
        ("moved", None, "Withdrawn: an interaction is another customer's now."),
        ("time", None, "Withdrawn: as things are known now, it does not stand."),
    ],
)
def test_a_withdrawal_says_in_words_by_what(reason: str, cause: str | None, said: str) -> None:
    lines = withdrawal(reason, None if cause is None else AlertIdentity("web", cause)).splitlines()
    assert lines[1] == said


def test_what_is_another_customers_now_is_not_called_untrue() -> None:
    assert "not true" not in withdrawal("moved", AlertIdentity("web", "o-7"))


def test_the_end_for_a_forgotten_customer_leads_nowhere() -> None:
    text = withdrawal(ERASED, None)
    assert "findings show" not in text
    assert "not true" not in text


def test_a_resolution_says_when_and_by_what() -> None:
    text = wording.body(notice("resolved", alert=over(cause=AlertIdentity("crm", "i-9"))))
    assert "Put right at 2026-03-01T11:00:00Z by crm/i-9." in text.splitlines()


def test_a_summary_leads_to_the_list() -> None:
    command = "touchline findings list --rule overcharge --severity major"
    for kind in ("folded", "calmed"):
        text = wording.body(FOLDED._replace(kind=kind))
        assert text.splitlines()[-1] == f"To see them: {command}"


def test_a_withdrawal_says_why_it_is_untrue_and_asks_nothing() -> None:
    text = wording.body(
        notice("withdrawn", alert=over(state="withdrawn", reason="a late order agreed 42.00 EUR"))
    )
    assert "it is not true: a late order agreed 42.00 EUR" in text
    assert "To do" not in text


def test_a_summary_says_how_many_of_all_that_were_folded_stand() -> None:
    assert FOLDED.folded is not None
    more = FOLDED._replace(folded=FOLDED.folded._replace(standing=500))
    assert "Of all that were folded, 500 stand." in wording.body(more).splitlines()
    assert "Of all" not in wording.body(FOLDED._replace(folded=FOLDED.folded._replace(standing=412)))
    assert wording.body(more._replace(kind="repeated")).startswith("500 of the findings")
    assert webhook.document(more)["folded"]["standing"] == 500


def test_a_summary_says_how_many_and_names_some() -> None:
    text = wording.body(FOLDED)
    assert text.startswith("412 more findings of overcharge (major)")
    assert "crm:1, crm:2" in text


@pytest.mark.parametrize("length", [2_900, 3_000, 100_000])
def test_a_body_is_never_longer_than_slack_takes(length: int) -> None:
    assert len(wording.body(notice(alert=alert(sentence="x" * length)))) <= wording.MAX_BODY


@pytest.mark.parametrize(
    "destination",
    [
        pagerduty.PagerDuty("duty", Poster(), "R0SECRET"),
        webhook.Webhook("hook", Poster(), "https://h.example/", ["whsec_" + "QUFB" * 10]),
        alertmanager.Alertmanager("am", Poster(), "https://a.example", HOUR, "SECRET"),
    ],
)
def test_no_secret_shows_in_a_repr(destination: object) -> None:
    assert "SECRET" not in repr(destination)
    assert "QUFB" not in repr(destination)
