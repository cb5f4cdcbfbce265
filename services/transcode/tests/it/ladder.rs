//! The ladder appears beside its source, cut and numbered as it is.

use reelay_model::Phase;
use reelay_testkit::wait_until;
use reelay_wire::{Kind, PartNumber, Ticks, Topic, Track};

use crate::setup::{CAMERA, Deployment, LIMIT, tracks};

#[tokio::test]
async fn the_ladder_appears_part_by_part() {
    let log = Deployment::new("ladder").await;
    let camera = log.add("camera", CAMERA).await;
    let ingest = log.ingest();
    let transcode = log.transcode(log.config("ladder"));
    log.grows(&camera, 3).await;
    let status = wait_until("a live status", LIMIT, || async {
        let status = log.status(&camera).await?;
        (status.phase == Phase::Live && status.tracks.len() == 2).then_some(status)
    })
    .await
    .unwrap();
    let work = status.transcode.unwrap();
    assert_eq!(work.rungs.len(), 2);
    ingest.stop().await;
    log.complete(&camera).await;
    transcode.stop().await;

    let source = log.records(&camera, Topic::Source).await;
    for track in tracks() {
        let rung = log.records(&camera, Topic::of_track(&track)).await;
        let chunks = rung.iter().filter_map(|(_, header)| match &header.kind {
            Kind::Chunk {
                part,
                last_part,
                format,
                ..
            } => Some((header, *part, *last_part, format)),
            _ => None,
        });
        let mut ends = None;
        for (header, part, last, format) in chunks {
            let first = source.iter().find(|(_, of)| {
                of.segment == header.segment
                    && matches!(
                        of.kind,
                        Kind::Chunk {
                            part: PartNumber(0),
                            ..
                        }
                    )
            });
            let (_, of_source) = first.unwrap();
            assert_eq!(header.epoch, of_source.epoch);
            assert_eq!(
                header.discontinuity_sequence,
                of_source.discontinuity_sequence
            );
            if part == PartNumber(0) {
                // The synthetic camera counts in 1/90,000 s, as rungs do.
                assert_eq!(header.decode_time, of_source.decode_time);
                assert_eq!(header.capture_time, of_source.capture_time);
            }
            if let Some(end) = ends {
                assert_eq!(
                    header.decode_time, end,
                    "{track} segment {}",
                    header.segment
                );
            }
            assert!(format.bandwidth > 0 && format.height <= 240, "{format:?}");
            ends = Some(header.end_time());
            if last {
                assert!(header.end_time() > Ticks(0));
            }
        }
    }
    let pictures = log.records(&camera, Topic::Thumbnails).await;
    assert!(pictures.len() >= 3);
    assert!(
        pictures
            .iter()
            .all(|(record, _)| record.value.starts_with(&[0xff, 0xd8]))
    );
    assert!(
        pictures
            .iter()
            .all(|(_, header)| header.track == Track::Video)
    );
    log.proves(&camera, "ladder-again").await;
}
