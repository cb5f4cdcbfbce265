//! Looks after one stream for as long as this process is to own it: claims it, lets an owner
//! work, and claims again after it was fenced.

use std::{sync::Arc, time::Duration};

use backon::BackoffBuilder as _;
use reelay_model::StreamSpec;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    app::Context,
    claiming::{ClaimError, Wish, claim},
    owner::{Ended, Owner},
    repeat::Owned,
};

/// What is to become of a stream.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// To be ingested by this spec.
    Spec(Arc<StreamSpec>),
    /// The stream was deleted: its end is to be written.
    Deleted,
    /// Another process is to own it, or this one stops: hand it over in good order.
    Released,
    /// Another process may own it already: stop at once.
    Lost,
}

impl Wanted {
    /// Whether the stream is (still) this process's to own.
    const fn is_ours(&self) -> bool {
        matches!(self, Self::Spec(_) | Self::Deleted)
    }
}

/// A stream that is looked after.
pub struct Supervisor {
    wanted: watch::Sender<Wanted>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Looks after a stream from now on. `spec` is its last one, also where it was deleted.
    pub fn start(context: Context, wish: Wish, spec: Arc<StreamSpec>, wanted: Wanted) -> Self {
        let (sender, receiver) = watch::channel(wanted);
        let task = tokio::spawn(supervise(context, wish, spec, receiver));
        Self {
            wanted: sender,
            task,
        }
    }

    /// Says what is to become of the stream.
    pub fn want(&self, wanted: Wanted) {
        self.wanted.send_replace(wanted);
    }

    /// Waits until it has stopped, which it only does when it was told to.
    pub async fn stopped(self) {
        let abort = self.task.abort_handle();
        // Dropped with this future: a supervisor does not outlive whoever waits for its end.
        let _guard = AbortOnDrop(abort);
        if let Err(error) = self.task.await
            && error.is_panic()
        {
            tracing::error!(%error, "supervisor of a stream panicked");
        }
    }

    /// Whether it has stopped.
    pub fn has_stopped(&self) -> bool {
        self.task.is_finished()
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn supervise(
    context: Context,
    wish: Wish,
    mut spec: Arc<StreamSpec>,
    mut wanted: watch::Receiver<Wanted>,
) {
    let mut waits = waits(&context);
    loop {
        let now = wanted.borrow_and_update().clone();
        if !now.is_ours() {
            return;
        }
        if let Wanted::Spec(new) = &now {
            spec = Arc::clone(new);
        }
        // Subscribed before the claim, so that no claim after it is missed.
        let mut notices = context.notices.subscribe(wish.uid);
        let claimed = tokio::select! {
            claimed = claim(&context, &wish) => claimed,
            () = no_longer_ours(&mut wanted) => return,
        };
        let outcome = match &claimed {
            Ok(_) => "won",
            Err(ClaimError::Lost(_)) => "lost",
            Err(_) => "failed",
        };
        metrics::counter!("reelay_ingest_claims_total", "outcome" => outcome).increment(1);
        match claimed {
            Ok(won) if won.ended => {
                tracing::info!(stream = %wish.stream, "stream has ended");
                return;
            }
            Ok(won) => {
                let owned = Owned {
                    stream: wish.stream.clone(),
                    uid: wish.uid,
                    partition: wish.partition,
                    epoch: won.takeover.epoch,
                };
                tracing::info!(stream = %wish.stream, epoch = owned.epoch.0,
                    first_segment = won.takeover.first_segment.0, "stream claimed");
                let owner = Owner::new(context.clone(), owned, Arc::clone(&spec), won);
                match owner {
                    Ok(owner) => {
                        // Something may have changed while the claim was made.
                        wanted.mark_changed();
                        let streams = metrics::gauge!("reelay_ingest_owned_streams");
                        streams.increment(1);
                        let ended = owner.run(&mut wanted, &mut notices).await;
                        streams.decrement(1);
                        match ended {
                            Ended::Released | Ended::Deleted => {
                                tracing::info!(stream = %wish.stream, ?ended, "stream given up");
                                return;
                            }
                            Ended::Again => continue,
                            Ended::Fenced => waits = self::waits(&context),
                            Ended::Producer(error) => {
                                tracing::error!(stream = %wish.stream, %error,
                                    "records could not be appended; the stream is claimed again");
                            }
                        }
                    }
                    Err(error) => {
                        tracing::error!(stream = %wish.stream, %error, "stream cannot be owned");
                    }
                }
            }
            Err(ClaimError::Lost(lost)) => {
                tracing::info!(stream = %wish.stream, ?lost, "claim was lost");
            }
            Err(error) => {
                tracing::warn!(stream = %wish.stream, %error, "stream could not be claimed");
            }
        }
        let wait = waits.next().unwrap_or(Duration::from_secs(5));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = no_longer_ours(&mut wanted) => return,
        }
    }
}

/// Jittered, so that two claimants do not fence each other for ever.
fn waits(context: &Context) -> backon::ExponentialBackoff {
    backon::ExponentialBuilder::new()
        .with_min_delay(context.config.retry.0)
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
        .build()
}

/// Waits until the stream is not this process's to own any more.
async fn no_longer_ours(wanted: &mut watch::Receiver<Wanted>) {
    // An error means that nobody looks after this supervisor.
    let _ = wanted.wait_for(|wanted| !wanted.is_ours()).await;
}
