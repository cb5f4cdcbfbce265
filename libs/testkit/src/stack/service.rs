//! One service of a stack: a process with an admin port, and for a gateway a public one.

use std::time::Duration;

use crate::{
    Error, Process,
    process::{ProcessSpec, Stopped},
    wait::wait_until,
};

/// A service needs well under a second; on a machine that builds at the same time, many.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// What a service may take to hand over what it holds once it is asked to stop.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// A service's process and its addresses, which stay the same when it is restarted.
#[derive(Debug)]
pub struct Service {
    process: Process,
    admin: String,
    url: String,
    http: reqwest::Client,
}

impl Service {
    pub(super) fn start(
        spec: ProcessSpec,
        admin_port: u16,
        public_port: Option<u16>,
        http: reqwest::Client,
    ) -> Result<Self, Error> {
        let admin = format!("http://127.0.0.1:{admin_port}");
        let url =
            public_port.map_or_else(|| admin.clone(), |port| format!("http://127.0.0.1:{port}"));
        Ok(Self {
            process: Process::start(spec)?,
            admin,
            url,
            http,
        })
    }

    /// The process, for its id, its log and its end.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Where viewers and the API reach it, without a slash at the end (`http://127.0.0.1:8080`);
    /// the admin port's address for a service that has nothing else.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The admin port's address, without a slash at the end.
    pub fn admin_url(&self) -> &str {
        &self.admin
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    /// [`Error::Process`] with the end of its log, if it ends first or takes too long.
    pub async fn ready(&self) -> Result<(), Error> {
        let url = format!("{}/readyz", self.admin);
        let what = format!("{} to be ready", self.process.name());
        let ready = wait_until(&what, READY_LIMIT, async || {
            if let Some(status) = self.process.exit_status() {
                return Some(Err(self
                    .process
                    .error(format!("ended as it started ({status})"))));
            }
            let answer = self.http.get(&url).send().await;
            answer
                .is_ok_and(|answer| answer.status().is_success())
                .then_some(Ok(()))
        });
        ready
            .await
            .map_err(|timeout| self.process.error(timeout.to_string()))?
    }

    /// Kills it without warning (SIGKILL).
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Freezes it (SIGSTOP).
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Stops it cleanly (SIGTERM), and kills it if that takes too long.
    pub async fn stop(&self) -> Stopped {
        self.process.stop(STOP_LIMIT).await
    }

    /// Starts it again at the same addresses and waits until it is ready. One that still
    /// runs is killed first.
    ///
    /// # Errors
    /// As [`Service::ready`].
    pub async fn restart(&self) -> Result<(), Error> {
        self.process.restart()?;
        self.ready().await
    }

    /// The value of a metric of its own without labels, or summed over all of its labels.
    ///
    /// # Errors
    /// [`Error::Http`] if `/metrics` does not answer.
    pub async fn metric(&self, name: &str) -> Result<Option<f64>, Error> {
        let text = super::get_text(&self.http, &format!("{}/metrics", self.admin)).await?;
        let values: Vec<f64> = text
            .lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with([' ', '{']))
            .filter_map(|rest| rest.rsplit_once(' ')?.1.parse().ok())
            .collect();
        Ok((!values.is_empty()).then(|| values.iter().sum()))
    }
}
