//! The owner of all streams dies, or stops for a while, in the middle of a segment: the other
//! ingest goes on, and the log shows nothing but what the design allows.

use reelay_testkit::linearity::{Ended, Report, read_log};
use reelay_testkit::{Stack, wait_until};
use reelay_wire::Track;

use super::{
    Checker, LIMIT, alone, bus, camera, file, make_clip, more_segments, owner, start, video,
};

const STREAMS: [&str; 3] = ["door", "yard", "clip"];

/// Two ingests and two gateways, all streams live; the streams lie in one of two partitions,
/// so that one ingest owns them all.
async fn stack() -> Stack {
    let stack = start(Stack::builder().ingests(2).gateways(2).partitions(2)).await;
    make_clip(&stack.media_dir().join("clip.mp4"));
    for mut spec in [camera("door"), camera("yard"), file("clip", "clip.mp4")] {
        spec["partition"] = 1.into();
        stack.add_stream(&spec).await.unwrap();
    }
    for id in STREAMS {
        stack.playable(0, id, LIMIT).await.unwrap();
    }
    stack
}

/// Waits for the middle of a segment of the file.
async fn mid_segment(stack: &Stack) {
    wait_until("the middle of a segment", LIMIT, async || {
        let parts = video(stack, 0, "clip").await?.open_parts().len();
        (3..=7).contains(&parts).then_some(())
    })
    .await
    .unwrap();
}

/// The other ingest owns all streams, and they go on.
async fn taken_over_by(stack: &Stack, other: usize) {
    wait_until("the takeover", LIMIT, async || {
        let owned = stack
            .ingest(other)
            .metric("reelay_ingest_owned_streams")
            .await
            .ok()??;
        (owned >= STREAMS.len() as f64).then_some(())
    })
    .await
    .unwrap();
    more_segments(stack, &STREAMS, 3).await;
}

/// Nothing of the file is lost: it goes on where the cut-off segment began.
async fn the_file_goes_on(stack: &Stack) {
    let log = read_log(&bus(stack)).await.unwrap();
    let uid = log.uids(&"clip".parse().unwrap()).next().unwrap();
    let segments: Vec<_> = log.segments(uid, &Track::Video).collect();
    let mut takeovers = 0;
    for pair in segments.windows(2) {
        let ((number, before), (_, after)) = (pair[0], pair[1]);
        assert!(!before.gap && !after.gap, "a gap at {number}");
        let (Some(from), Some(to)) = (before.cursor, after.cursor) else {
            panic!("segment {number} of a file, or the one behind it, has no cursor")
        };
        if before.ended == Some(Ended::Claim) {
            takeovers += 1;
            assert_eq!(
                to, from,
                "the file goes on elsewhere behind segment {number}"
            );
        } else if after.epoch != before.epoch {
            takeovers += 1;
        }
    }
    assert!(takeovers > 0);
}

fn no_media_is_missing(report: &Report) {
    assert!(report.counts.takeovers >= STREAMS.len() as u64, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_owner_is_replaced() {
    let _alone = alone().await;
    let stack = stack().await;
    let checker = Checker::start(&stack, &[1]);
    more_segments(&stack, &STREAMS, 2).await;
    let owner = owner(&stack, STREAMS.len()).await;
    mid_segment(&stack).await;
    stack.ingest(owner).kill();
    taken_over_by(&stack, 1 - owner).await;

    // A gateway, too: when it is back, it says what the other one says.
    stack.gateway(1).kill();
    more_segments_at_first(&stack).await;
    stack.gateway(1).restart().await.unwrap();
    stack.ingest(owner).restart().await.unwrap();
    more_segments(&stack, &STREAMS, 2).await;

    no_media_is_missing(&checker.sound().await);
    the_file_goes_on(&stack).await;
    stack.shutdown().await;
}

async fn more_segments_at_first(stack: &Stack) {
    let from = video(stack, 0, "door").await.map_or(0, |list| list.end());
    wait_until("more at the gateway that is left", LIMIT, async || {
        (video(stack, 0, "door").await?.end() > from + 1).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_owner_that_wakes_up_writes_nothing_that_counts() {
    let _alone = alone().await;
    let stack = stack().await;
    let checker = Checker::start(&stack, &[]);
    more_segments(&stack, &STREAMS, 2).await;
    let owner = owner(&stack, STREAMS.len()).await;
    mid_segment(&stack).await;
    stack.ingest(owner).pause();
    taken_over_by(&stack, 1 - owner).await;
    stack.ingest(owner).resume();
    // It writes what it held back, learns that it is fenced, and lets go.
    wait_until("the old owner to let go", LIMIT, async || {
        let owned = stack
            .ingest(owner)
            .metric("reelay_ingest_owned_streams")
            .await
            .ok()??;
        (owned == 0.0).then_some(())
    })
    .await
    .unwrap();
    more_segments(&stack, &STREAMS, 3).await;

    no_media_is_missing(&checker.sound().await);
    the_file_goes_on(&stack).await;
    stack.shutdown().await;
}
