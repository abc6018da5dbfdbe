"""What people see in the terminal: a journey as a picture, the progress of a demonstration."""

from streams.terminal.journey_picture import journey_picture
from streams.terminal.live_progress import LiveProgress, Progress

__all__ = ["LiveProgress", "Progress", "journey_picture"]
