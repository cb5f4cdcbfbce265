//! What a node is told: its `server.properties` and its Java options.

use std::{ffi::OsString, fmt::Write as _, path::PathBuf};

use crate::{process::ProcessSpec, project_root};

/// `message.max.bytes` of the brokers: a chunk with its init segment must fit.
pub const MAX_MESSAGE_BYTES: u32 = 8 << 20;

/// The name of a node's configuration file.
pub(super) const PROPERTIES: &str = "server.properties";

/// One node: broker and controller.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// `node.id`, from 1.
    pub id: u16,
    /// Holds its configuration, its log and, in `data`, its partitions.
    pub dir: PathBuf,
    /// Where clients connect.
    pub port: u16,
    /// Where the controllers talk to each other.
    pub controller_port: u16,
}

impl Node {
    pub fn name(&self) -> String {
        format!("kafka-{}", self.id)
    }

    pub fn properties_path(&self) -> PathBuf {
        self.dir.join(PROPERTIES)
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Whether its data folder has been used by a node before.
    pub fn is_formatted(&self) -> bool {
        self.data_dir().join("meta.properties").exists()
    }

    /// Its `server.properties`, as one of `nodes`; `overrides` go last and win.
    pub fn properties(&self, nodes: &[Node], overrides: &[(String, String)]) -> String {
        let voters: Vec<String> = nodes
            .iter()
            .map(|n| format!("{}@127.0.0.1:{}", n.id, n.controller_port))
            .collect();
        let replicas = nodes.len().min(3);
        let in_sync = replicas.div_ceil(2);
        let (port, controller_port) = (self.port, self.controller_port);
        let settings = [
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", self.id.to_string()),
            ("controller.quorum.voters", voters.join(",")),
            (
                "listeners",
                format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"),
            ),
            (
                "advertised.listeners",
                format!("PLAINTEXT://127.0.0.1:{port}"),
            ),
            (
                "listener.security.protocol.map",
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned(),
            ),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("log.dirs", self.data_dir().display().to_string()),
            ("auto.create.topics.enable", "false".to_owned()),
            ("default.replication.factor", replicas.to_string()),
            ("min.insync.replicas", in_sync.to_string()),
            ("message.max.bytes", MAX_MESSAGE_BYTES.to_string()),
            ("replica.fetch.max.bytes", MAX_MESSAGE_BYTES.to_string()),
            // Kafka's own topics: few partitions, since each is a folder with five files.
            ("offsets.topic.replication.factor", replicas.to_string()),
            ("offsets.topic.num.partitions", "4".to_owned()),
            (
                "transaction.state.log.replication.factor",
                replicas.to_string(),
            ),
            ("transaction.state.log.min.isr", in_sync.to_string()),
            ("transaction.state.log.num.partitions", "4".to_owned()),
            (
                "share.coordinator.state.topic.replication.factor",
                replicas.to_string(),
            ),
            ("share.coordinator.state.topic.min.isr", in_sync.to_string()),
            // The first member of a group does not wait for others.
            ("group.initial.rebalance.delay.ms", "0".to_owned()),
            // A dead broker's partitions move after 5 s, not 9.
            ("broker.heartbeat.interval.ms", "1000".to_owned()),
            ("broker.session.timeout.ms", "5000".to_owned()),
            // The default of 128 MiB is allocated at start.
            ("log.cleaner.dedupe.buffer.size", (16 << 20).to_string()),
        ];
        let mut text = String::new();
        let overrides = overrides.iter().map(|(key, value)| (key.as_str(), value));
        for (key, value) in settings
            .iter()
            .map(|(key, value)| (*key, value))
            .chain(overrides)
        {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key}={value}");
        }
        text
    }

    /// The broker's process.
    pub fn process(&self, long_lived: bool) -> ProcessSpec {
        ProcessSpec::new(self.name(), java(), self.dir.join("broker.log"))
            .args(java_options(long_lived))
            .arg("kafka.Kafka")
            .arg(self.properties_path())
    }
}

/// The Java that `JAVA_HOME` names, or the one on the path.
pub(super) fn java() -> PathBuf {
    std::env::var_os("JAVA_HOME")
        .map(|home| PathBuf::from(home).join("bin/java"))
        .filter(|java| java.exists())
        .unwrap_or_else(|| PathBuf::from("java"))
}

/// Heap, compiler and class path.
///
/// For a cluster that lives for seconds, the optimising compiler costs more than it
/// brings, and with the serial collector a node starts a third faster.
pub(super) fn java_options(long_lived: bool) -> Vec<OsString> {
    let root = project_root();
    let mut options: Vec<OsString> = if long_lived {
        vec![
            "-Xms256m".into(),
            "-Xmx1g".into(),
            "-XX:+UseG1GC".into(),
            "-XX:MaxGCPauseMillis=20".into(),
        ]
    } else {
        vec![
            "-Xmx512m".into(),
            "-XX:+UseSerialGC".into(),
            "-XX:TieredStopAtLevel=1".into(),
        ]
    };
    let mut logging = OsString::from("-Dlog4j2.configurationFile=");
    logging.push(root.join("kafka/log4j2.xml"));
    // Java itself sees whether the archive fits this Java and these jars.
    let archive = root.join(".run/kafka/libs/broker.jsa");
    if archive.exists() {
        let mut option = OsString::from("-XX:SharedArchiveFile=");
        option.push(archive);
        options.push(option);
    }
    options.extend([
        OsString::from("-Djava.awt.headless=true"),
        logging,
        "-cp".into(),
    ]);
    options.push(root.join(".run/kafka/libs/*").into());
    options
}
