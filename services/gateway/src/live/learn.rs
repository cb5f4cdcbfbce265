//! Learns from `index` where a stream stands.

use reelay_bus::{Bus, BusError, FetchLimits, Record};
use reelay_model::{Epoch, Micros, Offset};
use reelay_timeline::track::{Entry, IndexReader};
use reelay_wire::{CHUNK_HEADER, Header, Topic};

use super::Target;

/// How far back `index` is read, in microseconds: 2 minutes, then 12; then all of it. Claims
/// and openings, which everything begins with, are repeated at least every 10 minutes.
const LOOKS_BACK: [Option<i64>; 3] = [Some(120_000_000), Some(720_000_000), None];

/// What `index` says of a stream.
pub struct Learned {
    /// The stream's openings and segments.
    pub index: IndexReader,
    /// When the claim in force was appended, by the broker's clock.
    pub claimed_at: Option<Micros>,
    claim: Option<Epoch>,
}

impl Learned {
    fn nothing(target: &Target) -> Self {
        Self {
            index: IndexReader::for_live(target.uid),
            claimed_at: None,
            claim: None,
        }
    }

    fn read_all(&mut self, records: &[Record]) {
        for record in records {
            self.read(record);
        }
    }

    /// Reads the next record; says whether it told anything new.
    pub fn read(&mut self, record: &Record) -> bool {
        let Some(Ok(header)) = record
            .headers
            .get(CHUNK_HEADER)
            .map(|bytes| Header::decode(bytes))
        else {
            return false;
        };
        let told = self.index.read(Entry {
            offset: record.offset,
            header: &header,
            value: &record.value,
        });
        if self.index.epoch() != self.claim {
            self.claim = self.index.epoch();
            self.claimed_at = Some(record.timestamp);
        }
        told
    }
}

/// Reads `index` back from `until` as far as it takes to know the stream.
///
/// # Errors
/// Kafka cannot be read.
pub async fn learn(bus: &Bus, target: &Target, until: Offset) -> Result<Learned, BusError> {
    let (low, _) = bus.watermarks(&Topic::Index, target.partition).await?;
    let mut records: Vec<Record> = Vec::new();
    let mut read_from = until;
    for back in LOOKS_BACK {
        let from = match back {
            Some(back) => {
                let time = Micros(Micros::now().0 - back);
                let from = bus.offset_at(&Topic::Index, target.partition, time).await?;
                from.clamp(low, read_from.max(low))
            }
            None => low,
        };
        let mut earlier = span(bus, target, from, read_from).await?;
        earlier.append(&mut records);
        records = earlier;
        read_from = from;
        let mut learned = Learned::nothing(target);
        learned.read_all(&records);
        if learned.index.suffices() || from <= low {
            return Ok(learned);
        }
    }
    let mut learned = Learned::nothing(target);
    learned.read_all(&records);
    Ok(learned)
}

/// The stream's records of `index` from `from` to before `until`.
async fn span(
    bus: &Bus,
    target: &Target,
    mut from: Offset,
    until: Offset,
) -> Result<Vec<Record>, BusError> {
    let mut records = Vec::new();
    while from < until {
        let limits = FetchLimits::until(until);
        let read = bus
            .fetch(&Topic::Index, target.partition, from, limits)
            .await?;
        let Some(newest) = read.last() else { break };
        from = newest.offset + 1;
        let key = target.id.as_str().as_bytes();
        records.extend(read.into_iter().filter(|r| r.key.as_deref() == Some(key)));
    }
    Ok(records)
}
