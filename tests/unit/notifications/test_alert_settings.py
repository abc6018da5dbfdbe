"""Routes and destinations as a person writes them."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.interaction import SECOND
from sinks.notifications.posting import Poster
from streams.core.alerting.policy import Route
from streams.destinations import alert_policy, build_destinations
from streams.settings import SettingsError
from streams.settings.alerts import AlertSecrets, AlertSettings
from tests.alert_builders import MINUTE

WHSEC = "whsec_" + "QUFB" * 10
ROUTING_KEY = "R0SECRET" + "0123456789abcdef01234567"
SECRETS = {"duty": "json://127.0.0.1:9/hook-of-duty", "pager": ROUTING_KEY, "hook": WHSEC}
WRITTEN: dict[str, Any] = {
    "cool_down": "12h",
    "flood_limit": 100,
    "routes": [{"to": ["duty"]}, {"to": ["pager", "am"], "severity": "severe", "rules": ["overcharge"]}],
    "destinations": {
        "duty": {"kind": "apprise"},
        "pager": {"kind": "pagerduty"},
        "am": {"kind": "alertmanager", "url": "http://alertmanager:9093", "plain": True, "repeat": "10m"},
        "hook": {"kind": "webhook", "url": "https://hooks.example/touchline"},
    },
}


def settings(**said: Any) -> AlertSettings:
    return AlertSettings.model_validate({**WRITTEN, **said})


def secrets(**said: str) -> AlertSecrets:
    return AlertSecrets.model_validate({**SECRETS, **said})


def test_a_file_becomes_policy_and_destinations() -> None:
    policy = alert_policy(settings(), partitions=8)
    assert policy.routes[1] == Route(("pager", "am"), "severe", frozenset({"overcharge"}))
    assert policy.cool_down == 12 * 3_600 * SECOND
    assert policy.flood_limit == 13, "100 among 8 partitions, rounded up"
    assert policy.destinations["am"].repeat == 10 * MINUTE
    built = build_destinations(settings(), secrets(), Poster())
    assert {name: type(item).__name__ for name, item in built.items()} == {
        "duty": "Chat",
        "pager": "PagerDuty",
        "am": "Alertmanager",
        "hook": "Webhook",
    }


def test_nothing_configured_tells_nobody() -> None:
    assert alert_policy(AlertSettings(), 8).routes == ()
    assert build_destinations(AlertSettings(), AlertSecrets(), Poster()) == {}
    assert AlertSettings().cool_down == timedelta(days=1)


def test_a_route_to_nowhere_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(ValidationError, match=r"route 1 leads to 'dutty'.*am, duty, hook, pager"):
        settings(routes=[{"to": ["dutty"]}])


@pytest.mark.parametrize("name", ["duty", "pager", "hook"])
def test_a_missing_secret_is_named_by_its_variable(name: str) -> None:
    left = AlertSecrets.model_validate({key: value for key, value in SECRETS.items() if key != name})
    with pytest.raises(SettingsError, match=f"TOUCHLINE_ALERT_SECRETS__{name.upper()}.*needs a secret"):
        build_destinations(settings(), left, Poster())


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("hook", "not-a-standard-secret"),
        ("duty", "nosuchservice://token-of-duty"),
        ("duty", "json://elsewhere.example/token-of-duty"),
        ("duty", "jsons://elsewhere.example/token-of-duty?verify=no"),
        ("duty", "jsons://elsewhere.example:65536/token-of-duty"),
        ("duty", "jsons://elsewhere.example/token-of-duty\nx"),
        ("duty", "jsons://[token-of-duty"),
        ("duty", "jsons://u:token-of-duty\u2100@elsewhere.example/"),
        ("duty", " "),
        ("hook", WHSEC + "\t" + WHSEC),
        ("hook", "whsec_QUFB"),
        ("hook", ""),
        ("pager", "R0SECRET"),
        ("pager", ROUTING_KEY[:-1] + "\x7f"),
        ("pager", ""),
        ("am", "token-of-duty\nx: y"),
        ("am", "token of duty"),
        ("am", "token-of-duty-\u0442"),
        ("am", ""),
    ],
)
def test_a_secret_that_cannot_be_used_is_told_by_its_variable_and_not_shown(
    name: str, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SettingsError, match=f"TOUCHLINE_ALERT_SECRETS__{name.upper()}: ") as caught:
        build_destinations(settings(), secrets(**{name: secret}), Poster())
    assert not secret.strip() or secret not in str(caught.value)
    assert "token-of-duty" not in str(caught.value)
    assert caplog.text == "", "Apprise itself would log how a URL begins and ends"


def test_a_secret_for_no_destination_is_a_mistake() -> None:
    with pytest.raises(SettingsError, match="TOUCHLINE_ALERT_SECRETS__DUTTY: there is no destination"):
        build_destinations(settings(), secrets(dutty="x"), Poster())


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        build_destinations(settings(), secrets(dutty="x", pager="", hook="y"), Poster())
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        f"TOUCHLINE_ALERT_SECRETS__{name}" for name in ("DUTTY", "PAGER", "HOOK")
    ]


@pytest.mark.parametrize(("kind", "secret"), [("webhook", "x"), ("apprise", "nosuchservice://x")])
def test_a_secret_that_stands_in_the_file_is_told_by_its_key(kind: str, secret: str) -> None:
    url = {"url": "https://h.example/"} if kind == "webhook" else {}
    written = settings(routes=[], destinations={"d": {"kind": kind, "secret": secret, **url}})
    with pytest.raises(SettingsError, match=r"^alerts\.destinations\.d\.secret: "):
        build_destinations(written, AlertSecrets(), Poster())


def test_what_only_looks_like_pagerduty_may_have_keys_of_its_own() -> None:
    written = settings(
        routes=[],
        destinations={"pager": {"kind": "pagerduty", "url": "https://pager.example", "secret": "k-1"}},
    )
    assert build_destinations(written, AlertSecrets(), Poster())


def test_a_line_break_at_the_end_of_a_secret_is_that_of_its_file() -> None:
    assert build_destinations(settings(), secrets(pager=ROUTING_KEY + "\n"), Poster())


def test_a_url_without_encryption_is_refused_where_it_is_not_allowed() -> None:
    with pytest.raises(ValidationError, match="plain = true"):
        settings(routes=[], destinations={"am": {"kind": "alertmanager", "url": "http://alertmanager:9093"}})


def test_an_encrypted_service_of_apprise_is_fine() -> None:
    built = build_destinations(settings(), secrets(duty="jsons://elsewhere.example/token-of-duty"), Poster())
    assert "token-of-duty" not in repr(built["duty"])


def test_no_secret_shows_in_a_repr_or_an_error() -> None:
    shown = repr(secrets()) + repr(
        settings(destinations={"hook": {**WRITTEN["destinations"]["hook"], "secret": WHSEC}}, routes=[])
    )
    assert "SECRET" not in shown
    assert WHSEC not in shown
