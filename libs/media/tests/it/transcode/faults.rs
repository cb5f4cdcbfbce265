//! Damaged segments, and workers that die, hang or break the protocol.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reelay_media::{
    TranscodeMessage, TranscodeProblemCode, TranscodeWorker, WorkerError, WorkerProgram,
};
use reelay_model::{LatencyMode, SegmentNumber, Ticks};

use super::{
    run::{Output, check_rung, job, read, rungs, transcode, transcode_in},
    segments::{SourceSegment, segments},
};
use crate::{clips::clip, collect::program};

const RUNGS: [&str; 2] = ["120p:height=120,cap=300000", "90p:height=90,cap=200000"];

/// One segment of 2 s at 25 fps, without B-frames.
fn segment() -> SourceSegment {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip(folder.path(), "clip.mp4", "25", "2", "-g 50 -bf 0");
    segments(&clip).remove(0)
}

/// Transcodes chunks that are damaged, as the service does: with the duration of the records.
async fn damaged(segment: &SourceSegment, chunks: Vec<Bytes>) -> (Output, u32) {
    let mut worker = TranscodeWorker::spawn(&program()).unwrap();
    let job = job(segment, &rungs(&RUNGS), LatencyMode::Low);
    let duration = Some(Ticks(segment.duration() as u64));
    let (output, outcome) = transcode_in(&mut worker, job, chunks, duration).await;
    let report = outcome.unwrap();
    for chunks in output.chunks.values() {
        check_rung(chunks, segment);
    }
    (output, report.bridged_frames)
}

#[tokio::test]
async fn a_chunk_of_garbage_is_bridged() {
    let segment = segment();
    let mut chunks = segment.chunks();
    let middle = chunks.len() / 2;
    // The boxes are whole, the coded frames are not.
    let mut bytes = BytesMut::from(&chunks[middle][..]);
    let boxes = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize + 8;
    for (n, byte) in bytes[boxes..].iter_mut().enumerate() {
        *byte = (n * 37 % 251) as u8;
    }
    chunks[middle] = bytes.freeze();
    let (output, bridged) = damaged(&segment, chunks).await;
    assert_eq!(bridged, 5);
    assert_eq!(check_rung(&output.chunks["120p"], &segment), segment.times);
}

#[tokio::test]
async fn a_chunk_that_cannot_be_read_is_bridged_by_one_long_frame() {
    let segment = segment();
    let mut chunks = segment.chunks();
    let middle = chunks.len() / 2;
    chunks[middle] = Bytes::from_static(b"this is no chunk at all");
    let (output, bridged) = damaged(&segment, chunks).await;
    assert_eq!(bridged, 1);
    assert_eq!(check_rung(&output.chunks["90p"], &segment).len(), 46);
}

#[tokio::test]
async fn a_segment_that_breaks_off_is_as_long_as_its_source() {
    let segment = segment();
    let mut chunks = segment.chunks();
    let last = chunks.len() - 1;
    let half = chunks[last].len() / 2;
    chunks[last].truncate(half);
    damaged(&segment, chunks.clone()).await;
    chunks[last].truncate(20);
    damaged(&segment, chunks).await;
}

#[tokio::test]
async fn a_segment_of_which_nothing_decodes_fails_and_the_next_does_not() {
    let segment = segment();
    let mut worker = TranscodeWorker::spawn(&program()).unwrap();
    let rungs = rungs(&RUNGS);
    let alone = transcode(
        &program(),
        job(&segment, &rungs, LatencyMode::Low),
        &segment,
    )
    .await;
    // Without its keyframe.
    let chunks = segment.cut(&[1, 10, 20]);
    let (output, outcome) = transcode_in(
        &mut worker,
        job(&segment, &rungs, LatencyMode::Low),
        chunks,
        None,
    )
    .await;
    let problem = outcome.unwrap_err();
    assert_eq!(problem.code, TranscodeProblemCode::NothingDecodes);
    assert!(problem.message.contains("frames"), "{problem}");
    assert!(output.chunks.is_empty());
    let (output, outcome) = transcode_in(
        &mut worker,
        job(&segment, &rungs, LatencyMode::Low),
        segment.chunks(),
        None,
    )
    .await;
    outcome.unwrap();
    assert!(
        output == alone.0,
        "nothing is kept from one segment to the next"
    );
}

#[tokio::test]
async fn an_init_segment_that_cannot_be_read_is_said() {
    let segment = segment();
    let mut worker = TranscodeWorker::spawn(&program()).unwrap();
    let mut job = job(&segment, &rungs(&RUNGS), LatencyMode::Low);
    job.init.truncate(60);
    let (_, outcome) = transcode_in(&mut worker, job, segment.chunks(), None).await;
    let problem = outcome.unwrap_err();
    assert_eq!(problem.code, TranscodeProblemCode::InvalidInit);
}

