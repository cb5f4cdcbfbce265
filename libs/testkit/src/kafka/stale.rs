//! A broker that an earlier run left behind.
//!
//! The kernel kills brokers with the program that started them, so this is rare: but one
//! that was started otherwise on the same data would keep the new one from starting.

use std::{fs, path::Path, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::properties::PROPERTIES;
use crate::{Error, wait::wait_until};

const STOP_LIMIT: Duration = Duration::from_secs(20);

const PID: &str = "broker.pid";

/// Notes a broker's process beside its data.
pub(super) fn note(node_dir: &Path, pid: u32) -> Result<(), Error> {
    let path = node_dir.join(PID);
    fs::write(&path, format!("{pid}\n")).map_err(Error::io(format!("writing {}", path.display())))
}

/// Stops the broker that was noted beside this node's data, if it is still that.
pub(super) async fn stop_leftover(node_dir: &Path) -> Result<(), Error> {
    let properties = node_dir.join(PROPERTIES);
    let noted = fs::read_to_string(node_dir.join(PID)).ok();
    let Some(pid) = noted
        .and_then(|text| text.trim().parse::<i32>().ok())
        .filter(|pid| *pid > 1)
    else {
        return Ok(());
    };
    if !is_broker_of(pid, &properties) {
        return Ok(());
    }
    tracing::warn!(pid, "stopping a broker that an earlier run left behind");
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        // It may end by itself in between: what counts is looked at below.
        let _ = kill(Pid::from_raw(pid), signal);
        let gone = wait_until("it to end", STOP_LIMIT, async || {
            (!is_broker_of(pid, &properties)).then_some(())
        });
        if gone.await.is_ok() {
            return Ok(());
        }
    }
    Err(Error::Missing(format!(
        "process {pid}, a Kafka broker on {}, does not end",
        node_dir.display()
    )))
}

/// Process ids are used again: only one whose command line names this node's own
/// configuration is ours to stop.
fn is_broker_of(pid: i32, properties: &Path) -> bool {
    let Ok(command_line) = fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    let mut args = command_line.split(|byte| *byte == 0);
    args.any(|arg| arg == b"kafka.Kafka")
        && args.any(|arg| arg == properties.as_os_str().as_encoded_bytes())
}
