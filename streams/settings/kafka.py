"""Settings of Kafka: `[kafka]`. Brokers, topics, and how to be let in.

What contradicts itself is refused by the name of its variable, and so is a file that cannot be used: a worker that was
to go over TLS must not find out later that it does not. A blank value is none at all: compose files hand those on.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from schemas.topics import DEFAULT_PARTITIONS, DEFAULT_PREFIX
from streams.kafka.access import KafkaAccess, Mechanism, Sasl
from streams.kafka.tls import Tls, TlsProblem, check_certificates, check_key, check_readable
from streams.settings.addresses import broker_addresses
from streams.settings.section import Count, Section

SecurityProtocol = Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]

_WITH_TLS: Final = ("ssl", "sasl_ssl")
_WITH_SASL: Final = ("sasl_plaintext", "sasl_ssl")


def _blank_is_unset(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _as_written(change: Callable[[str], str]) -> BeforeValidator:
    return BeforeValidator(lambda value: change(value.strip()) if isinstance(value, str) else value)


def _protocol(text: str) -> str:
    return text.lower() or "plaintext"


# What is rightmost looks first.
_Protocol = Annotated[SecurityProtocol, _as_written(_protocol)]
_Mechanism = Annotated[Mechanism | None, _as_written(str.upper), BeforeValidator(_blank_is_unset)]
_Text = Annotated[str | None, BeforeValidator(_blank_is_unset)]
_File = Annotated[Path | None, BeforeValidator(_blank_is_unset)]


class KafkaSettings(Section):
    """The broker and the topics."""

    bootstrap: str | None = Field(
        None, description="Brokers as HOST:PORT[,HOST:PORT]; unset means the embedded broker"
    )
    security_protocol: _Protocol = Field(
        "plaintext", description="How to speak to the brokers of `bootstrap`, in any letter case"
    )
    sasl_mechanism: _Mechanism = Field(
        None, validate_default=True, description="How to prove who we are; only with sasl_*"
    )
    user: _Text = Field(None, validate_default=True, description="User, only with sasl_*")
    password: SecretStr = Field(
        SecretStr(""), validate_default=True, description="Password of that user, only with sasl_*"
    )
    ca_file: _File = Field(
        None,
        description="PEM file of the authorities that vouch for the brokers, only with TLS (ssl, sasl_ssl); "
        "unset: those that this machine trusts",
    )
    certificate_file: _File = Field(
        None, description="PEM file of our certificate, for brokers that ask for one (mutual TLS)"
    )
    key_password: SecretStr = Field(
        SecretStr(""), description="What opens the key of that certificate, if it is encrypted"
    )
    key_file: _File = Field(
        None,
        validate_default=True,
        description="PEM file of the key of that certificate; may be the same file",
    )
    check_hostname: bool = Field(
        True,
        description="Whether a broker's certificate must be for the name that it is reached by; false lets any server "
        "that the authorities vouch for pass for a broker",
    )
    prefix: str = Field(
        DEFAULT_PREFIX, pattern=r"^[A-Za-z0-9._-]*$", description="What every topic's name begins with"
    )
    partitions: Count = Field(
        DEFAULT_PARTITIONS, le=1024, description="Partitions of every topic, fixed at the first migrate"
    )
    replication: Count = Field(1, description="Replicas of every topic that migrate creates")
    group: str = Field(
        "touchline", min_length=1, description="Consumer group (and Faust app id) of the workers"
    )

    @field_validator("bootstrap")
    @classmethod
    def _bootstrap_names_brokers(cls, value: str | None) -> str | None:
        return None if value is None else broker_addresses(value)

    @field_validator("security_protocol")
    @classmethod
    def _security_is_for_brokers_of_ones_own(cls, value: str, info: ValidationInfo) -> str:
        if value != "plaintext" and info.data.get("bootstrap", "") is None:
            raise ValueError(
                f"{value} needs TOUCHLINE_KAFKA__BOOTSTRAP: the embedded broker listens on loopback, in plaintext"
            )
        return value

    @field_validator("sasl_mechanism", "user")
    @classmethod
    def _sasl_is_complete(cls, value: str | None, info: ValidationInfo) -> str | None:
        _belongs(info, _WITH_SASL, given=value is not None, needed=True)
        return value

    @field_validator("password")
    @classmethod
    def _password_comes_with_a_user(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        _belongs(info, _WITH_SASL, given=bool(value.get_secret_value()), needed=True)
        return value

    @field_validator("ca_file", "certificate_file", "key_file")
    @classmethod
    def _file_is_for_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        _belongs(info, _WITH_TLS, given=value is not None)
        if value is None:
            return None
        value = value.expanduser().absolute()
        try:
            check_readable(value) if info.field_name == "key_file" else check_certificates(value)
        except TlsProblem as problem:
            raise ValueError(str(problem)) from None
        return value

    @field_validator("key_file")
    @classmethod
    def _key_is_that_of_the_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if not {"certificate_file", "key_password"} <= info.data.keys():  # they have errors of their own
            return value
        certificate, password = info.data["certificate_file"], info.data["key_password"]
        if value is None:
            if certificate is not None:
                raise ValueError(
                    "TOUCHLINE_KAFKA__CERTIFICATE_FILE needs its key (the same file, if it holds both)"
                )
            if password.get_secret_value():
                raise ValueError("TOUCHLINE_KAFKA__KEY_PASSWORD needs a key that it opens")
            return None
        if certificate is None:
            raise ValueError("of no use without TOUCHLINE_KAFKA__CERTIFICATE_FILE")
        try:
            check_key(certificate, value, password)
        except TlsProblem as problem:
            raise ValueError(str(problem)) from None
        return value

    @field_validator("check_hostname")
    @classmethod
    def _names_are_in_certificates(cls, value: bool, info: ValidationInfo) -> bool:
        _belongs(info, _WITH_TLS, given=not value)
        return value

    def access(self) -> KafkaAccess | None:
        """How the configured brokers are reached; None where none are."""
        if self.bootstrap is None:
            return None
        tls = sasl = None
        if self.security_protocol in _WITH_TLS:
            tls = Tls(
                self.ca_file, self.certificate_file, self.key_file, self.key_password, self.check_hostname
            )
        if self.security_protocol in _WITH_SASL:
            assert self.sasl_mechanism is not None
            assert self.user is not None
            sasl = Sasl(self.sasl_mechanism, self.user, self.password)
        return KafkaAccess(self.bootstrap, tls, sasl)


PLAINTEXT: Final = {
    "TOUCHLINE_KAFKA__SECURITY_PROTOCOL": "plaintext",
    **{
        f"TOUCHLINE_KAFKA__{name.upper()}": ""
        for name in (
            "sasl_mechanism", "user", "password", "ca_file", "certificate_file", "key_file", "key_password",
        )
    },
    "TOUCHLINE_KAFKA__CHECK_HOSTNAME": "true",
}  # fmt: skip
"""The environment in which whatever else is set, brokers are reached without TLS and SASL, as the embedded one is."""


def _belongs(info: ValidationInfo, to: tuple[str, ...], *, given: bool, needed: bool = False) -> None:
    """Raise ValueError where a value is given and the protocol has no place for it, or needed and not given."""
    protocol = info.data.get("security_protocol")
    if protocol is None:  # it has an error of its own
        return
    if given and protocol not in to:
        raise ValueError(
            f"of no use with TOUCHLINE_KAFKA__SECURITY_PROTOCOL={protocol}: set that to {' or '.join(to)}, or leave "
            "this out"
        )
    if needed and not given and protocol in to:
        raise ValueError(f"TOUCHLINE_KAFKA__SECURITY_PROTOCOL={protocol} needs one")
