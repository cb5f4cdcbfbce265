//! What the log held of a partition before it was followed.

use std::collections::BTreeMap;

use reelay_bus::{Bus, BusError, FetchLimits, Record};
use reelay_model::{Micros, Offset, RungId, StreamUid};
use reelay_timeline::{Body, Fence, LoggedSegment, MediaSurvey};
use reelay_wire::{Header, InitHash, Kind, SegmentNumber, Topic, Track};
use sha2::{Digest as _, Sha256};

use crate::{app::Context, records};

/// Claims are repeated every sixth of the retention; a little more is read, for a busy owner.
const MARGIN: Micros = Micros(60_000_000);

/// A predecessor hands parts of a rung to the log only after their source was captured; clocks of
/// brokers and ingests may differ by this much.
const CLOCKS: Micros = Micros(10_000_000);

/// A partition's past, and where its readers go on.
#[derive(Debug)]
pub struct History {
    /// The records of `index`, oldest first.
    pub records: Vec<(Record, Header)>,
    /// Where `index` goes on.
    pub index: Offset,
    /// Where `source` goes on.
    pub source: Offset,
}

impl History {
    /// Reads `index` as far back as the group has not done everything, and further by the time in
    /// which each stream's claim is repeated: without it nothing of a stream counts.
    ///
    /// # Errors
    /// Kafka cannot be read.
    pub async fn read(context: &Context, partition: i32) -> Result<Self, BusError> {
        let bus = &context.bus;
        // In this order: a claim that `index` shows lies before `source` goes on, or is followed.
        let (_, source) = bus.watermarks(&Topic::Source, partition).await?;
        let (low, index) = bus.watermarks(&Topic::Index, partition).await?;
        let committed = bus
            .committed(&context.config.group, &Topic::Index, partition)
            .await?;
        let mut oldest = Micros::now();
        if let Some(committed) = committed.filter(|offset| *offset < index) {
            let limits = FetchLimits {
                records: 1,
                ..FetchLimits::until(index)
            };
            let first = bus
                .fetch(&Topic::Index, partition, committed, limits)
                .await?;
            if let Some(record) = first.first() {
                oldest = oldest.min(record.timestamp);
            }
        }
        let back = context.retention.as_micros() as i64 / 6 + MARGIN.0;
        let from = bus
            .offset_at(&Topic::Index, partition, Micros(oldest.0 - back))
            .await?
            .clamp(low, index);
        Ok(Self {
            records: fetch_all(bus, &Topic::Index, partition, from, index).await?,
            index,
            source,
        })
    }

    /// Reads what `index` held of a stream that was made at `made`, up to where the readers are.
    ///
    /// # Errors
    /// Kafka cannot be read.
    pub async fn since(
        bus: &Bus,
        partition: i32,
        made: Micros,
        (index, source): (Offset, Offset),
    ) -> Result<Self, BusError> {
        let (low, _) = bus.watermarks(&Topic::Index, partition).await?;
        let from = bus
            .offset_at(&Topic::Index, partition, Micros(made.0 - CLOCKS.0))
            .await?
            .clamp(low, index.max(low));
        Ok(Self {
            records: fetch_all(bus, &Topic::Index, partition, from, index).await?,
            index,
            source,
        })
    }
}

async fn fetch_all(
    bus: &Bus,
    topic: &Topic,
    partition: i32,
    from: Offset,
    until: Offset,
) -> Result<Vec<(Record, Header)>, BusError> {
    let mut all = Vec::new();
    let mut next = from;
    while next < until {
        let limits = FetchLimits::until(until);
        let records = bus.fetch(topic, partition, next, limits).await?;
        let Some(last) = records.last() else {
            break;
        };
        next = last.offset + 1;
        all.extend(records.into_iter().filter_map(|record| {
            let header = records::header(&record).ok()?;
            Some((record, header))
        }));
    }
    Ok(all)
}

/// What the topic of a rung holds of a stream's segments, from about the time on when the source
/// of the first one of interest was captured.
///
/// # Errors
/// Kafka cannot be read.
pub async fn survey(
    bus: &Bus,
    partition: i32,
    uid: StreamUid,
    rung: &RungId,
    captured: Micros,
) -> Result<BTreeMap<SegmentNumber, LoggedSegment>, BusError> {
    let topic = Topic::of_track(&Track::Rung(rung.clone()));
    let (low, high) = bus.watermarks(&topic, partition).await?;
    let from = bus
        .offset_at(&topic, partition, Micros(captured.0 - CLOCKS.0))
        .await?
        .clamp(low, high);
    let mut survey = MediaSurvey::new(topic.clone(), Fence::new());
    for (record, header) in fetch_all(bus, &topic, partition, from, high).await? {
        if header.uid != uid || header.late {
            continue;
        }
        let init_length = match &header.kind {
            Kind::Chunk { init_length, .. } => *init_length as usize,
            _ => 0,
        };
        let init = record.value.get(..init_length).unwrap_or_default();
        let body = Body::Chunk {
            bytes: (record.value.len() - init.len()) as u32,
            init_hash: (!init.is_empty()).then(|| InitHash(Sha256::digest(init).into())),
        };
        survey.observe(record.offset, &header, body);
    }
    Ok(survey.segments().clone())
}

/// Reads the records of `source` from `from` to `until` in order.
///
/// # Errors
/// Kafka cannot be read, or the records have expired.
pub async fn source(
    bus: &Bus,
    partition: i32,
    uid: StreamUid,
    from: Offset,
    until: Offset,
) -> Result<Vec<(Record, Header)>, BusError> {
    let (low, _) = bus.watermarks(&Topic::Source, partition).await?;
    let mut records = fetch_all(bus, &Topic::Source, partition, from.max(low), until).await?;
    records.retain(|(_, header)| header.uid == uid);
    Ok(records)
}
