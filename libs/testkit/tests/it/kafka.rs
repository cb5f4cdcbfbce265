//! Clusters start, survive the faults that the kit offers, and are gone afterwards.
//!
//! The client here is Kafka's own command line, not `libs/bus`, whose tests depend on this kit.

use std::{process::Command, time::Duration};

use reelay_testkit::{
    KafkaCluster, kafka::unique_prefix, process::Stopped, project_root, wait_until,
};

fn kcat(cluster: &KafkaCluster, args: &[&str], input: &str) -> std::process::Output {
    use std::io::Write;
    let mut child = Command::new("kcat")
        .args(["-b", &cluster.bootstrap_servers()])
        .args(args)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn create_topic(cluster: &KafkaCluster, topic: &str) {
    let output = Command::new("java")
        .arg("-cp")
        .arg(project_root().join(".run/kafka/libs/*"))
        .args([
            "org.apache.kafka.tools.TopicCommand",
            "--create",
            "--partitions",
            "1",
        ])
        .args([
            "--bootstrap-server",
            &cluster.bootstrap_servers(),
            "--topic",
            topic,
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

async fn produce(cluster: &KafkaCluster, topic: &str, value: &str) {
    let args = [
        "-P",
        "-t",
        topic,
        "-X",
        "acks=all",
        "-X",
        "message.timeout.ms=3000",
    ];
    wait_until(
        &format!("{value} to be acknowledged"),
        Duration::from_secs(60),
        async || kcat(cluster, &args, value).status.success().then_some(()),
    )
    .await
    .unwrap();
}

async fn consumed(cluster: &KafkaCluster, topic: &str) -> String {
    wait_until(
        &format!("{topic} to be read to its end"),
        Duration::from_secs(60),
        async || {
            let output = kcat(cluster, &["-C", "-e", "-q", "-t", topic], "");
            output
                .status
                .success()
                .then(|| String::from_utf8(output.stdout).unwrap())
        },
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn a_shared_cluster_is_one_for_the_whole_program_and_makes_no_topics_by_itself() {
    let (one, other) = tokio::join!(KafkaCluster::shared(), KafkaCluster::shared());
    let cluster = one.unwrap();
    assert!(std::ptr::eq(cluster, other.unwrap()));

    let prefix = unique_prefix("shared");
    let unknown = kcat(
        cluster,
        &[
            "-P",
            "-t",
            &format!("{prefix}unknown"),
            "-X",
            "message.timeout.ms=2000",
        ],
        "x",
    );
    assert!(!unknown.status.success());

    let topic = format!("{prefix}topic");
    create_topic(cluster, &topic);
    produce(cluster, &topic, "hello").await;
    assert_eq!(consumed(cluster, &topic).await, "hello\n");
}

#[tokio::test]
async fn three_brokers_go_on_without_any_one_of_them() {
    let cluster = KafkaCluster::start(3).await.unwrap();
    assert_eq!(cluster.bootstrap_servers().split(',').count(), 3);
    create_topic(&cluster, "log");
    produce(&cluster, "log", "all three").await;

    cluster.kill(0);
    produce(&cluster, "log", "one dead").await;
    cluster.restart(0).await.unwrap();

    cluster.pause(1);
    produce(&cluster, "log", "one frozen").await;
    cluster.resume(1);

    assert!(matches!(cluster.stop(2).await, Stopped::Exited(_)));
    produce(&cluster, "log", "one stopped").await;
    cluster.restart(2).await.unwrap();

    let pids: Vec<u32> = (0..cluster.len())
        .map(|i| cluster.broker(i).pid())
        .collect();
    let log = consumed(&cluster, "log").await;
    for value in ["all three", "one dead", "one frozen", "one stopped"] {
        assert!(
            log.contains(value),
            "{value:?} was acknowledged but is not in the log:\n{log}"
        );
    }
    drop(cluster);
    for pid in pids {
        assert!(
            !std::path::Path::new(&format!("/proc/{pid}")).exists(),
            "broker {pid} outlives its cluster"
        );
    }
}

#[tokio::test]
async fn a_cluster_in_a_folder_finds_its_data_again_and_replaces_one_left_behind_there() {
    let dir = reelay_testkit::ScratchDir::new("kept").unwrap();
    let start = || {
        KafkaCluster::builder(1)
            .dir(dir.path())
            .setting("log.retention.hours", "48")
            .start()
    };
    let first = start().await.unwrap();
    create_topic(&first, "kept");
    produce(&first, "kept", "still here").await;
    first.shutdown().await;
    drop(first);

    let second = start().await.unwrap();
    assert_eq!(consumed(&second, "kept").await, "still here\n");

    let third = start().await.unwrap();
    assert!(
        second.broker(0).exit_status().is_some(),
        "two brokers on one folder"
    );
    assert_eq!(consumed(&third, "kept").await, "still here\n");
}
