"""Which addresses a notice, which is about a person, may be sent to."""

from urllib.parse import SplitResult, urlsplit

from sinks.loopback import is_loopback


class AddressRefused(ValueError):
    """The address will not be used; the message says why and what to write instead, without the address's secrets."""


def checked_url(url: str, *, plain: bool = False) -> str:
    """The URL, when notices may go there; else raise `AddressRefused`.

    Over `http` only to this machine, or where `plain` says that the network in between is trusted. A user or password
    in the URL is refused: it would stand in logs.
    """
    if any(sign.isspace() or not sign.isprintable() for sign in url):
        raise AddressRefused("a URL has no blanks, line breaks or control characters: write %20 for a blank")
    try:
        parts = urlsplit(url)
    except ValueError:  # its message may show what stands in the URL
        raise AddressRefused("expected https://HOST[:PORT][/PATH]") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressRefused("expected https://HOST[:PORT][/PATH]")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("put no user or password into the URL")
    if not _port_is_one(parts):
        raise AddressRefused("a port is a number from 1 to 65535")
    if parts.fragment:
        raise AddressRefused("a fragment (#...) means nothing to a server: leave it out")
    if parts.scheme == "http" and not plain and not is_loopback(parts.hostname):
        raise AddressRefused(
            f"http://{parts.hostname} would send customers' data unencrypted: "
            "write https://, or allow it with plain = true"
        )
    return url


def _port_is_one(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False
