//! Real Apache Kafka clusters in KRaft mode, as child processes.
//!
//! Each node is broker and controller in one, so that a cluster of three keeps its
//! quorum, and its partitions of replication factor 3 their `min.insync.replicas` of 2,
//! while any one node is dead or frozen.

mod properties;
mod stale;

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{net::TcpStream, sync::OnceCell};

use crate::{
    Error, ScratchDir,
    ports::{free_port, free_port_from},
    process::{Process, Stopped},
    project_root,
    wait::wait_until,
};
pub use properties::MAX_MESSAGE_BYTES;
use properties::Node;

/// A node needs 2-3 s; a machine that builds at the same time needs many times that.
const START_LIMIT: Duration = Duration::from_secs(90);

/// A clean stop flushes and hands over leadership; a paused or lost quorum never lets it end.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A cluster, stopped and removed when this is dropped.
#[derive(Debug)]
pub struct KafkaCluster {
    brokers: Vec<Broker>,
    // After `brokers`: fields are dropped in order, and their data is in here.
    _scratch: Option<ScratchDir>,
}

#[derive(Debug)]
struct Broker {
    dir: PathBuf,
    port: u16,
    process: Process,
}

/// How a cluster is made.
#[derive(Debug, Clone)]
#[must_use]
pub struct KafkaBuilder {
    brokers: u16,
    dir: Option<PathBuf>,
    preferred_port: Option<u16>,
    long_lived: bool,
    settings: Vec<(String, String)>,
}

impl KafkaBuilder {
    /// Keeps data, configuration and logs in this folder, which survives the cluster and
    /// is taken up again if it has been used before. A scratch folder otherwise.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Listens on this port, or the next free one above it (with several brokers: and so on).
    pub fn preferred_port(mut self, port: u16) -> Self {
        self.preferred_port = Some(port);
        self
    }

    /// Lets Java compile for speed rather than for a quick start: for runs that last, and
    /// for what is measured.
    pub fn long_lived(mut self) -> Self {
        self.long_lived = true;
        self
    }

    /// Sets a broker setting on every node, over what this module chose.
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }

    /// Starts the cluster and waits until every broker takes requests.
    ///
    /// # Errors
    /// [`Error::Missing`] without Java or Kafka's jars (and no way to fetch them);
    /// [`Error::Process`] with the end of a broker's log if it does not come up.
    pub async fn start(self) -> Result<KafkaCluster, Error> {
        fetch_jars().await?;
        let (dir, scratch) = match &self.dir {
            Some(dir) => (
                std::path::absolute(dir).map_err(Error::io("finding the current folder"))?,
                None,
            ),
            None => {
                let scratch = ScratchDir::new("kafka")?;
                (scratch.path().to_owned(), Some(scratch))
            }
        };
        for id in 1..=self.brokers {
            // Before ports are chosen: it may hold the preferred one.
            stale::stop_leftover(&node_dir(&dir, id)).await?;
        }
        let nodes = self.nodes(&dir);
        let cluster_id = random_cluster_id();
        let mut formatting = tokio::task::JoinSet::new();
        for node in nodes.clone() {
            fs::create_dir_all(&node.dir)
                .map_err(Error::io(format!("creating {}", node.dir.display())))?;
            let text = node.properties(&nodes, &self.settings);
            let path = node.properties_path();
            fs::write(&path, text).map_err(Error::io(format!("writing {}", path.display())))?;
            if !node.is_formatted() {
                formatting.spawn(format(node, cluster_id.clone()));
            }
        }
        while let Some(done) = formatting.join_next().await {
            done.map_err(|e| {
                Error::Missing(format!("formatting Kafka's storage was cut off: {e}"))
            })??;
        }

        let mut brokers = Vec::new();
        for node in &nodes {
            let process = Process::start(node.process(self.long_lived))?;
            stale::note(&node.dir, process.pid())?;
            brokers.push(Broker {
                dir: node.dir.clone(),
                port: node.port,
                process,
            });
        }
        let cluster = KafkaCluster {
            brokers,
            _scratch: scratch,
        };
        for broker in &cluster.brokers {
            broker.ready().await?;
        }
        Ok(cluster)
    }

    fn nodes(&self, dir: &Path) -> Vec<Node> {
        let mut next = self.preferred_port;
        let mut port = || match next {
            Some(preferred) => {
                let port = free_port_from(preferred);
                next = Some(port + 1);
                port
            }
            None => free_port(),
        };
        (1..=self.brokers)
            .map(|id| Node {
                id,
                dir: node_dir(dir, id),
                port: port(),
                controller_port: free_port(),
            })
            .collect()
    }
}

impl KafkaCluster {
    /// A cluster of `brokers` nodes (1 or 3), to be configured further.
    ///
    /// # Panics
    /// If `brokers` is 0.
    pub fn builder(brokers: u16) -> KafkaBuilder {
        assert!(brokers > 0, "a cluster has at least one broker");
        KafkaBuilder {
            brokers,
            dir: None,
            preferred_port: None,
            long_lived: false,
            settings: Vec::new(),
        }
    }

