//! Claims a stream: does what a [`Claimant`] asks for.

use std::time::Duration;

use reelay_bus::{BusError, FetchLimits, ProduceError, Record};
use reelay_model::{Micros, Phase, StreamId, StreamStatus, StreamUid};
use reelay_timeline::{Claimant, IndexSurvey, Lost, ReadFrom, Step, Takeover};
use reelay_wire::{Nonce, Offset, Topic, Track};

use crate::{app::Context, records, status};

/// How far back `index` is read at first; owners repeat their claims more often.
const INDEX_BACK: Micros = Micros(180_000_000);

/// Clocks of brokers and of whoever wrote the spec may differ by this much.
const CLOCKS: Micros = Micros(60_000_000);

/// How much is read at once.
const READ_BYTES: u64 = 16 << 20;

/// A stream to be claimed.
#[derive(Debug, Clone)]
pub struct Wish {
    pub stream: StreamId,
    pub uid: StreamUid,
    pub partition: i32,
    /// When the stream was made: none of its records is older.
    pub made: Micros,
}

/// A claim that won.
#[derive(Debug)]
pub struct Won {
    /// Nonce of the claim.
    pub nonce: Nonce,
    /// What to go on with.
    pub takeover: Takeover,
    /// The stream has ended already: there is nothing to own.
    pub ended: bool,
    /// The stream has had media, even if none is left in the log.
    pub had_media: bool,
}

/// Why a claim did not win.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another claim was first.
    #[error("lost the claim: {0:?}")]
    Lost(Lost),
    /// Kafka could not be read.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The claim could not be appended.
    #[error(transparent)]
    Produce(#[from] ProduceError),
}

/// Claims the stream.
pub async fn claim(context: &Context, wish: &Wish) -> Result<Won, ClaimError> {
    let nonce = Nonce(rand::random());
    let mut claimant = Claimant::new(wish.stream.clone(), wish.uid, nonce);
    let mut reader = Reader {
        context,
        wish,
        index_next: 0,
    };
    let producer = &context.producer;
    loop {
        match claimant.step() {
            Step::ReadIndex => {
                reader.survey_index(&mut claimant).await?;
                claimant.index_read();
            }
            Step::Append { topic, header } => {
                let record = records::outgoing(
                    topic.clone(),
                    wish.partition,
                    &header,
                    Vec::new().into(),
                    None,
                );
                let delivered = producer.send(record).await?;
                claimant.appended(delivered.offset);
            }
            Step::Read {
                topic,
                from,
                through,
            } => {
                reader
                    .read_through(&mut claimant, &topic, from, through)
                    .await?;
                claimant.read_through();
                if topic != Topic::Index {
                    context.foreign.claimed(&topic, wish.partition, through);
                }
            }
            Step::Own => {
                let found =
                    statuses(context, wish.partition, |status| status.uid == wish.uid).await?;
                let mark = found.iter().filter_map(|status| status.high_water).max();
                // The claimant said that it owns: then this is never none.
                let Some(takeover) = claimant.own(mark) else {
                    return Err(ClaimError::Lost(Lost::NotFound));
                };
                return Ok(Won {
                    nonce,
                    had_media: mark.is_some() || !takeover.tracks.is_empty(),
                    takeover,
                    ended: claimant.has_ended(),
                });
            }
            Step::Lost(lost) => return Err(ClaimError::Lost(lost)),
        }
    }
}

struct Reader<'a> {
    context: &'a Context,
    wish: &'a Wish,
    /// Where the reading of `index` goes on.
    index_next: Offset,
}

