//! A consumer's event queue, read through librdkafka's own interface.
//!
//! rdkafka's consumers drop the topic of a partition's end and of its errors, which a reader of
//! many topics on one client cannot do without, and hide rebalances in callbacks. So events are
//! taken from the queue here. All of this crate's unsafe code is in this file.

use std::{
    ffi::{CStr, c_void},
    ptr::{self, NonNull},
    slice,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use rdkafka::{
    ClientConfig, TopicPartitionList, bindings as ffi,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    types::{RDKafkaErrorCode, RDKafkaRespErr},
};
use reelay_model::{Micros, Offset};
use reelay_wire::{Topic, Topics};
use tokio::sync::Notify;

use crate::{
    context::LogContext,
    error::{BusError, Result},
    record::{Headers, Record},
};

/// What a consumer's queue holds.
#[derive(Debug)]
pub(crate) enum Event {
    Record(Record),
    /// The reader stands at the high watermark.
    End {
        topic: Topic,
        partition: i32,
        offset: Offset,
    },
    /// Trouble with one partition.
    Partition {
        topic: Topic,
        partition: i32,
        /// The position that it is about; negative if none.
        offset: Offset,
        code: RDKafkaErrorCode,
        reason: String,
    },
    /// Trouble with the client as a whole, such as all brokers being down.
    Client {
        fatal: bool,
        reason: String,
    },
    /// The group gives partitions or takes them back. Has to be answered by
    /// `incremental_assign` or `incremental_unassign` of the same list.
    Rebalance {
        assigned: bool,
        partitions: TopicPartitionList,
    },
    /// A commit failed.
    CommitFailed {
        code: RDKafkaErrorCode,
    },
}

/// A consumer and its queue.
pub(crate) struct NativeConsumer {
    /// `None` only while it is being closed; goes before the client that it belongs to.
    queue: Option<Queue>,
    /// `None` only while it is being closed.
    consumer: Option<BaseConsumer<LogContext>>,
    ready: Arc<Notify>,
    topics: Topics,
}

/// Handle on a librdkafka queue.
struct Queue(NonNull<ffi::rd_kafka_queue_t>);

// SAFETY: librdkafka's queues are locked inside and may be used from any thread.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the handle came from `rd_kafka_queue_get_consumer`, is destroyed once, and
        // goes before the client.
        unsafe { ffi::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

/// An event that is destroyed when it goes.
struct RawEvent(NonNull<ffi::rd_kafka_event_t>);

impl Drop for RawEvent {
    fn drop(&mut self) {
        // SAFETY: the event came from `rd_kafka_queue_poll` and is destroyed once.
        unsafe { ffi::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

impl NativeConsumer {
    /// `config` must have a `group.id`: without one, librdkafka has no consumer queue.
    pub fn new(config: &ClientConfig, client: &str, topics: Topics) -> Result<Self> {
        let failed = |source| BusError::Client {
            client: client.to_owned(),
            source,
        };
        let mut consumer: BaseConsumer<LogContext> = config
            .create_with_context(LogContext::new(client))
            .map_err(failed)?;
        let ready = Arc::new(Notify::new());
        let waker = Arc::clone(&ready);
        consumer.set_nonempty_callback(move || waker.notify_one());
        // SAFETY: the client lives; the call returns a handle of its own or null.
        let queue = unsafe { ffi::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        let queue = NonNull::new(queue).ok_or_else(|| {
            failed(KafkaError::ClientCreation(
                "no consumer queue: group.id is missing".into(),
            ))
        })?;
        Ok(Self {
            queue: Some(Queue(queue)),
            consumer: Some(consumer),
            ready,
            topics,
        })
    }

    /// The client below; `None` only while it is being closed, which nobody sees who holds a
    /// reference.
    pub fn client(&self) -> Option<&BaseConsumer<LogContext>> {
        self.consumer.as_ref()
    }

    /// The next event. Cancel safe: an event is taken from the queue only when it is returned.
    pub async fn next(&self) -> Event {
        loop {
            // Without this a full queue would keep the task from ever yielding.
            tokio::task::coop::consume_budget().await;
            if let Some(event) = self.try_next() {
                return event;
            }
            // The time-out keeps the client polled (`max.poll.interval.ms`) on a quiet log.
            let _ = tokio::time::timeout(Duration::from_secs(1), self.ready.notified()).await;
        }
    }

    /// The next event, if one is there.
    pub fn try_next(&self) -> Option<Event> {
        let queue = self.queue.as_ref()?.0;
        loop {
            // SAFETY: the queue's handle is valid; 0 does not wait; null means no event.
            let event = unsafe { ffi::rd_kafka_queue_poll(queue.as_ptr(), 0) };
            let event = RawEvent(NonNull::new(event)?);
            if let Some(event) = self.convert(&event) {
                return Some(event);
            }
        }
    }

    fn convert(&self, raw: &RawEvent) -> Option<Event> {
        let event = raw.0.as_ptr();
        // SAFETY: the event is valid until `raw` goes.
        let kind = unsafe { ffi::rd_kafka_event_type(event) };
        match kind {
            ffi::RD_KAFKA_EVENT_FETCH => self.record(raw),
            ffi::RD_KAFKA_EVENT_ERROR => self.error(raw),
            ffi::RD_KAFKA_EVENT_REBALANCE => rebalance(raw),
            ffi::RD_KAFKA_EVENT_OFFSET_COMMIT => match error_code(raw)? {
                // Nothing to commit is not a failure.
                RDKafkaErrorCode::NoOffset => None,
                code => Some(Event::CommitFailed { code }),
            },
            ffi::RD_KAFKA_EVENT_LOG => {
                self.log(raw);
                None
            }
            _ => None,
        }
    }

    fn record(&self, raw: &RawEvent) -> Option<Event> {
        // SAFETY: a fetch event holds one message, which lives as long as the event.
        let message = unsafe { ffi::rd_kafka_event_message_next(raw.0.as_ptr()).as_ref() }?;
        // SAFETY: a fetched message has a topic, and its name is a C string that lives with it.
        let name = unsafe { CStr::from_ptr(ffi::rd_kafka_topic_name(message.rkt)) };
        let topic = self.topics.parse(name.to_str().ok()?)?;
        let mut kind = ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: both pointers are valid.
        let millis = unsafe { ffi::rd_kafka_message_timestamp(message, &raw mut kind) };
        // SAFETY: key and payload are pointer and length of memory that lives with the message.
        let (key, value) = unsafe {
            (
                copy(message.key, message.key_len),
                copy(message.payload, message.len),
            )
        };
        Some(Event::Record(Record {
            topic,
            partition: message.partition,
            offset: message.offset,
            timestamp: Micros(millis.max(0) * 1000),
            key,
            headers: headers(message),
            value: value.unwrap_or_default(),
        }))
    }

    fn error(&self, raw: &RawEvent) -> Option<Event> {
        let event = raw.0.as_ptr();
        let code = error_code(raw)?;
        // SAFETY: the event is valid; the list element, if there is one, is ours to destroy.
        let place = unsafe {
            let place = ffi::rd_kafka_event_topic_partition(event);
            place.as_ref().map(|at| {
                let name = CStr::from_ptr(at.topic).to_string_lossy().into_owned();
                let (partition, offset) = (at.partition, at.offset);
                ffi::rd_kafka_topic_partition_destroy(place);
                (name, partition, offset)
            })
        };
        if let Some((name, partition, offset)) = place {
            let topic = self.topics.parse(&name)?;
            return Some(match code {
                RDKafkaErrorCode::PartitionEOF => Event::End {
                    topic,
                    partition,
                    offset,
                },
                code => Event::Partition {
                    topic,
                    partition,
                    offset,
                    code,
                    reason: error_text(raw),
                },
            });
        }
        // SAFETY: the event is valid.
        let fatal = unsafe { ffi::rd_kafka_event_error_is_fatal(event) } != 0;
        Some(Event::Client {
            fatal,
            reason: error_text(raw),
        })
    }

    fn log(&self, raw: &RawEvent) {
        use rdkafka::{ClientContext as _, config::RDKafkaLogLevel};
        let (mut facility, mut text, mut level) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the event is a log event; the strings live as long as it.
        let (facility, text) = unsafe {
            let failed = ffi::rd_kafka_event_log(
                raw.0.as_ptr(),
                &raw mut facility,
                &raw mut text,
                &raw mut level,
            );
            if failed != 0 || facility.is_null() || text.is_null() {
                return;
            }
            (CStr::from_ptr(facility), CStr::from_ptr(text))
        };
        let level = match level {
            ..=3 => RDKafkaLogLevel::Error,
            4 => RDKafkaLogLevel::Warning,
            5 | 6 => RDKafkaLogLevel::Info,
            _ => RDKafkaLogLevel::Debug,
        };
        if let Some(consumer) = &self.consumer {
            let (facility, text) = (facility.to_string_lossy(), text.to_string_lossy());
            consumer.context().log(level, &facility, text.trim());
        }
    }

    /// Leaves its group, if it is in one, and closes the client: takes a network round trip.
    pub fn close(mut self) {
        self.queue.take();
        self.consumer.take();
    }
}

impl Drop for NativeConsumer {
    fn drop(&mut self) {
        self.queue.take();
        let Some(consumer) = self.consumer.take() else {
            return;
        };
        // Closing waits for the network: not on a thread of the runtime.
        let spawned = std::thread::Builder::new()
            .name("kafka-close".into())
            .spawn(move || drop(consumer));
        if let Err(error) = spawned {
            tracing::warn!(%error, "kafka consumer was closed on the caller's thread");
        }
    }
}

fn error_code(raw: &RawEvent) -> Option<RDKafkaErrorCode> {
    // SAFETY: the event is valid.
    let code = unsafe { ffi::rd_kafka_event_error(raw.0.as_ptr()) };
    (code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| code.into())
}

fn error_text(raw: &RawEvent) -> String {
    // SAFETY: the event is valid, and the text, if there is one, lives as long as it.
    unsafe {
        let text = ffi::rd_kafka_event_error_string(raw.0.as_ptr());
        if text.is_null() {
            return String::new();
        }
        CStr::from_ptr(text).to_string_lossy().trim().to_owned()
    }
}

fn rebalance(raw: &RawEvent) -> Option<Event> {
    let event = raw.0.as_ptr();
    // SAFETY: the event is valid; the list belongs to it.
    let (code, list) = unsafe {
        (
            ffi::rd_kafka_event_error(event),
            ffi::rd_kafka_event_topic_partition_list(event).as_ref(),
        )
    };
    let assigned = match code {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => true,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => false,
        _ => return None,
    };
    let mut partitions = TopicPartitionList::new();
    // An empty list has a null pointer for its elements.
    if let Some(list) = list.filter(|list| list.cnt > 0) {
        // SAFETY: `elems` has `cnt` elements, each with a C string for a topic.
        let elements = unsafe { slice::from_raw_parts(list.elems, list.cnt as usize) };
        for element in elements {
            // SAFETY: as above.
            let name = unsafe { CStr::from_ptr(element.topic) };
            partitions.add_partition(&name.to_string_lossy(), element.partition);
        }
    }
    Some(Event::Rebalance {
        assigned,
        partitions,
    })
}

/// The one copy that a record's bytes go through between the network and the reader.
///
/// # Safety
/// `data` is null or points to `len` readable bytes.
unsafe fn copy(data: *const c_void, len: usize) -> Option<Bytes> {
    if data.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(Bytes::copy_from_slice(unsafe {
        slice::from_raw_parts(data.cast::<u8>(), len)
    }))
}

fn headers(message: &ffi::rd_kafka_message_t) -> Headers {
    let mut list = ptr::null_mut();
    // SAFETY: the message is valid; the list, if there is one, belongs to it.
    let error = unsafe { ffi::rd_kafka_message_headers(message, &raw mut list) };
    let mut headers = Vec::new();
    if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Headers(headers);
    }
    for index in 0.. {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the list is valid; name and value live as long as the message.
        unsafe {
            let error = ffi::rd_kafka_header_get_all(
                list,
                index,
                &raw mut name,
                &raw mut value,
                &raw mut size,
            );
            if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                break;
            }
            let name = CStr::from_ptr(name).to_string_lossy().into_owned();
            headers.push((name, copy(value, size).unwrap_or_default()));
        }
    }
    Headers(headers)
}
