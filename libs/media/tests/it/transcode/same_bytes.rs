//! The same segment is the same bytes: in every process, whatever SIMD instructions the machine
//! has, however many cores, however busy they are, and however the input is cut.

use std::{
    cell::RefCell,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use reelay_media::{TranscodeWorker, WorkerProgram};
use reelay_model::LatencyMode;

use super::{
    run::{Output, job, rungs, transcode_in},
    segments::{SourceSegment, footage, segments},
};
use crate::{clips::clip, collect::program};

/// All segments, each in a process of its own.
async fn outputs(
    program: &WorkerProgram,
    segments: &[SourceSegment],
    definitions: &[&str],
    latency: LatencyMode,
) -> Vec<Output> {
    let rungs = rungs(definitions);
    let mut outputs = Vec::new();
    for (n, segment) in segments.iter().enumerate() {
        let mut job = job(segment, &rungs, latency);
        if segment.open {
            job.pre_roll = segments[n - 1].chunks();
        }
        let mut worker = TranscodeWorker::spawn(program).unwrap();
        let (output, outcome) = transcode_in(&mut worker, job, segment.chunks(), None).await;
        outcome.unwrap();
        outputs.push(output);
    }
    outputs
}

fn with_cpu(level: &str) -> WorkerProgram {
    let mut program = program();
    program.args = vec!["--cpu".to_owned(), level.to_owned()];
    program
}

fn on_one_core() -> WorkerProgram {
    let worker = program().program.display().to_string();
    WorkerProgram {
        program: "/usr/bin/taskset".into(),
        args: vec!["--cpu-list".to_owned(), "0".to_owned(), worker],
    }
}

/// Threads that keep all cores busy until they are dropped.
struct Busy(Arc<AtomicBool>, Vec<thread::JoinHandle<()>>);

impl Busy {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let cores = thread::available_parallelism().map_or(2, |cores| cores.get());
        let threads = (0..cores)
            .map(|_| {
                let stop = stop.clone();
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        Self(stop, threads)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        for thread in self.1.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// Compares all ways to transcode these segments.
async fn everywhere(segments: &[SourceSegment], definitions: &[&str], latency: LatencyMode) {
    let expected = outputs(&program(), segments, definitions, latency).await;
    let mut ways = vec![("again", program()), ("on one core", on_one_core())];
    if cfg!(target_arch = "x86_64") {
        for level in ["plain", "sse2", "avx2"] {
            ways.push((level, with_cpu(level)));
        }
    }
    for (way, program) in ways {
        let found = outputs(&program, segments, definitions, latency).await;
        assert!(found == expected, "{way}: other bytes");
    }
    let busy = Busy::start();
    let found = outputs(&program(), segments, definitions, latency).await;
    drop(busy);
    assert!(found == expected, "on busy cores: other bytes");
}

async fn footage_everywhere(name: &str) {
    let Some(path) = footage(name) else {
        return;
    };
    let segments = segments(&path);
    everywhere(&segments, &["360p", "240p"], LatencyMode::Low).await;
}

#[tokio::test]
async fn footage_of_cars_in_h264() {
    footage_everywhere("car-detection.mp4").await;
}

#[tokio::test]
async fn footage_of_cars_in_h265_with_open_groups() {
    footage_everywhere("cars-hevc.mp4").await;
}

#[tokio::test]
async fn footage_of_a_face_with_b_frames() {
    footage_everywhere("face.mp4").await;
}

#[tokio::test]
async fn a_clip_in_normal_latency() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "clip.mp4", "30000/1001", "4", "-g 60 -bf 2");
    everywhere(
        &segments(&path),
        &[
            "120p:height=120,cap=300000",
            "90p:height=90,cap=200000,codec=h265,preset=ultrafast",
            "80p:height=80,cap=200000,codec=av1,preset=12",
        ],
        LatencyMode::Normal,
    )
    .await;
}

/// Whatever the chunks: one a frame, all in one, or anything between.
#[test]
fn chunk_boundaries_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), "clip.mp4", "25", "2", "-g 50 -bf 2");
    let segment = one_segment(&path);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let worker = {
        let _inside = runtime.enter();
        RefCell::new(TranscodeWorker::spawn(&program()).unwrap())
    };
    let rungs = rungs(&["120p:height=120,cap=300000", "90p:height=90,cap=200000"]);
    let frames = segment.frames.len();
    let run = |cuts: &[usize]| {
        let job = job(&segment, &rungs, LatencyMode::Low);
        let (output, outcome) = runtime.block_on(transcode_in(
            &mut worker.borrow_mut(),
            job,
            segment.cut(cuts),
            None,
        ));
        outcome.unwrap();
        output
    };
    let expected = run(&[0, frames]);
    let each: Vec<_> = (0..=frames).collect();
    assert!(run(&each) == expected, "one chunk a frame");
    let config = Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner
        .run(&prop::collection::btree_set(1..frames, 0..12), |inner| {
            let cuts: Vec<_> = std::iter::once(0)
                .chain(inner)
                .chain(std::iter::once(frames))
                .collect();
            prop_assert!(run(&cuts) == expected, "cut at {:?}", cuts);
            Ok(())
        })
        .unwrap();
}

fn one_segment(path: &Path) -> SourceSegment {
    let mut segments = segments(path);
    assert_eq!(segments.len(), 1);
    segments.remove(0)
}
