//! Keeps an owner's claim in the log: the opening that says what its segments are like, and the
//! repetition of both before retention removes them.

use std::collections::BTreeMap;

use reelay_bus::ProduceError;
use reelay_model::{LatencyMode, Micros, StreamSpec};
use reelay_timeline::{CLAIMED_TOPICS, Takeover, opening_header};
use reelay_wire::{Nonce, Opening, Topic};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{Owner, Step};
use crate::{app::Context, records, repeat, repeat::Owned};

impl Owner {
    pub(super) fn repeat(&mut self) {
        self.repeat_at = Instant::now() + repeat::interval(self.context.retention);
        if !self.opened {
            return;
        }
        let (context, owned) = (self.context.clone(), self.owned.clone());
        let task = tokio::spawn(async move { repeat::repeat_claims(&context, &owned).await });
        self.repeating = Some(AbortOnDropHandle::new(task));
    }

    /// The claims were repeated and read back; had they been void, a notice would have come first.
    pub(super) fn repeated(&mut self, repeated: Result<Nonce, ProduceError>) -> Step {
        self.repeating = None;
        match repeated {
            Ok(nonce) => {
                self.nonce = nonce;
                self.opening.first_segment = self.timeline.next_number();
                self.opening.discontinuity_sequence = self.timeline.discontinuity_sequence();
                self.opening.continues = true;
                self.push_opening();
            }
            Err(error) => {
                tracing::warn!(stream = %self.owned.stream, %error, "claim was not repeated");
            }
        }
        Step::Go
    }

    pub(super) fn push_opening(&mut self) {
        let opening = &self.opening;
        let records = CLAIMED_TOPICS.map(|topic| {
            let owned = &self.owned;
            let header = opening_header(&owned.stream, owned.uid, &topic, owned.epoch, self.nonce);
            (header, opening.clone())
        });
        self.publisher.push_opening(records);
    }

    /// Writes the first opening and what the predecessors left to be repaired, and waits for
    /// both: nothing of this epoch counts before.
    pub(super) async fn open(&mut self) -> Result<(), ProduceError> {
        for topic in CLAIMED_TOPICS {
            let owned = &self.owned;
            let header = opening_header(&owned.stream, owned.uid, &topic, owned.epoch, self.nonce);
            let value = self.opening.encode();
            send(&self.context, &self.owned, &topic, &header, value).await?;
        }
        let repairs = std::mem::take(&mut self.takeover.repairs);
        for repair in &repairs {
            if let Some(gap) = &repair.gap {
                send(
                    &self.context,
                    &self.owned,
                    &Topic::of_track(&gap.track),
                    gap,
                    Vec::new().into(),
                )
                .await?;
            }
            let value = repair.index.encode();
            send(
                &self.context,
                &self.owned,
                &Topic::Index,
                &repair.index_header,
                value,
            )
            .await?;
        }
        tracing::info!(stream = %self.owned.stream, epoch = self.owned.epoch.0,
            first_segment = self.takeover.first_segment.0, repairs = repairs.len(), "stream opened");
        self.opened = true;
        Ok(())
    }
}

/// Appends one record of the owner and waits until it is in the log.
async fn send(
    context: &Context,
    owned: &Owned,
    topic: &Topic,
    header: &reelay_wire::Header,
    value: bytes::Bytes,
) -> Result<(), ProduceError> {
    let record = records::outgoing(topic.clone(), owned.partition, header, value, None);
    let offset = context.producer.send(record).await?.offset;
    context.foreign.written(topic, owned.partition, offset);
    Ok(())
}

/// The opening before anything is known of the tracks.
pub(super) fn opening(spec: &StreamSpec, takeover: &Takeover) -> Opening {
    let before = takeover.opening.as_ref();
    Opening {
        first_segment: takeover.first_segment,
        time_origin: before.map_or_else(Micros::now, |o| o.time_origin),
        continues: false,
        target_duration_s: spec.greatest_segment.seconds().into(),
        part_targets: BTreeMap::new(),
        discontinuity_sequence: takeover.discontinuity_sequence,
        low_latency: spec.latency == LatencyMode::Low,
        // That of the media so far; this owner's source once media of it is here.
        source: before.and_then(|o| o.source),
        anchor: before.and_then(|o| o.anchor),
    }
}
