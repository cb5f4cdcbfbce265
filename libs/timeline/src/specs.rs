//! The fold of topic `streams`: which specs are in force after the records read so far.
//!
//! Every reader folds the same records to the same specs: whether a record counts depends on
//! the records before it in its partition alone, never on a reader's configuration or clock.

use std::collections::BTreeMap;

use reelay_model::{
    FieldError, Invalid, Offset, RawStreamSpec, RungId, SpecRecord, StreamId, StreamSpec, StreamUid,
};

/// A spec in force and the record that put it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Partition of `streams` that holds the spec's records.
    pub partition: i32,
    /// Offset of the record in force: what the next edit must name as its base.
    pub version: Offset,
    /// Who wrote that record.
    pub by: String,
    /// The spec.
    pub spec: StreamSpec,
}

/// What a record changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecChange {
    /// A stream was made.
    Added(StreamSpec),
    /// A stream was edited.
    Edited {
        /// The spec that was in force.
        before: Box<StreamSpec>,
        /// The spec in force now.
        after: Box<StreamSpec>,
    },
    /// A stream was deleted; this was its last spec.
    Removed(StreamSpec),
}

/// Why a record changed nothing. The partition and offset are the caller's to name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecRefusal {
    /// The value is not a spec record.
    #[error("not a spec record: {0}")]
    Malformed(String),
    /// The form is of a version that this code does not read.
    #[error(
        "spec record of form {found}; this version reads form {}",
        SpecRecord::FORM
    )]
    UnknownForm {
        /// The version found.
        found: u32,
    },
    /// The record's key is not the id of its stream.
    #[error("record key {key:?} is not the stream id {id:?}")]
    KeyMismatch {
        /// The key, as text.
        key: String,
        /// The id in the spec.
        id: String,
    },
    /// The spec is not valid.
    #[error("spec is not valid: {0}")]
    Invalid(Invalid),
    /// The edit was made from a record that is no longer (or was never) in force.
    #[error("stale edit of {id}: based on {based_on:?}, in force is {in_force:?}")]
    Stale {
        /// The stream.
        id: StreamId,
        /// The base that the edit names; none where it makes a stream.
        based_on: Option<Offset>,
        /// The version in force; none where there is no such stream.
        in_force: Option<Offset>,
    },
    /// The edit is of another incarnation, or makes a stream with the uid of a deleted one.
    #[error("record of uid {found} for {id}, whose uid is or was {known}")]
    WrongUid {
        /// The stream.
        id: StreamId,
        /// The uid in the record.
        found: StreamUid,
        /// The uid in force, or the last one that was.
        known: StreamUid,
    },
}

/// The specs in force, folded from the records of any number of partitions of `streams`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Specs {
    in_force: BTreeMap<(StreamId, i32), InForce>,
    /// Last spec of each deleted stream.
    removed: BTreeMap<(StreamId, i32), StreamSpec>,
}

impl Specs {
    /// No specs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Folds in the next record of `partition`, as it lies in the log.
    ///
    /// # Errors
    /// Why the record counts for nothing; the fold is as it was.
    pub fn read(
        &mut self,
        partition: i32,
        offset: Offset,
        key: Option<&[u8]>,
        value: &[u8],
    ) -> Result<SpecChange, SpecRefusal> {
        let record: SpecRecord = serde_json::from_slice(value)
            .map_err(|error| SpecRefusal::Malformed(error.to_string()))?;
        let key = String::from_utf8_lossy(key.unwrap_or_default());
        self.apply(partition, offset, &key, record)
    }

