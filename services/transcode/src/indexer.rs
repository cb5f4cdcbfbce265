//! Appends index records in the order in which their segments were finished, and tries each
//! until it is in the log: a later one never overtakes an earlier one.

use std::time::Duration;

use reelay_bus::{Outgoing, ProduceError, Producer};
use reelay_model::{RungId, SegmentNumber};
use reelay_timeline::todo::Fate;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Wait between tries of a record that was not acknowledged.
const RETRY: Duration = Duration::from_millis(500);

/// A segment of a rung that `index` lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The rung.
    pub rung: RungId,
    /// The segment.
    pub number: SegmentNumber,
    /// What `index` says of it.
    pub fate: Fate,
}

/// The indexer of one line; dropping it drops what it has not appended.
pub struct Indexer {
    records: mpsc::UnboundedSender<(Box<Outgoing>, Listed, tracing::Span)>,
    _task: AbortOnDropHandle<()>,
}

impl Indexer {
    /// An indexer with nothing to do; it says on `listed` what lies in the log.
    pub fn start(producer: Producer, listed: mpsc::UnboundedSender<Listed>) -> Self {
        let (records, mut receiver) =
            mpsc::unbounded_channel::<(Box<Outgoing>, Listed, tracing::Span)>();
        let task = tokio::spawn(async move {
            while let Some((record, what, span)) = receiver.recv().await {
                append(&producer, &record, &span).await;
                if listed.send(what).is_err() {
                    return;
                }
            }
        });
        Self {
            records,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Appends `record` after those before it. `span` is the segment's, and ends with this.
    pub fn append(&self, record: Outgoing, what: Listed, span: tracing::Span) {
        // The task lives as long as this sender.
        let _ = self.records.send((Box::new(record), what, span));
    }
}

async fn append(producer: &Producer, record: &Outgoing, span: &tracing::Span) {
    loop {
        match producer.send(record.clone()).await {
            Ok(_) => return,
            Err(error @ ProduceError::Refused { .. }) => {
                tracing::error!(parent: span, %error, "index record can never be appended");
                return;
            }
            // Twice the same index record is no harm: the first one counts.
            Err(error) => {
                tracing::warn!(parent: span, %error, "index record is tried again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
