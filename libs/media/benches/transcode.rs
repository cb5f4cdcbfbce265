//! `cargo bench -p reelay-media --bench transcode`: what transcoding costs. CPU per second of media
//! of the default ladder below 720p, beside one `ffmpeg` with the same rungs and settings; the same
//! beside an `ffmpeg` that encodes the top rung, too; and how fast one segment is when all of it is
//! there. Prints rows of a Markdown table; progress goes to standard error.
//!
//! The source is the footage of a face, played over and enlarged to 720p at 25 fps; without the
//! footage a test picture.

#![allow(clippy::unwrap_used)]

#[path = "../tests/it/collect.rs"]
#[allow(dead_code)]
mod collect;
#[path = "../tests/it/transcode/run.rs"]
#[allow(dead_code)]
mod run;
#[path = "../tests/it/transcode/segments.rs"]
#[allow(dead_code)]
mod segments;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::sys::resource::{UsageWho, getrusage};
use reelay_media::TranscodeWorker;
use reelay_model::{LatencyMode, RungProfile};

use collect::{program, tool};
use run::{job, rungs, transcode_in};
use segments::{SourceSegment, footage};

const SECONDS: u32 = 30;
/// Each figure is the best of so many runs: others only had more company on the machine.
const RUNS: usize = 3;

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    eprintln!("making a clip of {SECONDS} s");
    let clip = make_clip(folder.path());
    let segments = segments::segments(&clip);
    let ladder = rungs(&["480p", "360p", "240p"]);
    // What `ffmpeg` encodes where the source does not pass through.
    let all = [rungs(&["720p"]), ladder.clone()].concat();

    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let mut theirs_all = Vec::new();
    for run in 1..=RUNS {
        eprintln!("run {run} of {RUNS}: reelay");
        ours.push(transcode(&segments, &ladder).await);
        eprintln!("run {run} of {RUNS}: ffmpeg, the same rungs");
        theirs.push(ffmpeg(&clip, &ladder, folder.path()));
        eprintln!("run {run} of {RUNS}: ffmpeg, all four rungs");
        theirs_all.push(ffmpeg(&clip, &all, folder.path()));
    }
    let (ours, theirs, theirs_all) = (best(ours), best(theirs), best(theirs_all));
    println!(
        "| transcode: CPU seconds per media second, 480p + 360p + 240p of 720p | {ours:.3}; ratio {:.2} | ≤ 1.05 of one ffmpeg, same rungs and settings | ffmpeg {theirs:.3} |",
        ours / theirs
    );
    println!(
        "| transcode: the same, beside encoding all four rungs | {ours:.3}; ratio {:.2} | ≤ 0.6 of ffmpeg | ffmpeg {theirs_all:.3} |",
        ours / theirs_all
    );

    eprintln!("one segment at once");
    let mut rates = Vec::new();
    for segment in segments.iter().take(5) {
        rates.push(frames_per_second(segment, &ladder).await);
    }
    rates.sort_by(f64::total_cmp);
    println!(
        "| transcode: source frames a second of one segment over all cores, the same rungs | {:.0} | reported | – |",
        rates[rates.len() / 2]
    );
}

fn best(figures: Vec<f64>) -> f64 {
    figures.into_iter().min_by(f64::total_cmp).unwrap()
}

fn make_clip(folder: &Path) -> PathBuf {
    let path = folder.join("clip.mp4");
    let length = SECONDS.to_string();
    let (picture, input): (Vec<&str>, String) = match footage("face.mp4") {
        Some(face) => (vec!["-stream_loop", "-1", "-i"], face.display().to_string()),
        None => (
            vec!["-f", "lavfi", "-i"],
            "testsrc2=size=1280x720:rate=25".to_owned(),
        ),
    };
    let mut args = vec!["-nostdin", "-v", "error"];
    args.extend(picture);
    args.extend([&input, "-t", &length, "-an", "-vf", "scale=1280:720,fps=25"]);
    args.extend(
        "-c:v libx264 -preset veryfast -crf 21 -pix_fmt yuv420p -bf 0 -g 50 -x264-params scenecut=0"
            .split(' '),
    );
    args.push(path.to_str().unwrap());
    tool("ffmpeg", &args);
    path
}

/// CPU seconds of all children that have ended.
fn children() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// CPU seconds per second of media, the worker's start with it.
async fn transcode(segments: &[SourceSegment], ladder: &[RungProfile]) -> f64 {
    let before = children();
    let mut worker = TranscodeWorker::spawn(&program()).unwrap();
    let pid = worker.pid();
    for segment in segments {
        let mut job = job(segment, ladder, LatencyMode::Low);
        job.thumbnail = false;
        let (_, outcome) = transcode_in(&mut worker, job, segment.chunks(), None).await;
        outcome.unwrap();
    }
    drop(worker);
    // Its time counts when it has been waited for.
    while Path::new(&format!("/proc/{pid}")).exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (children() - before) / f64::from(SECONDS)
}

/// One `ffmpeg` that decodes once and makes all rungs, with the settings of low latency.
fn ffmpeg(clip: &Path, ladder: &[RungProfile], folder: &Path) -> f64 {
    let before = children();
    let mut graph = format!("[0:v]split={}", ladder.len());
    for n in 0..ladder.len() {
        graph.push_str(&format!("[in{n}]"));
    }
    for (n, rung) in ladder.iter().enumerate() {
        graph.push_str(&format!(
            ";[in{n}]scale=-2:{}:flags=bicubic+accurate_rnd+bitexact[out{n}]",
            rung.height
        ));
    }
    let mut args: Vec<String> = ["-nostdin", "-v", "error", "-y", "-threads", "1", "-i"]
        .map(str::to_owned)
        .to_vec();
    args.push(clip.display().to_string());
    args.extend(["-filter_complex_threads", "1", "-filter_complex"].map(str::to_owned));
    args.push(graph);
    for (n, rung) in ladder.iter().enumerate() {
        let cap = rung.cap / 1000;
        let params = format!(
            "cpu-independent=1:threads=1:lookahead-threads=1:sliced-threads=0:keyint=50:min-keyint=50:\
             scenecut=0:open-gop=0:vbv-maxrate={}:vbv-bufsize={}:vbv-init=0.40",
            cap * 85 / 100,
            cap / 2
        );
        let options = format!(
            "-map [out{n}] -c:v libx264 -preset {} -tune zerolatency -crf {} -x264-params {params} -f mp4 \
             -movflags frag_keyframe+empty_moov",
            rung.preset, rung.crf
        );
        args.extend(options.split_whitespace().map(str::to_owned));
        args.push(folder.join(format!("{n}.mp4")).display().to_string());
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    tool("ffmpeg", &args);
    (children() - before) / f64::from(SECONDS)
}

/// Source frames a second when a whole segment is there.
async fn frames_per_second(segment: &SourceSegment, ladder: &[RungProfile]) -> f64 {
    let mut worker = TranscodeWorker::spawn(&program()).unwrap();
    let mut job = job(segment, ladder, LatencyMode::Low);
    job.thumbnail = false;
    let start = Instant::now();
    let (_, outcome) = transcode_in(&mut worker, job, segment.chunks(), None).await;
    outcome.unwrap();
    segment.frames.len() as f64 / start.elapsed().as_secs_f64()
}
