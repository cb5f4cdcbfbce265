//! Starts gateways on topics of their own.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use reelay_bus::admin::{self, PlanOptions};
use reelay_bus::{Bus, BusConfig};
use reelay_gateway::app;
use reelay_gateway::config::{Args, Config};
use reelay_runtime::Runtime;
use reelay_testkit::{KafkaCluster, kafka::unique_prefix, wait_until};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// How long anything may take on a noisy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Partitions of the topics.
pub const PARTITIONS: i32 = 3;

#[derive(Parser)]
struct Whole {
    #[command(flatten)]
    args: Args,
}

/// Topics of one test.
pub struct Topics {
    pub bus: Bus,
    pub servers: String,
    pub prefix: String,
}

impl Topics {
    /// Names under which no topics are yet.
    pub async fn named(name: &str) -> Self {
        let servers = KafkaCluster::shared().await.unwrap().bootstrap_servers();
        let prefix = unique_prefix(name);
        let config = BusConfig {
            bootstrap_servers: servers.clone(),
            topic_prefix: prefix.clone(),
            ..BusConfig::default()
        };
        Self {
            bus: Bus::new(config).unwrap(),
            servers,
            prefix,
        }
    }

    pub async fn make(&self) {
        let plan = admin::plan(&PlanOptions {
            partitions: PARTITIONS,
            ..PlanOptions::default()
        });
        admin::ensure(&self.bus, &plan).await.unwrap();
    }

    pub fn config(&self, flags: &[&str]) -> Config {
        let own = [
            "gateway",
            "--listen=127.0.0.1:0",
            "--kafka-bootstrap-servers",
            &self.servers,
        ];
        let own = [&own[..], &["--topic-prefix", &self.prefix], flags].concat();
        Config::from_args(Whole::try_parse_from(own).unwrap().args).unwrap()
    }

    /// A gateway that is ready.
    pub async fn gateway(&self, flags: &[&str]) -> Gateway {
        let gateway = Gateway::start(self.config(flags));
        gateway.ready().await;
        gateway
    }
}

/// A gateway on topics of its own, ready.
pub async fn gateway(name: &str, flags: &[&str]) -> Gateway {
    let topics = Topics::named(name).await;
    topics.make().await;
    let mut gateway = topics.gateway(flags).await;
    gateway.topics = Some(topics);
    gateway
}

/// A running gateway; it ends with its handle.
pub struct Gateway {
    pub address: SocketAddr,
    pub runtime: Runtime,
    pub topics: Option<Topics>,
    pub task: JoinHandle<anyhow::Result<()>>,
    pub client: reqwest::Client,
}

impl Gateway {
    pub fn start(config: Config) -> Self {
        let runtime = Runtime::detached();
        let listener = app::listen(config.listen).unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(app::start(config, runtime.clone(), listener));
        Self {
            address,
            runtime,
            topics: None,
            task,
            client: reqwest::Client::new(),
        }
    }

    pub async fn ready(&self) {
        let ready = async || self.runtime.health.view().ready.then_some(());
        wait_until("the gateway is ready", PATIENCE, ready)
            .await
            .unwrap();
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn bus(&self) -> &Bus {
        &self.topics.as_ref().unwrap().bus
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(self.url(path))).await
    }

    pub async fn add(&self, spec: Value) -> Answer {
        Answer::of(self.client.post(self.url("/api/v1/streams")).json(&spec)).await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.runtime.stop();
        self.task.abort();
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The code of a problem, which must be one in full.
    pub fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert!(
            problem["title"].is_string() && problem["type"] == "about:blank",
            "{self:?}"
        );
        problem["code"].as_str().unwrap().to_owned()
    }

    /// The fields that a problem names.
    pub fn fields(&self) -> Vec<String> {
        let errors = self.json()["errors"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        errors
            .iter()
            .map(|error| error["field"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// A spec of a synthetic stream.
pub fn spec(id: &str) -> Value {
    json!({"id": id, "source": "synthetic:", "greatestSegmentSeconds": 2})
}
