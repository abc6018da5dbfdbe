"""The destinations and the policy of alerts, as the settings say."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Union

from schemas.interaction import Micros
from sinks.notifications.addresses import AddressRefused
from sinks.notifications.alertmanager import Alertmanager
from sinks.notifications.pagerduty import PagerDuty
from sinks.notifications.posting import Poster
from sinks.notifications.webhook import Webhook
from streams.core.alerting.policy import AlertPolicy, Route, Traits
from streams.settings import SettingsError
from streams.settings.alerts import (
    SECRET_VARIABLE,
    AlertmanagerSettings,
    AlertSecrets,
    AlertSettings,
    AppriseSettings,
    DestinationSettings,
    PagerDutySettings,
    WebhookSettings,
    place_of_secret,
    secret_of,
)

if TYPE_CHECKING:
    from sinks.notifications.chat import Chat

HOLD_REPEATS: Final = 4
"""An Alertmanager alert stands for so many repetitions: a few may fail before it is taken for over."""

AnyDestination = Union[Alertmanager, "Chat", PagerDuty, Webhook]


def alert_policy(settings: AlertSettings, partitions: int) -> AlertPolicy:
    """The core's policy. The flood limit is divided among the partitions, each of which counts for itself."""
    return AlertPolicy(
        routes=tuple(
            Route(route.to, route.severity, route.rules, route.channels) for route in settings.routes
        ),
        destinations={name: _traits(item) for name, item in settings.destinations.items()},
        cool_down=_micros(settings.cool_down),
        flood_limit=max(1, -(-settings.flood_limit // partitions)),
        flood_window=_micros(settings.flood_window),
        give_up=_micros(settings.give_up),
    )


def build_destinations(
    settings: AlertSettings, secrets: AlertSecrets, poster: Poster
) -> dict[str, AnyDestination]:
    """The destinations by name; raise `SettingsError` that names every setting that is wrong. Nothing connects yet.

    The poster is shared: who made it closes it, after the destinations.
    """
    problems = [
        f"{SECRET_VARIABLE}{name.upper()}: there is no destination {name!r}"
        for name in sorted(secrets.by_name.keys() - settings.destinations.keys())
    ]
    found: dict[str, AnyDestination] = {}
    for name, item in settings.destinations.items():
        try:
            found[name] = _destination(name, item, secret_of(name, item, secrets), settings, poster)
        except AddressRefused as error:  # the address is the secret itself, with Apprise
            problems.append(f"{place_of_secret(name, item, secrets)}: {error}")
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError("\n".join(problems))
    return found


def check_destinations(settings: AlertSettings, secrets: AlertSecrets) -> None:
    """Raise `SettingsError` as `build_destinations` would: before anything is started that needs them."""
    build_destinations(settings, secrets, Poster())


def _destination(
    name: str, item: DestinationSettings, secret: str | None, settings: AlertSettings, poster: Poster
) -> AnyDestination:
    match item:
        case AlertmanagerSettings():
            return Alertmanager(name, poster, item.url, HOLD_REPEATS * _micros(item.repeat), secret)
        case PagerDutySettings():
            return PagerDuty(name, poster, secret or "", item.url.rstrip("/"))
        case WebhookSettings():
            return Webhook(name, poster, item.url, (secret or "").split())
        case AppriseSettings():
            from sinks.notifications.chat import Chat  # Apprise takes long to import: only who needs it waits

            return Chat(name, secret or "", plain=item.plain, timeout=settings.timeout.total_seconds())


def _traits(item: DestinationSettings) -> Traits:
    match item:
        case AlertmanagerSettings():
            return Traits(holds_open=True, repeat=_micros(item.repeat))
        case PagerDutySettings():
            return Traits(holds_open=True, acknowledges=True)
        case WebhookSettings():
            return Traits(holds_open=True, acknowledges=True)
        case AppriseSettings():
            return Traits()


def _micros(duration: timedelta) -> Micros:
    return duration // timedelta(microseconds=1)
