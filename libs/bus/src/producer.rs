//! Appends single records and waits until they are acknowledged: specs, statuses, claims,
//! openings, ledger lines.

use std::sync::Arc;

use reelay_model::Offset;
use tokio::sync::oneshot;

use crate::{
    Bus, BusError,
    client::{ClientSource, NotTaken, Waiter},
    error::ProduceError,
    record::Outgoing,
};

/// Where an acknowledged record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Its offset in the partition that it was sent to.
    pub offset: Offset,
}

/// An idempotent producer with `acks=all`, shared by the whole process; clones are cheap.
///
/// Records that one task sends to a partition without waiting in between keep their order. After a
/// fatal error the client below is replaced; records that it held fail.
#[derive(Clone)]
pub struct Producer {
    clients: Arc<ClientSource>,
}

impl Producer {
    /// How long a record is tried before [`ProduceError::Unacknowledged`], in milliseconds.
    pub const TIMEOUT_MS: u32 = 30_000;

    pub(crate) fn new(bus: &Bus) -> Result<Self, BusError> {
        let clients = bus.control_clients();
        // Settings that librdkafka does not take show now, not with the first record.
        clients.get()?;
        Ok(Self { clients })
    }

    /// Appends `record` and waits for the delivery report. If the future is dropped, the record
    /// may still be appended.
    ///
    /// # Errors
    /// [`ProduceError::Unacknowledged`] after [`Self::TIMEOUT_MS`]: the record may be in the log.
    pub async fn send(&self, record: Outgoing) -> Result<Delivered, ProduceError> {
        self.enqueue(&record)?.await
    }

    /// Takes `record` into the line at once; the future that is returned waits for the report.
    /// So records keep the order of the calls, also where nobody waits between them.
    ///
    /// # Errors
    /// If the record can never be sent: too large, or the client cannot be made.
    pub fn enqueue(
        &self,
        record: &Outgoing,
    ) -> Result<impl Future<Output = Result<Delivered, ProduceError>> + Send + use<>, ProduceError>
    {
        let (topic, partition, bytes) = (record.topic.clone(), record.partition, record.len());
        let refused = |reason: String| ProduceError::Refused {
            topic: record.topic.clone(),
            partition,
            bytes,
            reason,
        };
        let client = self.clients.get().map_err(|e| refused(e.to_string()))?;
        let (waiter, report) = oneshot::channel();
        match client.hand_over(record, Waiter::One(waiter)) {
            Ok(()) => {}
            Err(NotTaken::Full) => return Err(refused("the client's queue is full".into())),
            Err(NotTaken::Failed(error)) => return Err(error),
        }
        Ok(async move {
            match report.await {
                Ok(outcome) => outcome.map(|offset| Delivered { offset }),
                Err(_) => Err(ProduceError::Unacknowledged {
                    topic,
                    partition,
                    reason: "the client was closed".into(),
                }),
            }
        })
    }
}
