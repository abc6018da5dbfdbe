"""What is done with the data: the pure core, the agents around it, Kafka, and the command line."""
