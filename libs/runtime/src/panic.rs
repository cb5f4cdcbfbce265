//! A panic anywhere ends the process: a service that lost a task would look alive and do
//! nothing. Another replica takes over, and the supervisor starts this one again.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of a process that a panic ended, as for Rust's own main thread.
pub const EXIT_CODE: i32 = 101;

static PANICKED: AtomicBool = AtomicBool::new(false);

/// Makes panics of all threads end the process with one last log line.
pub fn end_process_on_panic() {
    std::panic::set_hook(Box::new(|info| {
        if PANICKED.swap(true, Ordering::SeqCst) {
            // A second thread, or the logging below: the first line is the one that counts.
            return;
        }
        let message = info.payload_as_str().unwrap_or("no message");
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current()
            .name()
            .unwrap_or("unnamed")
            .to_owned();
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            tracing::error!(%backtrace, "backtrace of the panic");
        }
        tracing::error!(%message, %location, %thread, "panicked, ending the process");
        if !tracing::event_enabled!(tracing::Level::ERROR) {
            eprintln!("panicked at {location}: {message}; ending the process");
        }
        std::process::exit(EXIT_CODE);
    }));
}
