//! One call that is a service's whole `main`.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser};
use tokio_util::sync::CancellationToken;

use crate::args::ProcessArgs;
use crate::signal::StopSignals;
use crate::{Health, admin, config, metrics, panic, telemetry};

/// Work that outlives the app (blocking calls of libraries) gets this long.
const LAST_WORK: Duration = Duration::from_secs(2);

/// What a service is called, for help, logs, traces and metrics.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Name without the product's, such as `gateway`.
    pub name: &'static str,
    /// Its version: `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// Where its admin port listens unless configured.
    pub admin_listen: &'static str,
}

/// What a running service gets from its process.
#[derive(Debug, Clone, Default)]
pub struct Runtime {
    /// Cancelled when the service must stop. [`Health`] says "not ready" by then.
    pub shutdown: CancellationToken,
    /// Where the service says what it waits for.
    pub health: Health,
}

impl Runtime {
    /// One that belongs to no process: for tests, which start and stop services themselves.
    pub fn detached() -> Self {
        Self::default()
    }

    /// Does what a signal does: not ready first, then stop.
    pub fn stop(&self) {
        self.health.stop();
        self.shutdown.cancel();
    }
}

#[derive(Debug, Parser)]
struct Whole<A: Args> {
    #[command(flatten)]
    service: A,
    #[command(flatten)]
    process: ProcessArgs,
}

/// Parses the configuration, sets everything up, runs `app` to its end, and gives the exit code.
///
/// `validate` turns arguments into the service's own configuration, and is all that
/// `--check-config` runs. `app` must return soon after [`Runtime::shutdown`] is cancelled.
/// Exit codes: 0 after a graceful stop; 1 when `app` failed or did not stop in time; 2 for
/// a configuration that is not valid; 101 after a panic.
pub fn run<A, C, F>(
    service: Service,
    validate: impl FnOnce(A) -> anyhow::Result<C>,
    app: impl FnOnce(C, Runtime) -> F,
) -> ExitCode
where
    A: Args,
    F: Future<Output = anyhow::Result<()>>,
{
    panic::end_process_on_panic();
    let command = Whole::<A>::command()
        .name(format!("reelay-{}", service.name))
        .version(service.version)
        .about(service.about)
        .mut_arg("admin_listen", |arg| {
            arg.required(false).default_value(service.admin_listen)
        });
    let loaded = match config::load::<Whole<A>>(command, std::env::args_os()) {
        Ok(loaded) => loaded,
        Err(error) => return ExitCode::from(error.report()),
    };
    let printed = loaded.check.then(|| loaded.to_toml());
    let Whole {
        service: args,
        process,
    } = loaded.args;
    let config = match validate(args) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    if let Some(text) = printed {
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    let telemetry = match telemetry::install(service.name, service.version, &process.telemetry) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let ended = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(threads) => {
            let ended = threads.block_on(supervise(service, process, config, app));
            threads.shutdown_timeout(LAST_WORK);
            ended
        }
        Err(error) => Err(error.into()),
    };
    let code = match ended {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ended by an error");
            ExitCode::FAILURE
        }
    };
    telemetry.flush();
    code
}

async fn supervise<C, F>(
    service: Service,
    process: ProcessArgs,
    config: C,
    app: impl FnOnce(C, Runtime) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut signals = StopSignals::new()?;
    let runtime = Runtime::default();
    let recorder = metrics::install()?;
    ::metrics::gauge!(format!("reelay_{}_info", service.name), "version" => service.version)
        .set(1.0);
    let upkeep = tokio::spawn(metrics::upkeep(recorder.clone()));
    let address = admin::serve(process.admin_listen, runtime.health.clone(), recorder)
        .await
        .map_err(|error| {
            anyhow::anyhow!(
                "cannot listen on --admin-listen {}: {error}",
                process.admin_listen
            )
        })?;
    tracing::info!(%address, version = service.version, "admin port is open");

    let mut app = std::pin::pin!(app(config, runtime.clone()));
    let ended = tokio::select! {
        ended = &mut app => ended,
        signal = signals.next() => {
            tracing::info!(signal, "stopping");
            runtime.stop();
            let deadline = Duration::from_secs(process.stop_deadline_seconds);
            tokio::select! {
                ended = &mut app => ended,
                () = tokio::time::sleep(deadline) => Err(anyhow::anyhow!(
                    "not stopped within the {} s of --stop-deadline-seconds", deadline.as_secs()
                )),
                signal = signals.next() => Err(anyhow::anyhow!("ended at once by a second {signal}")),
            }
        }
    };
    upkeep.abort();
    ended
}
