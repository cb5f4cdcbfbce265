//! The run that `make run` shows: data and ports are kept from one to the next.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use reelay_testkit::{
    KafkaCluster, Stack,
    stack::{StackKafka, demo_stream},
};

use crate::{Ended, Stop, args::Args};

/// The first admin port: ingest's; the gateway's and the transcode's are the next.
const ADMIN_PORT: u16 = 9101;

/// A first segment needs Kafka, an owner and two seconds of video.
const DEMO_LIMIT: Duration = Duration::from_secs(60);

/// Starts everything, says where to look, and stays until asked to stop or a part dies.
pub async fn run(args: &Args) -> anyhow::Result<Ended> {
    let dir = std::path::absolute(&args.dir)?;
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let _lock = lock(&dir)?;
    let mut stop = Stop::new()?;
    let stack = tokio::select! {
        started = start(args, &dir) => started?,
        () = stop.requested() => return Ok(Ended::Early),
    };
    let url = stack.gateway(0).url();
    if args.json {
        println!("{}", crate::ephemeral::describe(&stack));
    } else {
        println!(
            "Reelay is up: {url}/ (Ctrl-C stops it; logs in {})",
            args.dir.join("log").display()
        );
    }

    let outcome = tokio::select! {
        dead = first_death(&stack) => Err(dead),
        () = stop.requested() => Ok(Ended::Asked),
    };
    eprintln!("stopping");
    tokio::select! {
        () = stack.shutdown() => {}
        () = stop.requested() => eprintln!("asked again: killing what is left"),
    }
    Ok(outcome?)
}

async fn start(args: &Args, dir: &Path) -> anyhow::Result<Stack> {
    let kafka = match &args.kafka_bootstrap_servers {
        Some(servers) => StackKafka::At(servers.clone()),
        None => {
            let step = Step::begin("starting Kafka");
            let cluster = KafkaCluster::builder(1)
                .dir(dir.join("kafka"))
                .preferred_port(args.kafka_port)
                .long_lived();
            let cluster = cluster.start().await?;
            step.done(&format!("Kafka is up at {}", cluster.bootstrap_servers()));
            StackKafka::Given(cluster)
        }
    };
    let step = Step::begin("starting the services");
    let media_dir = args.media_dir.clone().unwrap_or_else(|| dir.join("media"));
    let stack = Stack::builder()
        .kafka(kafka)
        .topic_prefix(&args.topic_prefix)
        .partitions(args.partitions)
        .ingests(args.ingests.into())
        .transcodes(args.transcodes.unwrap_or(1).into())
        .rungs(&args.rungs)
        .gateways(args.gateways.into())
        .gateway_port(args.port)
        .admin_port(ADMIN_PORT)
        .dir(dir)
        .media_dir(std::path::absolute(media_dir)?)
        .start()
        .await?;
    step.done("the services are ready");

    if !args.no_demo {
        let step = Step::begin("starting the demo stream");
        let demo = demo_stream();
        if stack.stream(0, "demo").await?.is_none() {
            stack.add_stream(&demo).await?;
        }
        tokio::select! {
            playable = stack.playable(0, "demo", DEMO_LIMIT) => playable.map(drop)?,
            dead = first_death(&stack) => return Err(dead.into()),
        }
        step.done("the demo stream plays");
    }
    Ok(stack)
}

/// Waits until a process of the stack has ended by itself.
async fn first_death(stack: &Stack) -> reelay_testkit::Error {
    loop {
        if let Some(error) = stack.death() {
            return error;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Keeps a second run off this folder while this one lives.
fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join("lock");
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)?;
    if let Err(error) = file.try_lock() {
        if std::io::Error::from(error).kind() != ErrorKind::WouldBlock {
            bail!("{} cannot be locked", path.display());
        }
        let mut owner = String::new();
        let _ = file.read_to_string(&mut owner);
        bail!(
            "Reelay is already running from {} (process {}): stop that first, or give another --dir",
            dir.display(),
            owner.trim()
        );
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

/// Says on standard error what takes its time.
struct Step {
    began: Instant,
}

impl Step {
    fn begin(what: &str) -> Self {
        eprintln!("{what}");
        Self {
            began: Instant::now(),
        }
    }

    fn done(self, what: &str) {
        eprintln!("{what} ({:.1} s)", self.began.elapsed().as_secs_f64());
    }
}
