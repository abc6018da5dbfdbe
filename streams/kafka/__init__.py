"""All that knows Kafka: the micro-batch transport, the changelog, publishing, topics."""
