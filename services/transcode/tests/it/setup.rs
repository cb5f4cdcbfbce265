//! Deployments of a test's own: topics, ingest and transcodes as tasks or processes, and what lies
//! in the log.

use std::{collections::BTreeMap, time::Duration};

use reelay_bus::{
    Bus, BusConfig, FetchLimits, Headers, Outgoing, Producer, Record, SpoolLimits, admin,
};
use reelay_media::WorkerProgram;
use reelay_model::{Micros, RungDefinitions, Rungs, StreamStatus, StreamUid};
use reelay_runtime::Runtime;
use reelay_testkit::{
    KafkaCluster, Process, ProcessSpec, ScratchDir, kafka::unique_prefix, wait_until,
};
use reelay_timeline::todo::Limits;
use reelay_transcode::{app, config::Config, config::MEDIA_WORKER};
use reelay_wire::{
    CHUNK_HEADER, Epoch, Fingerprint, Header, IndexRecord, Kind, Offset, PartNumber, SegmentNumber,
    StreamId, Topic, Track,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// How long anything may take on a busy machine before a test fails.
pub const LIMIT: Duration = Duration::from_secs(120);

const PROGRAM: &str = env!("CARGO_BIN_EXE_reelay-transcode");

/// Small, so that a debug build on a busy machine keeps up.
pub const RUNGS: &str = "low:height=180,cap=300000,preset=ultrafast,240p:preset=ultrafast";
pub const CAMERA: &str = "synthetic:?width=640&height=360&fps=25&bitrate=600000";

/// The topics of one test, of one partition, on the broker that the tests of this binary share.
pub struct Deployment {
    pub bus: Bus,
    pub scratch: ScratchDir,
    producer: Producer,
}

/// A stream as it was added.
#[derive(Debug, Clone)]
pub struct Added {
    pub id: StreamId,
    pub uid: StreamUid,
}

/// What identifies a part, and the hash of its first copy.
pub type Parts = BTreeMap<(Epoch, SegmentNumber, PartNumber), (Fingerprint, [u8; 32])>;

pub fn rungs() -> Rungs {
    let RungDefinitions(rungs) = RUNGS.parse().unwrap();
    Rungs::new(rungs).unwrap()
}

pub fn tracks() -> Vec<Track> {
    rungs().ids().into_iter().map(Track::Rung).collect()
}

fn worker() -> WorkerProgram {
    WorkerProgram {
        program: PROGRAM.into(),
        args: vec![MEDIA_WORKER.to_owned()],
    }
}

impl Deployment {
    pub async fn new(name: &str) -> Self {
        let cluster = KafkaCluster::shared().await.unwrap();
        let bus = Bus::new(BusConfig {
            bootstrap_servers: cluster.bootstrap_servers(),
            client_id: format!("test-{name}"),
            topic_prefix: unique_prefix(name),
            ..BusConfig::default()
        })
        .unwrap();
        let plan = admin::plan(&admin::PlanOptions {
            partitions: 1,
            rungs: rungs().ids(),
            ..admin::PlanOptions::default()
        });
        admin::ensure(&bus, &plan).await.unwrap();
        Self {
            scratch: ScratchDir::new(name).unwrap(),
            producer: bus.producer().unwrap(),
            bus,
        }
    }

    /// Ingest as a task. Its workers are this service's program: it is the same worker.
    pub fn ingest(&self) -> Task {
        let config = reelay_ingest::config::Config {
            bus: self.bus.config().clone(),
            sources: reelay_ingest::resolve::SourcePolicy {
                media_dir: None,
                allow_local_sources: false,
            },
            instance: "test".to_owned(),
            worker: worker(),
            retry: (Duration::from_millis(100), Duration::from_secs(2)),
            hand_over: Duration::from_secs(8),
            spool: SpoolLimits::default(),
        };
        let runtime = Runtime::detached();
        let task = tokio::spawn(reelay_ingest::app::run(config, runtime.clone()));
        Task { runtime, task }
    }

    pub fn config(&self, group: &str) -> Config {
        Config {
            bus: self.bus.config().clone(),
            rungs: rungs(),
            group: group.to_owned(),
            limits: Limits {
                most_behind: Micros(60_000_000),
                attempts: 3,
            },
            workers: 2,
            instance: group.to_owned(),
            worker: worker(),
            watchdog: Duration::from_secs(8),
            spool: SpoolLimits::default(),
        }
    }

    /// Transcode as a task of this process.
    pub fn transcode(&self, config: Config) -> Task {
        let runtime = Runtime::detached();
        let task = tokio::spawn(app::run(config, runtime.clone()));
        Task { runtime, task }
    }

    /// Transcode as a process.
    pub fn process(&self, name: &str) -> Process {
        let config = self.bus.config();
        let log = self.scratch.path().join(format!("{name}.log"));
        let spec = ProcessSpec::new(name, PROGRAM, log)
            .args(["--kafka-bootstrap-servers", &config.bootstrap_servers])
            .args(["--topic-prefix", &config.topic_prefix])
            .args(["--admin-listen", "127.0.0.1:0", "--instance", name])
            .args(["--rungs", RUNGS, "--most-behind-seconds", "60"]);
        Process::start(spec).unwrap()
    }

    pub async fn add(&self, id: &str, source: &str) -> Added {
        let added = Added {
            id: id.parse().unwrap(),
            uid: StreamUid::random(),
        };
        let spec = json!({"id": id, "source": source, "greatestSegmentSeconds": 2});
        let record = json!({
            "form": 1, "uid": added.uid, "basedOn": null, "spec": spec, "by": "test",
        });
        self.append(Outgoing {
            topic: Topic::Streams,
            partition: 0,
            key: id.to_owned().into(),
            headers: Headers::new(),
            value: record.to_string().into(),
        })
        .await;
        added
    }

    pub async fn append(&self, record: Outgoing) -> Offset {
        self.producer.send(record).await.unwrap().offset
    }

    /// All records of a topic.
    pub async fn read(&self, topic: Topic) -> Vec<Record> {
        let (low, high) = self.bus.watermarks(&topic, 0).await.unwrap();
        let limits = FetchLimits {
            bytes: u64::MAX,
            timeout: LIMIT,
            ..FetchLimits::until(high)
        };
        self.bus.fetch(&topic, 0, low, limits).await.unwrap()
    }

    /// Records of a stream in a topic, with their headers.
    pub async fn records(&self, added: &Added, topic: Topic) -> Vec<(Record, Header)> {
        let records = self.read(topic).await.into_iter();
        records
            .map(|record| {
                let header = Header::decode(record.headers.get(CHUNK_HEADER).unwrap()).unwrap();
                (record, header)
            })
            .filter(|(_, header)| header.uid == added.uid)
            .collect()
    }

    /// The first copies of all parts of a track.
    pub async fn parts(&self, added: &Added, track: &Track) -> Parts {
        let mut parts = Parts::new();
        for (record, header) in self.records(added, Topic::of_track(track)).await {
            if let Kind::Chunk { part, format, .. } = &header.kind {
                let key = (header.epoch.unwrap(), header.segment, *part);
                let hash = Sha256::digest(&record.value).into();
                parts.entry(key).or_insert((format.fingerprint, hash));
            }
        }
        parts
    }

    /// Segments of a track that `index` lists, and whether each is a gap: the last record counts,
    /// but media is never taken back by a gap.
    pub async fn indexed(&self, added: &Added, track: &Track) -> BTreeMap<SegmentNumber, bool> {
        let mut segments = BTreeMap::new();
        for (_, header) in self.records(added, Topic::Index).await {
            let gap = match header.kind {
                Kind::Chunk { .. } => false,
                Kind::Gap => true,
                _ => continue,
            };
            if header.track == *track {
                let known = segments.entry(header.segment).or_insert(gap);
                *known &= gap;
            }
        }
        segments
    }

    /// Waits until `index` lists `more` segments with media of every rung, beyond those it has.
    pub async fn grows(&self, added: &Added, more: usize) {
        let media = async || {
            let mut least = usize::MAX;
            for track in tracks() {
                let indexed = self.indexed(added, &track).await;
                least = least.min(indexed.values().filter(|gap| !**gap).count());
            }
            least
        };
        let before = media().await;
        let name = format!(
            "{more} more segments of the rungs of {} after {before}",
            added.id
        );
        wait_until(&name, LIMIT, || async {
            (media().await >= before + more).then_some(())
        })
        .await
        .unwrap();
    }

    /// The last status that transcode wrote.
    pub async fn status(&self, added: &Added) -> Option<StreamStatus> {
        let records = self.read(Topic::Status).await;
        let statuses = records
            .iter()
            .filter_map(|record| serde_json::from_slice::<StreamStatus>(&record.value).ok());
        statuses
            .filter(|status| status.uid == added.uid && status.component == "transcode")
            .last()
    }

    /// Waits until every rung has media or a gap for each segment of the source but the newest.
    pub async fn complete(&self, added: &Added) {
        wait_until("all rungs of all segments", LIMIT, || async {
            let source = self.indexed(added, &Track::Video).await;
            for track in tracks() {
                let rung = self.indexed(added, &track).await;
                let first = rung.keys().next()?;
                let whole = source.keys().filter(|number| *number >= first);
                if !whole.clone().all(|number| rung.contains_key(number)) {
                    return None;
                }
            }
            Some(())
        })
        .await
        .unwrap();
    }

    /// What an undisturbed transcode makes of the same source log, in topics of its own.
    pub async fn undisturbed(&self, added: &Added, name: &str) -> BTreeMap<Track, Parts> {
        let other = Self::new(name).await;
        for topic in [Topic::Streams, Topic::Source, Topic::Index] {
            for record in self.read(topic.clone()).await {
                let header = record
                    .headers
                    .get(CHUNK_HEADER)
                    .map(|b| Header::decode(b).unwrap());
                let derived = header.is_some_and(|header| {
                    matches!(header.track, Track::Rung(_)) || header.kind == Kind::Attempt
                });
                if !derived {
                    other
                        .append(Outgoing {
                            topic: topic.clone(),
                            partition: 0,
                            key: record.key.unwrap_or_default(),
                            headers: record.headers,
                            value: record.value,
                        })
                        .await;
                }
            }
        }
        let mut config = other.config("undisturbed");
        config.limits.most_behind = Micros(3_600_000_000);
        let transcode = other.transcode(config);
        wait_until("an undisturbed run", LIMIT, || async {
            let source = other.indexed(added, &Track::Video).await;
            for track in tracks() {
                let rung = other.indexed(added, &track).await;
                if rung.len() < source.len() {
                    return None;
                }
            }
            Some(())
        })
        .await
        .unwrap();
        transcode.stop().await;
        let mut all = BTreeMap::new();
        for track in tracks() {
            all.insert(track.clone(), other.parts(added, &track).await);
        }
        all
    }

    /// Proves that what stands in the log is what an undisturbed run makes, and that what `index`
    /// lists is there, in order, with nothing missing between.
    pub async fn proves(&self, added: &Added, name: &str) {
        let undisturbed = self.undisturbed(added, name).await;
        for (track, expected) in &undisturbed {
            let found = self.parts(added, track).await;
            assert!(found.len() > 10, "{track}: {} parts", found.len());
            for (part, found) in &found {
                assert_eq!(Some(found), expected.get(part), "{track} {part:?}");
            }
            let indexed = self.indexed(added, track).await;
            let numbers: Vec<u64> = indexed.keys().map(|number| number.0).collect();
            assert!(
                numbers.windows(2).all(|two| two[1] == two[0] + 1),
                "{track}: {numbers:?}"
            );
            self.index_is_true(added, track).await;
        }
    }

    /// What `index` lists of a track is where it says, and is the whole segment.
    async fn index_is_true(&self, added: &Added, track: &Track) {
        let media: BTreeMap<Offset, (Record, Header)> = self
            .records(added, Topic::of_track(track))
            .await
            .into_iter()
            .map(|(record, header)| (record.offset, (record, header)))
            .collect();
        for (record, header) in self.records(added, Topic::Index).await {
            if header.track != *track || !matches!(header.kind, Kind::Chunk { .. }) {
                continue;
            }
            let index = IndexRecord::decode(&record.value).unwrap();
            for (number, part) in index.parts.iter().enumerate() {
                let (value, found) = &media[&part.offset];
                assert_eq!(found.segment, header.segment);
                let Kind::Chunk {
                    part: found,
                    init_length,
                    ..
                } = found.kind
                else {
                    panic!("{found:?} is listed as a part");
                };
                assert_eq!(found.0 as usize, number);
                assert_eq!(value.value.len() as u32 - init_length, part.bytes);
            }
        }
    }
}

/// A service as a task.
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
