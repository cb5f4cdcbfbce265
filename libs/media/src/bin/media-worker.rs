//! A media worker as a program of its own, for the tests of this crate. Services run theirs by a
//! hidden argument of their own program.

fn main() -> std::process::ExitCode {
    reelay_media::worker_main()
}
