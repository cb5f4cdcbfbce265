//! `reelay tail`: a track's bytes, straight from Kafka, as one playable stream of media.

use std::io::Write;
use std::time::Duration;

use clap::{Args, ValueEnum};
use reelay_bus::{Bus, FetchLimits, StartAt, TailEvent, Tailer, TailerOptions};
use reelay_model::{Offset, StreamId, StreamUid, Track};
use reelay_runtime::args::KafkaArgs;
use reelay_timeline::Specs;
use reelay_timeline::track::{Entry, IndexReader, Start, StartAt as IndexStart, TrackReader};
use reelay_wire::{CHUNK_HEADER, Header, Kind, Topic};

use crate::failure::Failure;
use crate::kafka;

/// Writes a track to standard output as fragmented MP4, from the start of a segment on:
/// `reelay tail demo --track video | ffplay -`. What a claim has voided is left out.
#[derive(Debug, Args)]
pub struct Tail {
    /// The stream's id.
    id: StreamId,
    /// `video`, `audio`, or the id of a rung.
    #[arg(long, default_value = "video")]
    track: Track,
    /// Where to begin.
    #[arg(long, value_enum, default_value_t)]
    from: From,
    /// Stop after this many whole segments.
    #[arg(long, value_name = "COUNT")]
    segments: Option<u64>,
    #[command(flatten)]
    kafka: KafkaArgs,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum From {
    /// The first segment that Kafka still holds.
    Start,
    /// The newest whole segment.
    #[default]
    Live,
}

/// Runs the command, until the stream ends, nobody reads any more, or enough was written.
pub async fn run(tail: Tail) -> Result<(), Failure> {
    let bus = kafka::bus(&tail.kafka)?;
    kafka::partitions(&tail.kafka, &bus).await?;
    let (uid, partition) = find(&tail, &bus).await?;
    let (offset, start) = begin(&tail, &bus, uid, partition).await?;
    let failed = |e| kafka::failure(&tail.kafka, &e);

    let topic = Topic::of_track(&tail.track);
    let options = TailerOptions {
        name: "tail".into(),
        ..TailerOptions::default()
    };
    let mut tailer = Tailer::new(&bus, options).map_err(failed)?;
    tailer.follow(topic, partition, offset).map_err(failed)?;
    let mut reader = TrackReader::new(uid, tail.track.clone(), start);
    let mut output = Output::default();
    let mut left = tail.segments;
    while left != Some(0) {
        let record = match tailer.next().await {
            TailEvent::Record(record) => record,
            TailEvent::End { .. } => continue,
            TailEvent::Moved { from, to, .. } => {
                eprintln!("reelay: Kafka no longer holds offsets {from} to {to}: left out");
                continue;
            }
            TailEvent::Trouble { reason, .. } => {
                eprintln!("reelay: {reason}; trying again");
                continue;
            }
        };
        let header = record
            .headers
            .get(CHUNK_HEADER)
            .and_then(|bytes| Header::decode(bytes).ok());
        let Some(header) = header else { continue };
        let entry = Entry {
            offset: record.offset,
            header: &header,
            value: &record.value,
        };
        let outcome = reader.read(entry);
        if outcome.part.is_some()
            && let Kind::Chunk { init_length, .. } = header.kind
        {
            output.write(&record.value, init_length as usize)?;
        }
        left = left.map(|left| left.saturating_sub(outcome.finished.len() as u64));
        if header.uid == uid && matches!(header.kind, Kind::End) {
            break;
        }
    }
    Ok(())
}

/// Standard output. An init segment is written only where it differs from the one before:
/// a player wants it once.
#[derive(Default)]
struct Output {
    init: Vec<u8>,
}

impl Output {
    fn write(&mut self, value: &[u8], init_length: usize) -> Result<(), Failure> {
        let (init, chunk) = value.split_at(init_length.min(value.len()));
        let mut out = std::io::stdout().lock();
        if !init.is_empty() && init != self.init {
            out.write_all(init)?;
            self.init = init.to_vec();
        }
        out.write_all(chunk)?;
        Ok(out.flush()?)
    }
}

/// The stream's uid and partition, from its spec in `streams`.
async fn find(tail: &Tail, bus: &Bus) -> Result<(StreamUid, i32), Failure> {
    let mut specs = Specs::new();
    for partition in 0..kafka::partitions(&tail.kafka, bus).await? {
        read_all(tail, bus, Topic::Streams, partition, |record| {
            // A record that counts for nothing is left to the services to complain of.
            let _ = specs.read(
                partition,
                record.offset,
                record.key.as_deref(),
                &record.value,
            );
        })
        .await?;
    }
    let found = specs
        .get(&tail.id)
        .map(|found| (found.spec.uid, found.partition));
    found.ok_or_else(|| {
        Failure::other(format!(
            "there is no stream {}\n`reelay streams list` shows those that there are.",
            tail.id
        ))
    })
}

/// Where the track's topic is to be read from; waits for the stream's first claim.
async fn begin(
    tail: &Tail,
    bus: &Bus,
    uid: StreamUid,
    partition: i32,
) -> Result<(StartAt, Start), Failure> {
    let mut told = false;
    loop {
        let mut index = IndexReader::new(uid);
        read_all(tail, bus, Topic::Index, partition, |record| {
            let header = record.headers.get(CHUNK_HEADER);
            if let Some(header) = header.and_then(|bytes| Header::decode(bytes).ok()) {
                index.read(Entry {
                    offset: record.offset,
                    header: &header,
                    value: &record.value,
                });
            }
        })
        .await?;
        let low = bus
            .watermarks(&Topic::of_track(&tail.track), partition)
            .await;
        let (low, _) = low.map_err(|e| kafka::failure(&tail.kafka, &e))?;
        let whole = |from: Offset| from >= low;
        let mut segments = index.segments(&tail.track).filter_map(|segment| {
            let offset = segment.parts().first().map(|part| part.offset);
            offset
                .filter(|o| whole(*o))
                .map(|offset| (offset, segment.epoch, segment.number))
        });
        let chosen = match tail.from {
            From::Start => segments.next(),
            From::Live => segments.next_back(),
        };
        if let Some((offset, epoch, number)) = chosen {
            return Ok((StartAt::Offset(offset), Start::Segment { epoch, number }));
        }
        match index.start(&tail.track, 1) {
            Some(IndexStart::Offset(offset, start)) if whole(offset) => {
                return Ok((StartAt::Offset(offset), start));
            }
            Some(
                IndexStart::Offset(_, Start::Segment { epoch, .. }) | IndexStart::Claim(epoch),
            ) => {
                return Ok((StartAt::Beginning, Start::Claim(epoch)));
            }
            _ => {}
        }
        if !told {
            eprintln!("reelay: {} has no {} yet; waiting", tail.id, tail.track);
            told = true;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Every record that a partition holds now.
async fn read_all(
    tail: &Tail,
    bus: &Bus,
    topic: Topic,
    partition: i32,
    mut take: impl FnMut(&reelay_bus::Record),
) -> Result<(), Failure> {
    let failed = |e| kafka::failure(&tail.kafka, &e);
    let (mut next, end) = bus.watermarks(&topic, partition).await.map_err(failed)?;
    while next < end {
        let limits = FetchLimits::until(end);
        let records = bus
            .fetch(&topic, partition, next, limits)
            .await
            .map_err(failed)?;
        let Some(last) = records.last() else { break };
        next = last.offset + 1;
        records.iter().for_each(&mut take);
    }
    Ok(())
}
