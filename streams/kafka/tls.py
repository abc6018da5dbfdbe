"""TLS as the brokers of Kafka want it: whom to believe, who we are, and what is wrong with the files that say so.

The files are PEM. Each check names one thing that a person can mend, before anything connects.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr


class TlsProblem(Exception):
    """A file cannot be used for TLS. The message names it and says why; never what it holds, nor a password."""


@dataclass(frozen=True)
class Tls:
    """How to know a broker, and how it knows us."""

    authorities: Path | None = None
    """Certificates of those who may vouch for a broker; None: whom this machine believes."""
    certificate: Path | None = None
    """Our own, with what stands between it and an authority; None: we are known otherwise, or not at all."""
    key: Path | None = None
    """The key of our certificate; None without one."""
    key_password: SecretStr | None = None
    """Opens the key; None or empty where it is not encrypted."""
    check_hostname: bool = True
    """Whether a broker's certificate must be for the name under which it is reached."""

    def context(self) -> ssl.SSLContext:
        """A context of its own, TLS 1.2 or later. Raises `TlsProblem`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = self.check_hostname
        if self.authorities is None:
            context.load_default_certs()
        else:
            _trust(context, self.authorities)
        if self.certificate is not None and self.key is not None:
            _present(context, self.certificate, self.key, self.key_password)
        return context


def check_certificates(file: Path) -> None:
    """Raise `TlsProblem` where a file is not there or holds no certificate."""
    _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), file)


def check_key(certificate: Path, key: Path, password: SecretStr | None) -> None:
    """Raise `TlsProblem` where the key cannot be opened, or is not that of the certificate."""
    _present(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, key, password)


def check_readable(file: Path) -> None:
    """Raise `TlsProblem` where there is no such file, or where we may not read it."""
    try:
        file.open("rb").close()
    except OSError as error:
        raise TlsProblem(f"{file} cannot be read: {error.strerror}") from None


def _trust(context: ssl.SSLContext, file: Path) -> None:
    check_readable(file)
    try:
        context.load_verify_locations(file)
    except (ssl.SSLError, ValueError):
        raise TlsProblem(f"{file} holds no certificate in PEM form") from None


def _present(context: ssl.SSLContext, certificate: Path, key: Path, password: SecretStr | None) -> None:
    check_readable(certificate)
    check_readable(key)
    secret = "" if password is None else password.get_secret_value()
    try:
        # A function, since without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: secret)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsProblem(f"the key in {key} is not that of the certificate in {certificate}") from None
        opened = "with the password given" if secret else "without a password"
        what_to_do = "see TOUCHLINE_KAFKA__KEY_PASSWORD"
        raise TlsProblem(f"{key} holds no key in PEM form that opens {opened}; {what_to_do}") from None
    except ValueError as error:  # a password of more than 1,023 bytes
        raise TlsProblem(f"{key} cannot be opened: {error}") from None
