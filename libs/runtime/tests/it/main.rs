//! A real process: what it prints, serves and exits with.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(20);

struct Probe {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Probe {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_runtime-probe"))
            .args(arguments)
            .env_remove("RUST_BACKTRACE")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    fn line_with(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
        panic!("no line with {text:?} in {:?}", self.seen);
    }

    /// The admin address, from the JSON log.
    fn admin(&mut self) -> String {
        let line = self.line_with("admin port is open");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        line["address"].as_str().unwrap().to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill(
            Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            signal,
        )
        .unwrap();
    }

    /// Waits for the end; gives the exit code and the last line.
    fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "still running; said {:?}",
                self.seen
            );
            std::thread::sleep(Duration::from_millis(10));
        };
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(1)) {
            self.seen.push(line);
        }
        (status.code(), self.seen.last().cloned().unwrap_or_default())
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn get(address: &str, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("http://{address}{path}"))
        .await
        .unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_health_and_metrics_and_stops_on_sigterm() {
    let mut probe = Probe::start(&["--log-format", "json"]);
    let admin = probe.admin();
    let deadline = Instant::now() + PATIENCE;
    let ready = loop {
        let (status, body) = get(&admin, "/readyz").await;
        if status == 200 {
            break body;
        }
        assert_eq!(status, 503);
        assert!(Instant::now() < deadline, "{body}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    assert_eq!(ready["checks"][0]["name"], "probe");
    assert_eq!(get(&admin, "/livez").await.0, 200);
    let metrics = get(&admin, "/metrics").await.1;
    assert!(metrics.contains("reelay_probe_starts_total 1"), "{metrics}");
    assert!(
        metrics.contains("reelay_probe_info{version=\"1.2.3\"} 1"),
        "{metrics}"
    );
    probe.signal(Signal::SIGTERM);
    let (code, last) = probe.end();
    assert_eq!(code, Some(0));
    let last: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last["message"], "stopped");
}

#[test]
fn a_panic_in_any_thread_ends_the_process_with_a_clear_last_line() {
    for act in ["panic", "panic-in-thread"] {
        let (code, last) = Probe::start(&["--act", act]).end();
        assert_eq!(code, Some(101), "{act}");
        assert!(
            last.contains("panicked, ending the process") && last.contains("as asked"),
            "{last}"
        );
        assert!(last.contains("probe/main.rs:"), "{last}");
    }
}

#[test]
fn an_app_that_fails_or_does_not_stop_in_time_exits_with_1() {
    let (code, last) = Probe::start(&["--act", "fail"]).end();
    assert_eq!(code, Some(1));
    assert!(last.contains("as asked"), "{last}");

    let mut probe = Probe::start(&[
        "--act",
        "hang",
        "--stop-deadline-seconds",
        "1",
        "--log-format",
        "json",
    ]);
    probe.line_with("check passed");
    probe.signal(Signal::SIGINT);
    let (code, last) = probe.end();
    assert_eq!(code, Some(1));
    assert!(last.contains("not stopped within the 1 s"), "{last}");
}

#[test]
fn check_config_prints_what_is_in_force_and_runs_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_runtime-probe"))
        .args(["--check-config", "--log", "debug"])
        .env("REELAY_TOKEN", "hunter2")
        .env("REELAY_ACT", "fail")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("act = \"fail\" # environment variable REELAY_ACT"),
        "{text}"
    );
    assert!(
        text.contains("token = \"***\" # environment variable REELAY_TOKEN"),
        "{text}"
    );
    assert!(text.contains("log = \"debug\" # command line"), "{text}");
    assert!(
        text.contains("admin-listen = \"127.0.0.1:0\" # default"),
        "{text}"
    );
}

#[test]
fn a_configuration_that_is_not_valid_exits_with_2_and_says_why() {
    for (arguments, reason) in [
        (vec!["--act", "dance"], "'dance' for '--act"),
        (vec!["--token", ""], "`token` is empty"),
        (vec!["--log", "a=b=c"], "`--log a=b=c` is not a log filter"),
        (
            vec!["--otlp-endpoint", "ftp://x"],
            "`--otlp-endpoint ftp://x` cannot be used",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_runtime-probe"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn spans_are_sent_over_otlp_before_the_process_ends() {
    let collector = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = collector.accept() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
            let length = head
                .to_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())
                .unwrap_or(0);
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            std::io::Write::write_all(&mut stream, answer).unwrap();
            let _ = sender.send((head, body));
        }
    });
    let mut probe = Probe::start(&["--otlp-endpoint", &endpoint]);
    probe.line_with("check passed");
    probe.signal(Signal::SIGTERM);
    let (head, body) = requests.recv_timeout(PATIENCE).unwrap();
    assert!(head.starts_with("POST /v1/traces"), "{head}");
    for part in ["reelay-probe", "segment", "1.2.3"] {
        let found = body
            .windows(part.len())
            .any(|window| window == part.as_bytes());
        assert!(found, "{part} in the exported span");
    }
    assert_eq!(probe.end().0, Some(0));
}
