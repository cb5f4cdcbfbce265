//! Every frame of the source is on every rung, at its time.

use std::path::Path;

use reelay_media::TranscodeWorker;
use reelay_model::LatencyMode;

use super::{
    run::{check_rung, file, job, rungs, transcode_in},
    segments::{SourceSegment, footage, segments},
};
use crate::{
    clips::clip,
    collect::{assert_decodes, decoded_frames, program, tool},
};

/// Transcodes all segments in one worker, with what is before an open one as its pre-roll; checks
/// that each frame is there, and that FFmpeg decodes as many. Gives the number of frames.
async fn every_frame(
    segments: &[SourceSegment],
    definitions: &[&str],
    latency: LatencyMode,
    folder: &Path,
) -> usize {
    let rungs = rungs(definitions);
    let mut worker = TranscodeWorker::spawn(&program()).unwrap();
    let mut frames = 0;
    for (n, segment) in segments.iter().enumerate() {
        let mut job = job(segment, &rungs, latency);
        if segment.open {
            job.pre_roll = segments[n - 1].chunks();
        }
        let (output, outcome) = transcode_in(&mut worker, job, segment.chunks(), None).await;
        let report = outcome.unwrap();
        assert_eq!(report.bridged_frames, 0, "segment {n}");
        assert_eq!(report.source_frames as usize, segment.frames.len());
        assert_eq!(report.duration.0 as i64, segment.duration());
        assert!(report.last_said);
        assert_eq!(output.chunks.len(), rungs.len());
        for (rung, chunks) in &output.chunks {
            assert_eq!(
                check_rung(chunks, segment),
                segment.times,
                "{rung}, segment {n}"
            );
            let path = folder.join(format!("{rung}-{n}.mp4"));
            std::fs::write(&path, file(chunks)).unwrap();
            assert_decodes(&path);
            assert_eq!(decoded_frames(&path), segment.frames.len());
        }
        let jpeg = output.thumbnail.unwrap();
        assert_eq!((jpeg[0], jpeg[1]), (0xff, 0xd8));
        frames += segment.frames.len();
    }
    frames
}

#[tokio::test]
async fn h264_with_two_segments() {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip(folder.path(), "clip.mp4", "25", "4", "-g 50 -bf 0");
    let segments = segments(&clip);
    assert_eq!(segments.len(), 2);
    let frames = every_frame(
        &segments,
        &["120p:height=120,cap=300000", "90p:height=90,cap=200000"],
        LatencyMode::Low,
        folder.path(),
    )
    .await;
    assert_eq!(frames, 100);
}

#[tokio::test]
async fn open_groups_of_h265_with_one_idr() {
    let Some(path) = footage("cars-hevc.mp4") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let segments = segments(&path);
    assert!(segments.iter().skip(1).all(|segment| segment.open));
    let frames = every_frame(
        &segments,
        &["360p", "240p"],
        LatencyMode::Low,
        folder.path(),
    )
    .await;
    assert_eq!(frames, 150);
}

/// Two segments of a clip of 320x180 (unless the options say otherwise), on two rungs, low.
async fn every_frame_of(name: &str, rate: &str, options: &str) -> Vec<SourceSegment> {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip(folder.path(), name, rate, "4", options);
    let segments = segments(&clip);
    assert!(segments.len() > 1);
    every_frame(
        &segments,
        &["120p:height=120,cap=300000", "90p:height=90,cap=200000"],
        LatencyMode::Low,
        folder.path(),
    )
    .await;
    segments
}

#[tokio::test]
async fn b_frames() {
    every_frame_of("clip.mp4", "25", "-preset fast -bf 3 -g 50").await;
}

#[tokio::test]
async fn b_frames_of_a_stream_that_does_not_say_its_depth() {
    // Without the VUI's bitstream restriction.
    let options = "-preset medium -bf 3 -x264-params b-pyramid=normal:keyint=50:stitchable=0 \
                   -bsf:v h264_metadata=video_full_range_flag=0";
    every_frame_of("clip.mp4", "25", options).await;
}

#[tokio::test]
async fn open_groups_of_h264() {
    let segments = every_frame_of(
        "clip.mp4",
        "25",
        "-preset fast -x264-params open-gop=1:keyint=50:bframes=3",
    )
    .await;
    assert!(segments.iter().any(|segment| segment.open));
}

#[tokio::test]
async fn frames_that_do_not_come_evenly() {
    let options = "-vf select='not(mod(n\\,7))+not(mod(n\\,3))' -fps_mode vfr -g 20 -bf 2";
    let segments = every_frame_of("clip.mp4", "30", options).await;
    let gaps: Vec<_> = segments[0]
        .times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    assert!(gaps.iter().any(|gap| gap != &gaps[0]));
}

