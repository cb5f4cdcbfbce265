//! One rung of one segment: scale, encode, cut, pack, on a thread of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use ffmpeg_next::{Packet, format::Pixel, frame};
use reelay_model::{LatencyMode, PartNumber, RungProfile, Ticks};

use super::{
    Failure, Listener, RungChunk, RungReport, TranscodeProblem, TranscodeProblemCode,
    cpu::ThreadCpu,
    cut::{Coded, Cutter, RungPart},
    encode::{Colours, RungEncoder},
    scale::Scaler,
    size::rung_size,
    stream::RungStream,
    timeline::Slot,
};
use crate::{
    cmaf,
    publish::{Payload, pack},
    segmenter::VIDEO_TIMESCALE,
};

/// Pictures that wait for a rung; with so many the decoder waits, too.
const QUEUE: usize = 8;

/// What a rung needs to know.
#[derive(Debug, Clone)]
pub(super) struct RungJob {
    pub profile: RungProfile,
    pub latency: LatencyMode,
    /// In 1/90,000 s.
    pub part_target: i64,
    pub frame_rate_milli: u32,
}

/// A picture and where it is shown; it is shared by all rungs.
#[derive(Clone)]
pub(super) struct Picture {
    pub picture: Arc<frame::Video>,
    /// In 1/90,000 s.
    pub slot: Slot,
}

/// What a rung is told.
enum Order {
    Show(Picture),
    /// The segment is complete. Where it does not come, it has been given up.
    End,
}

/// A running rung. Dropping it gives the segment up and waits until nothing comes of it any more.
pub(super) struct RungThread {
    rung: RungProfile,
    orders: Option<SyncSender<Order>>,
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<Result<RungReport, Failure>>>,
}

impl Drop for RungThread {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // The segment fails for a reason of its own.
            let _ = thread.join();
        }
    }
}

impl RungThread {
    /// Starts a rung; its parts go to `listener`.
    pub(super) fn start(job: RungJob, listener: Arc<dyn Listener>) -> Result<Self, Failure> {
        let (orders, queue) = sync_channel(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let rung = job.profile.clone();
        let thread = thread::Builder::new()
            .name(rung.id.to_string())
            .spawn({
                let waiting = waiting.clone();
                move || Rung::new(job, listener).run(&queue, &waiting)
            })
            .map_err(|error| {
                Failure::internal(format!("no thread for rung {}: {error}", rung.id))
            })?;
        Ok(Self {
            rung,
            orders: Some(orders),
            waiting,
            thread: Some(thread),
        })
    }

    /// Whether it has nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    /// Hands over a picture, waits while the rung is behind. False when the rung has failed: its
    /// [end](Self::finish) says why.
    pub(super) fn push(&self, picture: Picture) -> bool {
        self.order(Order::Show(picture))
    }

    fn order(&self, order: Order) -> bool {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.orders
            .as_ref()
            .is_some_and(|orders| orders.send(order).is_ok())
    }

    /// Says that the segment is complete; the rung goes on with it.
    pub(super) fn end(&self) {
        self.order(Order::End);
    }

    /// Waits for the rung's end.
    pub(super) fn finish(mut self) -> Result<RungReport, Failure> {
        self.orders = None;
        let ended = self.thread.take().map(JoinHandle::join);
        ended.and_then(Result::ok).unwrap_or_else(|| {
            Err(Failure::internal(format!(
                "rung {} has panicked",
                self.rung.id
            )))
        })
    }
}

/// What the first picture decides.
struct Opened {
    scaler: Scaler,
    encoder: RungEncoder,
    stream: RungStream,
    size: (u32, u32),
}

struct Rung {
    job: RungJob,
    listener: Arc<dyn Listener>,
    opened: Option<Opened>,
    cutter: Cutter<Payload>,
    report: RungReport,
}

impl Rung {
    fn new(job: RungJob, listener: Arc<dyn Listener>) -> Self {
        Self {
            cutter: Cutter::new(job.part_target),
            report: RungReport {
                rung: job.profile.id.clone(),
                frames: 0,
                last_said: false,
                bytes: 0,
                cpu: reelay_model::Micros(0),
            },
            job,
            listener,
            opened: None,
        }
    }

