//! Webcams. No machine of ours has one: FFmpeg's virtual device stands in for the driver.

use reelay_media::{DeviceKind, SourceInput, SourceJob, SourceProblemCode};
use reelay_model::{LatencyMode, Micros, Track};

use crate::collect::Collected;

fn job(kind: DeviceKind, name: &str) -> SourceJob {
    let name = name.to_owned();
    SourceJob::new(
        "webcam",
        SourceInput::Device { kind, name },
        LatencyMode::Low,
        Micros(6_000_000),
    )
}

#[tokio::test]
async fn raw_pictures_of_a_device_are_encoded() {
    let picture = "testsrc2=size=320x180:rate=25,format=yuyv422,realtime";
    let job = job(DeviceKind::Drawn, picture);
    let seen = Collected::run(&job, |seen| seen.segments(&Track::Video) == 2).await;
    assert_eq!(seen.problems, []);
    assert_eq!(seen.check(&Track::Video)[..2], [180_000, 180_000]);
    let info = seen.info(&Track::Video);
    assert!(info.codecs.starts_with("avc1."));
    assert_eq!(
        (info.width, info.height, info.frame_rate_milli),
        (320, 180, 25_000)
    );
}

#[tokio::test]
async fn a_device_that_is_not_there_is_named() {
    let job = job(DeviceKind::V4l2, "/dev/video-that-is-not-there");
    let seen = Collected::run(&job, |_| false).await;
    assert_eq!(
        seen.problems[0].code,
        SourceProblemCode::NotFound,
        "{}",
        seen.problems[0]
    );
    assert!(
        seen.problems[0]
            .message
            .contains("/dev/video-that-is-not-there")
    );
}
