//! A process is what the kit says it is, and never outlives the test.

use std::{path::Path, process::Command, time::Duration};

use reelay_testkit::{Process, ProcessSpec, ScratchDir, process::Stopped, wait_until};

const SOON: Duration = Duration::from_secs(20);

fn shell(dir: &ScratchDir, script: &str) -> Process {
    let spec = ProcessSpec::new("shell", "/bin/sh", dir.path().join("shell.log"));
    Process::start(spec.args(["-c", script])).unwrap()
}

/// The letter in `/proc/<pid>/stat` (proc_pid_stat(5)), `None` when it is gone or a zombie.
fn state_of(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?
        .1
        .chars()
        .next()
        .filter(|state| *state != 'Z')
}

async fn wait_for_log(process: &Process, text: &str) {
    wait_until(&format!("{text:?} in the log"), SOON, async || {
        process.log().contains(text).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_process_is_asked_to_stop_and_killed_if_it_does_not() {
    let dir = ScratchDir::new("process").unwrap();
    let polite = shell(
        &dir,
        "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.01; done",
    );
    wait_for_log(&polite, "up").await;
    let Stopped::Exited(status) = polite.stop(SOON).await else {
        panic!("it was killed")
    };
    assert_eq!(status.code(), Some(3));
    assert_eq!(polite.log_tail(1), ["bye"]);

    let stubborn = shell(
        &dir,
        "trap '' TERM; echo deaf; while :; do sleep 0.01; done",
    );
    wait_for_log(&stubborn, "deaf").await;
    assert_eq!(
        stubborn.stop(Duration::from_millis(50)).await,
        Stopped::Killed
    );
    assert_eq!(state_of(stubborn.pid()), None);
}

#[tokio::test]
async fn a_process_can_be_frozen_thawed_and_started_again_with_a_fresh_log() {
    let dir = ScratchDir::new("process").unwrap();
    let process = shell(&dir, "echo life $$; exec sleep 1000");
    wait_for_log(&process, "life").await;
    process.pause();
    wait_until("it to be stopped", SOON, async || {
        (state_of(process.pid()) == Some('T')).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(process.exit_status(), None);
    process.resume();
    wait_until("it to run", SOON, async || {
        (state_of(process.pid()) == Some('S')).then_some(())
    })
    .await
    .unwrap();

    let first = process.pid();
    process.restart().unwrap();
    assert_ne!(process.pid(), first);
    wait_for_log(&process, &format!("life {}", process.pid())).await;
    assert!(!process.log().contains(&format!("life {first}\n")));
    drop(process);
    assert_eq!(state_of(first), None);
}

/// Run by the test below as a process of its own: starts a child and waits to be killed.
#[tokio::test]
#[ignore = "the other half of a_killed_test_takes_its_processes_along"]
async fn starts_a_child_and_waits() {
    let Some(pid_file) = std::env::var_os("TESTKIT_PID_FILE") else {
        return;
    };
    let dir = ScratchDir::new("orphan").unwrap();
    let child = shell(&dir, "exec sleep 1000");
    std::fs::write(pid_file, format!("{}\n", child.pid())).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_test_takes_its_processes_along() {
    let dir = ScratchDir::new("process").unwrap();
    let pid_file = dir.path().join("pid");
    let mut test = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "process::starts_a_child_and_waits"])
        .env("TESTKIT_PID_FILE", &pid_file)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = wait_until("the child's process id", SOON, async || read_pid(&pid_file))
        .await
        .unwrap();
    assert!(state_of(pid).is_some());
    test.kill().unwrap();
    test.wait().unwrap();
    wait_until("the child to be gone", SOON, async || {
        state_of(pid).is_none().then_some(())
    })
    .await
    .unwrap();
}

fn read_pid(file: &Path) -> Option<u32> {
    std::fs::read_to_string(file)
        .ok()?
        .strip_suffix('\n')?
        .parse()
        .ok()
}

#[test]
fn ports_are_handed_out_once() {
    let mut ports: Vec<u16> = (0..200)
        .map(|_| reelay_testkit::ports::free_port())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 200);
}