    fn run(
        mut self,
        orders: &Receiver<Order>,
        waiting: &AtomicUsize,
    ) -> Result<RungReport, Failure> {
        let cpu = ThreadCpu::start();
        for order in orders {
            match order {
                Order::Show(picture) => self.encode(&picture)?,
                Order::End => {
                    self.end()?;
                    self.report.cpu = cpu.spent();
                    return Ok(self.report);
                }
            }
            waiting.fetch_sub(1, Ordering::AcqRel);
            self.listener.alive()?;
        }
        Err(Failure::internal("the segment was given up"))
    }

    fn end(&mut self) -> Result<(), Failure> {
        if let Some(opened) = &mut self.opened {
            let packets = match opened.encoder.finish() {
                Ok(packets) => packets,
                Err(error) => return Err(self.failed(&error)),
            };
            self.take(packets)?;
        }
        let mut parts = Vec::new();
        self.cutter.finish(|part| parts.push(part));
        self.publish(parts)
    }

    fn failed(&self, error: &ffmpeg_next::Error) -> Failure {
        let profile = &self.job.profile;
        let code = match error {
            ffmpeg_next::Error::EncoderNotFound => TranscodeProblemCode::UnsupportedCodec,
            _ => TranscodeProblemCode::Internal,
        };
        Failure::Problem(TranscodeProblem::new(
            code,
            format!(
                "the {} encoder of rung {} failed: {error}",
                profile.codec, profile.id
            ),
        ))
    }

    fn open(&self, picture: &frame::Video) -> Result<Opened, Failure> {
        let RungJob {
            profile,
            latency,
            frame_rate_milli,
            ..
        } = &self.job;
        let aspect = picture.aspect_ratio();
        let positive = |value: i32| u32::try_from(value).unwrap_or(0);
        let size = rung_size(
            (picture.width(), picture.height()),
            (positive(aspect.numerator()), positive(aspect.denominator())),
            profile.height,
        );
        let encoder = RungEncoder::new(
            profile,
            *latency,
            size,
            Colours::of(picture),
            *frame_rate_milli,
        )
        .map_err(|error| self.failed(&error))?;
        let stream = RungStream::new(profile.codec, encoder.extradata())?;
        Ok(Opened {
            scaler: Scaler::new(Pixel::YUV420P, size.0, size.1),
            encoder,
            stream,
            size,
        })
    }

    fn encode(&mut self, Picture { picture, slot }: &Picture) -> Result<(), Failure> {
        if self.opened.is_none() {
            self.opened = Some(self.open(picture)?);
        }
        let Some(opened) = &mut self.opened else {
            return Ok(());
        };
        let scaled = match opened.scaler.scale(picture) {
            Ok(scaled) => scaled,
            Err(error) => return Err(self.failed(&error)),
        };
        scaled.set_pts(Some(slot.time));
        let packets = match opened.encoder.encode(scaled) {
            Ok(packets) => packets,
            Err(error) => return Err(self.failed(&error)),
        };
        self.cutter.expect(*slot);
        self.report.frames += 1;
        self.take(packets)
    }

    fn take(&mut self, packets: Vec<Packet>) -> Result<(), Failure> {
        let Some(opened) = &mut self.opened else {
            return Ok(());
        };
        let mut parts = Vec::new();
        for packet in packets {
            let Some(presentation) = packet.pts() else {
                continue;
            };
            let sync = packet.is_key();
            let payload = opened.stream.payload(packet)?;
            let coded = Coded {
                presentation,
                sync,
                payload,
            };
            self.cutter.push(coded, |part| parts.push(part));
        }
        self.publish(parts)
    }

    fn publish(&mut self, parts: Vec<RungPart<Payload>>) -> Result<(), Failure> {
        let Some(opened) = &self.opened else {
            return Ok(());
        };
        for part in parts {
            let data = pack(
                cmaf::VIDEO_TRACK,
                VIDEO_TIMESCALE,
                part.decode_time,
                &part.frames,
            )?;
            self.report.bytes += data.len() as u64;
            self.report.last_said |= part.last;
            self.listener.chunk(RungChunk {
                rung: self.job.profile.id.clone(),
                part: PartNumber(part.part),
                independent: part.independent,
                last: part.last,
                decode_time: Ticks(part.decode_time as u64),
                duration: Ticks(part.duration as u64),
                codecs: opened.stream.codecs().to_owned(),
                width: opened.size.0,
                height: opened.size.1,
                frame_rate_milli: self.job.frame_rate_milli,
                init: (part.part == 0).then(|| opened.stream.init().clone()),
                data: data.into(),
            })?;
        }
        Ok(())
    }
}
