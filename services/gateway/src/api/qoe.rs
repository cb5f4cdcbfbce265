//! What players measured: taken in, bounded, and appended to topic `qoe`.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use bytes::Bytes;
use jiff::Timestamp;
use reelay_bus::{Headers, Outgoing};
use reelay_model::{FieldError, QoeReport};
use reelay_wire::Topic;

use super::Api;
use super::body::Json;
use super::problem::Problem;

/// Reports that one request may hold.
const REPORTS_MAX: usize = 20;
/// Reports that the gateway takes in a second over all players: ten thousand players at one
/// report in 10 s.
const RATE: f64 = 1000.0;
/// Reports that may come at once.
const BURST: f64 = 2000.0;
/// How long the log may take to acknowledge.
const DELIVERY: Duration = Duration::from_secs(5);

/// Bounds how many reports get into the log: anybody who can watch can post them.
#[derive(Debug)]
pub struct QoeLimit(Mutex<(f64, Instant)>);

impl Default for QoeLimit {
    fn default() -> Self {
        Self(Mutex::new((BURST, Instant::now())))
    }
}

impl QoeLimit {
    /// Whether `count` more may pass at `now`.
    fn take(&self, count: usize, now: Instant) -> bool {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (level, since) = *bucket;
        let level = (level + now.saturating_duration_since(since).as_secs_f64() * RATE).min(BURST);
        let passes = level >= count as f64;
        *bucket = (if passes { level - count as f64 } else { level }, now);
        passes
    }
}

pub(super) async fn report(
    State(api): State<Api>,
    Json(reports): Json<Vec<QoeReport>>,
) -> Result<StatusCode, Problem> {
    if reports.is_empty() || reports.len() > REPORTS_MAX {
        let allowed = format!("1 to {REPORTS_MAX} reports");
        return Err(Problem::invalid([FieldError::new(
            "(body)",
            reports.len(),
            allowed,
        )]));
    }
    let errors: Vec<FieldError> = reports
        .iter()
        .enumerate()
        .flat_map(|(i, report)| check(i, report))
        .collect();
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    if !api.qoe.take(reports.len(), Instant::now()) {
        metrics::counter!("reelay_gateway_qoe_reports_total", "outcome" => "limited")
            .increment(reports.len() as u64);
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many")
            .header(header::RETRY_AFTER, "10"));
    }
    let mut waits = Vec::new();
    for report in &reports {
        // A player may still report on a stream that was deleted a moment ago.
        let Some(stream) = api.streams.get(&report.stream) else {
            continue;
        };
        let outgoing = Outgoing {
            topic: Topic::Qoe,
            partition: stream.partition,
            key: Bytes::copy_from_slice(report.stream.as_str().as_bytes()),
            headers: Headers::new(),
            // A report is plain data that always has a JSON form.
            value: serde_json::to_vec(report).unwrap_or_default().into(),
        };
        waits.push(
            api.producer
                .enqueue(&outgoing)
                .map_err(|error| not_written(&error))?,
        );
    }
    let written = waits.len() as u64;
    match tokio::time::timeout(DELIVERY, futures::future::try_join_all(waits)).await {
        Ok(Ok(_)) => {
            metrics::counter!("reelay_gateway_qoe_reports_total", "outcome" => "written")
                .increment(written);
            Ok(StatusCode::NO_CONTENT)
        }
        Ok(Err(error)) => Err(not_written(&error)),
        Err(_) => Err(not_written(&"not acknowledged in time")),
    }
}

fn not_written(reason: &dyn std::fmt::Display) -> Problem {
    metrics::counter!("reelay_gateway_qoe_reports_total", "outcome" => "failed").increment(1);
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-written").detail(reason.to_string())
}

fn check(index: usize, report: &QoeReport) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut wrong = |field: &str, value: &dyn std::fmt::Display, allowed: &str| {
        errors.push(FieldError::new(
            format!("[{index}].{field}"),
            value,
            allowed,
        ));
    };
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if report.session.len() != 32 || !report.session.bytes().all(hex) {
        wrong("session", &report.session, "32 hexadecimal digits");
    }
    let player = &report.player;
    if !(1..=32).contains(&player.len())
        || !player
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    {
        wrong("player", player, "1 to 32 letters, digits and hyphens");
    }
    let times = [("from", &report.from), ("to", &report.to)].map(|(field, text)| {
        (
            field,
            text,
            text.parse::<Timestamp>().ok().filter(|_| text.len() <= 40),
        )
    });
    for (field, text, time) in &times {
        if time.is_none() {
            wrong(field, text, "a time (RFC 3339)");
        }
    }
    if let [(_, _, Some(from)), (_, _, Some(to))] = times
        && to < from
    {
        wrong("to", &report.to, "a time that is not before `from`");
    }
    if let Some(latency) = &report.latency_ms
        && !(latency.least <= latency.mean && latency.mean <= latency.greatest)
    {
        wrong("latencyMs.mean", &latency.mean, "from least to greatest");
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(changes: serde_json::Value) -> QoeReport {
        let mut report = serde_json::json!({
            "stream": "door", "session": "0123456789abcdef0123456789abcdef", "sequence": 0,
            "from": "2026-11-21T09:30:00.000Z", "to": "2026-11-21T09:30:10.000Z", "player": "web",
            "watchedMs": 9800, "stalls": 0, "stalledMs": 0, "switches": 0, "errors": 0, "failovers": 0,
            "latencyMs": {"samples": 9, "least": 1010, "mean": 1043, "greatest": 1100}
        });
        for (key, value) in changes.as_object().unwrap() {
            report[key] = value.clone();
        }
        serde_json::from_value(report).unwrap()
    }

    #[test]
    fn what_the_page_sends_is_taken_and_nonsense_is_refused_by_field() {
        assert_eq!(check(0, &report(serde_json::json!({}))), []);
        for (changes, field) in [
            (serde_json::json!({"session": "x"}), "[3].session"),
            (serde_json::json!({"player": "<script>"}), "[3].player"),
            (serde_json::json!({"from": "yesterday"}), "[3].from"),
            (serde_json::json!({"to": "2026-11-21T09:29:00Z"}), "[3].to"),
            (
                serde_json::json!({"latencyMs": {"samples": 1, "least": 5, "mean": 4, "greatest": 6}}),
                "[3].latencyMs.mean",
            ),
        ] {
            let errors = check(3, &report(changes));
            assert_eq!(
                errors
                    .iter()
                    .map(|error| error.field.as_str())
                    .collect::<Vec<_>>(),
                [field]
            );
        }
    }

    #[test]
    fn no_more_pass_than_the_rate_allows() {
        let limit = QoeLimit::default();
        let start = Instant::now() + Duration::from_secs(60);
        let passed = |at: Instant| (0..500).filter(|_| limit.take(20, at)).count() * 20;
        assert_eq!(passed(start), BURST as usize);
        assert_eq!(passed(start), 0);
        assert_eq!(passed(start + Duration::from_secs(1)), RATE as usize);
    }
}
