//! A media worker as a program of its own, for the tests of this crate. Services run theirs by a
//! hidden argument of their own program.
//!
//! `--cpu plain|sse2|avx2` keeps the codecs from newer instructions.

use std::process::ExitCode;

use reelay_media::{CpuLevel, limit_cpu, worker_main};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let level = args.next().as_deref().and_then(CpuLevel::named);
        match level {
            Some(level) if arg == "--cpu" => limit_cpu(level),
            _ => {
                eprintln!("unknown argument {arg}");
                return ExitCode::FAILURE;
            }
        }
    }
    worker_main()
}
