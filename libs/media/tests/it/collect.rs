//! Reads a worker's messages and puts them together as a player would.

use std::{path::Path, process::Command, time::Duration};

use mp4_atom::{Decode, Moof};
use reelay_media::{
    MediaChunk, SourceJob, SourceMessage, SourceProblem, SourceWorker, TracksMessage, WorkerError,
    WorkerProgram,
};
use reelay_model::Track;

/// This crate's own worker program.
pub fn program() -> WorkerProgram {
    WorkerProgram {
        program: env!("CARGO_BIN_EXE_media-worker").into(),
        args: Vec::new(),
    }
}

/// All that a worker has said.
#[derive(Default)]
pub struct Collected {
    pub tracks: Vec<TracksMessage>,
    pub chunks: Vec<MediaChunk>,
    pub problems: Vec<SourceProblem>,
    pub recovered: Vec<String>,
    pub ended: bool,
}

impl Collected {
    /// Reads until `enough`, or the worker's end. Panics after 90 s.
    pub async fn read(
        &mut self,
        worker: &mut SourceWorker,
        mut enough: impl FnMut(&Self) -> bool,
    ) -> Result<(), WorkerError> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(90);
        while !self.ended && !enough(self) {
            let message = tokio::time::timeout_at(deadline, worker.next())
                .await
                .expect("the worker gives what is waited for within 90 s")?;
            match message {
                SourceMessage::Tracks(tracks) => self.tracks.push(tracks),
                SourceMessage::Chunk(chunk) => self.chunks.push(chunk),
                SourceMessage::Problem(problem) => self.problems.push(problem),
                SourceMessage::Recovered(code) => self.recovered.push(code.to_string()),
                SourceMessage::Ended => self.ended = true,
            }
        }
        Ok(())
    }

    /// Runs a job until `enough`, asks it to stop, and reads to the end.
    pub async fn run(job: &SourceJob, enough: impl FnMut(&Self) -> bool) -> Self {
        let mut worker = SourceWorker::spawn(&program(), job).unwrap();
        let mut collected = Self::default();
        collected.read(&mut worker, enough).await.unwrap();
        worker.stop_at_boundary();
        collected.read(&mut worker, |_| false).await.unwrap();
        assert!(collected.ended);
        collected
    }

    pub fn of<'a>(&'a self, track: &'a Track) -> impl Iterator<Item = &'a MediaChunk> + 'a {
        self.chunks
            .iter()
            .filter(move |chunk| chunk.track == *track)
    }

    /// Segments of a track that are complete.
    pub fn segments(&self, track: &Track) -> usize {
        self.of(track).filter(|chunk| chunk.last).count()
    }

    /// Init segment and chunks of a track, one after the other.
    pub fn file(&self, track: &Track) -> Vec<u8> {
        let info = self.tracks[0]
            .tracks
            .iter()
            .find(|info| info.track == *track)
            .unwrap();
        let mut bytes = info.init.to_vec();
        for chunk in self.of(track) {
            bytes.extend_from_slice(&chunk.data);
        }
        bytes
    }

    /// Checks all that holds for every stream without discontinuity; gives the durations of the
    /// segments in ticks.
    pub fn check(&self, track: &Track) -> Vec<u64> {
        let chunks: Vec<_> = self.of(track).collect();
        let mut segments = Vec::new();
        let (mut segment, mut part) = (chunks[0].segment, 0);
        let mut time = chunks[0].decode_time;
        let mut duration = 0;
        for chunk in chunks {
            assert_eq!(
                (chunk.segment, chunk.part.0),
                (segment, part),
                "no hole, no repeat"
            );
            assert_eq!(chunk.decode_time, time, "decode times continue");
            assert!(chunk.duration.0 > 0);
            assert!(
                part > 0 || chunk.independent,
                "segments start with a keyframe"
            );
            assert_eq!(&chunk.data[4..8], b"moof");
            time.0 += chunk.duration.0;
            duration += chunk.duration.0;
            part += 1;
            if chunk.last {
                segments.push(duration);
                (segment, part, duration) = (segment + 1, 0, 0);
            }
        }
        segments
    }

    /// Checks that audio segments end where video segments do, within half an audio frame.
    pub fn check_cuts(&self, frame: u64) {
        let rate = self.info(&Track::Audio).sample_rate;
        let ends = |track: Track| -> Vec<_> {
            self.chunks
                .iter()
                .filter(|chunk| chunk.track == track && chunk.last)
                .map(|chunk| (chunk.segment, chunk.decode_time.0 + chunk.duration.0))
                .collect()
        };
        let audio = ends(Track::Audio);
        for (segment, video_end) in ends(Track::Video) {
            let Some((_, audio_end)) = audio.iter().find(|(number, _)| *number == segment) else {
                continue;
            };
            let video_end = video_end as f64 / 90_000.0;
            let off = *audio_end as f64 / f64::from(rate) - video_end;
            let half = frame as f64 / f64::from(rate) / 2.0;
            assert!(
                off.abs() <= half + 1e-4,
                "segment {segment}: audio is {off} s off"
            );
        }
    }

    /// Presentation times of all frames of a track in ticks, in order, from the boxes. (FFmpeg
    /// shows fragments with negative composition offsets later by the depth of reordering.)
    pub fn presentation_times(&self, track: &Track) -> Vec<i64> {
        let mut times = Vec::new();
        for chunk in self.of(track) {
            let moof = Moof::decode(&mut &chunk.data[..]).unwrap();
            let traf = &moof.traf[0];
            let mut time = traf.tfdt.as_ref().unwrap().base_media_decode_time as i64;
            assert_eq!(time, chunk.decode_time.0 as i64);
            for sample in traf.trun[0].samples.iter() {
                times.push(time + sample.cts.unwrap_or(0));
                let duration = sample.duration.or(traf.tfhd.default_sample_duration);
                time += i64::from(duration.unwrap());
            }
            assert_eq!(time as u64, chunk.decode_time.0 + chunk.duration.0);
        }
        times.sort_unstable();
        times
    }

    pub fn info(&self, track: &Track) -> &reelay_media::TrackInfo {
        self.tracks[0]
            .tracks
            .iter()
            .find(|info| info.track == *track)
            .unwrap()
    }
}

/// Runs FFmpeg (or ffprobe) and gives what it wrote to stdout; panics with its errors if it
/// fails or, with `-v error`, says anything.
pub fn tool(name: &str, args: &[&str]) -> String {
    let output = Command::new(name)
        .args(args)
        // SVT-AV1 says errors alone.
        .env("SVT_LOG", "1")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "{name} {args:?}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Decodes the file without a word of complaint.
pub fn assert_decodes(path: &Path) {
    let path = path.to_str().unwrap();
    tool(
        "ffmpeg",
        &["-v", "error", "-xerror", "-i", path, "-f", "null", "-"],
    );
}

/// Number of frames that FFmpeg decodes.
pub fn decoded_frames(path: &Path) -> usize {
    let text = tool(
        "ffprobe",
        &[
            "-v",
            "error",
            "-count_frames",
            "-show_entries",
            "stream=nb_read_frames",
            "-of",
            "csv=p=0",
            path.to_str().unwrap(),
        ],
    );
    text.trim().trim_end_matches(',').parse().unwrap()
}
