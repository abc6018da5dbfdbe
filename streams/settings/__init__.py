"""Every setting: a module for each large section, the tree of them all, and the document made from it."""

from streams.settings.tree import (
    CONFIG,
    CONFIG_FILE,
    NOT_SETTINGS,
    PREFIX,
    ClickHouseSettings,
    Settings,
    SettingsError,
    load_settings,
)

__all__ = [
    "CONFIG",
    "CONFIG_FILE",
    "NOT_SETTINGS",
    "PREFIX",
    "ClickHouseSettings",
    "Settings",
    "SettingsError",
    "load_settings",
]
