//! What librdkafka says, in `tracing`.

use rdkafka::{
    ClientContext, config::RDKafkaLogLevel, consumer::ConsumerContext, error::KafkaError,
};

/// Passes librdkafka's log lines on. Its errors come with the events that they belong to, so the
/// error callback adds nothing.
#[derive(Debug, Clone)]
pub(crate) struct LogContext {
    /// Which of the process's clients speaks: `media`, `tailer`, a group's name.
    pub client: std::sync::Arc<str>,
}

impl LogContext {
    pub fn new(client: &str) -> Self {
        Self {
            client: client.into(),
        }
    }
}

impl ClientContext for LogContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        let client = &*self.client;
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => {
                tracing::error!(target: "librdkafka", client, facility, text, "kafka client error");
            }
            RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "librdkafka", client, facility, text, "kafka client warning");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", client, facility, text, "kafka client message");
            }
            RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "librdkafka", client, facility, text, "kafka client message");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let client = &*self.client;
        tracing::debug!(target: "librdkafka", client, %error, reason, "kafka client event");
    }
}

impl ConsumerContext for LogContext {}
