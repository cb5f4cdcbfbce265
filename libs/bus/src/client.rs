//! Idempotent producer clients of the process, shared by all who append.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use rdkafka::{
    ClientConfig, ClientContext, Message as _,
    config::RDKafkaLogLevel,
    error::KafkaError,
    message::DeliveryResult,
    producer::{BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use reelay_model::Offset;
use reelay_wire::{Topic, Topics};
use tokio::sync::{mpsc, oneshot};

use crate::{
    context::LogContext,
    error::{BusError, ProduceError, Result},
    record::Outgoing,
};

/// What became of a record.
pub(crate) type Outcome = Result<Offset, ProduceError>;

/// Whom a delivery report goes to.
pub(crate) enum Waiter {
    /// One who waits for this record alone.
    One(oneshot::Sender<Outcome>),
    /// A line of records: `id` is what the line knows it by.
    Line {
        reports: mpsc::UnboundedSender<(u64, Outcome)>,
        id: u64,
    },
}

/// Travels with a record through librdkafka.
pub(crate) struct Ticket {
    waiter: Waiter,
    topic: Topic,
    partition: i32,
    bytes: usize,
    handed_over: Instant,
}

struct Context(LogContext);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.0.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        let ticket = *ticket;
        let outcome = match result {
            Ok(message) => {
                let topic = ticket.topic.suffix();
                metrics::counter!("reelay_bus_produced_records_total", "topic" => topic.clone())
                    .increment(1);
                metrics::counter!("reelay_bus_produced_bytes_total", "topic" => topic.clone())
                    .increment(ticket.bytes as u64);
                metrics::histogram!("reelay_bus_delivery_latency_seconds", "topic" => topic)
                    .record(ticket.handed_over.elapsed().as_secs_f64());
                Ok(message.offset())
            }
            Err((error, _)) => Err(ProduceError::of(
                &ticket.topic,
                ticket.partition,
                ticket.bytes,
                error,
                None,
            )),
        };
        // Nobody waiting any more is no fault.
        match ticket.waiter {
            Waiter::One(waiter) => drop(waiter.send(outcome)),
            Waiter::Line { reports, id } => drop(reports.send((id, outcome))),
        }
    }
}

/// One librdkafka producer; of no use after a fatal error.
pub(crate) struct Client {
    /// `None` only while it is being dropped.
    producer: Option<ThreadedProducer<Context>>,
    topics: Topics,
}

/// Why a record could not be handed over.
pub(crate) enum NotTaken {
    /// The client's own queue is full: later.
    Full,
    /// It never will.
    Failed(ProduceError),
}

impl Client {
    /// Hands a record over to librdkafka, which copies key and value and answers `waiter` later.
    pub fn hand_over(&self, record: &Outgoing, waiter: Waiter) -> Result<(), NotTaken> {
        let bytes = record.len();
        let name = self.topics.name(&record.topic);
        let ticket = Ticket {
            waiter,
            topic: record.topic.clone(),
            partition: record.partition,
            bytes,
            handed_over: Instant::now(),
        };
        let mut base = BaseRecord::<[u8], [u8], _>::with_opaque_to(&name, Box::new(ticket))
            .partition(record.partition);
        if !record.key.is_empty() {
            base = base.key(&record.key[..]);
        }
        if !record.value.is_empty() {
            base = base.payload(&record.value[..]);
        }
        if !record.headers.0.is_empty() {
            base = base.headers(record.headers.to_native());
        }
        let Some(producer) = &self.producer else {
            return Err(NotTaken::Full);
        };
        match producer.send(base) {
            Ok(()) => Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                Err(NotTaken::Full)
            }
            Err((error, _)) => Err(NotTaken::Failed(ProduceError::of(
                &record.topic,
                record.partition,
                bytes,
                &error,
                self.fatal(),
            ))),
        }
    }

    /// Its fatal error, if it has had one.
    pub fn fatal(&self) -> Option<String> {
        let producer = self.producer.as_ref()?;
        let (code, reason) = producer.client().fatal_error()?;
        Some(format!("{code}: {reason}"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let Some(producer) = self.producer.take() else {
            return;
        };
        // Dropping purges, waits for the reports and joins a thread: not on the runtime's threads.
        let spawned = std::thread::Builder::new()
            .name("kafka-close".into())
            .spawn(move || drop(producer));
        if let Err(error) = spawned {
            tracing::warn!(%error, "kafka producer was closed on the caller's thread");
        }
    }
}

/// Makes clients of one configuration: one at a time, a new one after a fatal error.
pub(crate) struct ClientSource {
    name: &'static str,
    config: ClientConfig,
    topics: Topics,
    current: Mutex<Option<Arc<Client>>>,
}

impl ClientSource {
    pub fn new(name: &'static str, config: ClientConfig, topics: Topics) -> Self {
        Self {
            name,
            config,
            topics,
            current: Mutex::new(None),
        }
    }

    /// The client of the day.
    pub fn get(&self) -> Result<Arc<Client>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*current {
            match client.fatal() {
                None => return Ok(Arc::clone(client)),
                Some(reason) => {
                    tracing::warn!(client = self.name, reason, "kafka producer is replaced");
                    metrics::counter!("reelay_bus_fatal_producer_errors_total").increment(1);
                }
            }
        }
        let producer = self
            .config
            .create_with_context(Context(LogContext::new(self.name)))
            .map_err(|source| BusError::Client {
                client: self.name.to_owned(),
                source,
            })?;
        let client = Arc::new(Client {
            producer: Some(producer),
            topics: self.topics.clone(),
        });
        *current = Some(Arc::clone(&client));
        Ok(client)
    }
}
