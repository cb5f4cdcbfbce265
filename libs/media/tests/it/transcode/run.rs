//! Runs transcode workers and puts their messages together.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use mp4_atom::{Decode, Moof};
use reelay_media::{
    RungChunk, SegmentJob, SegmentReport, TranscodeMessage, TranscodeProblem, TranscodeWorker,
    WorkerError, WorkerProgram,
};
use reelay_model::{LatencyMode, Micros, RungProfile, SegmentNumber, Ticks};

use super::segments::SourceSegment;

/// Rungs by their definitions.
pub fn rungs(definitions: &[&str]) -> Vec<RungProfile> {
    definitions
        .iter()
        .map(|definition| definition.parse().unwrap())
        .collect()
}

/// A job for the segment, without pre-roll.
pub fn job(segment: &SourceSegment, rungs: &[RungProfile], latency: LatencyMode) -> SegmentJob {
    SegmentJob {
        stream: "door".to_owned(),
        segment: SegmentNumber(segment.number),
        decode_time: Ticks(segment.start() as u64),
        init: segment.init.clone(),
        pre_roll: Vec::new(),
        rungs: rungs.to_vec(),
        latency,
        part_target: Micros(200_000),
        frame_rate_milli: 25_000,
        thumbnail: true,
    }
}

/// What a segment has become.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// By rung.
    pub chunks: BTreeMap<String, Vec<RungChunk>>,
    pub thumbnail: Option<Bytes>,
}

/// How it ended.
pub type Outcome = Result<SegmentReport, TranscodeProblem>;

/// Reads a segment's messages to its end. Panics after 120 s.
pub async fn read(worker: &mut TranscodeWorker) -> Result<(Output, Outcome), WorkerError> {
    let mut output = Output::default();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    loop {
        let message = tokio::time::timeout_at(deadline, worker.next())
            .await
            .expect("a segment ends within 120 s")?;
        match message {
            TranscodeMessage::Chunk(chunk) => output
                .chunks
                .entry(chunk.rung.to_string())
                .or_default()
                .push(chunk),
            TranscodeMessage::Thumbnail(jpeg) => output.thumbnail = Some(jpeg),
            TranscodeMessage::Done(report) => return Ok((output, Ok(report))),
            TranscodeMessage::Failed(problem) => return Ok((output, Err(problem))),
        }
    }
}

/// Transcodes one segment of these chunks in a worker that is running.
pub async fn transcode_in(
    worker: &mut TranscodeWorker,
    job: SegmentJob,
    chunks: Vec<Bytes>,
    duration: Option<Ticks>,
) -> (Output, Outcome) {
    let input = worker.input().clone();
    let feed = tokio::spawn(async move {
        input.begin(job).await.unwrap();
        let count = chunks.len();
        for (n, chunk) in chunks.into_iter().enumerate() {
            input.push(chunk, n + 1 == count).await.unwrap();
        }
        input.end(duration).await.unwrap();
    });
    let read = read(worker).await.unwrap();
    feed.await.unwrap();
    read
}

/// Transcodes one segment in a worker of its own.
pub async fn transcode(
    program: &WorkerProgram,
    job: SegmentJob,
    segment: &SourceSegment,
) -> (Output, SegmentReport) {
    let mut worker = TranscodeWorker::spawn(program).unwrap();
    let duration = Some(Ticks(segment.duration() as u64));
    let (output, outcome) = transcode_in(&mut worker, job, segment.chunks(), duration).await;
    (output, outcome.unwrap())
}

/// Presentation times and durations of a rung's frames, in order of presentation; checks what
/// holds for every rung.
pub fn check_rung(chunks: &[RungChunk], segment: &SourceSegment) -> Vec<i64> {
    let mut time = segment.start() as u64;
    let mut times = Vec::new();
    for (n, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk.part.0 as usize, n);
        assert_eq!(chunk.independent, n == 0);
        assert_eq!(chunk.init.is_some(), n == 0);
        assert_eq!(chunk.last, n + 1 == chunks.len());
        assert_eq!(chunk.decode_time.0, time, "parts continue");
        let moof = Moof::decode(&mut &chunk.data[..]).unwrap();
        let traf = &moof.traf[0];
        assert_eq!(traf.tfdt.as_ref().unwrap().base_media_decode_time, time);
        for (at, sample) in traf.trun[0].samples.iter().enumerate() {
            let flags = sample.flags.or(traf.tfhd.default_sample_flags).unwrap();
            assert_eq!(
                flags & 0x0001_0000 == 0,
                n == 0 && at == 0,
                "one keyframe, at the start"
            );
            times.push(time as i64 + sample.cts.unwrap_or(0));
            let duration = sample.duration.or(traf.tfhd.default_sample_duration);
            time += u64::from(duration.unwrap());
        }
        assert_eq!(time, chunk.decode_time.0 + chunk.duration.0);
    }
    assert_eq!(time as i64, segment.end, "the source's duration");
    times.sort_unstable();
    times
}

/// A rung's segment as a file.
pub fn file(chunks: &[RungChunk]) -> Vec<u8> {
    let mut bytes = chunks[0].init.clone().unwrap().to_vec();
    for chunk in chunks {
        bytes.extend_from_slice(&chunk.data);
    }
    bytes
}
