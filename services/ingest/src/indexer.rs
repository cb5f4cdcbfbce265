//! Appends index records in the order in which their segments were finished, and tries each
//! until it is in the log: a later one never overtakes an earlier one.

use std::{sync::Arc, time::Duration};

use reelay_bus::{Outgoing, ProduceError, Producer};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

/// Wait between tries of a record that was not acknowledged.
const RETRY: Duration = Duration::from_millis(500);

enum Command {
    Append(Box<Outgoing>, tracing::Span),
    Flush(oneshot::Sender<()>),
}

/// The indexer of one owner; dropping it drops what it has not appended.
pub struct Indexer {
    commands: mpsc::UnboundedSender<Command>,
    _task: Arc<AbortOnDropHandle<()>>,
}

impl Indexer {
    /// An indexer with nothing to do.
    pub fn start(producer: Producer) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let task = tokio::spawn(run(producer, receiver));
        Self {
            commands,
            _task: Arc::new(AbortOnDropHandle::new(task)),
        }
    }

    /// Appends `record` after those before it. `span` is the segment's, and ends with this.
    pub fn append(&self, record: Outgoing, span: tracing::Span) {
        // The task lives as long as this sender.
        let _ = self.commands.send(Command::Append(Box::new(record), span));
    }

    /// Waits until everything is appended, up to `deadline`. Returns whether it was.
    pub async fn flush(&self, deadline: Duration) -> bool {
        let (done, flushed) = oneshot::channel();
        let _ = self.commands.send(Command::Flush(done));
        matches!(tokio::time::timeout(deadline, flushed).await, Ok(Ok(())))
    }
}

async fn run(producer: Producer, mut commands: mpsc::UnboundedReceiver<Command>) {
    while let Some(command) = commands.recv().await {
        match command {
            Command::Append(record, span) => append(&producer, *record, &span).await,
            Command::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

async fn append(producer: &Producer, record: Outgoing, span: &tracing::Span) {
    loop {
        match producer.send(record.clone()).await {
            Ok(_) => {
                metrics::counter!("reelay_ingest_indexed_segments_total").increment(1);
                return;
            }
            Err(error @ ProduceError::Refused { .. }) => {
                tracing::error!(parent: span, %error, "index record can never be appended");
                return;
            }
            // Twice the same index record is no harm: the last one counts.
            Err(error) => {
                tracing::warn!(parent: span, %error, "index record is tried again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