    /// Folds in the next record of `partition`. Reading a record again changes nothing.
    ///
    /// # Errors
    /// Why the record counts for nothing; the fold is as it was.
    pub fn apply(
        &mut self,
        partition: i32,
        offset: Offset,
        key: &str,
        record: SpecRecord,
    ) -> Result<SpecChange, SpecRefusal> {
        if record.form != SpecRecord::FORM {
            return Err(SpecRefusal::UnknownForm { found: record.form });
        }
        let id: StreamId = key
            .parse()
            .map_err(|error: FieldError| SpecRefusal::Invalid(error.into()))?;
        let place = (id.clone(), partition);
        let current = self.in_force.get(&place);
        let version = current.map(|c| c.version);
        if record.based_on != version {
            return Err(SpecRefusal::Stale {
                id,
                based_on: record.based_on,
                in_force: version,
            });
        }
        let known = match current {
            Some(current) => (current.spec.uid != record.uid).then_some(current.spec.uid),
            None => (self.removed.get(&place)).and_then(|r| (r.uid == record.uid).then_some(r.uid)),
        };
        if let Some(known) = known {
            return Err(SpecRefusal::WrongUid {
                id,
                found: record.uid,
                known,
            });
        }
        let Some(raw) = record.spec else {
            let Some(last) = self.in_force.remove(&place) else {
                // Neither a base nor a spec: a deletion of nothing.
                return Err(SpecRefusal::Stale {
                    id,
                    based_on: None,
                    in_force: None,
                });
            };
            self.removed.insert(place, last.spec.clone());
            return Ok(SpecChange::Removed(last.spec));
        };
        let spec = validate(key, record.uid, raw)?;
        if let Some(current) = current {
            current
                .spec
                .check_edit(&spec)
                .map_err(SpecRefusal::Invalid)?;
        }
        let before = self.in_force.insert(
            place,
            InForce {
                partition,
                version: offset,
                by: record.by,
                spec: spec.clone(),
            },
        );
        Ok(match before {
            None => SpecChange::Added(spec),
            Some(before) => SpecChange::Edited {
                before: Box::new(before.spec),
                after: Box::new(spec),
            },
        })
    }

    /// The spec in force for `id`; that of the lowest partition should several hold one.
    pub fn get(&self, id: &StreamId) -> Option<&InForce> {
        self.in_force
            .range((id.clone(), i32::MIN)..=(id.clone(), i32::MAX))
            .next()
            .map(|(_, in_force)| in_force)
    }

    /// All specs in force, by id.
    pub fn iter(&self) -> impl Iterator<Item = &InForce> {
        self.in_force.values()
    }

    /// The last spec of each deleted stream that was not made again, and its partition.
    pub fn removed(&self) -> impl Iterator<Item = (i32, &StreamSpec)> {
        self.removed
            .iter()
            .filter(|(place, _)| !self.in_force.contains_key(place))
            .map(|((_, partition), spec)| (*partition, spec))
    }

    /// Drops everything folded from `partition`, as when its assignment ends.
    pub fn forget_partition(&mut self, partition: i32) {
        self.in_force.retain(|(_, p), _| *p != partition);
        self.removed.retain(|(_, p), _| *p != partition);
    }
}

