"""What the data is: contracts, topics, JSON Schemas, AsyncAPI and examples."""
