//! The newest picture of a stream.

use bytes::Bytes;
use reelay_testkit::wait_until;

use super::stage;
use crate::start::{Answer, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_picture_is_served_and_can_be_asked_for_again() {
    let (topics, gateway, mut camera) = stage("pictures", &[]).await;
    let path = "/streams/door/thumbnail.jpg";
    let none = gateway.get(path).await;
    assert_eq!((none.status, none.problem().as_str()), (404, "no-picture"));
    let nobody = gateway.get("/streams/nobody/thumbnail.jpg").await;
    assert_eq!(nobody.problem(), "no-such-stream");

    camera.claim().await;
    let jpeg = |number: u64| Bytes::from(format!("\u{ff}\u{d8} picture {number}").into_bytes());
    let shown = async |number: u64| {
        let answer = gateway.client.get(gateway.url(path)).send().await.unwrap();
        let whole = answer.status() == 200 && answer.bytes().await.unwrap() == jpeg(number);
        whole.then_some(())
    };
    camera.thumbnail(7, jpeg(7)).await;
    wait_until("a picture", PATIENCE, || shown(7))
        .await
        .unwrap();
    camera.thumbnail(8, jpeg(8)).await;
    wait_until("the next picture", PATIENCE, || shown(8))
        .await
        .unwrap();
    // A copy that comes late, of what is past.
    camera.thumbnail(7, jpeg(9)).await;
    camera.thumbnail(8, jpeg(9)).await;

    let answer = gateway.get(path).await;
    assert_eq!(answer.header("content-type"), "image/jpeg");
    assert_eq!(answer.header("cache-control"), "public, max-age=1");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(
        answer.header("cross-origin-resource-policy"),
        "cross-origin"
    );
    let known = gateway.client.get(gateway.url(path));
    let known = known.header("if-none-match", answer.header("etag"));
    assert_eq!(Answer::of(known).await.status, 304);

    // A gateway that was not asked before finds it.
    let other = topics.gateway(&[]).await;
    assert_eq!(other.get(path).await.text, answer.text);
}
