//! Bad input: the status says what is wrong, since when and what happens next; nothing else is
//! touched by it.

use reelay_model::{Phase, Problem};

use crate::{setup::Deployment, synthetic::CAMERA};

#[tokio::test]
async fn bad_files_touch_nobody_else() {
    let log = Deployment::new("bad").await;
    let media = log.media_dir();
    std::fs::write(media.join("noise.mp4"), vec![0x5a; 100_000]).unwrap();
    std::fs::write(media.join("empty.mp4"), b"").unwrap();
    // The beginning of an ISO file: a box that says it is longer than the file.
    std::fs::write(media.join("half.mp4"), b"\0\0\0\x20ftypisom\0\0\x02\0iso").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", media.join("link.mp4")).unwrap();
    let camera = log.add("camera", CAMERA).await;
    let ingest = log.ingest();
    log.live(&camera).await;

    for (id, source, codes) in [
        ("gone", "file:gone.mp4", &["not-found"][..]),
        ("noise", "file:noise.mp4", &["invalid-format", "no-media"]),
        ("empty", "file:empty.mp4", &["invalid-format", "no-media"]),
        ("half", "file:half.mp4", &["invalid-format", "no-media"]),
        ("link", "file:link.mp4", &["access-denied"]),
        ("local", "http://127.0.0.1:1/a.mp4", &["address-refused"]),
    ] {
        let stream = log.add(id, source).await;
        let status = log
            .status_until(&stream, "a problem", |s| s.problem.is_some())
            .await;
        let Problem {
            code,
            message,
            since,
            next,
        } = status.problem.unwrap();
        assert!(codes.contains(&code.as_str()), "{id}: {code}: {message}");
        assert_eq!(status.phase, Phase::Failed, "{id}");
        assert!(
            !message.is_empty() && next.contains("tried again"),
            "{id}: {next}"
        );
        // Tried again it is, and the problem keeps its beginning.
        let later = log
            .status_until(&stream, "another try", |s| {
                s.problem.as_ref().is_some_and(|p| p.next != next)
            })
            .await;
        assert_eq!(later.problem.unwrap().since, since, "{id}");
    }
    log.grows(&camera, 2).await;
    ingest.stop().await;
    let report = log.sound().await;
    assert_eq!(report.counts.truncated, 0);
}
