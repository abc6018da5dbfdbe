"""What people see in the terminal: one customer's journey as a picture, and the progress of a demonstration."""

from streams.terminal.journey_picture import journey_picture
from streams.terminal.live_progress import LiveProgress, Progress

__all__ = ["LiveProgress", "Progress", "journey_picture"]
