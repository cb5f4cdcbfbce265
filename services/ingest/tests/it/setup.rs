//! Deployments of a test's own: topics, ingests as tasks or processes, and what lies in the log.

use std::{path::PathBuf, time::Duration};

use reelay_bus::{
    Bus, BusConfig, FetchLimits, Headers, Outgoing, Producer, Record, SpoolLimits, admin,
};
use reelay_ingest::{
    app,
    config::{Config, MEDIA_WORKER},
    resolve::SourcePolicy,
};
use reelay_media::WorkerProgram;
use reelay_model::{Phase, StreamStatus, StreamUid};
use reelay_runtime::Runtime;
use reelay_testkit::{
    KafkaCluster, Process, ProcessSpec, ScratchDir,
    kafka::unique_prefix,
    linearity::{Report, check_log},
    wait_until,
};
use reelay_timeline::claim_header;
use reelay_wire::{
    CHUNK_HEADER, Epoch, Header, Kind, Nonce, Offset, StreamId, Topic, Track, partition_for,
};
use serde_json::json;

/// How long anything may take on a busy machine before a test fails.
pub const LIMIT: Duration = Duration::from_secs(90);

const PROGRAM: &str = env!("CARGO_BIN_EXE_reelay-ingest");
const PARTITIONS: i32 = 2;

/// The topics of one test, on the broker that the tests of this binary share.
pub struct Deployment {
    pub bus: Bus,
    pub scratch: ScratchDir,
    pub spool: SpoolLimits,
    /// Sources on this machine: cameras of the test.
    pub allow_local_sources: bool,
    producer: Producer,
}

/// A stream as it was added.
#[derive(Debug, Clone)]
pub struct Added {
    pub id: StreamId,
    pub uid: StreamUid,
    pub partition: i32,
    pub version: Offset,
}

impl Deployment {
    pub async fn new(name: &str) -> Self {
        Self::on(KafkaCluster::shared().await.unwrap(), name).await
    }

    pub async fn on(cluster: &KafkaCluster, name: &str) -> Self {
        let bus = Bus::new(BusConfig {
            bootstrap_servers: cluster.bootstrap_servers(),
            client_id: format!("test-{name}"),
            topic_prefix: unique_prefix(name),
            ..BusConfig::default()
        })
        .unwrap();
        let plan = admin::plan(&admin::PlanOptions {
            partitions: PARTITIONS,
            ..admin::PlanOptions::default()
        });
        admin::ensure(&bus, &plan).await.unwrap();
        let scratch = ScratchDir::new(name).unwrap();
        std::fs::create_dir(scratch.path().join("media")).unwrap();
        let producer = bus.producer().unwrap();
        Self {
            bus,
            scratch,
            spool: SpoolLimits::default(),
            allow_local_sources: false,
            producer,
        }
    }

    pub fn media_dir(&self) -> PathBuf {
        self.scratch.path().join("media").canonicalize().unwrap()
    }

    /// Where credentials are put.
    pub fn credentials_dir(&self) -> PathBuf {
        let dir = self.scratch.path().join("credentials");
        std::fs::create_dir_all(&dir).unwrap();
        dir.canonicalize().unwrap()
    }

    /// Ingest as a task of this process.
    pub fn ingest(&self) -> Task {
        let config = Config {
            bus: self.bus.config().clone(),
            sources: SourcePolicy {
                media_dir: Some(self.media_dir()),
                credentials_dir: Some(self.credentials_dir()),
                v4l2_devices: Vec::new(),
                allow_local_sources: self.allow_local_sources,
            },
            instance: "test".to_owned(),
            worker: WorkerProgram {
                program: PROGRAM.into(),
                args: vec![MEDIA_WORKER.to_owned()],
            },
            retry: (Duration::from_millis(100), Duration::from_secs(2)),
            retry_refused: (Duration::from_secs(60), Duration::from_secs(60)),
            hand_over: Duration::from_secs(8),
            spool: self.spool,
        };
        let runtime = Runtime::detached();
        let task = tokio::spawn(app::run(config, runtime.clone()));
        Task { runtime, task }
    }

    /// Ingest as a process.
    pub fn process(&self, name: &str) -> Process {
        let config = self.bus.config();
        let log = self.scratch.path().join(format!("{name}.log"));
        let spec = ProcessSpec::new(name, PROGRAM, log)
            .args(["--kafka-bootstrap-servers", &config.bootstrap_servers])
            .args(["--topic-prefix", &config.topic_prefix])
            .args(["--admin-listen", "127.0.0.1:0", "--instance", name])
            .arg("--media-dir")
            .arg(self.media_dir())
            .arg("--credentials-dir")
            .arg(self.credentials_dir())
            .args(self.allow_local_sources.then_some("--allow-local-sources"));
        Process::start(spec).unwrap()
    }

    pub async fn add(&self, id: &str, source: &str) -> Added {
        self.add_spec(
            id,
            json!({"id": id, "source": source, "greatestSegmentSeconds": 2}),
        )
        .await
    }

    pub async fn add_spec(&self, id: &str, spec: serde_json::Value) -> Added {
        let id: StreamId = id.parse().unwrap();
        let partition = partition_for(&id, PARTITIONS);
        let uid = StreamUid::random();
        let mut added = Added {
            id,
            uid,
            partition,
            version: 0,
        };
        added.version = self.write_spec(&added, None, Some(spec)).await;
        added
    }

