"""What runs over files and over what is stored, without Kafka: replay and back-test, with the core that is live."""