/// Validates in form. Which rungs a deployment has is left out: a spec that was in force stays
/// so when the deployment drops a rung.
fn validate(key: &str, uid: StreamUid, raw: RawStreamSpec) -> Result<StreamSpec, SpecRefusal> {
    if raw.id != key {
        return Err(SpecRefusal::KeyMismatch {
            key: key.to_owned(),
            id: raw.id,
        });
    }
    if let Some(found) = raw.uid.filter(|found| *found != uid) {
        return Err(SpecRefusal::Invalid(
            FieldError::new("uid", found, format!("the record's uid {uid}, or none")).into(),
        ));
    }
    let ladder = raw.ladder.iter().flatten();
    let rungs: Vec<RungId> = ladder.filter_map(|r| r.parse().ok()).collect();
    StreamSpec::validate(raw, uid, &rungs).map_err(SpecRefusal::Invalid)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uid(n: u8) -> StreamUid {
        StreamUid::from_bytes([n; 16])
    }

    fn record(id: &str, n: u8, based_on: Option<Offset>, source: Option<&str>) -> SpecRecord {
        SpecRecord {
            form: SpecRecord::FORM,
            uid: uid(n),
            based_on,
            spec: source.map(|source| RawStreamSpec {
                id: id.to_owned(),
                source: source.to_owned(),
                ..RawStreamSpec::default()
            }),
            by: "test".to_owned(),
        }
    }

    const SOURCE: Option<&str> = Some("synthetic:");

    #[test]
    fn a_stream_is_made_edited_deleted_and_made_again() {
        let mut specs = Specs::new();
        let id: StreamId = "door".parse().unwrap();
        let mut apply = |offset, record| specs.apply(3, offset, "door", record);
        assert!(matches!(
            apply(5, record("door", 1, None, SOURCE)),
            Ok(SpecChange::Added(_))
        ));
        let edit = record("door", 1, Some(5), Some("file:a.mp4"));
        assert!(matches!(
            apply(9, edit.clone()),
            Ok(SpecChange::Edited { .. })
        ));
        assert!(matches!(apply(10, edit), Err(SpecRefusal::Stale { .. })));
        assert!(matches!(
            apply(11, record("door", 1, Some(9), None)),
            Ok(SpecChange::Removed(_))
        ));
        assert!(matches!(
            apply(12, record("door", 1, None, SOURCE)),
            Err(SpecRefusal::WrongUid { .. })
        ));
        assert!(matches!(
            apply(13, record("door", 2, None, SOURCE)),
            Ok(SpecChange::Added(_))
        ));
        let in_force = specs.get(&id).unwrap();
        assert_eq!((in_force.version, in_force.spec.uid), (13, uid(2)));
        assert_eq!(specs.removed().count(), 0);
        specs.forget_partition(3);
        assert!(specs.get(&id).is_none());
    }

    #[test]
    fn what_is_not_a_valid_record_is_refused_and_changes_nothing() {
        let mut specs = Specs::new();
        specs
            .apply(0, 0, "a", record("a", 1, None, SOURCE))
            .unwrap();
        let before = specs.clone();
        let refusals = [
            specs.read(0, 1, Some(b"a"), b"{"),
            specs.read(0, 1, None, b"{\"form\":1}"),
            specs.apply(0, 1, "b", record("c", 1, None, SOURCE)),
            specs.apply(0, 1, "B", record("B", 1, None, SOURCE)),
            specs.apply(0, 1, "b", record("b", 1, None, Some("gopher://x"))),
            specs.apply(0, 1, "b", record("b", 1, None, None)),
            specs.apply(0, 1, "a", record("a", 2, Some(0), SOURCE)),
            specs.apply(0, 1, "a", record("a", 1, None, SOURCE)),
            specs.apply(
                0,
                1,
                "a",
                SpecRecord {
                    form: 2,
                    ..record("a", 1, Some(0), SOURCE)
                },
            ),
        ];
        for (i, refusal) in refusals.iter().enumerate() {
            assert!(refusal.is_err(), "{i}: {refusal:?}");
        }
        assert_eq!(specs, before);
    }

    #[test]
    fn a_rung_that_the_deployment_lacks_does_not_take_a_stream_out_of_force() {
        let mut specs = Specs::new();
        let mut made = record("a", 1, None, SOURCE);
        made.spec.as_mut().unwrap().ladder = Some(vec!["480p".to_owned()]);
        assert!(specs.apply(0, 0, "a", made).is_ok());
    }

    fn any_record() -> impl Strategy<Value = (String, SpecRecord)> {
        let source = prop_oneof![
            3 => Just(SOURCE.map(str::to_owned)),
            2 => Just(Some("file:a.mp4".to_owned())),
            1 => Just(Some("nonsense".to_owned())),
            2 => Just(None)
        ];
        ("[ab]", 0..3_u8, proptest::option::of(0..24_i64), source).prop_map(
            |(id, n, based_on, source)| {
                let made = record(&id, n, based_on, source.as_deref());
                (id, made)
            },
        )
    }

    proptest! {
        /// Whoever reads a partition twice, or other partitions in between, folds the same.
        #[test]
        fn the_fold_does_not_depend_on_repeats_or_other_partitions(
            records in proptest::collection::vec(any_record(), 0..24),
            repeat_from in 0..24_usize,
        ) {
            let mut once = Specs::new();
            let mut twice = Specs::new();
            for (offset, (key, record)) in records.iter().enumerate() {
                let first = once.apply(0, offset as Offset, key, record.clone());
                let _ = twice.apply(1, offset as Offset, key, record.clone());
                prop_assert_eq!(&first, &twice.apply(0, offset as Offset, key, record.clone()));
                if offset >= repeat_from {
                    let before = twice.clone();
                    let again = twice.apply(0, offset as Offset, key, record.clone());
                    prop_assert!(again.is_err());
                    prop_assert_eq!(&before, &twice);
                }
            }
            twice.forget_partition(1);
            prop_assert_eq!(once, twice);
        }

        /// A version in force is the offset of a record that was based on its predecessor.
        #[test]
        fn versions_only_grow(records in proptest::collection::vec(any_record(), 0..24)) {
            let mut specs = Specs::new();
            for (offset, (key, record)) in records.into_iter().enumerate() {
                let id: StreamId = key.parse().unwrap();
                let before = specs.get(&id).map(|f| f.version);
                let based_on = record.based_on;
                if specs.apply(0, offset as Offset, &key, record).is_ok() {
                    prop_assert_eq!(based_on, before);
                    prop_assert!(specs.get(&id).is_none_or(|f| f.version == offset as Offset));
                } else {
                    prop_assert_eq!(before, specs.get(&id).map(|f| f.version));
                }
            }
        }

        #[test]
        fn no_bytes_make_the_fold_panic(
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..8)),
            value in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut specs = Specs::new();
            let _ = specs.read(0, 0, key.as_deref(), &value);
        }
    }
}
