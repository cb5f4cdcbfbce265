//! Pulls cameras and files into the Kafka log.

fn main() {}
