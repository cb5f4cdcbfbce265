//! Several gateways, and several owners.

use reelay_model::Track;

use super::{
    agreed, base, bytes,
    camera::{PARTS, tracks},
    path, playlist, playlist_with, stage, uris,
};

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_give_the_same_bytes_and_playlists() {
    let (topics, first, mut camera) = stage("twins", &[]).await;
    camera.claim().await;
    camera.segments(3).await;
    playlist_with(&first, &Track::Video, camera.number - 1, PARTS - 1).await;
    camera.segments(10).await;
    camera.gap().await;
    camera.segments(1).await;
    camera.claim().await;
    camera.segments(1).await;
    camera.part().await;
    camera.part().await;
    // The second one begins in mid-segment, long after the first.
    let second = topics.gateway(&[]).await;
    for track in tracks() {
        let one = playlist_with(&first, &track, camera.number, 1).await;
        let other = playlist_with(&second, &track, camera.number, 1).await;
        assert_eq!(agreed(&one), agreed(&other));
        assert!(one.contains("#EXT-X-GAP\n"), "{one}");
        let files = [
            uris(&one, None),
            uris(&one, Some("#EXT-X-PART:")),
            uris(&one, Some("#EXT-X-MAP")),
        ];
        for uri in files.concat() {
            let path = format!("{}{uri}", base(&track));
            if uri.ends_with("-gap.m4s") {
                assert_eq!(first.get(&path).await.problem(), "not-found");
                continue;
            }
            assert_eq!(
                bytes(&first, &path).await,
                bytes(&second, &path).await,
                "{uri}"
            );
        }
    }
    // They go on alike.
    camera.segments(2).await;
    for track in tracks() {
        let one = playlist_with(&first, &track, camera.number - 1, PARTS - 1).await;
        let other = playlist_with(&second, &track, camera.number - 1, PARTS - 1).await;
        assert_eq!(agreed(&one), agreed(&other));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_goes_on_and_the_old_one_is_not_heard() {
    let (topics, gateway, mut camera) = stage("takeover", &[]).await;
    camera.claim().await;
    camera.segments(2).await;
    camera.part().await;
    camera.part().await;
    let (old, number) = (camera.epoch, camera.number);
    let shown = playlist_with(&gateway, &Track::Video, number, 1).await;
    let hint = uris(&shown, Some("#EXT-X-PRELOAD-HINT"))[0].clone();
    let mut zombie = camera.newest_header();
    if let reelay_wire::Kind::Chunk { part, .. } = &mut zombie.kind {
        part.0 += 1;
    }

    camera.claim().await;
    camera.zombie_part(old, &zombie).await;
    camera.segments(1).await;
    assert_eq!(camera.number, number + 2);
    let shown = playlist_with(&gateway, &Track::Video, number + 1, PARTS - 1).await;
    // What the old owner was about to write never comes.
    assert_eq!(
        gateway
            .get(&format!("{}{hint}", base(&Track::Video)))
            .await
            .problem(),
        "not-found"
    );
    let cut = path(&camera, &Track::Video, old.0, number, None);
    assert_eq!(
        bytes(&gateway, &cut).await,
        camera.segment(&Track::Video, number)
    );
    assert!(
        shown.contains(&format!("#EXTINF:0.4,\n{}/{}-{number}-", camera.uid, old)),
        "{shown}"
    );
    assert!(!shown.contains("#EXT-X-DISCONTINUITY\n"));

    // A gateway that knows nothing of it sees the same.
    let other = topics.gateway(&[]).await;
    let theirs = playlist_with(&other, &Track::Video, number + 1, PARTS - 1).await;
    assert_eq!(
        agreed(&theirs),
        agreed(&playlist(&gateway, &Track::Video, "").await.text)
    );
}