impl Reader<'_> {
    /// Reads `index` to its end: the last minutes, and all of it where these do not tell enough.
    async fn survey_index(&mut self, claimant: &mut Claimant) -> Result<(), BusError> {
        let (bus, partition) = (&self.context.bus, self.wish.partition);
        let (low, high) = bus.watermarks(&Topic::Index, partition).await?;
        let recent = Micros(Micros::now().0 - INDEX_BACK.0);
        let from = bus.offset_at(&Topic::Index, partition, recent).await?;
        let from = from.clamp(low, high);
        let last = self.collect(&Topic::Index, from, high).await?;
        let mut survey = IndexSurvey::new();
        for record in &last {
            self.tell(record, |offset, header, body| {
                survey.observe(offset, header, body);
            });
        }
        let enough =
            survey.fence().epoch().is_some() && survey.segments(&Track::Video).next().is_some();
        if !enough && low < from {
            let before = self.collect(&Topic::Index, low, from).await?;
            self.observe(claimant, &before);
        }
        self.observe(claimant, &last);
        self.index_next = high;
        Ok(())
    }

    async fn read_through(
        &mut self,
        claimant: &mut Claimant,
        topic: &Topic,
        from: Option<ReadFrom>,
        through: Offset,
    ) -> Result<(), BusError> {
        let (bus, partition) = (&self.context.bus, self.wish.partition);
        let mut at = match from {
            None => self.index_next,
            Some(ReadFrom::Offset(offset)) => offset,
            Some(ReadFrom::BeforeFirst) => {
                let made = Micros(self.wish.made.0 - CLOCKS.0);
                bus.offset_at(topic, partition, made).await?
            }
        };
        while at <= through {
            let (records, next) = self.fetch(topic, at, through + 1).await?;
            self.observe(claimant, &records);
            at = next;
        }
        Ok(())
    }

    async fn collect(
        &self,
        topic: &Topic,
        mut at: Offset,
        until: Offset,
    ) -> Result<Vec<Record>, BusError> {
        let mut all = Vec::new();
        while at < until {
            let (records, next) = self.fetch(topic, at, until).await?;
            all.extend(records);
            at = next;
        }
        Ok(all)
    }

    /// The next records and where reading goes on.
    async fn fetch(
        &self,
        topic: &Topic,
        at: Offset,
        until: Offset,
    ) -> Result<(Vec<Record>, Offset), BusError> {
        let limits = FetchLimits {
            until,
            bytes: READ_BYTES,
            timeout: Duration::from_secs(30),
            ..FetchLimits::default()
        };
        match self
            .context
            .bus
            .fetch(topic, self.wish.partition, at, limits)
            .await
        {
            Ok(records) => {
                let next = records.last().map_or(until, |last| last.offset + 1);
                Ok((records, next))
            }
            // Retention removed the beginning.
            Err(BusError::OutOfRange { low, .. }) if low > at => Ok((Vec::new(), low)),
            Err(error) => Err(error),
        }
    }

    fn observe(&self, claimant: &mut Claimant, records: &[Record]) {
        for record in records {
            self.tell(record, |offset, header, body| {
                claimant.observe(&record.topic, offset, header, body);
            });
        }
    }

    /// Decodes a record of the wished stream. What cannot be decoded counts for nobody.
    fn tell(
        &self,
        record: &Record,
        mut observe: impl FnMut(Offset, &reelay_wire::Header, reelay_timeline::Body<'_>),
    ) {
        let decoded = records::header(record).and_then(|header| {
            let ours = header.uid == self.wish.uid;
            let value = if ours {
                records::value(record, &header)?
            } else {
                records::Value::Nothing
            };
            Ok((ours, header, value))
        });
        match decoded {
            Ok((true, header, value)) => observe(record.offset, &header, value.body()),
            Ok((false, ..)) => {}
            Err(error) => tracing::warn!(
                topic = %record.topic, partition = record.partition, offset = record.offset,
                %error, "record is not valid and was passed over"
            ),
        }
    }
}

/// Deleted streams of a partition whose owner did not live to write their end.
pub async fn unended(
    context: &Context,
    partition: i32,
    removed: &[StreamUid],
) -> Result<Vec<StreamUid>, BusError> {
    let mut found = statuses(context, partition, |status| removed.contains(&status.uid)).await?;
    found.retain(|status| status.phase != Phase::Offline);
    Ok(found.into_iter().map(|status| status.uid).collect())
}

/// The last statuses that ingests wrote, of those streams that are asked for.
async fn statuses(
    context: &Context,
    partition: i32,
    wanted: impl Fn(&StreamStatus) -> bool,
) -> Result<Vec<StreamStatus>, BusError> {
    let (mut at, high) = context.bus.watermarks(&Topic::Status, partition).await?;
    let mut last = std::collections::BTreeMap::new();
    while at < high {
        let limits = FetchLimits {
            until: high,
            bytes: READ_BYTES,
            ..FetchLimits::default()
        };
        let records = match context
            .bus
            .fetch(&Topic::Status, partition, at, limits)
            .await
        {
            Ok(records) => records,
            Err(BusError::OutOfRange { low, .. }) if low > at => {
                at = low;
                continue;
            }
            Err(error) => return Err(error),
        };
        at = records.last().map_or(high, |record| record.offset + 1);
        for record in records {
            if let Ok(status) = serde_json::from_slice::<StreamStatus>(&record.value)
                && status.component == status::COMPONENT
                && wanted(&status)
            {
                last.insert(status.uid, status);
            }
        }
    }
    Ok(last.into_values().collect())
}