    pub async fn edit(&self, added: &mut Added, spec: serde_json::Value) {
        let based_on = Some(added.version);
        added.version = self.write_spec(added, based_on, Some(spec)).await;
    }

    pub async fn remove(&self, added: &Added) {
        self.write_spec(added, Some(added.version), None).await;
    }

    async fn write_spec(
        &self,
        added: &Added,
        based_on: Option<Offset>,
        spec: Option<serde_json::Value>,
    ) -> Offset {
        let record = json!({
            "form": 1, "uid": added.uid, "basedOn": based_on, "spec": spec, "by": "test",
        });
        self.write_raw(&added.id, added.partition, &record.to_string())
            .await
    }

    pub async fn write_raw(&self, key: &StreamId, partition: i32, value: &str) -> Offset {
        let record = Outgoing {
            topic: Topic::Streams,
            partition,
            key: key.as_str().to_owned().into(),
            headers: Headers::new(),
            value: value.to_owned().into(),
        };
        self.producer.send(record).await.unwrap().offset
    }

    /// Appends a claim to `source` and nothing to the other topics.
    pub async fn claim_source(&self, added: &Added) -> Epoch {
        let nonce = Nonce([9; 16]);
        let header = claim_header(&added.id, added.uid, &Topic::Source, None, nonce);
        let record = Outgoing {
            topic: Topic::Source,
            partition: added.partition,
            key: added.id.as_str().to_owned().into(),
            headers: Headers::new().with(CHUNK_HEADER, header.encode()),
            value: Vec::new().into(),
        };
        let offset = self.producer.send(record).await.unwrap().offset;
        Epoch(offset.cast_unsigned())
    }

    /// All records of a partition.
    pub async fn read(&self, topic: Topic, partition: i32) -> Vec<Record> {
        let (low, high) = self.bus.watermarks(&topic, partition).await.unwrap();
        let limits = FetchLimits {
            bytes: u64::MAX,
            ..FetchLimits::until(high)
        };
        self.bus
            .fetch(&topic, partition, low, limits)
            .await
            .unwrap()
    }

    /// Headers of all records of a stream in a topic, with their offsets.
    pub async fn headers(&self, added: &Added, topic: Topic) -> Vec<(Offset, Header)> {
        let records = self.read(topic, added.partition).await;
        let headers = records.iter().map(|record| {
            let header = Header::decode(record.headers.get(CHUNK_HEADER).unwrap()).unwrap();
            (record.offset, header)
        });
        headers
            .filter(|(_, header)| header.uid == added.uid)
            .collect()
    }

    /// Headers of the segments of a track that `index` lists.
    pub async fn indexed(&self, added: &Added, track: Track) -> Vec<Header> {
        let mut headers = self.headers(added, Topic::Index).await;
        headers
            .retain(|(_, h)| h.track == track && matches!(h.kind, Kind::Chunk { .. } | Kind::Gap));
        headers.into_iter().map(|(_, header)| header).collect()
    }

    /// Waits until `index` lists more than `more` segments of both tracks, beyond those it has.
    pub async fn grows(&self, added: &Added, more: usize) {
        let before = self.indexed(added, Track::Video).await.len();
        let name = format!("{more} more segments of {} after {before}", added.id);
        wait_until(&name, LIMIT, || async {
            let video = self.indexed(added, Track::Video).await.len();
            let audio = self.indexed(added, Track::Audio).await.len();
            (video.min(audio) >= before + more).then_some(())
        })
        .await
        .unwrap();
    }

    /// The last status of a stream.
    pub async fn status(&self, added: &Added) -> Option<StreamStatus> {
        let records = self.read(Topic::Status, added.partition).await;
        let statuses = records
            .iter()
            .filter_map(|record| serde_json::from_slice::<StreamStatus>(&record.value).ok());
        statuses.filter(|status| status.uid == added.uid).last()
    }

    /// Waits until the stream's status is as `condition` wants it.
    pub async fn status_until(
        &self,
        added: &Added,
        what: &str,
        condition: impl Fn(&StreamStatus) -> bool,
    ) -> StreamStatus {
        let name = format!("status of {}: {what}", added.id);
        let waited = wait_until(&name, LIMIT, || async {
            self.status(added).await.filter(|status| condition(status))
        });
        match waited.await {
            Ok(status) => status,
            Err(error) => panic!("{error}; it is {:#?}", self.status(added).await),
        }
    }

    pub async fn live(&self, added: &Added) -> StreamStatus {
        self.status_until(added, "live", |s| s.phase == Phase::Live)
            .await
    }

    /// What the checker says of the whole log, where nothing was broken.
    pub async fn sound(&self) -> Report {
        let report = check_log(&self.bus).await.unwrap();
        let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        assert!(report.sound(), "{findings:#?}");
        report
    }
}

/// Ingest as a task.
pub struct Task {
    runtime: Runtime,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Task {
    /// Stops it in good order.
    pub async fn stop(self) {
        self.runtime.stop();
        tokio::time::timeout(LIMIT, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}
