//! Serves LL-HLS, the REST API and the web app from the Kafka log.
