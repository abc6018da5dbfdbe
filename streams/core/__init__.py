"""Pure: timelines, journeys, identity. No faust, no clock, no I/O, no logging."""
