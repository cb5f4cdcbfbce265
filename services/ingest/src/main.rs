//! Pulls cameras and files into the Kafka log.

use std::process::ExitCode;

use reelay_ingest::{
    app,
    config::{Config, MEDIA_WORKER},
};
use reelay_runtime::Service;

const SERVICE: Service = Service {
    name: "ingest",
    version: env!("CARGO_PKG_VERSION"),
    about: "Pulls cameras and files into the Kafka log",
    admin_listen: "127.0.0.1:9101",
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
