"""Kafka on this machine: the real Apache Kafka where Java and Maven are, else the mock cluster of librdkafka.

`install.install_kafka` brings the real one, `broker.KafkaBroker` runs it; `mock.MockBroker` runs the other.
"""
