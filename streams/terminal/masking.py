"""Hiding what names a person in a text that is shown on a screen.

This is for display alone: it hides addresses and long numbers, not names in prose.
"""

import re
from typing import Final

from schemas.vocabulary import WEAK_KINDS

_ADDRESS: Final = re.compile(r'[^\s@<>()",;:]+@[\w-]+(?:\.[\w-]+)+')
_NUMBER: Final = re.compile(r"\+?\(?\d(?:[\s().-]{0,2}\d){4,}")
_HIDDEN: Final = "•••"


def masked_text(text: str) -> str:
    """The text in one line, with e-mail addresses and numbers of five digits or more hidden.

    >>> masked_text("Call me:\\n+359 88 812 3456, or ann@example.com")
    'Call me: •••, or •••'
    """
    one_line = " ".join(text.split())
    return _NUMBER.sub(_HIDDEN, _ADDRESS.sub(_HIDDEN, one_line))


def masked_customer(customer: str) -> str:
    """The customer as shown: numbers of a company's own stay, telephones, addresses and devices are
    shortened.

    >>> masked_customer("crm:A1"), masked_customer("phone:+359888123456")
    ('crm:A1', 'phone:+35…56')
    """
    kind, _, value = customer.partition(":")
    return f"{kind}:{value[:3]}…{value[-2:]}" if kind in WEAK_KINDS and len(value) > 6 else customer