#[tokio::test]
async fn a_segment_that_another_follows_is_given_up() {
    let segment = segment();
    let mut worker = TranscodeWorker::spawn(&program()).unwrap();
    let job = job(&segment, &rungs(&RUNGS), LatencyMode::Low);
    let input = worker.input().clone();
    let feed = tokio::spawn({
        let (job, chunks) = (job.clone(), segment.chunks());
        async move {
            input.begin(job.clone()).await.unwrap();
            input.push(chunks[0].clone(), false).await.unwrap();
            input.begin(job).await.unwrap();
            for chunk in chunks {
                input.push(chunk, false).await.unwrap();
            }
            input.end(None).await.unwrap();
        }
    });
    let (_, outcome) = read(&mut worker).await.unwrap();
    assert_eq!(outcome.unwrap_err().code, TranscodeProblemCode::Abandoned);
    let (output, outcome) = read(&mut worker).await.unwrap();
    let report = outcome.unwrap();
    feed.await.unwrap();
    // Nobody said which chunk was the last, and the parts were full.
    assert!(!report.last_said);
    assert!(output.chunks.values().flatten().all(|chunk| !chunk.last));
}

/// Reads until there is a part.
async fn first_part(worker: &mut TranscodeWorker) {
    while !matches!(worker.next().await.unwrap(), TranscodeMessage::Chunk(_)) {}
}

/// Begins a segment and pushes half of it.
async fn half_of(worker: &mut TranscodeWorker) {
    let segment = segment();
    let mut job = job(&segment, &rungs(&RUNGS), LatencyMode::Low);
    job.segment = SegmentNumber(4711);
    let input = worker.input();
    input.begin(job).await.unwrap();
    for chunk in segment.chunks().into_iter().take(5) {
        input.push(chunk, false).await.unwrap();
    }
    first_part(worker).await;
}

/// Reads to the error.
async fn error(worker: &mut TranscodeWorker) -> WorkerError {
    loop {
        if let Err(error) = worker.next().await {
            return error;
        }
    }
}

#[tokio::test]
async fn a_killed_worker_is_reported_with_stream_and_segment() {
    let mut worker = TranscodeWorker::spawn(&program()).unwrap();
    half_of(&mut worker).await;
    kill(Pid::from_raw(worker.pid() as i32), Signal::SIGKILL).unwrap();
    let error = error(&mut worker).await;
    assert!(matches!(error, WorkerError::Died { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("stream door, segment 4711"), "{text}");
    assert!(text.contains("SIGKILL"), "{text}");
    assert!(matches!(worker.next().await, Err(WorkerError::Ended)));
    // Its input says so, too, once the pipe is seen to be closed.
    let input = worker.input().clone();
    while input.end(None).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_hung_worker_is_killed_and_reported() {
    let limit = Duration::from_secs(3);
    let mut worker = TranscodeWorker::spawn_with_watchdog(&program(), limit).unwrap();
    half_of(&mut worker).await;
    kill(Pid::from_raw(worker.pid() as i32), Signal::SIGSTOP).unwrap();
    let error = error(&mut worker).await;
    assert!(matches!(error, WorkerError::Hung { .. }), "{error}");
    assert!(error.to_string().contains("segment 4711"), "{error}");
}

#[tokio::test]
async fn a_worker_without_work_lives() {
    let limit = Duration::from_secs(3);
    let mut worker = TranscodeWorker::spawn_with_watchdog(&program(), limit).unwrap();
    let idle = tokio::time::timeout(2 * limit, worker.next()).await;
    assert!(idle.is_err(), "nothing to say: {idle:?}");
    let segment = segment();
    let job = job(&segment, &rungs(&RUNGS), LatencyMode::Low);
    let (_, outcome) = transcode_in(&mut worker, job, segment.chunks(), None).await;
    outcome.unwrap();
}

#[tokio::test]
async fn garbage_instead_of_messages_is_reported() {
    let script = WorkerProgram {
        program: "/bin/sh".into(),
        args: vec![
            "-c".to_owned(),
            "echo hello there, this is no frame; sleep 60".to_owned(),
        ],
    };
    let mut worker = TranscodeWorker::spawn(&script).unwrap();
    let error = error(&mut worker).await;
    assert!(matches!(error, WorkerError::Protocol { .. }), "{error}");
}

/// A caller that does not read stops the worker, and the way into it fills up.
#[tokio::test]
async fn a_slow_caller_blocks_the_way_in() {
    let segment = segment();
    let mut worker = TranscodeWorker::spawn(&program()).unwrap();
    // Rungs of many bytes, so that the pipe is soon full.
    let rungs = rungs(&["180p:height=180,cap=50000000,crf=0"]);
    let input = worker.input().clone();
    let chunks = segment.chunks();
    let job = job(&segment, &rungs, LatencyMode::Low);
    let segments = 40;
    let feed = tokio::spawn(async move {
        for _ in 0..segments {
            input.begin(job.clone()).await.unwrap();
            for chunk in &chunks {
                input.push(chunk.clone(), false).await.unwrap();
            }
            input.end(None).await.unwrap();
        }
    });
    let mut feed = std::pin::pin!(feed);
    let blocked = tokio::time::timeout(Duration::from_secs(6), &mut feed).await;
    assert!(blocked.is_err(), "nobody reads, and all went in");
    for _ in 0..segments {
        let (_, outcome) = read(&mut worker).await.unwrap();
        outcome.unwrap();
    }
    feed.await.unwrap();
}
