//! `reelay streams …`: the desired streams and how they fare, through the gateway's API.

use std::time::Duration;

use clap::{Args, Subcommand};
use reelay_model::{LatencyMode, Phase, RawStreamSpec, StreamId};

use crate::api::{Gateway, StreamView};
use crate::args::{Global, seconds};
use crate::failure::Failure;
use crate::kafka::patiently;
use crate::output;

/// Look at streams, add, change and remove them.
#[derive(Debug, Subcommand)]
pub enum Streams {
    /// List all streams.
    #[command(visible_alias = "ls")]
    List,
    /// Show one stream: its spec, its state, its tracks, where it plays.
    Show {
        /// The stream's id.
        id: StreamId,
    },
    /// Add a stream.
    Add(Add),
    /// Change a stream.
    #[command(visible_alias = "set")]
    Edit(Edit),
    /// Remove a stream. Its recordings stay in Kafka until they expire.
    #[command(visible_alias = "rm")]
    Remove {
        /// The streams' ids.
        #[arg(required = true)]
        ids: Vec<StreamId>,
    },
}

#[derive(Debug, Args)]
pub struct Add {
    /// The new stream's id: a DNS label.
    id: StreamId,
    /// Where the media comes from: `synthetic:?width=1280&height=720&fps=25`,
    /// `file:clips/a.mp4` (below the ingest's --media-dir), `http://…`, `https://…`.
    #[arg(long)]
    source: String,
    /// Leave it alone if there is a stream of this id already.
    #[arg(long)]
    if_absent: bool,
    /// How long to wait for the gateway to answer.
    #[arg(long, default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    wait_seconds: Duration,
    /// Greatest length of a segment in seconds, 2 to 20; cannot be changed later.
    #[arg(long, value_name = "SECONDS")]
    greatest_segment_seconds: Option<u64>,
    /// The Kafka partition for all of the stream's records; cannot be changed later.
    #[arg(long)]
    partition: Option<i32>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct Edit {
    /// The stream's id.
    id: StreamId,
    /// Where the media comes from.
    #[arg(long)]
    source: Option<String>,
    /// Remove a label.
    #[arg(long = "remove-label", value_name = "KEY")]
    remove_labels: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Name for people.
    #[arg(long)]
    name: Option<String>,
    /// `low` (about a second, LL-HLS) or `normal` (better picture, plain HLS).
    #[arg(long, value_parser = latency)]
    latency: Option<LatencyMode>,
    /// A rung to make beside the source; repeat for more. Without any, the deployment's default
    /// ladder is made.
    #[arg(long = "rung", value_name = "RUNG", conflicts_with = "source_only")]
    rungs: Vec<String>,
    /// Make no rungs beside the source.
    #[arg(long)]
    source_only: bool,
    /// A label, KEY=VALUE; repeat for more.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
}

fn latency(text: &str) -> Result<LatencyMode, String> {
    match text {
        "low" => Ok(LatencyMode::Low),
        "normal" => Ok(LatencyMode::Normal),
        _ => Err("allowed: low, normal".into()),
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "allowed: KEY=VALUE".into())
}

impl Common {
    fn apply(self, spec: &mut RawStreamSpec) {
        if self.name.is_some() {
            spec.name = self.name;
        }
        if let Some(latency) = self.latency {
            spec.latency = latency;
        }
        if self.source_only || !self.rungs.is_empty() {
            spec.ladder = Some(self.rungs);
        }
        spec.labels.extend(self.labels);
    }
}

impl Add {
    /// The spec as given; whether it is valid, the gateway says.
    fn into_spec(self) -> RawStreamSpec {
        let mut spec = RawStreamSpec {
            id: self.id.to_string(),
            source: self.source,
            greatest_segment_seconds: self.greatest_segment_seconds,
            partition: self.partition,
            ..RawStreamSpec::default()
        };
        self.common.apply(&mut spec);
        spec
    }
}

impl Edit {
    fn apply(self, spec: &mut RawStreamSpec) {
        if let Some(source) = self.source {
            spec.source = source;
        }
        spec.labels
            .retain(|key, _| !self.remove_labels.contains(key));
        self.common.apply(spec);
    }
}

/// Runs one of the commands.
pub async fn run(global: &Global, command: Streams) -> Result<(), Failure> {
    let gateway = global.gateway()?;
    match command {
        Streams::List => {
            let streams = gateway.streams().await?;
            let rows = || streams.iter().map(row).collect();
            output::print(global.output, &streams, &HEAD, rows)
        }
        Streams::Show { id } => show(global, &gateway, &gateway.stream(&id).await?),
        Streams::Add(add) => {
            let (id, if_absent) = (add.id.clone(), add.if_absent);
            let patience = add.wait_seconds;
            let spec = add.into_spec();
            let added = patiently(patience, async || gateway.add(&spec).await).await;
            let view = match added {
                Err(Failure::Refused { status: 409, .. }) if if_absent => {
                    gateway.stream(&id).await?
                }
                added => added?,
            };
            show(global, &gateway, &view)
        }
        Streams::Edit(edit) => {
            let id = edit.id.clone();
            let StreamView {
                mut spec, version, ..
            } = gateway.stream(&id).await?;
            edit.apply(&mut spec);
            show(global, &gateway, &gateway.put(&id, version, &spec).await?)
        }
        Streams::Remove { ids } => {
            for id in ids {
                let version = gateway.stream(&id).await?.version;
                gateway.remove(&id, version).await?;
                eprintln!("removed {id}");
            }
            Ok(())
        }
    }
}

const HEAD: [&str; 5] = ["id", "name", "phase", "source", "problem"];

fn row(view: &StreamView) -> Vec<String> {
    vec![
        view.spec.id.clone(),
        view.spec.name.clone().unwrap_or_default(),
        phase(view.phase).to_owned(),
        view.spec.source.clone(),
        view.problem
            .as_ref()
            .map(|p| format!("{}: {}", p.code, p.message))
            .unwrap_or_default(),
    ]
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Live => "live",
        Phase::Reconnecting => "reconnecting",
        Phase::Failed => "failed",
        Phase::Offline => "offline",
    }
}

