//! Finds claims among the records of a media topic that this process did not write itself.
//!
//! An owner follows `index`, but a claimant may die between its claim in `source` and the one in
//! `index`: then every reader takes what the owner writes for void, and `index` says nothing of
//! it. A process knows from its delivery reports which offsets of a partition hold its own
//! records; it fetches just the others and looks for claims (ADR 0003). Where one process owns
//! the streams of a partition, there is almost nothing to fetch.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reelay_bus::{Bus, BusError, FetchLimits};
use reelay_wire::{Epoch, Kind, Offset, Topic};
use tokio::sync::{Notify, watch};

use crate::{follower::Notices, records};

/// How often holes are looked for. A hole must have been there the time before as well: the
/// delivery report of an own record may still be on its way.
const TICK: Duration = Duration::from_millis(500);

/// How much is fetched at once.
const FETCH_BYTES: u64 = 4 << 20;

/// The offsets of one partition that are accounted for.
#[derive(Debug, Default)]
struct Account {
    /// Everything below is known.
    known: Offset,
    /// Own records above.
    own: BTreeSet<Offset>,
    /// The greatest own offset at the last look.
    seen: Offset,
}

impl Account {
    /// A partition of which everything below `known` has been read.
    fn new(known: Offset) -> Self {
        Self {
            known,
            own: BTreeSet::new(),
            seen: known - 1,
        }
    }

    fn written(&mut self, offset: Offset) {
        if offset >= self.known {
            self.own.insert(offset);
        }
        self.skip_own();
    }

    fn skip_own(&mut self) {
        while self.own.remove(&self.known) {
            self.known += 1;
        }
    }

    /// The first run of offsets that were not written here, and lie below what was the greatest
    /// own offset at the last call.
    fn hole(&mut self) -> Option<Range<Offset>> {
        let before = self.seen;
        let end = *self.own.first()?;
        (end <= before).then_some(self.known..end)
    }

    fn looked(&mut self) {
        if let Some(last) = self.own.last() {
            self.seen = *last;
        }
    }

    fn fetched(&mut self, until: Offset) {
        self.known = self.known.max(until);
        self.own = self.own.split_off(&self.known);
        self.skip_own();
    }
}

type Place = (Topic, i32);

struct Shared {
    accounts: Mutex<BTreeMap<Place, Account>>,
    /// Per place: below which offset everything is known.
    known: Mutex<BTreeMap<Place, watch::Sender<Offset>>>,
    wake: Notify,
}

/// The accounts of this process; clones are the same.
#[derive(Clone)]
pub struct Foreign {
    shared: Arc<Shared>,
}

impl Foreign {
    /// Starts with no partition; claims that are found go to `notices`. The task ends with the
    /// last clone.
    pub fn start(bus: Bus, notices: Notices) -> Self {
        let shared = Arc::new(Shared {
            accounts: Mutex::default(),
            known: Mutex::default(),
            wake: Notify::new(),
        });
        tokio::spawn(look(Arc::downgrade(&shared), bus, notices));
        Self { shared }
    }

    /// A claimant has read `topic` for its stream up to `offset`, its own claim.
    ///
    /// Where other streams of the partition are accounted for already this changes nothing but
    /// that the claim is an own record.
    pub fn claimed(&self, topic: &Topic, partition: i32, offset: Offset) {
        let place = (topic.clone(), partition);
        let mut accounts = lock(&self.shared.accounts);
        accounts
            .entry(place)
            .or_insert_with(|| Account::new(offset))
            .written(offset);
    }

    /// The process wrote the record at `offset`.
    pub fn written(&self, topic: &Topic, partition: i32, offset: Offset) {
        if let Some(account) = lock(&self.shared.accounts).get_mut(&(topic.clone(), partition)) {
            account.written(offset);
        }
    }

    /// Forgets a partition whose streams are not this process's any more.
    pub fn forget(&self, partition: i32) {
        lock(&self.shared.accounts).retain(|(_, p), _| *p != partition);
        lock(&self.shared.known).retain(|(_, p), _| *p != partition);
    }

    /// Waits until everything up to `offset`, an own record, is known: any claim before it has
    /// been told.
    pub async fn known(&self, topic: &Topic, partition: i32, offset: Offset) {
        let place = (topic.clone(), partition);
        let mut known = lock(&self.shared.known)
            .entry(place)
            .or_insert_with(|| watch::channel(0).0)
            .subscribe();
        self.shared.wake.notify_one();
        // An error means that the partition was forgotten: then nobody cares any more.
        let _ = known.wait_for(|known| *known > offset).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn look(shared: std::sync::Weak<Shared>, bus: Bus, notices: Notices) {
    loop {
        tokio::time::sleep(TICK).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let holes: Vec<(Place, Range<Offset>)> = lock(&shared.accounts)
            .iter_mut()
            .filter_map(|(place, account)| {
                let hole = account.hole();
                account.looked();
                hole.map(|hole| (place.clone(), hole))
            })
            .collect();
        for (place, hole) in holes {
            match fetch(&bus, &place, hole.clone(), &notices).await {
                Ok(until) => {
                    if let Some(account) = lock(&shared.accounts).get_mut(&place) {
                        account.fetched(until);
                    }
                }
                Err(error) => {
                    tracing::warn!(topic = %place.0, partition = place.1, from = hole.start,
                        %error, "records of others could not be read; tried again");
                }
            }
        }
        for (place, account) in lock(&shared.accounts).iter() {
            if let Some(known) = lock(&shared.known).get(place) {
                known.send_if_modified(|value| {
                    let changed = *value != account.known;
                    *value = account.known;
                    changed
                });
            }
        }
    }
}

/// Reads a hole, or its beginning; returns up to where.
async fn fetch(
    bus: &Bus,
    (topic, partition): &Place,
    hole: Range<Offset>,
    notices: &Notices,
) -> Result<Offset, BusError> {
    let limits = FetchLimits {
        until: hole.end,
        bytes: FETCH_BYTES,
        ..FetchLimits::default()
    };
    let records = match bus.fetch(topic, *partition, hole.start, limits).await {
        Ok(records) => records,
        // Retention was quicker.
        Err(BusError::OutOfRange { low, .. }) => return Ok(low.min(hole.end)),
        Err(error) => return Err(error),
    };
    let until = match records.last() {
        Some(last) => last.offset + 1,
        None => hole.end,
    };
    metrics::counter!("reelay_ingest_foreign_records_total").increment(records.len() as u64);
    for record in records {
        let Ok(header) = records::header(&record) else {
            continue;
        };
        if matches!(header.kind, Kind::Claim { .. }) {
            let here = (*topic == Topic::Source)
                .then(|| u64::try_from(record.offset).ok().map(Epoch))
                .flatten();
            if let Some(epoch) = header.epoch.or(here) {
                notices.claimed(header.uid, epoch);
            }
        }
    }
    Ok(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_records_leave_nothing_to_fetch() {
        let mut account = Account::new(5);
        for offset in [6, 5, 8, 7] {
            account.written(offset);
            account.looked();
        }
        assert_eq!(account.known, 9);
        assert_eq!(account.hole(), None);
    }

    #[test]
    fn a_hole_is_fetched_when_it_is_still_there_at_the_next_look() {
        let mut account = Account::new(5);
        account.written(5);
        account.written(8);
        assert_eq!(account.hole(), None);
        account.looked();
        assert_eq!(account.hole(), Some(6..8));
        account.fetched(7);
        assert_eq!(account.hole(), Some(7..8));
        account.fetched(8);
        assert_eq!((account.known, account.hole()), (9, None));
    }
}
