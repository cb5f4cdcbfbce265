//! Kafka is away for a while.

use std::time::Duration;

use reelay_bus::SpoolLimits;
use reelay_model::Micros;
use reelay_testkit::KafkaCluster;

use crate::{setup::Deployment, synthetic::CAMERA};

#[tokio::test]
async fn media_goes_on_after_an_outage_longer_than_the_spool() {
    let cluster = KafkaCluster::start(1).await.unwrap();
    let mut log = Deployment::on(&cluster, "outage").await;
    log.spool = SpoolLimits {
        media: Micros(3_000_000),
        ..SpoolLimits::default()
    };
    let camera = log.add("camera", CAMERA).await;
    let ingest = log.ingest();
    log.grows(&camera, 1).await;
    cluster.pause(0);
    // Not a wait for something to happen: this is how long the fault lasts.
    tokio::time::sleep(Duration::from_secs(12)).await;
    cluster.resume(0);
    log.grows(&camera, 3).await;
    ingest.stop().await;
    log.sound().await;
}