    /// Starts a cluster of `brokers` nodes in a scratch folder on free ports (about 3 s).
    ///
    /// # Errors
    /// As [`KafkaBuilder::start`].
    pub async fn start(brokers: u16) -> Result<Self, Error> {
        Self::builder(brokers).start().await
    }

    /// The single-node cluster that all tests of this program share; started by the first
    /// that asks. A test uses topics of its own in it (see [`unique_prefix`]) and no faults.
    ///
    /// # Errors
    /// As [`KafkaBuilder::start`].
    pub async fn shared() -> Result<&'static Self, Error> {
        static SHARED: OnceCell<KafkaCluster> = OnceCell::const_new();
        SHARED.get_or_try_init(|| Self::start(1)).await
    }

    /// All brokers' addresses, for `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> String {
        let addresses: Vec<String> = self
            .brokers
            .iter()
            .map(|b| format!("127.0.0.1:{}", b.port))
            .collect();
        addresses.join(",")
    }

    /// The number of brokers, dead ones included.
    pub fn len(&self) -> usize {
        self.brokers.len()
    }

    /// Whether there is no broker: never.
    pub fn is_empty(&self) -> bool {
        self.brokers.is_empty()
    }

    /// The process of broker `index` (from 0; its `node.id` is one more).
    ///
    /// # Panics
    /// If there is no such broker, as do the faults below.
    pub fn broker(&self, index: usize) -> &Process {
        &self.brokers[index].process
    }

    /// Kills a broker without warning (SIGKILL).
    pub fn kill(&self, index: usize) {
        self.broker(index).kill();
    }

    /// Freezes a broker (SIGSTOP): it holds its connections and answers nothing.
    pub fn pause(&self, index: usize) {
        self.broker(index).pause();
    }

    /// Lets a frozen broker go on (SIGCONT).
    pub fn resume(&self, index: usize) {
        self.broker(index).resume();
    }

    /// Stops a broker cleanly (SIGTERM).
    pub async fn stop(&self, index: usize) -> Stopped {
        self.broker(index).stop(STOP_LIMIT).await
    }

    /// Starts a broker again, on the same port with the same data, and waits until it
    /// takes requests. One that still runs is killed first.
    ///
    /// # Errors
    /// As [`KafkaBuilder::start`].
    pub async fn restart(&self, index: usize) -> Result<(), Error> {
        let broker = &self.brokers[index];
        broker.process.restart()?;
        stale::note(&broker.dir, broker.process.pid())?;
        broker.ready().await
    }

    /// Stops all brokers cleanly, all at once.
    pub async fn shutdown(&self) {
        futures::future::join_all(self.brokers.iter().map(|b| b.process.stop(STOP_LIMIT))).await;
    }
}

impl Broker {
    async fn ready(&self) -> Result<(), Error> {
        let what = format!("{} to take requests", self.process.name());
        let up = wait_until(&what, START_LIMIT, async || {
            if let Some(status) = self.process.exit_status() {
                return Some(Err(self
                    .process
                    .error(format!("ended as it started ({status})"))));
            }
            // Logged once the cluster has let the broker in, and its listeners are open.
            let started = self.process.log().contains("Kafka Server started");
            let open = started
                && TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
                    .await
                    .is_ok();
            open.then_some(Ok(()))
        });
        up.await
            .map_err(|timeout| self.process.error(timeout.to_string()))?
    }
}

fn node_dir(dir: &Path, id: u16) -> PathBuf {
    dir.join(format!("node-{id}"))
}

/// A prefix for the topics of one test in a cluster that it shares: `<name>-<random>.`.
pub fn unique_prefix(name: &str) -> String {
    format!("{name}-{:08x}.", rand::random::<u32>())
}

/// Makes sure that Kafka's jars are there; takes milliseconds if they are.
///
/// # Errors
/// [`Error::Missing`] with what the script said.
pub async fn fetch_jars() -> Result<(), Error> {
    let script = project_root().join("scripts/kafka-jars");
    let output = tokio::process::Command::new(&script)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(Error::io(format!("running {}", script.display())))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Missing(format!(
        "Apache Kafka's jars are missing (`make deps` fetches them): {}",
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

async fn format(node: Node, cluster_id: String) -> Result<(), Error> {
    let output = tokio::process::Command::new(properties::java())
        .args(properties::java_options(false))
        .args([
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            &cluster_id,
            "--config",
        ])
        .arg(node.properties_path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(Error::io("running java (`make deps` installs it)"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Err(Error::Process {
        name: node.name(),
        why: format!("formatting its storage failed ({})", output.status),
        log: text.lines().map(str::to_owned).collect(),
    })
}

/// A Kafka cluster id: 16 random bytes in URL-safe base64 without padding, so 22
/// characters, of which the last holds only the upper two bits.
fn random_cluster_id() -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letters = (0..21).map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]));
    letters.chain(['A']).collect()
}
