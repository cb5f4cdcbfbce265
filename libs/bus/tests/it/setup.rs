//! Buses on topics of a test's own.

use std::time::Duration;

use bytes::Bytes;
use reelay_bus::{Bus, BusConfig, Headers, Outgoing, Profile, admin};
use reelay_testkit::{KafkaCluster, kafka::unique_prefix};
use reelay_wire::Topic;

/// How long anything may take on a busy machine before a test fails.
pub const LIMIT: Duration = Duration::from_secs(60);

pub fn config(cluster: &KafkaCluster, name: &str) -> BusConfig {
    BusConfig {
        bootstrap_servers: cluster.bootstrap_servers(),
        client_id: format!("test-{name}"),
        topic_prefix: unique_prefix(name),
        ..BusConfig::default()
    }
}

/// A bus whose topics exist, with four partitions each.
pub async fn bus_on(cluster: &KafkaCluster, name: &str, profile: Profile) -> Bus {
    let bus = Bus::new(BusConfig {
        profile,
        ..config(cluster, name)
    })
    .unwrap();
    let plan = admin::plan(&admin::PlanOptions {
        profile,
        partitions: 4,
        ..admin::PlanOptions::default()
    });
    admin::ensure(&bus, &plan).await.unwrap();
    bus
}

/// On the broker that the tests of this binary share.
pub async fn bus(name: &str) -> Bus {
    bus_on(KafkaCluster::shared().await.unwrap(), name, Profile::Single).await
}

pub fn record(topic: Topic, partition: i32, value: impl Into<Bytes>) -> Outgoing {
    Outgoing {
        topic,
        partition,
        key: Bytes::from_static(b"camera"),
        headers: Headers::new().with("chunk", &b"header"[..]),
        value: value.into(),
    }
}

/// Fails, naming `what`, if `future` takes longer than [`LIMIT`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("gave up after {LIMIT:?} waiting for {what}"),
    }
}
