//! Makes up for the gaps of one segment: reads it from the log again, lets a worker of its own make
//! the rungs, and publishes them as late. Live playlists keep their gap; what is opened later
//! has the media.

use std::{collections::BTreeSet, sync::Arc};

use reelay_model::{LatencyMode, Micros, Offset, SegmentNumber};
use reelay_timeline::track::Segment;

use crate::{
    app::Context,
    history,
    pool::Busy,
    publish::{Published, Publisher},
    run::{Making, Run, Said},
    rung::Identity,
    source::SourceSegment,
    worker::Worker,
};

/// What is made up for.
pub struct Healing {
    /// The segment of the source.
    pub segment: Arc<Segment>,
    /// The one before it, which an open one needs.
    pub before: Option<Arc<Segment>>,
    /// The rungs that lack it.
    pub rungs: Vec<Making>,
    /// Whose they are; `late`.
    pub identity: Identity,
    /// How they are made.
    pub latency: LatencyMode,
    /// How they are cut.
    pub part_target: Micros,
}

/// What came of it.
#[derive(Debug)]
pub enum Healed {
    /// The rungs are in the log.
    Done,
    /// A worker died at it or cannot make it, and why.
    Died(Box<SourceSegment>, String),
    /// The source is not in the log any more, or Kafka does not take the rungs.
    Impossible(String),
}

/// Makes up for it. `busy` is the room of its worker.
pub async fn heal(
    context: Context,
    partition: i32,
    healing: Healing,
    busy: Busy,
) -> (SegmentNumber, Healed) {
    let number = healing.segment.number;
    let healed = run(&context, partition, healing, busy).await;
    (number, healed.unwrap_or_else(Healed::Impossible))
}

async fn run(
    context: &Context,
    partition: i32,
    healing: Healing,
    busy: Busy,
) -> Result<Healed, String> {
    let uid = healing.identity.uid;
    let source = read(context, partition, uid, &healing.segment).await?;
    let pre_roll = match (&healing.before, source.open) {
        (Some(before), true) => {
            let before = read(context, partition, uid, before).await?;
            before.chunks.into_iter().map(|(chunk, _)| chunk).collect()
        }
        _ => Vec::new(),
    };
    let mut publisher = Publisher::new(context, partition).map_err(|error| error.to_string())?;
    let mut worker = match Worker::spawn(&context.config.worker, context.config.watchdog) {
        Ok(worker) => worker,
        Err(error) => return Err(error.to_string()),
    };
    let mut run = Run::new(healing.identity, &source, healing.rungs);
    worker.begin(run.ask(
        &source,
        pre_roll,
        healing.latency,
        healing.part_target,
        busy,
    ));
    for (chunk, last) in &source.chunks {
        worker.push(chunk.clone(), *last);
    }
    worker.end(source.duration.unwrap_or_default());
    while run.worker_busy || !publisher.is_idle() {
        tokio::select! {
            message = worker.next(), if run.worker_busy => {
                let said = match message {
                    Ok(message) => run.message(message, &source, &mut publisher),
                    Err(error) => Said::Failed(error.to_string()),
                };
                if let Said::Failed(why) = said {
                    // Late parts without an index record are nothing to anybody.
                    return Ok(Healed::Died(Box::new(source), why));
                }
            }
            published = publisher.next() => {
                if let Published::Lost(error) = published {
                    return Err(error.to_string());
                }
            }
        }
    }
    Ok(Healed::Done)
}

/// Reads a segment of the source where `index` says that it lies.
async fn read(
    context: &Context,
    partition: i32,
    uid: reelay_model::StreamUid,
    segment: &Segment,
) -> Result<SourceSegment, String> {
    let offsets: BTreeSet<Offset> = segment.parts().iter().map(|part| part.offset).collect();
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
        return Err("the source has nothing there".to_owned());
    };
    let records = history::source(&context.bus, partition, uid, *first, last + 1).await;
    let records = records.map_err(|error| error.to_string())?;
    let mut read: Option<SourceSegment> = None;
    for (record, header) in records {
        if !offsets.contains(&record.offset) {
            continue;
        }
        if read.is_none() {
            read = SourceSegment::begin(&record, &header);
        }
        if let Some(read) = &mut read {
            read.add(&record, &header);
        }
    }
    match read {
        Some(mut read) if read.chunks.len() == segment.parts().len() => {
            read.duration = Some(segment.duration);
            Ok(read)
        }
        _ => Err("the source is not in the log any more".to_owned()),
    }
}