#[tokio::test]
async fn usual_frame_rates() {
    for rate in ["25/2", "30000/1001", "50", "60"] {
        every_frame_of(
            "clip.mp4",
            rate,
            "-force_key_frames expr:gte(t,n_forced*2) -bf 0",
        )
        .await;
    }
}

#[tokio::test]
async fn interlaced_pictures() {
    every_frame_of(
        "clip.mp4",
        "25",
        "-flags +ildct+ilme -x264-params tff=1:keyint=50:bframes=0",
    )
    .await;
}

#[tokio::test]
async fn av1() {
    let options = "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 50 -b:v 400k";
    every_frame_of("clip.mp4", "25", options).await;
}

#[tokio::test]
async fn vp9() {
    let options = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 50 -b:v 400k";
    every_frame_of("clip.mp4", "25", options).await;
}

#[tokio::test]
async fn ten_bits_of_h265() {
    let options = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -tag:v hvc1 \
                   -x265-params log-level=error:keyint=50:open-gop=0";
    every_frame_of("clip.mp4", "25", options).await;
}

/// What ffprobe says of a rung of the clip's first segment: lines `key=value`.
async fn probe(options: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip(folder.path(), "clip.mp4", "25", "2", options);
    let segments = segments(&clip);
    every_frame(
        &segments,
        &["120p:height=120,cap=300000"],
        LatencyMode::Low,
        folder.path(),
    )
    .await;
    let rung = folder.path().join("120p-0.mp4");
    tool(
        "ffprobe",
        &[
            "-v",
            "error",
            "-show_entries",
            "stream=width,height,pix_fmt,color_range,color_space,color_primaries,color_transfer",
            "-of",
            "default=nw=1",
            rung.to_str().unwrap(),
        ],
    )
}

#[tokio::test]
async fn sizes_are_even_and_pixels_square() {
    // Odd sizes exist only without subsampled colours.
    let odd = probe("-g 50 -vf scale=321:181,setsar=1 -pix_fmt yuv444p").await;
    assert!(
        odd.contains("width=212\nheight=120\npix_fmt=yuv420p"),
        "{odd}"
    );
    let anamorphic = probe("-g 50 -vf scale=160:180,setsar=2").await;
    assert!(anamorphic.contains("width=214\nheight=120"), "{anamorphic}");
    let portrait = probe("-g 50 -vf scale=180:320,setsar=1").await;
    assert!(portrait.contains("width=68\nheight=120"), "{portrait}");
}

#[tokio::test]
async fn colours_keep_their_meaning() {
    let colours = "-g 50 -colorspace bt709 -color_primaries bt709 -color_trc bt709";
    for (range, named) in [("tv", "tv"), ("pc", "pc")] {
        let found = probe(&format!("{colours} -color_range {range}")).await;
        for line in [
            format!("color_range={named}"),
            "color_space=bt709".to_owned(),
            "color_transfer=bt709".to_owned(),
            "color_primaries=bt709".to_owned(),
        ] {
            assert!(found.contains(&line), "{range}: {found}");
        }
    }
}

#[tokio::test]
async fn sizes_change_from_segment_to_segment() {
    let folder = tempfile::tempdir().unwrap();
    let small = clip(folder.path(), "small.mp4", "25", "2", "-g 50");
    let large = clip(
        folder.path(),
        "large.mp4",
        "25",
        "2",
        "-g 50 -vf scale=640:360",
    );
    let both = [segments(&small), segments(&large)].concat();
    every_frame(
        &both,
        &["120p:height=120,cap=300000"],
        LatencyMode::Low,
        folder.path(),
    )
    .await;
}

#[tokio::test]
async fn all_codecs_in_normal_latency() {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip(folder.path(), "clip.mp4", "25", "4", "-g 50 -bf 2");
    let segments = segments(&clip);
    let definitions = [
        "120p:height=120,cap=300000",
        "90p:height=90,cap=200000,codec=h265",
        "80p:height=80,cap=200000,codec=av1",
    ];
    every_frame(&segments, &definitions, LatencyMode::Normal, folder.path()).await;
    for (rung, entry, reorders) in [
        ("120p", "avc1", true),
        ("90p", "hvc1", true),
        ("80p", "av01", false),
    ] {
        let bytes = std::fs::read(folder.path().join(format!("{rung}-0.mp4"))).unwrap();
        let has = |name: &str| bytes.windows(4).any(|window| window == name.as_bytes());
        assert!(has(entry), "{rung}");
        let found = tool(
            "ffprobe",
            &[
                "-v",
                "error",
                "-show_entries",
                "stream=has_b_frames",
                "-of",
                "csv=p=0",
                folder
                    .path()
                    .join(format!("{rung}-0.mp4"))
                    .to_str()
                    .unwrap(),
            ],
        );
        assert_eq!(found.trim() != "0", reorders, "{rung}: {found}");
    }
}
