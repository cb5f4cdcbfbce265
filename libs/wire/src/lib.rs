//! Record format and topic names of the Kafka log.
