//! `reelay-local`, which `make run` and the browser tests start, keeps its word.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reelay_testkit::{
    KafkaCluster, ScratchDir, kafka::unique_prefix, ports::free_port, wait_until,
};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(120);

/// A run of it, with what it printed on standard output and error.
struct Local {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    errors: std::path::PathBuf,
}

impl Local {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let errors = dir.join("stderr");
        let mut child = Command::new(env!("CARGO_BIN_EXE_reelay-local"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, errors }
    }

    /// The next line of its standard output; blocks, and fails if it ends instead.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it ended: {}", self.errors());
        line
    }

    fn json(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }

    async fn ends(&mut self) -> ExitStatus {
        let child = std::sync::Mutex::new(&mut self.child);
        wait_until("reelay-local to end", SOON, async || {
            child.lock().unwrap().try_wait().unwrap()
        })
        .await
        .unwrap()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn runs(pid: &Value) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn send(pid: &Value, signal: Signal) {
    kill(
        Pid::from_raw(pid.as_i64().unwrap().try_into().unwrap()),
        signal,
    )
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn for_a_test_it_plays_the_demo_obeys_and_leaves_nothing() {
    let dir = ScratchDir::new("local").unwrap();
    let servers = KafkaCluster::shared().await.unwrap().bootstrap_servers();
    let args = [
        "--ephemeral",
        "--json",
        "--gateways",
        "2",
        "--kafka-bootstrap-servers",
        &servers,
    ];
    let mut local = Local::start(dir.path(), &args);
    let up = local.json();
    assert_eq!(up["kafka"], servers);
    let media_dir = up["mediaDir"].as_str().unwrap().to_owned();
    assert!(Path::new(&media_dir).is_dir());
    let gateways = up["gateways"].as_array().unwrap();
    assert_eq!(gateways.len(), 2);
    for gateway in gateways {
        let url = format!(
            "{}/streams/demo/hls/master.m3u8",
            gateway["url"].as_str().unwrap()
        );
        let answer = reqwest::get(&url).await.unwrap();
        assert!(answer.status().is_success(), "{url}: {}", answer.status());
    }

    send(&gateways[1]["pid"], Signal::SIGKILL);
    let mut input = local.child.stdin.take().unwrap();
    writeln!(input, "restart gateway 1").unwrap();
    let restarted = local.json();
    assert_eq!(restarted["restarted"], "gateway", "{restarted}");
    assert_eq!(restarted["index"], 1);
    assert!(runs(&restarted["pid"]));
    writeln!(input, "restart teapot 0").unwrap();
    assert!(local.json()["error"].as_str().unwrap().contains("teapot"));

    drop(input);
    assert!(local.ends().await.success(), "{}", local.errors());
    for pid in [
        &gateways[0]["pid"],
        &restarted["pid"],
        &up["ingests"][0]["pid"],
    ] {
        assert!(!runs(pid), "process {pid} is left");
    }
    assert!(!Path::new(&media_dir).exists(), "{media_dir} is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn for_a_person_it_runs_once_stops_at_ctrl_c_and_names_a_service_that_died() {
    let dir = ScratchDir::new("local").unwrap();
    let servers = KafkaCluster::shared().await.unwrap().bootstrap_servers();
    let (prefix, port) = (unique_prefix("local"), free_port().to_string());
    let data = dir.path().join("data");
    let mut args = vec![
        "--kafka-bootstrap-servers",
        &servers,
        "--topic-prefix",
        &prefix,
        "--port",
        &port,
    ];
    args.extend(["--no-demo", "--dir", data.to_str().unwrap()]);

    let mut first = Local::start(dir.path(), &args);
    let line = first.line();
    assert!(
        line.contains(&format!("http://127.0.0.1:{port}/")),
        "{line}"
    );
    assert!(data.join("log/gateway.log").exists());

    let other = ScratchDir::new("local").unwrap();
    let mut second = Local::start(other.path(), &args);
    assert_eq!(second.ends().await.code(), Some(1));
    assert!(
        second
            .errors()
            .contains(&format!("process {}", first.child.id())),
        "{}",
        second.errors()
    );

    kill(
        Pid::from_raw(first.child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    assert!(first.ends().await.success(), "{}", first.errors());

    args.push("--json");
    let mut third = Local::start(dir.path(), &args);
    let up = third.json();
    send(&up["ingests"][0]["pid"], Signal::SIGKILL);
    assert_eq!(third.ends().await.code(), Some(1));
    assert!(
        third
            .errors()
            .contains("ingest: ended unexpectedly (signal: 9"),
        "{}",
        third.errors()
    );
    assert!(!runs(&up["gateways"][0]["pid"]), "the gateway is left");
}
