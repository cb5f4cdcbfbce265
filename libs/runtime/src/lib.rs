//! Configuration, telemetry, health and shutdown of a service.
