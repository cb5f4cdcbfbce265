//! The topics of a stack.

use reelay_bus::{Bus, BusConfig, admin};

use crate::Error;

/// Creates the topics that are missing, and refuses those that are there but set otherwise.
pub(super) async fn create(config: BusConfig, options: &admin::PlanOptions) -> Result<(), Error> {
    let servers = config.bootstrap_servers.clone();
    let failed = |error: reelay_bus::BusError| Error::Topics {
        servers: servers.clone(),
        why: error.to_string(),
    };
    let bus = Bus::new(config).map_err(failed)?;
    let plan = admin::plan(options);
    admin::ensure(&bus, &plan).await.map_err(failed)?;
    let findings = admin::check(&bus, &plan).await.map_err(failed)?;
    if findings.is_empty() {
        return Ok(());
    }
    let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Err(Error::Topics {
        servers,
        why: findings.join("; "),
    })
}
