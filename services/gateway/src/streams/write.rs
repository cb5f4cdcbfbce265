//! Edits of the desired state, answered when they are in force.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reelay_bus::{Headers, Outgoing, ProduceError};
use reelay_model::{Offset, SpecRecord, StreamId, StreamSpec};
use reelay_timeline::SpecRefusal;
use reelay_wire::{Topic, partition_for};

use super::{Stream, Streams};

/// How long reading back what was written may take.
const READ_BACK: Duration = Duration::from_secs(10);

/// Why an edit is not in force.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A stream of that id exists.
    #[error("there is a stream {id} already, at version {version}")]
    Exists {
        /// The id.
        id: StreamId,
        /// The version in force.
        version: Offset,
    },
    /// There is no such stream (any more).
    #[error("there is no stream {0}")]
    NoStream(StreamId),
    /// The edit was made from a version that is no longer in force.
    #[error("{id} is at version {in_force} by now, and not at {based_on}")]
    Stale {
        /// The id.
        id: StreamId,
        /// The version that the edit was made from.
        based_on: Offset,
        /// The version in force.
        in_force: Offset,
    },
    /// The record was read back and found not valid.
    #[error("the edit was refused: {0}")]
    Refused(SpecRefusal),
    /// The record may or may not be in the log.
    #[error(transparent)]
    Produce(#[from] ProduceError),
    /// The record is in the log but was not read back in time.
    #[error("the edit was written, but not read back within {} s", READ_BACK.as_secs())]
    NotReadBack,
}

impl Streams {
    /// Makes a stream, and gives it as it is in force.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn add(&self, spec: StreamSpec) -> Result<Arc<Stream>, WriteError> {
        let id = spec.id.clone();
        if let Some(stream) = self.get(&id) {
            return Err(WriteError::Exists {
                id,
                version: stream.version,
            });
        }
        let partition = spec
            .partition
            .unwrap_or_else(|| partition_for(&id, self.partitions()));
        let record = SpecRecord {
            form: SpecRecord::FORM,
            uid: spec.uid,
            based_on: None,
            spec: Some(spec.to_raw()),
            by: "api".to_owned(),
        };
        self.append(&id, partition, record).await?;
        self.get(&id).ok_or(WriteError::NoStream(id))
    }

    /// Changes a stream that is at version `based_on`, and gives it as it is in force.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn edit(
        &self,
        spec: StreamSpec,
        based_on: Offset,
    ) -> Result<Arc<Stream>, WriteError> {
        let id = spec.id.clone();
        let partition = self.at_version(&id, based_on)?.partition;
        let record = SpecRecord {
            form: SpecRecord::FORM,
            uid: spec.uid,
            based_on: Some(based_on),
            spec: Some(spec.to_raw()),
            by: "api".to_owned(),
        };
        self.append(&id, partition, record).await?;
        self.get(&id).ok_or(WriteError::NoStream(id))
    }

    /// Deletes a stream that is at version `based_on`.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn remove(&self, id: &StreamId, based_on: Offset) -> Result<(), WriteError> {
        let stream = self.at_version(id, based_on)?;
        let record = SpecRecord {
            form: SpecRecord::FORM,
            uid: stream.spec.uid,
            based_on: Some(based_on),
            spec: None,
            by: "api".to_owned(),
        };
        self.append(id, stream.partition, record).await
    }

    fn at_version(&self, id: &StreamId, based_on: Offset) -> Result<Arc<Stream>, WriteError> {
        let stream = self
            .get(id)
            .ok_or_else(|| WriteError::NoStream(id.clone()))?;
        let in_force = stream.version;
        if in_force == based_on {
            return Ok(stream);
        }
        Err(WriteError::Stale {
            id: id.clone(),
            based_on,
            in_force,
        })
    }

    /// Appends `record` and waits until the fold has read it and says what it is worth.
    async fn append(
        &self,
        id: &StreamId,
        partition: i32,
        record: SpecRecord,
    ) -> Result<(), WriteError> {
        let mut read = self.shared.read.subscribe();
        // A spec record is plain data that always has a JSON form.
        let value = serde_json::to_vec(&record).unwrap_or_default();
        let outgoing = Outgoing {
            topic: Topic::Streams,
            partition,
            key: Bytes::copy_from_slice(id.as_str().as_bytes()),
            headers: Headers::new(),
            value: value.into(),
        };
        let offset = self.shared.producer.send(outgoing).await?.offset;
        let read_back = async {
            loop {
                if let Some(outcome) = self.read(|state| state.outcome(partition, offset)) {
                    return outcome;
                }
                // The sender lives as long as `self`.
                let _ = read.changed().await;
            }
        };
        match tokio::time::timeout(READ_BACK, read_back).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refusal)) => Err(self.lost_race(id, refusal)),
            Err(_) => Err(WriteError::NotReadBack),
        }
    }

    /// What a refusal means to the one who asked: mostly that somebody else was quicker.
    fn lost_race(&self, id: &StreamId, refusal: SpecRefusal) -> WriteError {
        match refusal {
            SpecRefusal::Stale {
                in_force, based_on, ..
            } => match (based_on, in_force) {
                (None, Some(version)) => WriteError::Exists {
                    id: id.clone(),
                    version,
                },
                (Some(based_on), Some(in_force)) => WriteError::Stale {
                    id: id.clone(),
                    based_on,
                    in_force,
                },
                (_, None) => WriteError::NoStream(id.clone()),
            },
            other => WriteError::Refused(other),
        }
    }
}
