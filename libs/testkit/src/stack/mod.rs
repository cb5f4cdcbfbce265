//! The whole system on this machine, each service a process of its own: what `make run`
//! shows, and what tests across services run against.

mod service;
mod topics;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use reelay_bus::{BusConfig, Profile, admin::PlanOptions};
use reelay_model::{RungDefinitions, Rungs};
use serde_json::Value;

use crate::{
    Error, KafkaCluster, ScratchDir,
    kafka::unique_prefix,
    ports::{free_port, free_port_from},
    process::ProcessSpec,
    wait::wait_until,
};
pub use service::Service;

/// Which Kafka a stack uses.
#[derive(Debug)]
pub enum StackKafka {
    /// A cluster of its own of this many brokers (1 or 3).
    Own(u16),
    /// This cluster, which the stack then owns: as configured by the caller.
    Given(KafkaCluster),
    /// One that somebody else runs, by its `bootstrap.servers`.
    At(String),
}

/// How a stack is made.
#[derive(Debug)]
#[must_use]
pub struct StackBuilder {
    kafka: StackKafka,
    ingests: usize,
    transcodes: usize,
    gateways: usize,
    dir: Option<PathBuf>,
    media_dir: Option<PathBuf>,
    topic_prefix: Option<String>,
    gateway_port: Option<u16>,
    admin_port: Option<u16>,
    topics: PlanOptions,
    rungs: String,
    ingest_args: Vec<String>,
    transcode_args: Vec<String>,
    gateway_args: Vec<String>,
}

impl StackBuilder {
    /// Which Kafka it uses; a single broker of its own if not set.
    pub fn kafka(mut self, kafka: StackKafka) -> Self {
        self.kafka = kafka;
        self
    }

    /// The number of `ingest` processes; one if not set.
    pub fn ingests(mut self, count: usize) -> Self {
        self.ingests = count;
        self
    }

    /// The number of `transcode` processes; none if not set.
    pub fn transcodes(mut self, count: usize) -> Self {
        self.transcodes = count;
        self
    }

    /// The rungs of the deployment, as `--rungs` takes them; the default ones if not set.
    pub fn rungs(mut self, rungs: impl Into<String>) -> Self {
        self.rungs = rungs.into();
        self
    }

    /// The number of `gateway` processes; one if not set. Each knows the others' addresses.
    pub fn gateways(mut self, count: usize) -> Self {
        self.gateways = count;
        self
    }

