//! The web app in the binary.

use crate::start::{Answer, gateway};

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_checked_anew_and_assets_kept_for_ever() {
    let gateway = gateway("pages", &[]).await;
    let page = gateway.get("/").await;
    if page.status == 404 {
        println!("SKIPPED the rest: the web app is not part of this build (make web)");
        assert!(page.text.contains("make web"), "{page:?}");
        return;
    }
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-cache");
    assert_eq!(gateway.get("/watch/any-stream").await.status, 200);
    let known = gateway
        .client
        .get(gateway.url("/"))
        .header("if-none-match", page.header("etag"));
    assert_eq!(Answer::of(known).await.status, 304);

    let script = page
        .text
        .split('"')
        .find(|part| part.starts_with("/assets/") && part.ends_with(".js"));
    let script = script.unwrap_or_else(|| panic!("no script in {}", page.text));
    let plain = gateway.get(script).await;
    assert_eq!(
        plain.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(
        plain.header("content-type"),
        "text/javascript; charset=utf-8"
    );
    assert_eq!(plain.header("content-encoding"), "");
    let packed = gateway
        .client
        .get(gateway.url(script))
        .header("accept-encoding", "gzip, br");
    let packed = packed.send().await.unwrap();
    if plain.text.len() > 2048 {
        assert_eq!(packed.headers()["content-encoding"], "gzip");
        assert_eq!(packed.headers()["vary"], "accept-encoding");
        assert_ne!(packed.headers()["etag"], plain.headers["etag"]);
        let bytes = packed.bytes().await.unwrap();
        assert!(bytes.starts_with(&[0x1f, 0x8b]) && bytes.len() < plain.text.len());
    }
    assert!(
        !page.text.contains("https://") && !page.text.contains("//cdn"),
        "no other host"
    );
}
