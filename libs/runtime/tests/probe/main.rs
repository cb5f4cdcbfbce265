//! A service that does nothing but what its flags ask for, to see what the runtime makes of it.

use std::process::ExitCode;

use reelay_runtime::{Runtime, Service, run};

const SERVICE: Service = Service {
    name: "probe",
    version: "1.2.3",
    about: "Does nothing",
    admin_listen: "127.0.0.1:0",
};

#[derive(Debug, clap::Args)]
struct Args {
    /// What to do once running.
    #[arg(long, value_parser = ["wait", "panic", "panic-in-thread", "fail", "hang"], default_value = "wait")]
    act: String,
    /// A secret.
    #[arg(long, hide_env_values = true)]
    token: Option<String>,
}

fn main() -> ExitCode {
    run(
        SERVICE,
        |args: Args| {
            anyhow::ensure!(args.token.as_deref() != Some(""), "`token` is empty");
            Ok(args)
        },
        app,
    )
}

async fn app(args: Args, runtime: Runtime) -> anyhow::Result<()> {
    let check = runtime.health.check("probe");
    tracing::info_span!("segment", number = 7).in_scope(|| tracing::info!("in a span"));
    metrics::counter!("reelay_probe_starts_total").increment(1);
    match args.act.as_str() {
        "panic" => panic!("as asked"),
        "panic-in-thread" => drop(tokio::spawn(async { panic!("as asked") })),
        "fail" => anyhow::bail!("as asked"),
        _ => {}
    }
    check.ready();
    runtime.shutdown.cancelled().await;
    if args.act == "hang" {
        std::future::pending::<()>().await;
    }
    Ok(())
}
