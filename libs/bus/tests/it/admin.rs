//! Making and checking topics.

use reelay_bus::{Bus, BusConfig, Profile, admin};
use reelay_testkit::KafkaCluster;

use crate::setup::config;

fn options(partitions: i32) -> admin::PlanOptions {
    admin::PlanOptions {
        partitions,
        rungs: vec!["360p".parse().unwrap()],
        ..admin::PlanOptions::default()
    }
}

#[tokio::test]
async fn topics_that_were_made_pass_the_check() {
    let cluster = KafkaCluster::shared().await.unwrap();
    let bus = Bus::new(config(cluster, "ensure")).unwrap();
    let plan = admin::plan(&options(3));
    let findings = admin::check(&bus, &plan).await.unwrap();
    assert_eq!(findings.len(), plan.topics.len());
    assert!(
        findings.iter().all(admin::Finding::is_missing),
        "{findings:?}"
    );

    let made = admin::ensure(&bus, &plan).await.unwrap();
    assert_eq!(made.len(), plan.topics.len());
    assert_eq!(admin::check(&bus, &plan).await.unwrap(), []);
    // A second time nothing is made and nothing fails.
    assert_eq!(admin::ensure(&bus, &plan).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn findings_name_topic_setting_and_both_values() {
    let cluster = KafkaCluster::shared().await.unwrap();
    let config = config(cluster, "findings");
    let prefix = config.topic_prefix.clone();
    let bus = Bus::new(config.clone()).unwrap();
    let mut made = admin::plan(&options(3));
    for topic in &mut made.topics {
        topic.settings.insert("segment.ms", "604800000".into());
        topic.settings.insert("max.message.bytes", "1048588".into());
        topic.settings.insert("compression.type", "gzip".into());
    }
    admin::ensure(&bus, &made).await.unwrap();

    let bus = Bus::new(BusConfig {
        profile: Profile::Production,
        ..config
    })
    .unwrap();
    let wanted = admin::plan(&admin::PlanOptions {
        profile: Profile::Production,
        ..options(12)
    });
    let findings = admin::check(&bus, &wanted).await.unwrap();
    let of_source: Vec<String> = findings
        .iter()
        .filter(|f| f.topic == format!("{prefix}source"))
        .map(|f| f.to_string().replace(&prefix, ""))
        .collect();
    assert_eq!(
        of_source,
        [
            "source: partitions is 3, wanted 12",
            "source: replication is 1, wanted at least 3 (profile production)",
            "source: compression.type is gzip, wanted uncompressed or producer",
            "source: max.message.bytes is 1048588, wanted at least 8388608",
            "source: min.insync.replicas is 1, wanted at least 2 (profile production)",
            "source: segment.ms is 604800000, wanted at most 600000",
        ]
    );
}
