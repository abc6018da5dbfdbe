"""What can keep the embedded servers from running. Each message says what a person can do about it.

EmbeddedError           show the message, end with a non-zero status
├── PortTakenError      another process has the port
├── HomeInUseError      another process works in this TOUCHLINE_HOME
├── HomeUnusableError   this TOUCHLINE_HOME cannot be made, read or written
├── ChildError          a server died while starting, or was not ready in time
├── ToolMissingError    no Java or no Maven: the mock broker needs neither
└── JarsError           Kafka's jars could not be fetched, or are not the ones we pinned
"""


class EmbeddedError(Exception):
    """The root: whoever starts servers catches this one."""


class PortTakenError(EmbeddedError):
    """A port that one of our servers wants cannot be bound."""


class HomeInUseError(EmbeddedError):
    """Another process works in this home."""


class HomeUnusableError(EmbeddedError):
    """The home cannot be made, or what is in it cannot be read or written by this user."""


class ChildError(EmbeddedError):
    """A child process died while starting or was not ready in time; the message ends with its last lines."""


class ToolMissingError(EmbeddedError):
    """A program that the real Kafka needs is not on this machine, or too old."""


class JarsError(EmbeddedError):
    """Kafka's jars could not be fetched, or differ from the pinned checksums; then they were removed."""
