//! Serves LL-HLS, the REST API and the web app from the Kafka log.

use std::process::ExitCode;

use reelay_gateway::{app, config::Config};
use reelay_runtime::Service;

const SERVICE: Service = Service {
    name: "gateway",
    version: env!("CARGO_PKG_VERSION"),
    about: "Serves LL-HLS, the REST API and the web app from the Kafka log",
    admin_listen: "127.0.0.1:9102",
};

fn main() -> ExitCode {
    reelay_runtime::run(SERVICE, Config::from_args, app::run)
}
