//! `reelay doctor`: looks at all that a deployment needs, and explains what is wrong.

use clap::Args;
use reelay_model::Phase;
use serde::Serialize;

use crate::api::{Gateway, StreamView};
use crate::args::Global;
use crate::failure::Failure;
use crate::topics::{self, Connection};
use crate::{kafka, output};

/// Checks Kafka, the topics, the gateway and the streams; explains each finding.
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    connection: Connection,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, PartialEq)]
pub struct Look {
    check: String,
    fine: bool,
    found: String,
    /// What to do about it; empty where all is fine.
    #[serde(skip_serializing_if = "String::is_empty")]
    advice: String,
}

impl Look {
    fn fine(check: &str, found: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            fine: true,
            found: found.into(),
            advice: String::new(),
        }
    }

    fn wrong(check: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        let (found, advice) = (found.into(), advice.into());
        Self {
            check: check.into(),
            fine: false,
            found,
            advice,
        }
    }
}

/// Runs the command.
pub async fn run(global: &Global, doctor: Doctor) -> Result<(), Failure> {
    let mut looks = look_at_kafka(&doctor.connection).await?;
    looks.extend(look_at_gateway(&global.gateway()?).await);
    match global.output {
        output::Form::Json => output::json(&looks)?,
        output::Form::Table => output::line(&words(&looks))?,
    }
    match looks.iter().filter(|l| !l.fine).count() {
        0 => Ok(()),
        n => Err(Failure::Found(n)),
    }
}

fn words(looks: &[Look]) -> String {
    let mut lines = Vec::new();
    for Look {
        check,
        fine,
        found,
        advice,
    } in looks
    {
        let mark = if *fine { "ok   " } else { "WRONG" };
        let mut found = found.lines();
        lines.push(format!(
            "{mark} {check}: {}",
            found.next().unwrap_or_default()
        ));
        lines.extend(
            found
                .chain(advice.lines())
                .map(|line| format!("        {line}")),
        );
    }
    lines.join("\n")
}

async fn look_at_kafka(connection: &Connection) -> Result<Vec<Look>, Failure> {
    let servers = &connection.kafka.kafka_bootstrap_servers;
    let bus = kafka::bus(&connection.kafka)?;
    let partitions = match kafka::partitions(&connection.kafka, &bus).await {
        Ok(partitions) => partitions,
        Err(Failure::Unreachable { what, why, advice }) => {
            return Ok(vec![Look::wrong(
                "Kafka",
                format!("cannot reach {what}: {why}"),
                advice,
            )]);
        }
        Err(failure) => {
            let text = failure.to_string();
            let (found, advice) = text.split_once('\n').unwrap_or((&text, ""));
            return Ok(vec![
                Look::fine("Kafka", format!("{servers} answers")),
                Look::wrong("topics", found, advice),
            ]);
        }
    };
    let mut looks = vec![Look::fine("Kafka", format!("{servers} answers"))];
    match topics::check(connection, &bus).await {
        Ok(findings) if findings.is_empty() => {
            let found =
                format!("all are there with {partitions} partitions, set as the profile wants");
            looks.push(Look::fine("topics", found));
        }
        Ok(findings) => looks.extend(findings.iter().map(|f| {
            let found = format!("{} is {}, wanted {}", f.setting, f.found, f.wanted);
            Look::wrong(&format!("topic {}", f.topic), found, advice(&f.setting))
        })),
        Err(failure) => looks.push(Look::wrong("topics", failure.to_string(), "")),
    }
    Ok(looks)
}

/// Why a setting matters, and what to do about it.
fn advice(setting: &str) -> &'static str {
    match setting {
        "topic" => "Missing. `reelay topics create` makes it.",
        "partitions" => {
            "All topics need the same number of partitions, as a stream lies in the same one everywhere. \
             Partitions must never change under a prefix: use a new --topic-prefix."
        }
        "replication" => {
            "With fewer replicas a lost broker loses media. Reassign the partitions, or use the profile that fits."
        }
        "min.insync.replicas" => {
            "Decides when a record counts as written. Set it on the topic as the profile wants, or use the other --kafka-profile."
        }
        "unclean.leader.election.enable" => {
            "A leader that lacks records would take claims back: two owners could write at once. Set it to false."
        }
        "cleanup.policy" => {
            "Another policy loses records that are needed, or keeps them for ever. Set it as wanted."
        }
        "retention.ms" | "retention.bytes" => {
            "Media topics and index must be kept equally long, `streams` for ever. Set it as wanted."
        }
        "segment.ms" => {
            "Kafka removes whole segments only: with longer ones, expired media stays on disk. Set it as wanted."
        }
        "message.timestamp.type" => {
            "Retention and the search by time need the broker's clock, not the producers'. Set it to LogAppendTime."
        }
        "compression.type" => {
            "Media is compressed already; compressing it again only costs CPU. Set it as wanted."
        }
        name if name.ends_with("max.bytes") || name.ends_with("bytes") => {
            "A chunk of a high bit rate must fit everywhere it passes. Raise it as wanted."
        }
        _ => "Set it as wanted; services refuse to start until then.",
    }
}