    /// Where logs go (`log/<service>.log`), and `media` unless that is set; a scratch
    /// folder if not set.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// The folder that `file:` sources are read below.
    pub fn media_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.media_dir = Some(dir.into());
        self
    }

    /// What the topics' names begin with; `reelay.` in a Kafka of its own, and something
    /// random in one that is shared, if not set.
    pub fn topic_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.topic_prefix = Some(prefix.into());
        self
    }

    /// The first gateway listens here or on the next free port; any free port if not set.
    pub fn gateway_port(mut self, port: u16) -> Self {
        self.gateway_port = Some(port);
        self
    }

    /// The admin ports are the free ones from here on; any free ports if not set.
    pub fn admin_port(mut self, port: u16) -> Self {
        self.admin_port = Some(port);
        self
    }

    /// Partitions of each topic; four if not set.
    pub fn partitions(mut self, count: u16) -> Self {
        self.topics.partitions = count.into();
        self
    }

    /// How long media and index are kept; an hour if not set.
    pub fn retention(mut self, time: Duration) -> Self {
        self.topics.retention = time;
        self
    }

    /// Adds arguments to every ingest's command line.
    pub fn ingest_args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.ingest_args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds arguments to every transcode's command line.
    pub fn transcode_args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.transcode_args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds arguments to every gateway's command line.
    pub fn gateway_args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.gateway_args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Starts Kafka, creates the topics, starts the services, and waits until all are ready.
    ///
    /// # Errors
    /// [`Error::Missing`] if a service has not been built; otherwise what did not come up,
    /// with the end of its log.
    pub async fn start(self) -> Result<Stack, Error> {
        // Before anything takes time: what is not built will not be there later either.
        let ingest = service_program("reelay-ingest")?;
        let gateway = service_program("reelay-gateway")?;
        let transcode = match self.transcodes {
            0 => None,
            _ => Some(service_program("reelay-transcode")?),
        };
        let rungs = self.rungs.parse::<RungDefinitions>();
        let rungs = rungs.and_then(|definitions| Rungs::new(definitions.0));
        let rungs = rungs.map_err(|error| Error::Missing(error.to_string()))?;
        let (dir, scratch) = match &self.dir {
            Some(dir) => (dir.clone(), None),
            None => {
                let scratch = ScratchDir::new("stack")?;
                (scratch.path().to_owned(), Some(scratch))
            }
        };
        let media_dir = self.media_dir.clone().unwrap_or_else(|| dir.join("media"));
        for folder in [&media_dir, &dir.join("log")] {
            fs::create_dir_all(folder)
                .map_err(Error::io(format!("creating {}", folder.display())))?;
        }
        let (cluster, bootstrap_servers) = match self.kafka {
            StackKafka::Own(brokers) => own(KafkaCluster::start(brokers).await?),
            StackKafka::Given(cluster) => own(cluster),
            StackKafka::At(servers) => (None, servers),
        };
        let topic_prefix = self.topic_prefix.clone().unwrap_or_else(|| match &cluster {
            Some(_) => "reelay.".to_owned(),
            None => unique_prefix("reelay"),
        });
        let profile = match &cluster {
            Some(cluster) if cluster.len() >= 3 => Profile::Production,
            _ => Profile::Single,
        };
        let bus = BusConfig {
            bootstrap_servers: bootstrap_servers.clone(),
            topic_prefix: topic_prefix.clone(),
            profile,
            ..BusConfig::default()
        };
        topics::create(
            bus,
            &PlanOptions {
                profile,
                rungs: rungs.ids(),
                ..self.topics.clone()
            },
        )
        .await?;

        let mut plan = Plan {
            log_dir: dir.join("log"),
            bootstrap_servers,
            topic_prefix,
            profile,
            next_admin_port: self.admin_port,
            http: http_client()?,
        };
        let mut ingests = Vec::new();
        for index in 0..self.ingests {
            let (spec, admin_port) = plan.service("ingest", index, &ingest)?;
            let spec = spec
                .arg("--media-dir")
                .arg(&media_dir)
                .args(&self.ingest_args);
            ingests.push(Service::start(spec, admin_port, None, plan.http.clone())?);
        }
        let ports: Vec<u16> = gateway_ports(self.gateway_port, self.gateways);
        let mut gateways = Vec::new();
        for (index, port) in ports.iter().copied().enumerate() {
            let (spec, admin_port) = plan.service("gateway", index, &gateway)?;
            let spec = spec.args(["--listen".to_owned(), format!("127.0.0.1:{port}")]);
            let others: Vec<String> = ports
                .iter()
                .filter(|other| **other != port)
                .map(|p| format!("http://127.0.0.1:{p}"))
                .collect();
            let spec = if others.is_empty() {
                spec
            } else {
                spec.args(["--alternates".to_owned(), others.join(",")])
            };
            let spec = spec.args(["--rungs", &self.rungs]).args(&self.gateway_args);
            gateways.push(Service::start(
                spec,
                admin_port,
                Some(port),
                plan.http.clone(),
            )?);
        }
        let mut transcodes = Vec::new();
        for index in 0..self.transcodes {
            let Some(program) = &transcode else { break };
            let (spec, admin_port) = plan.service("transcode", index, program)?;
            let spec = spec
                .args(["--rungs", &self.rungs])
                .args(&self.transcode_args);
            transcodes.push(Service::start(spec, admin_port, None, plan.http.clone())?);
        }
        let stack = Stack {
            ingests,
            transcodes,
            gateways,
            cluster,
            bootstrap_servers: plan.bootstrap_servers,
            topic_prefix: plan.topic_prefix,
            log_dir: plan.log_dir,
            media_dir,
            http: plan.http,
            _scratch: scratch,
        };
        for service in stack.services() {
            service.ready().await?;
        }
        Ok(stack)
    }
}

