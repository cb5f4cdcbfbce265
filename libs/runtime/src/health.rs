//! What a service waits for before it is ready: named checks, each with its reason.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The checks of a process. Cheap to clone; all clones share the same checks.
///
/// A process is ready when it has at least one check, all are passed, and it is not stopping.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    checks: BTreeMap<String, Entry>,
    stopping: bool,
}

#[derive(Debug)]
struct Entry {
    problem: Option<String>,
    since: Instant,
}

/// The state of one check, as `/readyz` shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckView {
    /// Name of the check, such as `kafka`.
    pub name: String,
    /// Whether it is passed.
    pub ready: bool,
    /// Why it is not passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it has been so, in whole seconds.
    pub for_seconds: u64,
}

/// The state of all checks, as `/readyz` shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HealthView {
    /// Whether work should be sent to this process.
    pub ready: bool,
    /// Each check.
    pub checks: Vec<CheckView>,
}

impl Health {
    /// Adds a check that is not passed yet, for the reason `starting`.
    ///
    /// Asking twice for one name gives two handles on one check.
    pub fn check(&self, name: &str) -> Check {
        self.lock()
            .checks
            .entry(name.to_owned())
            .or_insert_with(|| Entry {
                problem: Some("starting".to_owned()),
                since: Instant::now(),
            });
        Check {
            health: self.clone(),
            name: name.to_owned(),
        }
    }

    /// Makes the process not ready for good, so that no new work is sent to it while it ends.
    pub fn stop(&self) {
        self.lock().stopping = true;
    }

    /// The state now.
    pub fn view(&self) -> HealthView {
        let state = self.lock();
        let mut checks: Vec<CheckView> = state
            .checks
            .iter()
            .map(|(name, entry)| CheckView {
                name: name.clone(),
                ready: entry.problem.is_none(),
                reason: entry.problem.clone(),
                for_seconds: entry.since.elapsed().as_secs(),
            })
            .collect();
        let ready = !state.stopping && !checks.is_empty() && checks.iter().all(|check| check.ready);
        if state.stopping {
            let reason = Some("the process is stopping".to_owned());
            checks.push(CheckView {
                name: "running".to_owned(),
                ready: false,
                reason,
                for_seconds: 0,
            });
        }
        HealthView { ready, checks }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole after every statement, so a panic elsewhere cannot have broken it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle on one check.
#[derive(Debug, Clone)]
pub struct Check {
    health: Health,
    name: String,
}

impl Check {
    /// The check is passed.
    pub fn ready(&self) {
        self.set(None);
    }

    /// The check is not passed, for `reason`.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, problem: Option<String>) {
        let mut state = self.health.lock();
        let Some(entry) = state.checks.get_mut(&self.name) else {
            return;
        };
        let turned = entry.problem.is_some() != problem.is_some();
        if turned {
            entry.since = Instant::now();
        }
        let reason = problem.clone();
        entry.problem = problem;
        drop(state);
        match (turned, reason) {
            (true, None) => tracing::info!(check = %self.name, "check passed"),
            (true, Some(reason)) => tracing::warn!(check = %self.name, %reason, "check not passed"),
            (false, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_checks_is_not_ready() {
        assert!(!Health::default().view().ready);
    }

    #[test]
    fn it_is_ready_when_all_checks_are_passed_and_says_why_it_is_not() {
        let health = Health::default();
        let (kafka, specs) = (health.check("kafka"), health.check("specs"));
        kafka.ready();
        let view = health.view();
        assert!(!view.ready);
        assert_eq!(view.checks[1].reason.as_deref(), Some("starting"));
        specs.ready();
        assert!(health.view().ready);
        kafka.not_ready("no broker answers");
        let view = health.view();
        assert!(!view.ready);
        assert_eq!(view.checks[0].reason.as_deref(), Some("no broker answers"));
    }

    #[test]
    fn a_stopping_process_is_not_ready_whatever_its_checks_say() {
        let health = Health::default();
        let check = health.check("kafka");
        check.ready();
        health.stop();
        check.ready();
        let view = health.view();
        assert!(!view.ready);
        assert_eq!(
            view.checks.last().map(|check| check.name.as_str()),
            Some("running")
        );
    }
}
