"""How this deployment names customers in ClickHouse, as its settings say."""

from sinks.clickhouse.hash_key import kept_key, key_of_secret
from sinks.clickhouse.pseudonyms import CLEAR, Pseudonyms
from streams.settings import Settings


def pseudonyms_of(settings: Settings) -> Pseudonyms:
    """Hashes with the key of the settings, or the one in the home directory, which is made where there is none.

    Raises `SinkMisconfigured` when that file holds no key.
    """
    identity = settings.identity
    if identity.clear_text:
        return CLEAR
    if identity.hash_key is not None:
        return Pseudonyms(key_of_secret(identity.hash_key.get_secret_value()))
    return Pseudonyms(kept_key(settings.home))