/// What the services of one stack have in common.
struct Plan {
    log_dir: PathBuf,
    bootstrap_servers: String,
    topic_prefix: String,
    profile: Profile,
    next_admin_port: Option<u16>,
    http: reqwest::Client,
}

impl Plan {
    /// The command line that every service shares, and the admin port in it.
    fn service(
        &mut self,
        kind: &str,
        index: usize,
        program: &Path,
    ) -> Result<(ProcessSpec, u16), Error> {
        let name = if index == 0 {
            kind.to_owned()
        } else {
            format!("{kind}-{}", index + 1)
        };
        let log = self.log_dir.join(format!("{name}.log"));
        // A log is one run's.
        fs::remove_file(&log)
            .or_else(|e| {
                if e.kind() == io::ErrorKind::NotFound {
                    Ok(())
                } else {
                    Err(e)
                }
            })
            .map_err(Error::io(format!("removing {}", log.display())))?;
        let admin_port = match self.next_admin_port {
            Some(preferred) => free_port_from(preferred),
            None => free_port(),
        };
        self.next_admin_port = self.next_admin_port.map(|_| admin_port + 1);
        let spec = ProcessSpec::new(name, program, log)
            .args(["--kafka-bootstrap-servers", &self.bootstrap_servers])
            .args(["--topic-prefix", &self.topic_prefix])
            .args(["--kafka-profile", &self.profile.to_string()])
            .args([
                "--admin-listen".to_owned(),
                format!("127.0.0.1:{admin_port}"),
            ]);
        Ok((spec, admin_port))
    }
}

/// A running system. Dropping it kills everything; [`Stack::shutdown`] ends it in order.
#[derive(Debug)]
pub struct Stack {
    // The order is that of ending: nothing is left without what it talks to.
    gateways: Vec<Service>,
    transcodes: Vec<Service>,
    ingests: Vec<Service>,
    cluster: Option<KafkaCluster>,
    bootstrap_servers: String,
    topic_prefix: String,
    log_dir: PathBuf,
    media_dir: PathBuf,
    http: reqwest::Client,
    _scratch: Option<ScratchDir>,
}

impl Stack {
    /// One broker, one ingest, one gateway, no transcode, on free ports in a scratch folder, until told otherwise.
    pub fn builder() -> StackBuilder {
        StackBuilder {
            kafka: StackKafka::Own(1),
            ingests: 1,
            transcodes: 0,
            gateways: 1,
            dir: None,
            media_dir: None,
            topic_prefix: None,
            gateway_port: None,
            admin_port: None,
            topics: PlanOptions {
                partitions: 4,
                ..PlanOptions::default()
            },
            rungs: Rungs::DEFAULT.to_owned(),
            ingest_args: Vec::new(),
            transcode_args: Vec::new(),
            gateway_args: Vec::new(),
        }
    }

    /// Ingest `index`, from 0.
    ///
    /// # Panics
    /// If there is none.
    pub fn ingest(&self, index: usize) -> &Service {
        &self.ingests[index]
    }

    /// Transcode `index`, from 0.
    ///
    /// # Panics
    /// If there is none.
    pub fn transcode(&self, index: usize) -> &Service {
        &self.transcodes[index]
    }

    /// All transcodes.
    pub fn transcodes(&self) -> &[Service] {
        &self.transcodes
    }

    /// Gateway `index`, from 0.
    ///
    /// # Panics
    /// If there is none.
    pub fn gateway(&self, index: usize) -> &Service {
        &self.gateways[index]
    }

    /// All ingests.
    pub fn ingests(&self) -> &[Service] {
        &self.ingests
    }

