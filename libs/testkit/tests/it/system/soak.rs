//! The long run.

use std::time::Duration;

use reelay_testkit::Stack;

use super::{Checker, LIMIT, alone, camera, file, make_clip, start};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: 10 minutes with 8 streams and two gateways"]
async fn the_checker_finds_nothing_over_ten_minutes_with_eight_streams() {
    let _alone = alone().await;
    let stack = start(Stack::builder().ingests(2).gateways(2)).await;
    make_clip(&stack.media_dir().join("clip.mp4"));
    let cameras = (0..6).map(|i| camera(&format!("camera-{i}")));
    let files = (0..2).map(|i| file(&format!("file-{i}"), "clip.mp4"));
    for spec in cameras.chain(files) {
        stack.add_stream(&spec).await.unwrap();
        stack
            .playable(0, spec["id"].as_str().unwrap(), LIMIT)
            .await
            .unwrap();
    }
    let checker = Checker::start(&stack, &[]);
    // The time is what this test is about.
    tokio::time::sleep(Duration::from_secs(600)).await;
    let report = checker.sound().await;
    assert_eq!(report.counts.streams, 8, "{report}");
    assert_eq!(
        (report.counts.takeovers, report.counts.gaps),
        (0, 0),
        "{report}"
    );
    // Two tracks each, a segment every 2 s; a loaded machine may have begun late.
    assert!(report.counts.segments > 8 * 2 * 280, "{report}");
    stack.shutdown().await;
}
