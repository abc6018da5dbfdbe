"""Who may connect: one user, one password, the same on both protocols."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from sinks.embedded.clickhouse.errors import AUTHENTICATION_FAILED, ServerError


@dataclass(frozen=True)
class Credentials:
    """The one user of the server; an empty password admits that user without one."""

    user: str = "default"
    password: str = field(default="", repr=False)

    def admit(self, user: str, password: str) -> None:
        """Raise error 516 unless both match; an empty `user` means the user `default`.

        The comparison takes the same time wherever the first difference is.
        """
        name = user or "default"
        same_user = hmac.compare_digest(name.encode(), self.user.encode())
        same_password = hmac.compare_digest(password.encode(), self.password.encode())
        if not (same_user and same_password):
            raise ServerError(
                AUTHENTICATION_FAILED,
                f"{name}: Authentication failed: password is incorrect, or there is no user with such name. "
                "(AUTHENTICATION_FAILED)",
            )
