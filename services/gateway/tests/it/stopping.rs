//! Starting, stopping, and how many may come in.

use std::time::Duration;

use reelay_bus::admin::{self, PlanOptions};
use reelay_testkit::wait_until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::start::{Gateway, PATIENCE, Topics, gateway, spec};

fn reason(gateway: &Gateway, check: &str) -> Option<String> {
    let view = gateway.runtime.health.view();
    view.checks
        .into_iter()
        .find(|found| found.name == check)?
        .reason
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_topics_that_are_missing_and_says_so() {
    let topics = Topics::named("missing").await;
    let gateway = Gateway::start(topics.config(&[]));
    let told = wait_until("it says that topics are missing", PATIENCE, async || {
        reason(&gateway, "topics").filter(|reason| reason.contains("missing"))
    });
    assert!(told.await.unwrap().contains("streams"));
    topics.make().await;
    gateway.ready().await;
    assert_eq!(gateway.add(spec("door")).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_refuses_to_run_on_topics_that_do_not_fit_and_names_both_values() {
    let topics = Topics::named("misfit").await;
    topics.make().await;
    let mut gateway = Gateway::start(topics.config(&["--kafka-profile", "production"]));
    let ended = tokio::time::timeout(PATIENCE, &mut gateway.task)
        .await
        .unwrap()
        .unwrap();
    let error = format!("{:#}", ended.unwrap_err());
    for part in [
        "replication is 1, wanted at least 3",
        "min.insync.replicas is 1, wanted at least 2",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_retention_than_the_default_fits_as_well() {
    let topics = Topics::named("retention").await;
    let options = PlanOptions {
        partitions: 2,
        retention: Duration::from_secs(600),
        ..PlanOptions::default()
    };
    admin::ensure(&topics.bus, &admin::plan(&options))
        .await
        .unwrap();
    assert_eq!(
        topics.gateway(&[]).await.add(spec("door")).await.status,
        201
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_makes_it_not_ready_first_then_lets_answers_end_and_closes_the_door() {
    let mut gateway = gateway("stopping", &["--stop-delay-seconds", "1"]).await;
    // A request whose body is still on its way when the stop comes.
    let mut open = TcpStream::connect(gateway.address).await.unwrap();
    let body = spec("door").to_string();
    let head = format!(
        "POST /api/v1/streams HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    open.write_all(head.as_bytes()).await.unwrap();
    gateway.runtime.stop();
    assert!(!gateway.runtime.health.view().ready);
    // Load balancers have not noticed yet: new connections are still served.
    assert_eq!(gateway.get("/api/v1/streams").await.status, 200);
    let closed = async || {
        TcpStream::connect(gateway.address)
            .await
            .is_err()
            .then_some(())
    };
    wait_until("the door is closed", PATIENCE, closed)
        .await
        .unwrap();
    open.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, open.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    let ended = tokio::time::timeout(PATIENCE, &mut gateway.task)
        .await
        .unwrap()
        .unwrap();
    ended.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_greatest_number_of_connections_new_ones_are_closed() {
    let gateway = gateway("connections", &["--connections-max", "2"]).await;
    let request = b"GET /api/v1/info HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut held = Vec::new();
    let answered = async |stream: &mut TcpStream| {
        let mut byte = [0];
        let asked = stream.write_all(request).await;
        asked.is_ok() && matches!(stream.read(&mut byte).await, Ok(1))
    };
    for _ in 0..2 {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        assert!(answered(&mut stream).await);
        held.push(stream);
    }
    let mut third = TcpStream::connect(gateway.address).await.unwrap();
    assert!(!answered(&mut third).await, "one too many");
    held.clear();
    let free = async || {
        let mut stream = TcpStream::connect(gateway.address).await.ok()?;
        answered(&mut stream).await.then_some(())
    };
    wait_until("a slot is free again", PATIENCE, free)
        .await
        .unwrap();
}
