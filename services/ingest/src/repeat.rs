//! Repeats an owner's claim and opening, so that readers find them however much of the log
//! retention has removed: in each topic the claim first, and the opening once everything before
//! that claim is known and no higher claim was among it.

use std::time::Duration;

use reelay_bus::ProduceError;
use reelay_model::{StreamId, StreamUid};
use reelay_timeline::{CLAIMED_TOPICS, claim_header};
use reelay_wire::{Epoch, Nonce, Topic};

use crate::{app::Context, records};

/// Readers look back about two minutes for a claim; repeats come at least this often.
const LONGEST: Duration = Duration::from_secs(60);

/// How often an owner repeats its claim where media is kept for `retention`.
pub fn interval(retention: Duration) -> Duration {
    (retention / 6).min(LONGEST)
}

/// Whose claim is repeated.
#[derive(Debug, Clone)]
pub struct Owned {
    pub stream: StreamId,
    pub uid: StreamUid,
    pub partition: i32,
    pub epoch: Epoch,
}

/// Appends the claim to all topics, with a new nonce, and waits until everything before it in the
/// media topics is known. Claims of others that were found have been told by then, but for those
/// in `index`, which the follower tells.
pub async fn repeat_claims(context: &Context, owned: &Owned) -> Result<Nonce, ProduceError> {
    let nonce = Nonce(rand::random());
    for topic in CLAIMED_TOPICS {
        let header = claim_header(&owned.stream, owned.uid, &topic, Some(owned.epoch), nonce);
        let record = records::outgoing(
            topic.clone(),
            owned.partition,
            &header,
            Vec::new().into(),
            None,
        );
        let offset = context.producer.send(record).await?.offset;
        if topic == Topic::Index {
            context.follower.passed(owned.partition, offset).await;
        } else {
            context.foreign.written(&topic, owned.partition, offset);
            context.foreign.known(&topic, owned.partition, offset).await;
        }
    }
    Ok(nonce)
}
