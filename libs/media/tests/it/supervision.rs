//! Workers that die, hang or break the protocol are reported, and leave nothing behind.

use std::{path::Path, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reelay_media::{SourceInput, SourceJob, SourceWorker, WorkerError, WorkerProgram};
use reelay_model::{LatencyMode, Micros, Synthetic};

use crate::collect::{Collected, program};

fn job() -> SourceJob {
    let camera = Synthetic {
        width: 160,
        height: 120,
        ..Synthetic::default()
    };
    SourceJob::new(
        "camera",
        SourceInput::Synthetic(camera),
        LatencyMode::Low,
        Micros(6_000_000),
    )
}

fn signal(worker: &SourceWorker, signal: Signal) {
    kill(Pid::from_raw(worker.pid() as i32), signal).unwrap();
}

fn script(text: &str) -> WorkerProgram {
    WorkerProgram {
        program: "/bin/sh".into(),
        args: vec!["-c".to_owned(), text.to_owned()],
    }
}

/// Waits until the process is gone.
async fn gone(pid: u32) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "process {pid} is left behind"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_killed_worker_is_reported_with_its_signal() {
    let mut worker = SourceWorker::spawn(&program(), &job()).unwrap();
    let mut seen = Collected::default();
    seen.read(&mut worker, |seen| !seen.chunks.is_empty())
        .await
        .unwrap();
    signal(&worker, Signal::SIGKILL);
    let error = seen.read(&mut worker, |_| false).await.unwrap_err();
    assert!(
        matches!(&error, WorkerError::Died { status, .. } if status.contains("SIGKILL")),
        "{error}"
    );
    assert!(matches!(worker.next().await, Err(WorkerError::Ended)));
}

#[tokio::test]
async fn a_stopped_worker_is_killed_and_reported() {
    let limit = Duration::from_secs(3);
    let mut worker = SourceWorker::spawn_with_watchdog(&program(), &job(), limit).unwrap();
    let mut seen = Collected::default();
    seen.read(&mut worker, |seen| !seen.chunks.is_empty())
        .await
        .unwrap();
    signal(&worker, Signal::SIGSTOP);
    let error = seen.read(&mut worker, |_| false).await.unwrap_err();
    assert!(matches!(error, WorkerError::Hung { .. }), "{error}");
    gone(worker.pid()).await;
}

#[tokio::test]
async fn a_dropped_worker_is_gone() {
    let worker = SourceWorker::spawn(&program(), &job()).unwrap();
    let pid = worker.pid();
    drop(worker);
    gone(pid).await;
}

#[tokio::test]
async fn exit_codes_and_last_words_are_reported() {
    let mut worker = SourceWorker::spawn(&script("echo all is lost >&2; exit 3"), &job()).unwrap();
    let error = worker.next().await.unwrap_err().to_string();
    assert!(error.contains("exit status: 3"), "{error}");
}

#[tokio::test]
async fn garbage_instead_of_messages_is_reported() {
    let mut worker = SourceWorker::spawn(
        &script("echo hello there, this is no frame; sleep 60"),
        &job(),
    )
    .unwrap();
    let pid = worker.pid();
    let error = worker.next().await.unwrap_err();
    assert!(matches!(error, WorkerError::Protocol { .. }), "{error}");
    gone(pid).await;
}

#[tokio::test]
async fn a_worker_has_no_environment() {
    let text = "test -z \"$HOME$CARGO_PKG_NAME$USER\" && exit 7";
    let mut worker = SourceWorker::spawn(&script(text), &job()).unwrap();
    let error = worker.next().await.unwrap_err().to_string();
    assert!(error.contains("exit status: 7"), "{error}");
}

#[tokio::test]
async fn a_missing_program_is_reported() {
    let missing = WorkerProgram {
        program: "/nonexistent/worker".into(),
        args: Vec::new(),
    };
    assert!(matches!(
        SourceWorker::spawn(&missing, &job()),
        Err(WorkerError::Spawn { .. })
    ));
}

/// A parent that does not read stops the worker, which neither dies nor piles up memory, and goes
/// on at its pace when it is read again.
#[tokio::test]
async fn a_slow_parent_blocks_the_worker() {
    let mut job = job();
    job.source = SourceInput::Synthetic(Synthetic {
        bitrate: 4_000_000,
        ..Synthetic::default()
    });
    let limit = Duration::from_secs(3);
    let mut worker = SourceWorker::spawn_with_watchdog(&program(), &job, limit).unwrap();
    let mut seen = Collected::default();
    seen.read(&mut worker, |seen| seen.chunks.len() > 2)
        .await
        .unwrap();
    // Longer than the watchdog's limit: a worker that cannot write is not silent.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = seen.chunks.len();
    let since = tokio::time::Instant::now();
    seen.read(&mut worker, |seen| seen.chunks.len() >= before + 20)
        .await
        .unwrap();
    assert!(
        since.elapsed() > Duration::from_millis(500),
        "no burst: it was not made in the meantime"
    );
    seen.check(&reelay_model::Track::Video);
}
