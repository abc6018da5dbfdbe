"""Settings of alerts: `[alerts]`, its routes and its destinations, in `touchline.toml`.

    [alerts]
    cool_down = "24h"

    [[alerts.routes]]
    to = ["duty"]
    severity = "major"

    [alerts.destinations.duty]
    kind = "apprise"

    [alerts.destinations.metrics]
    kind = "alertmanager"
    url = "https://alertmanager.example.com"

A destination's secret stands in the environment, `TOUCHLINE_ALERT_SECRETS__DUTY=slack://...`, or as `secret` beside the
rest where the file itself is kept secret. Secrets are masked in `repr`. They are looked at when destinations are made
(`secret_of`), not when settings are read: commands that tell nobody need none.
"""

import re
from datetime import timedelta
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from schemas.findings import Severity
from schemas.vocabulary import Channel
from sinks.notifications.addresses import checked_url
from sinks.notifications.pagerduty import EVENTS_URL
from sinks.notifications.signature import SECRET_FORM, secret_bytes
from streams.durations import Duration
from streams.settings.section import Count, Section

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
_Positive = Annotated[Duration, Field(gt=timedelta(0))]


class RouteSettings(Section):
    """Where alerts go: every route that matches is followed. What is left out matches all."""

    to: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Names of destinations."""
    severity: Severity = "minor"
    """At least this severe."""
    rules: frozenset[str] = frozenset()
    channels: frozenset[Channel] = frozenset()


class AppriseSettings(Section):
    """One of the many services of Apprise; the secret is its URL (`slack://...`, `mailtos://...`)."""

    kind: Literal["apprise"]
    secret: SecretStr | None = None
    plain: bool = False
    """Allow a service without encryption, other than on this machine."""


class _HttpSettings(Section):
    plain: bool = False
    """Allow http:// to other machines: the network in between is trusted. Stands before the URL, which it judges."""
    url: str

    @field_validator("url")
    @classmethod
    def _url_may_be_used(cls, value: str, info: ValidationInfo) -> str:
        return checked_url(value, plain=info.data.get("plain", True))


class AlertmanagerSettings(_HttpSettings):
    """Prometheus Alertmanager; a secret, if there is one, is a bearer token."""

    kind: Literal["alertmanager"]
    secret: SecretStr | None = None
    repeat: _Positive = timedelta(minutes=15)
    """How often what stands is told again; it stands there for four times as long."""


class PagerDutySettings(_HttpSettings):
    """PagerDuty; the secret is the integration (routing) key."""

    kind: Literal["pagerduty"]
    url: str = EVENTS_URL
    secret: SecretStr | None = None


class WebhookSettings(_HttpSettings):
    """A signed webhook; the secret is `whsec_...`, two divided by a space while it is being changed."""

    kind: Literal["webhook"]
    secret: SecretStr | None = None


DestinationSettings = Annotated[
    AppriseSettings | AlertmanagerSettings | PagerDutySettings | WebhookSettings, Field(discriminator="kind")
]


class AlertSettings(Section):
    """Who is told of findings, and what they are spared."""

    cool_down: Annotated[Duration, Field(ge=timedelta(0))] = Field(
        timedelta(days=1),
        description="Between two alerts of a rule about a customer, unless the rule says its own",
    )
    flood_limit: Count = Field(
        100,
        description="Alerts of one rule and severity to one destination in a window; the rest become a summary",
    )
    flood_window: _Positive = Field(timedelta(minutes=5), description="Window of the flood guard")
    give_up: _Positive = Field(
        timedelta(days=7), description="A notice that cannot be delivered for so long has failed"
    )
    timeout: _Positive = Field(timedelta(seconds=10), description="Limit of one attempt at a destination")
    routes: tuple[RouteSettings, ...] = Field(
        (), description="Tables `[[alerts.routes]]`: which alerts go where"
    )
    destinations: dict[Name, DestinationSettings] = Field(
        {}, description="Tables `[alerts.destinations.NAME]`: who can be told"
    )

    @model_validator(mode="after")
    def _routes_lead_somewhere(self) -> Self:
        for number, route in enumerate(self.routes, 1):
            for name in route.to:
                if name not in self.destinations:
                    known = ", ".join(sorted(self.destinations)) or "none"
                    raise ValueError(
                        f"route {number} leads to {name!r}, which is no destination (there are: {known})"
                    )
        return self


class AlertSecrets(Section):
    """Secrets of destinations by their names: `TOUCHLINE_ALERT_SECRETS__<NAME>`."""

    by_name: dict[Name, SecretStr] = Field(
        {}, description="The secret of the destination of that name, in capitals"
    )

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, values: object) -> object:
        if isinstance(values, dict) and "by_name" not in values:
            return {"by_name": values}
        return values


def secret_of(name: str, settings: DestinationSettings, secrets: AlertSecrets) -> str | None:
    """The secret of a destination, None where it needs none; the environment's wins.

    Raises ValueError that names the variable, or the key of the file, when it is missing, empty or not of its form; it
    never shows the secret.
    """
    found, where = secrets.by_name.get(name, settings.secret), place_of_secret(name, settings, secrets)
    if found is None:
        if isinstance(settings, AlertmanagerSettings):
            return None
        raise ValueError(
            f"{where}: destination {name!r} ({settings.kind}) needs a secret: {_FORMS[settings.kind]}"
        )
    text = found.get_secret_value().strip()
    if not _is_of_its_form(text, settings):
        said = "is empty" if not text else "is not of its form"
        raise ValueError(
            f"{where}: the secret of destination {name!r} ({settings.kind}) {said}: "
            f"expected {_FORMS[settings.kind]}"
        )
    return text


def place_of_secret(name: str, settings: DestinationSettings, secrets: AlertSecrets) -> str:
    """Where the secret stands, or should: the variable, or the key of the file where only that has one."""
    if settings.secret is not None and name not in secrets.by_name:
        return f"alerts.destinations.{name}.secret"
    return f"{SECRET_VARIABLE}{name.upper()}"


SECRET_VARIABLE: Final = "TOUCHLINE_ALERT_SECRETS__"

_FORMS: Final = {
    "apprise": "a URL of Apprise (SERVICE://...), without line breaks",
    "alertmanager": "a bearer token: letters, digits and signs of ASCII, no blanks; unset for none",
    "pagerduty": "an integration (routing) key: 32 letters and digits",
    "webhook": f"{SECRET_FORM}, two divided by a blank while it is being changed",
}
_VISIBLE: Final = re.compile(r"[!-~]+")
_ROUTING_KEY: Final = re.compile(r"[A-Za-z0-9]{32}")


def _is_of_its_form(text: str, settings: DestinationSettings) -> bool:
    if not text.isprintable():  # line breaks and control characters are not
        return False
    match settings:
        case AppriseSettings():
            return bool(text)
        case AlertmanagerSettings():
            return _VISIBLE.fullmatch(text) is not None
        case PagerDutySettings():
            # What only looks like PagerDuty, at a URL of its own, may have keys of its own.
            theirs = (urlsplit(settings.url).hostname or "").endswith(".pagerduty.com")
            return (_ROUTING_KEY if theirs else _VISIBLE).fullmatch(text) is not None
        case WebhookSettings():
            return bool(text) and all(map(_signs, text.split()))


def _signs(secret: str) -> bool:
    try:
        secret_bytes(secret)
    except ValueError:
        return False
    return True
