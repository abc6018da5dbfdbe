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
rest where the file itself is kept secret. Secrets are masked in `repr`.
"""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from schemas.findings import Severity
from schemas.vocabulary import Channel
from sinks.notifications.addresses import checked_url
from sinks.notifications.pagerduty import EVENTS_URL
from sinks.notifications.signature import secret_bytes
from streams.durations import Duration
from streams.section import Count, Section

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
    url: str
    plain: bool = False
    """Allow http:// to other machines: the network in between is trusted."""

    @model_validator(mode="after")
    def _url_may_be_used(self) -> Self:
        checked_url(self.url, plain=self.plain)
        return self


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
    """The secret of a destination: the environment's wins. Raises ValueError that names the variable when it is needed
    and missing, or not of its form.
    """
    found = secrets.by_name.get(name, settings.secret)
    variable = f"TOUCHLINE_ALERT_SECRETS__{name.upper()}"
    text = None if found is None else found.get_secret_value().strip()
    if not text and not isinstance(settings, AlertmanagerSettings):
        raise ValueError(f"{variable}: destination {name!r} ({settings.kind}) needs a secret")
    if text and isinstance(settings, WebhookSettings):
        for part in text.split():
            try:
                secret_bytes(part)
            except ValueError as error:
                raise ValueError(f"{variable}: {error}") from None
    return text or None
