//! What a worker is at, so that its end can be laid to it.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reelay_model::SegmentNumber;

/// What a worker was working on when something happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// The source of a stream.
    Stream(String),
    /// A segment of a stream.
    Segment(String, SegmentNumber),
    /// Nothing: it was waiting for work.
    Nothing,
}

impl Work {
    /// The stream, for logs.
    pub(super) fn stream(&self) -> Option<&str> {
        match self {
            Self::Stream(stream) | Self::Segment(stream, _) => Some(stream),
            Self::Nothing => None,
        }
    }

    /// The segment, for logs.
    pub(super) fn segment(&self) -> Option<u64> {
        match self {
            Self::Segment(_, segment) => Some(segment.0),
            Self::Stream(_) | Self::Nothing => None,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(stream) => write!(f, "stream {stream}"),
            Self::Segment(stream, segment) => write!(f, "stream {stream}, segment {segment}"),
            Self::Nothing => f.write_str("no stream"),
        }
    }
}

/// What a worker has been asked and has not ended, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Works(Arc<Mutex<VecDeque<Work>>>);

impl Works {
    pub(super) fn one(work: Work) -> Self {
        let works = Self::default();
        works.begin(work);
        works
    }

    fn works(&self) -> MutexGuard<'_, VecDeque<Work>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, work: Work) {
        self.works().push_back(work);
    }

    /// The first has ended.
    pub(super) fn end(&self) {
        self.works().pop_front();
    }

    /// The one that the worker is at.
    pub(super) fn now(&self) -> Work {
        self.works().front().cloned().unwrap_or(Work::Nothing)
    }
}
