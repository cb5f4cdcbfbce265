//! Makes the ladder of every stream from the log, into the log.

use std::process::ExitCode;

use reelay_runtime::Service;
use reelay_transcode::{
    app,
    config::{Config, MEDIA_WORKER},
};

const SERVICE: Service = Service {
    name: "transcode",
    version: env!("CARGO_PKG_VERSION"),
    about: "Makes the ladder of every stream from the log, into the log",
    admin_listen: "127.0.0.1:9103",
};

fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == MEDIA_WORKER)
    {
        return reelay_media::worker_main();
    }
    reelay_runtime::run(SERVICE, Config::from_args, app::run)
}
