"""Where it goes: ClickHouse and the embedded servers."""

import schemas  # noqa: F401 - first of all it decides whether compiled modules are used
