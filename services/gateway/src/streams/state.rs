//! The fold itself: records in, streams out, no I/O.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use reelay_bus::Record;
use reelay_model::{Micros, Offset, Phase, StreamId, StreamSpec, StreamStatus};
use reelay_timeline::{SpecChange, SpecRefusal, Specs};

use super::{StreamChange, judge};

/// How many outcomes of read records are kept for those who wrote them.
const OUTCOMES_KEPT: usize = 4096;

/// A stream in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// What is wanted.
    pub spec: StreamSpec,
    /// Offset of the record in force: what an edit is based on.
    pub version: Offset,
    /// The stream's partition in every topic.
    pub partition: i32,
    /// When it was made.
    pub since: Micros,
    /// What each component last said of this incarnation, by its name.
    pub status: BTreeMap<String, StreamStatus>,
}

/// Specs and statuses, folded.
#[derive(Debug, Default)]
pub(super) struct State {
    specs: Specs,
    streams: BTreeMap<StreamId, Arc<Stream>>,
    /// Statuses of all incarnations: they may be read before their spec is.
    statuses: BTreeMap<StreamId, BTreeMap<String, StreamStatus>>,
    outcomes: VecDeque<((i32, Offset), Result<(), SpecRefusal>)>,
    announced: BTreeMap<StreamId, Phase>,
}

