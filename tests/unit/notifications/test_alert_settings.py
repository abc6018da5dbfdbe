"""Routes and destinations as a person writes them."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.interaction import SECOND
from sinks.notifications.posting import Poster
from streams.core.alerting.policy import Route
from streams.destinations import alert_policy, build_destinations
from streams.notification_settings import AlertSecrets, AlertSettings
from tests.alert_builders import MINUTE

WHSEC = "whsec_" + "QUFB" * 10
SECRETS = {"duty": "json://127.0.0.1:9/hook-of-duty", "pager": "R0SECRET", "hook": WHSEC}
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
    with pytest.raises(ValueError, match=f"TOUCHLINE_ALERT_SECRETS__{name.upper()}.*needs a secret"):
        build_destinations(settings(), left, Poster())


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("hook", "not-a-standard-secret"),
        ("duty", "nosuchservice://token-of-duty"),
        ("duty", "json://elsewhere.example/token-of-duty"),
        ("duty", "jsons://elsewhere.example/token-of-duty?verify=no"),
    ],
)
def test_a_secret_that_cannot_be_used_is_told_by_its_variable_and_not_shown(name: str, secret: str) -> None:
    with pytest.raises(ValueError, match=f"TOUCHLINE_ALERT_SECRETS__{name.upper()}: ") as caught:
        build_destinations(settings(), secrets(**{name: secret}), Poster())
    assert secret not in str(caught.value)
    assert "token-of-duty" not in str(caught.value)


def test_a_secret_for_no_destination_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="TOUCHLINE_ALERT_SECRETS__DUTTY: there is no destination"):
        build_destinations(settings(), secrets(dutty="x"), Poster())


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
