//! Kafka: producers, consumers, tailers, topic administration.