impl State {
    pub fn get(&self, id: &StreamId) -> Option<Arc<Stream>> {
        self.streams.get(id).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Stream>> {
        self.streams.values().cloned().collect()
    }

    /// What became of the record of `streams` at `offset`; none while it was not read.
    pub fn outcome(&self, partition: i32, offset: Offset) -> Option<Result<(), SpecRefusal>> {
        let place = (partition, offset);
        self.outcomes
            .iter()
            .rev()
            .find(|(at, _)| *at == place)
            .map(|(_, outcome)| outcome.clone())
    }

    /// Folds in a record of `streams`.
    pub fn spec(&mut self, record: &Record) -> Option<StreamChange> {
        let (partition, offset) = (record.partition, record.offset);
        let read = self
            .specs
            .read(partition, offset, record.key.as_deref(), &record.value);
        let outcome = read.as_ref().map(|_| ()).map_err(Clone::clone);
        self.outcomes.push_back(((partition, offset), outcome));
        if self.outcomes.len() > OUTCOMES_KEPT {
            self.outcomes.pop_front();
        }
        match read {
            Ok(SpecChange::Added(spec) | SpecChange::Removed(spec)) => {
                self.renew(&spec.id, record.timestamp)
            }
            Ok(SpecChange::Edited { after, .. }) => self.renew(&after.id, record.timestamp),
            Err(refusal) => {
                tracing::warn!(partition, offset, %refusal, "spec record ignored");
                None
            }
        }
    }

    /// Folds in a record of `status`; an empty value takes the component's word back.
    pub fn status(&mut self, record: &Record) -> Option<StreamChange> {
        let key = std::str::from_utf8(record.key.as_deref()?).ok()?;
        let (id, component) = key.split_once('/')?;
        let id: StreamId = id.parse().ok()?;
        if record.value.is_empty() {
            self.statuses.get_mut(&id)?.remove(component);
        } else {
            match serde_json::from_slice::<StreamStatus>(&record.value) {
                Ok(status) if status.id == id && status.component == component => {
                    let components = self.statuses.entry(id.clone()).or_default();
                    components.insert(component.to_owned(), status);
                }
                Ok(_) => {
                    let (partition, offset) = (record.partition, record.offset);
                    tracing::warn!(
                        partition,
                        offset,
                        key,
                        "status record of another key ignored"
                    );
                    return None;
                }
                Err(error) => {
                    let (partition, offset) = (record.partition, record.offset);
                    tracing::warn!(partition, offset, key, %error, "status record ignored");
                    return None;
                }
            }
        }
        let since = self.streams.get(&id)?.since;
        self.renew(&id, since)
    }

    /// Streams whose phase is another one at `now` than was announced last.
    pub fn turned(&mut self, now: Micros) -> Vec<StreamChange> {
        let mut changes = Vec::new();
        for (id, stream) in &self.streams {
            let phase = judge(stream, now).0;
            if self
                .announced
                .insert(id.clone(), phase)
                .is_some_and(|before| before != phase)
            {
                changes.push(StreamChange::Changed(id.clone()));
            }
        }
        self.announced.retain(|id, _| self.streams.contains_key(id));
        changes
    }

    fn renew(&mut self, id: &StreamId, at: Micros) -> Option<StreamChange> {
        let Some(in_force) = self.specs.get(id) else {
            self.streams.remove(id)?;
            return Some(StreamChange::Removed(id.clone()));
        };
        let uid = in_force.spec.uid;
        let before = self.streams.get(id).filter(|before| before.spec.uid == uid);
        let since = before.map_or(at, |before| before.since);
        let statuses = self.statuses.get(id).into_iter().flatten();
        let stream = Stream {
            spec: in_force.spec.clone(),
            version: in_force.version,
            partition: in_force.partition,
            since,
            status: statuses
                .filter(|(_, status)| status.uid == uid)
                .map(|(component, status)| (component.clone(), status.clone()))
                .collect(),
        };
        self.streams.insert(id.clone(), Arc::new(stream));
        Some(StreamChange::Changed(id.clone()))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reelay_bus::Headers;
    use reelay_wire::Topic;

    use super::*;

    fn record(topic: Topic, offset: Offset, key: &str, value: serde_json::Value) -> Record {
        Record {
            topic,
            partition: 2,
            offset,
            timestamp: Micros(offset * 1000),
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            headers: Headers::new(),
            value: if value.is_null() {
                Bytes::new()
            } else {
                value.to_string().into()
            },
        }
    }

    fn spec(offset: Offset, uid: &str, based_on: Option<Offset>, name: Option<&str>) -> Record {
        let spec = name
            .map(|name| serde_json::json!({"id": "door", "name": name, "source": "synthetic:"}));
        let value = serde_json::json!({
            "form": 1, "uid": uid, "basedOn": based_on, "spec": spec, "by": "test"
        });
        record(Topic::Streams, offset, "door", value)
    }

    fn status(uid: &str, phase: &str, at: i64) -> Record {
        let value = serde_json::json!({
            "id": "door", "uid": uid, "component": "ingest", "instance": "ingest-0",
            "at": at, "phase": phase, "since": at
        });
        record(Topic::Status, 0, "door/ingest", value)
    }

    const FIRST: &str = "00000000-0000-4000-8000-000000000001";
    const SECOND: &str = "00000000-0000-4000-8000-000000000002";

    #[test]
    fn a_status_belongs_to_one_incarnation_whatever_was_read_first() {
        let mut state = State::default();
        let id: StreamId = "door".parse().unwrap();
        assert_eq!(
            state.status(&status(FIRST, "live", 5)),
            None,
            "no stream yet"
        );
        let changed = Some(StreamChange::Changed(id.clone()));
        assert_eq!(state.spec(&spec(3, FIRST, None, Some("a"))), changed);
        assert_eq!(state.get(&id).unwrap().status["ingest"].phase, Phase::Live);
        assert_eq!(
            state.spec(&spec(4, FIRST, Some(3), None)),
            Some(StreamChange::Removed(id.clone()))
        );
        assert_eq!(state.spec(&spec(5, SECOND, None, Some("b"))), changed);
        let stream = state.get(&id).unwrap();
        assert!(stream.status.is_empty());
        assert_eq!(
            (stream.version, stream.partition, stream.since),
            (5, 2, Micros(5000))
        );
        assert_eq!(state.status(&status(SECOND, "failed", 9)), changed);
        assert_eq!(
            state.get(&id).unwrap().status["ingest"].phase,
            Phase::Failed
        );
        let nothing = record(Topic::Status, 8, "door/ingest", serde_json::Value::Null);
        assert_eq!(state.status(&nothing), changed);
        assert!(state.get(&id).unwrap().status.is_empty());
    }

    #[test]
    fn the_outcome_of_each_record_is_known_once_it_was_read() {
        let mut state = State::default();
        assert_eq!(state.outcome(2, 3), None);
        state.spec(&spec(3, FIRST, None, Some("a")));
        state.spec(&spec(4, FIRST, None, Some("b")));
        assert_eq!(state.outcome(2, 3), Some(Ok(())));
        assert!(matches!(
            state.outcome(2, 4),
            Some(Err(SpecRefusal::Stale { .. }))
        ));
        assert_eq!(
            state
                .get(&"door".parse().unwrap())
                .unwrap()
                .spec
                .name
                .as_deref(),
            Some("a")
        );
    }

    #[test]
    fn an_edit_keeps_when_the_stream_was_made() {
        let mut state = State::default();
        state.spec(&spec(3, FIRST, None, Some("a")));
        state.spec(&spec(9, FIRST, Some(3), Some("b")));
        let stream = state.get(&"door".parse().unwrap()).unwrap();
        assert_eq!((stream.since, stream.version), (Micros(3000), 9));
    }

    #[test]
    fn a_stream_whose_owner_fell_silent_is_announced_once() {
        let mut state = State::default();
        state.spec(&spec(3, FIRST, None, Some("a")));
        assert_eq!(state.turned(Micros(4000)), []);
        let later = Micros(4000 + super::super::SILENCE);
        assert_eq!(state.turned(later).len(), 1);
        assert_eq!(state.turned(later), []);
    }

    #[test]
    fn records_that_are_not_valid_change_nothing() {
        let mut state = State::default();
        for key in ["door", "Door/ingest", "door/other"] {
            let mut bad = status(FIRST, "live", 1);
            bad.key = Some(Bytes::from(key.to_owned()));
            assert_eq!(state.status(&bad), None);
        }
        assert_eq!(
            state.status(&record(Topic::Status, 1, "door/ingest", 7.into())),
            None
        );
        assert_eq!(
            state.spec(&record(Topic::Streams, 1, "door", 7.into())),
            None
        );
        assert!(state.all().is_empty());
    }
}
