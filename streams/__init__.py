"""What is done with the data: the pure core, the agents around it, Kafka, and the command line."""

import schemas  # noqa: F401 - first of all it decides whether compiled modules are used