fn show(global: &Global, gateway: &Gateway, view: &StreamView) -> Result<(), Failure> {
    let addresses = |path: &String| {
        let joined = gateway.server().join(path);
        joined.map_or_else(|_| path.clone(), String::from)
    };
    output::print(global.output, view, &[], || details(view, addresses))
}

fn details(view: &StreamView, address: impl Fn(&String) -> String) -> Vec<Vec<String>> {
    let spec = &view.spec;
    let mut rows = Vec::new();
    let mut add = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    add("id", spec.id.clone());
    if let Some(name) = &spec.name {
        add("name", name.clone());
    }
    add("phase", phase(view.phase).to_owned());
    if let Some(problem) = &view.problem {
        add("problem", format!("{}: {}", problem.code, problem.message));
        add("next", problem.next.clone());
    }
    add("source", spec.source.clone());
    let latency = match spec.latency {
        LatencyMode::Low => "low",
        LatencyMode::Normal => "normal",
    };
    add("latency", latency.to_owned());
    if let Some(seconds) = spec.greatest_segment_seconds {
        add("greatest segment", format!("{seconds} s"));
    }
    if let Some(partition) = spec.partition {
        add("partition", partition.to_string());
    }
    add(
        "rungs",
        match &spec.ladder {
            None => "the deployment's default".to_owned(),
            Some(ladder) if ladder.is_empty() => "none, the source alone".to_owned(),
            Some(ladder) => ladder.join(", "),
        },
    );
    for (key, value) in &spec.labels {
        add("label", format!("{key}={value}"));
    }
    for track in view.status.values().flat_map(|s| &s.tracks) {
        let mut words = vec![track.codecs.clone()];
        if track.width > 0 {
            words.push(format!("{}x{}", track.width, track.height));
        }
        if track.frame_rate > 0.0 {
            words.push(format!(
                "{} fps",
                (track.frame_rate * 1000.0).round() / 1000.0
            ));
        }
        if track.sample_rate > 0 {
            words.push(format!("{} Hz", track.sample_rate));
        }
        if track.bandwidth > 0 {
            words.push(format!("{} kbit/s", track.bandwidth / 1000));
        }
        add(track.track.as_str(), words.join(", "));
    }
    for status in view.status.values() {
        let Some(work) = &status.transcode else {
            continue;
        };
        let rungs = work.rungs.iter().map(|rung| match rung.dropped {
            true => format!("{} left out", rung.rung),
            false => format!("{} {:.2} cores", rung.rung, rung.cpu_per_media_second),
        });
        let mut words = vec![format!("{:.1} s behind", work.lag_seconds)];
        words.extend(rungs);
        add(&status.component, words.join(", "));
        if let Some(problem) = &status.problem {
            let name = format!("{} problem", status.component);
            add(&name, format!("{}: {}", problem.code, problem.message));
        }
    }
    for (kind, path) in &view.playback {
        add(kind, address(path));
    }
    if let Some(uid) = &spec.uid {
        add("uid", uid.to_string());
    }
    add("version", view.version.to_string());
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> StreamView {
        serde_json::from_value(serde_json::json!({
            "spec": {"id": "door", "name": "Door", "source": "file:door.mp4", "latency": "low",
                     "greatestSegmentSeconds": 2, "labels": {"site": "north", "floor": "1"}},
            "version": 17, "phase": "reconnecting",
            "problem": {"code": "no-file", "message": "door.mp4 is not there", "since": 0, "next": "tried again in 8 s"},
            "status": {}, "playback": {"hls": "/streams/door/hls/master.m3u8"},
        }))
        .unwrap()
    }

    #[test]
    fn a_stream_is_one_line() {
        assert_eq!(
            output::table(&HEAD, vec![row(&view())]),
            "ID    NAME  PHASE         SOURCE         PROBLEM\n\
             door  Door  reconnecting  file:door.mp4  no-file: door.mp4 is not there"
        );
    }

    #[test]
    fn details_name_the_problem_and_the_address() {
        let text = output::table(&[], details(&view(), |p| format!("http://gw{p}")));
        for line in [
            "problem           no-file: door.mp4 is not there",
            "next              tried again in 8 s",
            "label             site=north",
            "hls               http://gw/streams/door/hls/master.m3u8",
            "version           17",
        ] {
            assert!(
                text.lines().any(|l| l == line),
                "{line:?} is not in\n{text}"
            );
        }
    }

    #[test]
    fn an_edit_changes_only_what_was_given() {
        let mut spec = view().spec;
        let edit = Edit {
            id: "door".parse().unwrap(),
            source: None,
            remove_labels: vec!["floor".into()],
            common: Common {
                name: Some("Back door".into()),
                latency: None,
                rungs: vec![],
                source_only: false,
                labels: vec![("site".into(), "south".into())],
            },
        };
        edit.apply(&mut spec);
        assert_eq!(spec.name.as_deref(), Some("Back door"));
        assert_eq!(spec.source, "file:door.mp4");
        assert_eq!(
            spec.labels.into_iter().collect::<Vec<_>>(),
            [("site".into(), "south".into())]
        );
    }
}
