"""Every setting, read once, whole, frozen. Environment `TOUCHLINE_<SECTION>__<NAME>` wins over `touchline.toml`.

A part of the program gets only its piece: `ClickHouseWriter(settings.clickhouse)`. Secrets are masked in `repr`.
"""

import os
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from schemas.ahead import PURE
from streams.durations import Duration
from streams.settings.alerts import AlertSecrets, AlertSettings
from streams.settings.identity import IdentitySettings
from streams.settings.kafka import KafkaSettings
from streams.settings.section import Count, Number, Section, Whole

PREFIX = "TOUCHLINE_"
CONFIG = "TOUCHLINE_CONFIG"
CONFIG_FILE = "touchline.toml"
NOT_SETTINGS = (CONFIG, PURE)
"""What else may be in the environment: read before any setting is."""


class SettingsError(Exception):
    """A setting is wrong. The message names the variable (or the file and key) and says what is expected."""


Positive = Annotated[Duration, Field(gt=timedelta(0))]


class ClickHouseSettings(Section):
    """The database."""

    url: str | None = Field(
        None,
        description="clickhouse://[USER@]HOST:PORT of the native protocol; unset: the embedded one",
    )
    http_url: str | None = Field(
        None,
        description="http(s)://HOST:PORT that `touchline query` reads through; unset: the host of the URL with port "
        "8123 (8443 with TLS)",
    )
    database: str = Field(
        "touchline", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Database of all tables"
    )
    user: str = Field("default", description="User, unless the URL names one")
    password: SecretStr = Field(SecretStr(""), description="Password of that user, also of the embedded one")
    connections: Count = Field(
        2, description="Connections of one writer's pool; fewer make fewer and larger inserts"
    )
    timeout: Positive = Field(timedelta(seconds=30), description="Limit of one statement")
    cluster: str | None = Field(
        None, description="Cluster name: tables become Replicated, with Distributed ones in front"
    )

    @field_validator("http_url")
    @classmethod
    def _http_url_names_a_host(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.password is not None:
            raise ValueError("expected http://HOST[:PORT] or https://HOST[:PORT], without a password")
        return value

    @field_validator("url")
    @classmethod
    def _url_names_a_host(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("clickhouse", "clickhouses") or not parts.hostname:
            raise ValueError("expected clickhouse://[USER@]HOST[:PORT] (clickhouses:// for TLS)")
        if parts.password is not None:
            raise ValueError("put the password into TOUCHLINE_CLICKHOUSE__PASSWORD, not into the URL")
        return value


class JourneySettings(Section):
    """How interactions become journeys."""

    gap: Positive = Field(timedelta(days=7), description="Silence longer than this ends a journey")
    horizon: Positive = Field(
        timedelta(days=30),
        description="How far back a late interaction can still change what is known",
    )
    max_interactions: Count = Field(
        1_000, ge=10, description="Interactions that one timeline keeps; older ones are folded and counted"
    )


class TimeSettings(Section):
    """Watermarks."""

    lateness: Duration = Field(
        timedelta(seconds=60), ge=timedelta(0), description="How late an event may come unnoticed"
    )
    future: Positive = Field(
        timedelta(minutes=5), description="How far ahead of the clock occurred_at may be"
    )
    tick: Positive = Field(timedelta(seconds=1), description="How often watermarks are published")


class RulesSettings(Section):
    """The rules that findings are made by, and the light."""

    directory: Path | None = Field(
        None,
        description="Folder of the rule files (*.yaml), watched by the workers; unset: the catalogue that ships",
    )
    half_life: Positive = Field(
        timedelta(days=14), description="After so long a finding weighs half in the light"
    )
    yellow: Number = Field(3.0, gt=0, description="Points from which the light is yellow")
    red: Number = Field(9.0, gt=0, description="Points from which the light is red")
    hysteresis: Number = Field(
        0.25,
        ge=0,
        lt=1,
        description="Share by which the score must fall below a threshold before the light goes down",
    )

    @model_validator(mode="after")
    def _red_is_above_yellow(self) -> "RulesSettings":
        if self.red <= self.yellow:
            raise ValueError("red must be above yellow")
        return self


class WorkerSettings(Section):
    """One worker process."""

    processes: Count | None = Field(
        None, description="Worker processes of `up` and `demo`; default one a core, one on the mock broker"
    )
    batch_records: Count = Field(5_000, description="Records of one poll at the most")
    session_timeout: Positive = Field(
        timedelta(seconds=6), description="A worker silent for so long loses its partitions to the others"
    )
    watchdog: Positive = Field(
        timedelta(seconds=60), description="A worker with lag that commits nothing for so long ends itself"
    )


class LocalSettings(Section):
    """The embedded servers of `up`; all of them listen on loopback only."""

    kafka_port: Whole = Field(
        9092,
        ge=0,
        le=65535,
        description="Port of the embedded Kafka; 0 = any free one. The mock always chooses its own",
    )
    clickhouse_port: Whole = Field(
        9000, ge=0, le=65535, description="Native port of the embedded ClickHouse; 0 = any free one"
    )
    clickhouse_http_port: Whole = Field(
        8123,
        ge=0,
        le=65535,
        description="HTTP port of the embedded ClickHouse, not the native one; 0 = any free one",
    )


class Settings(Section):
    """The whole tree."""

    home: Path = Field(Path(".touchline"), description="Directory of all local state", validate_default=True)
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="What workers log, from this level up"
    )
    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    journeys: JourneySettings = JourneySettings()
    time: TimeSettings = TimeSettings()
    identity: IdentitySettings = IdentitySettings()
    rules: RulesSettings = RulesSettings()
    alerts: AlertSettings = AlertSettings()
    alert_secrets: AlertSecrets = AlertSecrets()
    worker: WorkerSettings = WorkerSettings()
    local: LocalSettings = LocalSettings()

    @field_validator("home")
    @classmethod
    def _home_is_absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()


def load_settings(environ: dict[str, str] | None = None, file: Path | None = None) -> Settings:
    """Read `touchline.toml` (or the file TOUCHLINE_CONFIG names) and the environment; raise `SettingsError`.

    >>> load_settings({"TOUCHLINE_JOURNEYS__GAP": "86400"}).journeys.gap
    datetime.timedelta(days=1)
    """
    environ = dict(os.environ) if environ is None else environ
    if file is None:
        file = Path(environ.get(CONFIG, CONFIG_FILE))
        if CONFIG in environ and not file.exists():
            raise SettingsError(f"{CONFIG}: no such file: {file}")
    values: dict[str, Any] = {}
    if file.exists():
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file}: not valid TOML: {error}") from None
    origin: dict[tuple[str, ...], str] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        path = tuple(name[len(PREFIX) :].lower().split("__"))
        origin[path] = name
        if len(path) > 2 or (len(path) == 1 and path[0] not in ("home", "log_level")):
            raise SettingsError(f"{name}: unknown setting (expected TOUCHLINE_<SECTION>__<NAME>)")
        target = values
        if len(path) == 2:
            target = target.setdefault(path[0], {})
            if not isinstance(target, dict):
                raise SettingsError(f"{file}: {path[0]}: expected a table [{path[0]}]")
        target[path[-1]] = value
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(error, origin, file, values))) from None


def _explain(
    error: ValidationError, origin: dict[tuple[str, ...], str], file: Path, values: dict[str, Any]
) -> list[str]:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        path = tuple(str(part) for part in problem["loc"])
        within = next((name for key, name in origin.items() if key[: len(path)] == path), None)
        missing = (
            len(path) == 2 and path[0] in Settings.model_fields and path[1] not in values.get(path[0], ())
        )
        given = f"{PREFIX}{'__'.join(path).upper()}" if missing else f"{file}: {'.'.join(path)}"
        name = origin.get(path) or within or given
        said = problem["msg"].removeprefix("Value error, ")
        reason = "unknown setting" if problem["type"] == "extra_forbidden" else said
        lines.append(f"{name}: {reason}")
    return lines
