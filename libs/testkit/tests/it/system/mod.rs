//! The whole system, as its parts run in production: Kafka, ingests and gateways in
//! processes of their own, looked at from outside.

mod main_path;
mod soak;
mod takeover;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use reelay_bus::{Bus, BusConfig};
use reelay_testkit::linearity::{Report, Watch, playlist};
use reelay_testkit::stack::StackBuilder;
use reelay_testkit::{Stack, wait_until};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, oneshot};
use tokio::task::JoinHandle;

/// What a loaded machine may take for anything.
const LIMIT: Duration = Duration::from_secs(90);

/// One stack at a time: two cores encode only so much.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

async fn start(builder: StackBuilder) -> Stack {
    builder.start().await.unwrap()
}

fn bus(stack: &Stack) -> Bus {
    Bus::new(BusConfig {
        bootstrap_servers: stack.bootstrap_servers().to_owned(),
        client_id: "system-test".into(),
        topic_prefix: stack.topic_prefix().to_owned(),
        ..BusConfig::default()
    })
    .unwrap()
}

/// A small synthetic camera with sound.
fn camera(id: &str) -> Value {
    json!({
        "id": id,
        "source": "synthetic:?width=320&height=180&fps=25&bitrate=300000&tone=440",
        "greatestSegmentSeconds": 2,
    })
}

fn file(id: &str, name: &str) -> Value {
    json!({"id": id, "source": format!("file:{name}"), "greatestSegmentSeconds": 2})
}

/// A file of 20 s, H.264 with B-frames and AAC, a keyframe every 2 s.
fn make_clip(path: &Path) {
    let arguments = "-v error -y -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=frequency=300:sample_rate=48000 \
                     -t 20 -c:v libx264 -preset veryfast -g 50 -pix_fmt yuv420p -b:v 300k -c:a aac -b:a 64k";
    let output = Command::new("ffmpeg")
        .args(arguments.split_whitespace())
        .arg(path)
        .output();
    let output = output.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A program of the workspace, or one that Debian has.
fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let dirs = own.ancestors().skip(1).take(2).map(PathBuf::from);
    let given = std::env::var_os("REELAY_BIN_DIR").map(PathBuf::from);
    let found = given
        .into_iter()
        .chain(dirs)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| PathBuf::from(name))
}

/// Runs a program to its end without holding up the tests' own tasks.
async fn run(name: &str, arguments: &[&str], input: Stdio) -> Output {
    let mut command = Command::new(program(name));
    command.args(arguments).stdin(input);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// Runs `reelay` with the stack's Kafka and first gateway.
async fn reelay(stack: &Stack, arguments: &[&str]) -> Output {
    let server = stack.gateway(0).url();
    let mut all = vec!["--server", server];
    all.extend(arguments);
    if ["tail", "topics", "doctor"].contains(&arguments[0]) {
        all.extend(["--kafka-bootstrap-servers", stack.bootstrap_servers()]);
        all.extend(["--topic-prefix", stack.topic_prefix()]);
    }
    run("reelay", &all, Stdio::null()).await
}

/// The checker, at work beside the test.
struct Checker {
    stop: oneshot::Sender<()>,
    report: JoinHandle<Report>,
}

impl Checker {
    /// Follows all gateways; those in `mortal` may go away.
    fn start(stack: &Stack, mortal: &[usize]) -> Self {
        let url = |i: usize| stack.gateway(i).url().parse().unwrap();
        let watch = Watch {
            bus: bus(stack),
            gateways: (0..stack.gateways().len()).map(url).collect(),
            streams: BTreeSet::new(),
            mortal: mortal.iter().copied().map(url).collect(),
        };
        let (stop, stopped) = oneshot::channel();
        let report = tokio::spawn(async move {
            watch
                .until(async { stopped.await.unwrap_or_default() })
                .await
                .unwrap()
        });
        Self { stop, report }
    }

    /// The report, which has to be without a finding and to have seen media at gateways.
    async fn sound(self) -> Report {
        self.stop.send(()).unwrap();
        let report = self.report.await.unwrap();
        assert!(report.sound(), "{report}");
        assert!(
            report.counts.segments > 0 && report.counts.compared_media > 0,
            "{report}"
        );
        eprintln!("{report}");
        report
    }
}

/// The video playlist of a stream, at one gateway; none while it has none.
async fn video(stack: &Stack, gateway: usize, id: &str) -> Option<playlist::MediaPlaylist> {
    let url = format!(
        "{}/streams/{id}/hls/video/media.m3u8",
        stack.gateway(gateway).url()
    );
    let text = reqwest::get(url)
        .await
        .ok()?
        .error_for_status()
        .ok()?
        .text()
        .await
        .ok()?;
    playlist::parse_media(&text).ok()
}

/// Waits until every stream has `more` further whole segments at every gateway.
async fn more_segments(stack: &Stack, ids: &[&str], more: u64) {
    for id in ids {
        let from = video(stack, 0, id).await.map_or(0, |list| list.end());
        for gateway in 0..stack.gateways().len() {
            let what = format!("{more} more segments of {id} at gateway {gateway}");
            wait_until(&what, LIMIT, async || {
                let list = video(stack, gateway, id).await?;
                (list.end() >= from + more).then_some(())
            })
            .await
            .unwrap();
        }
    }
}

/// The ingest that owns all streams of the stack, of which there are `count`.
async fn owner(stack: &Stack, count: usize) -> usize {
    wait_until("an ingest that owns all streams", LIMIT, async || {
        for i in 0..stack.ingests().len() {
            let owned = stack
                .ingest(i)
                .metric("reelay_ingest_owned_streams")
                .await
                .ok()
                .flatten();
            if owned == Some(count as f64) {
                return Some(i);
            }
        }
        None
    })
    .await
    .unwrap()
}
