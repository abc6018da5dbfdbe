"""The servers that `touchline up` runs on loopback when nothing else is configured."""