async fn look_at_gateway(gateway: &Gateway) -> Vec<Look> {
    let info = match gateway.info().await {
        Ok(info) => info,
        Err(failure) => {
            let text = failure.to_string();
            let (found, advice) = text.split_once('\n').unwrap_or((&text, ""));
            return vec![Look::wrong("gateway", found, advice)];
        }
    };
    let version = info
        .get("version")
        .and_then(|v| v.as_str())
        .unwrap_or("unknown");
    let own = env!("CARGO_PKG_VERSION");
    let found = format!("{} answers, version {version}", gateway.server());
    let mut looks = vec![if version == own {
        Look::fine("gateway", found)
    } else {
        let advice = format!(
            "This command line is of version {own}: use the one that belongs to the gateway."
        );
        Look::wrong("gateway", found, advice)
    }];
    match gateway.streams().await {
        Ok(streams) => looks.extend(look_at_streams(&streams)),
        Err(failure) => looks.push(Look::wrong("streams", failure.to_string(), "")),
    }
    looks
}

fn look_at_streams(streams: &[StreamView]) -> Vec<Look> {
    let mut looks = Vec::new();
    for view in streams {
        let name = format!("stream {}", view.spec.id);
        match (&view.problem, view.phase) {
            (Some(problem), _) => {
                let found = format!("{}: {}", problem.code, problem.message);
                let advice = format!(
                    "Next: {}. docs/operations/troubleshooting.md has a section `{}`.",
                    problem.next, problem.code
                );
                looks.push(Look::wrong(&name, found, advice));
            }
            (None, Phase::Offline) => looks.push(Look::wrong(
                &name,
                "nobody works on it",
                "Is an ingest running, and does it read the same topics (--topic-prefix)?",
            )),
            _ => {}
        }
    }
    let fine = streams.len() - looks.len();
    looks.push(Look::fine(
        "streams",
        format!("{fine} of {} without a problem", streams.len()),
    ));
    looks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_come_with_advice() {
        let looks = [
            Look::fine("Kafka", "127.0.0.1:9092 answers"),
            Look::wrong(
                "topic reelay.source",
                "topic is missing, wanted present",
                advice("topic"),
            ),
        ];
        assert_eq!(
            words(&looks),
            "ok    Kafka: 127.0.0.1:9092 answers\n\
             WRONG topic reelay.source: topic is missing, wanted present\n        \
             Missing. `reelay topics create` makes it."
        );
    }

    #[test]
    fn every_setting_that_is_checked_has_its_own_advice() {
        let plan = reelay_bus::admin::plan(&reelay_bus::admin::PlanOptions::default());
        let other = advice("no such setting");
        for setting in plan.topics.iter().flat_map(|t| t.settings.keys()) {
            assert_ne!(advice(setting), other, "{setting}");
        }
    }

    #[test]
    fn a_stream_in_trouble_is_found() {
        let view = |phase: &str, problem: serde_json::Value| -> StreamView {
            serde_json::from_value(serde_json::json!({
                "spec": {"id": "door", "source": "synthetic:"}, "version": 1, "phase": phase, "problem": problem,
            }))
            .unwrap()
        };
        let problem = serde_json::json!({"code": "no-file", "message": "it is gone", "since": 0, "next": "tried again in 8 s"});
        let looks = look_at_streams(&[
            view("live", serde_json::Value::Null),
            view("failed", problem),
            view("offline", serde_json::Value::Null),
        ]);
        assert_eq!(looks.iter().filter(|l| !l.fine).count(), 2);
        assert_eq!(looks[2].found, "1 of 3 without a problem");
    }
}
