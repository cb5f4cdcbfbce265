//! HTTPS with HTTP/2, and certificates that are renewed.

use std::path::Path;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use reelay_testkit::{ScratchDir, wait_until};

use crate::start::{Gateway, PATIENCE, Topics};

fn write_certificate(folder: &Path) -> String {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
    cert.pem()
}

fn trusting(certificate: &str) -> reqwest::ClientBuilder {
    let certificate = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([certificate])
        .connect_timeout(Duration::from_secs(5))
}

async fn version(client: &reqwest::Client, gateway: &Gateway) -> Option<reqwest::Version> {
    let url = format!("https://localhost:{}/api/v1/info", gateway.address.port());
    Some(client.get(url).send().await.ok()?.version())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_makes_it_https_with_http_2_and_is_read_again_when_it_changes() {
    let scratch = ScratchDir::new("gateway-tls").unwrap();
    let first = write_certificate(scratch.path());
    let path = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let topics = Topics::named("tls").await;
    topics.make().await;
    let gateway = topics
        .gateway(&[
            "--tls-cert",
            &path("cert.pem"),
            "--tls-key",
            &path("key.pem"),
        ])
        .await;

    let new = trusting(&first).build().unwrap();
    let negotiated = wait_until("https is served", PATIENCE, async || {
        version(&new, &gateway).await
    });
    assert_eq!(negotiated.await.unwrap(), reqwest::Version::HTTP_2);
    let old = trusting(&first).http1_only().build().unwrap();
    assert_eq!(
        version(&old, &gateway).await,
        Some(reqwest::Version::HTTP_11)
    );

    let second = write_certificate(scratch.path());
    wait_until("the new certificate is served", PATIENCE, async || {
        version(&trusting(&second).build().unwrap(), &gateway).await
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_hold_no_certificate_end_the_start() {
    let scratch = ScratchDir::new("gateway-tls-bad").unwrap();
    write_certificate(scratch.path());
    let path = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("cert.pem"), "no certificate").unwrap();
    let topics = Topics::named("tls-bad").await;
    topics.make().await;
    let mut gateway = Gateway::start(topics.config(&[
        "--tls-cert",
        &path("cert.pem"),
        "--tls-key",
        &path("key.pem"),
    ]));
    let ended = tokio::time::timeout(PATIENCE, &mut gateway.task)
        .await
        .unwrap()
        .unwrap();
    let error = format!("{:#}", ended.unwrap_err());
    assert!(error.contains("cert.pem"), "{error}");
}
