//! Small clips, made by FFmpeg's command line.

use std::path::{Path, PathBuf};

use reelay_media::{SourceInput, SourceJob};
use reelay_model::{LatencyMode, Micros};

use crate::collect::tool;

/// Makes a clip of `seconds` of a test picture of `rate` frames per second, with a tone.
/// `options` says how it is encoded.
pub fn clip(folder: &Path, name: &str, rate: &str, seconds: &str, options: &str) -> PathBuf {
    let path = folder.join(name);
    let picture = format!("testsrc2=size=320x180:rate={rate}:duration={seconds}");
    let sound = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    let mut args = vec![
        "-v", "error", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound,
    ];
    args.extend("-c:v libx264 -preset ultrafast -pix_fmt yuv420p -threads 1".split(' '));
    args.extend(options.split_whitespace());
    args.push(path.to_str().unwrap());
    tool("ffmpeg", &args);
    path
}

/// Runs FFmpeg on files of a folder.
pub fn ffmpeg(folder: &Path, arguments: &str) {
    let folder = folder.to_str().unwrap();
    let args: Vec<String> = arguments
        .split_whitespace()
        .map(|argument| argument.replace("DIR", folder))
        .collect();
    let args: Vec<&str> = ["-v", "error"]
        .into_iter()
        .chain(args.iter().map(String::as_str))
        .collect();
    tool("ffmpeg", &args);
}

/// A job that plays the file.
pub fn job(path: &Path) -> SourceJob {
    SourceJob::new(
        "file",
        SourceInput::File {
            path: path.to_owned(),
        },
        LatencyMode::Low,
        Micros(6_000_000),
    )
}

/// Presentation times of a stream's packets in ticks of `rate`, sorted, from the first.
pub fn source_times(path: &Path, stream: &str, rate: f64) -> Vec<i64> {
    let text = tool(
        "ffprobe",
        &[
            "-v",
            "error",
            "-select_streams",
            stream,
            "-show_entries",
            "packet=pts_time",
            "-of",
            "csv=p=0",
            path.to_str().unwrap(),
        ],
    );
    let mut times: Vec<f64> = text
        .lines()
        .filter_map(|line| line.trim_end_matches(',').parse().ok())
        .collect();
    times.sort_by(f64::total_cmp);
    let first = times[0];
    times
        .iter()
        .map(|time| ((time - first) * rate).round() as i64)
        .collect()
}