    /// All gateways.
    pub fn gateways(&self) -> &[Service] {
        &self.gateways
    }

    /// All services.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        let served = self.gateways.iter().chain(&self.transcodes);
        served.chain(&self.ingests)
    }

    /// Its Kafka, unless somebody else runs that.
    pub fn kafka(&self) -> Option<&KafkaCluster> {
        self.cluster.as_ref()
    }

    /// Kafka's `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// What its topics' names begin with.
    pub fn topic_prefix(&self) -> &str {
        &self.topic_prefix
    }

    /// Where the services' logs are.
    pub fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    /// Where `file:` sources are.
    pub fn media_dir(&self) -> &Path {
        &self.media_dir
    }

    /// Adds a stream through the first gateway, from its spec as JSON.
    ///
    /// # Errors
    /// [`Error::Http`] with what the gateway said.
    pub async fn add_stream(&self, spec: &Value) -> Result<(), Error> {
        let url = format!("{}/api/v1/streams", self.gateway(0).url());
        let answer = self
            .http
            .post(&url)
            .json(spec)
            .send()
            .await
            .map_err(Error::http(&url))?;
        refuse_failure(&url, answer).await.map(drop)
    }

    /// Removes a stream through the first gateway.
    ///
    /// # Errors
    /// [`Error::Http`] with what the gateway said.
    pub async fn remove_stream(&self, id: &str) -> Result<(), Error> {
        let url = format!("{}/api/v1/streams/{id}", self.gateway(0).url());
        let answer = self
            .http
            .delete(&url)
            .send()
            .await
            .map_err(Error::http(&url))?;
        refuse_failure(&url, answer).await.map(drop)
    }

    /// What gateway `index` says about a stream (`StreamView`); `None` if it knows of none.
    ///
    /// # Errors
    /// [`Error::Http`] if it does not answer, or not with JSON.
    pub async fn stream(&self, gateway: usize, id: &str) -> Result<Option<Value>, Error> {
        let url = format!("{}/api/v1/streams/{id}", self.gateway(gateway).url());
        let answer = self
            .http
            .get(&url)
            .send()
            .await
            .map_err(Error::http(&url))?;
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        refuse_failure(&url, answer)
            .await?
            .json()
            .await
            .map(Some)
            .map_err(Error::http(&url))
    }

    /// Waits until gateway `index` can play a stream: it is live, and the first variant's
    /// playlist lists media. Gives the address of its multivariant playlist.
    ///
    /// # Errors
    /// [`Error::Timeout`], with what the gateway said last.
    pub async fn playable(
        &self,
        gateway: usize,
        id: &str,
        limit: Duration,
    ) -> Result<String, Error> {
        let master = format!(
            "{}/streams/{id}/hls/master.m3u8",
            self.gateway(gateway).url()
        );
        let last = std::sync::Mutex::new(String::new());
        let playable = wait_until(id, limit, async || {
            match self.why_not_playable(gateway, id, &master).await {
                None => Some(()),
                Some(why) => {
                    *last
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner) = why;
                    None
                }
            }
        });
        match playable.await {
            Ok(()) => Ok(master),
            Err(_) => {
                let last = last
                    .into_inner()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                Err(Error::Timeout {
                    what: format!("stream {id} to be playable: {last}"),
                    waited: limit,
                })
            }
        }
    }

    async fn why_not_playable(&self, gateway: usize, id: &str, master: &str) -> Option<String> {
        let view = match self.stream(gateway, id).await {
            Ok(Some(view)) => view,
            Ok(None) => return Some("the gateway does not know it yet".to_owned()),
            Err(error) => return Some(error.to_string()),
        };
        if view["phase"] != "live" {
            return Some(format!(
                "its phase is {}, its problem {}",
                view["phase"], view["problem"]
            ));
        }
        let variants = match get_text(&self.http, master).await {
            Ok(text) => text,
            Err(error) => return Some(error.to_string()),
        };
        // RFC 8216bis, 4.4.6.2: the line after EXT-X-STREAM-INF is the variant's address.
        let mut lines = variants
            .lines()
            .skip_while(|line| !line.starts_with("#EXT-X-STREAM-INF"));
        let Some(variant) = lines.nth(1) else {
            return Some(format!("{master} lists no variant"));
        };
        let media = match reqwest::Url::parse(master).and_then(|base| base.join(variant)) {
            Ok(url) => url,
            Err(error) => return Some(format!("{variant}: {error}")),
        };
        match get_text(&self.http, media.as_str()).await {
            Ok(text) if text.contains("#EXTINF:") => None,
            Ok(_) => Some(format!("{media} lists no segment")),
            Err(error) => Some(error.to_string()),
        }
    }

    /// The first process found that has ended, as an error with the end of its log.
    pub fn death(&self) -> Option<Error> {
        let brokers = self
            .cluster
            .iter()
            .flat_map(|cluster| (0..cluster.len()).map(|index| cluster.broker(index)));
        let mut processes = self.services().map(Service::process).chain(brokers);
        processes.find_map(|process| {
            let status = process.exit_status()?;
            Some(process.error(format!("ended unexpectedly ({status})")))
        })
    }

    /// Ends everything in order: first the services, then Kafka.
    pub async fn shutdown(self) {
        futures::future::join_all(self.services().map(Service::stop)).await;
        if let Some(cluster) = &self.cluster {
            cluster.shutdown().await;
        }
    }
}

/// The spec of the stream `demo`: moving shapes, a clock and a tone. Its segments are
/// short, so that players without low-latency HLS are near the live edge, too.
pub fn demo_stream() -> Value {
    serde_json::json!({
        "id": "demo",
        "name": "Demo",
        "source": "synthetic:?width=1280&height=720&fps=25&bitrate=2500000&tone=440",
        "latency": "low",
        "greatestSegmentSeconds": 2,
    })
}

fn own(cluster: KafkaCluster) -> (Option<KafkaCluster>, String) {
    let servers = cluster.bootstrap_servers();
    (Some(cluster), servers)
}

/// Chosen before any gateway starts, since each is told of the others.
fn gateway_ports(first: Option<u16>, count: usize) -> Vec<u16> {
    let mut next = first;
    let mut port = || {
        let port = next.map_or_else(free_port, free_port_from);
        next = next.map(|_| port + 1);
        port
    };
    (0..count).map(|_| port()).collect()
}

/// Where a service's program is: in `REELAY_BIN_DIR`, or where this program was built.
fn service_program(name: &str) -> Result<PathBuf, Error> {
    let own = std::env::current_exe().map_err(Error::io("finding this program's own path"))?;
    let given = std::env::var_os("REELAY_BIN_DIR").map(PathBuf::from);
    // Test programs are in `deps`, one below the programs themselves.
    let candidates = given
        .into_iter()
        .chain(own.ancestors().skip(1).take(2).map(PathBuf::from));
    let mut programs = candidates.map(|dir| dir.join(name));
    programs.find(|program| program.is_file()).ok_or_else(|| {
        Error::Missing(format!(
            "{name} has not been built: `make build`, or cargo build -p {name}"
        ))
    })
}

fn http_client() -> Result<reqwest::Client, Error> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build();
    client.map_err(Error::http("setting up the HTTP client"))
}

async fn get_text(http: &reqwest::Client, url: &str) -> Result<String, Error> {
    let answer = http.get(url).send().await.map_err(Error::http(url))?;
    refuse_failure(url, answer)
        .await?
        .text()
        .await
        .map_err(Error::http(url))
}

async fn refuse_failure(url: &str, answer: reqwest::Response) -> Result<reqwest::Response, Error> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let body = answer.text().await.unwrap_or_default();
    Err(Error::Http {
        url: url.to_owned(),
        why: format!("{status}: {}", body.trim()),
    })
}
