//! The run for tests in other languages: everything on free ports in a scratch folder,
//! controlled through standard input, described by JSON on standard output.

use std::{
    io::{BufRead, Write},
    time::Duration,
};

use anyhow::Context;
use reelay_testkit::{
    Stack,
    stack::{Service, StackKafka, demo_stream},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{Ended, Stop, args::Args};

const DEMO_LIMIT: Duration = Duration::from_secs(60);

/// Starts everything, describes it, obeys standard input until that ends.
pub async fn run(args: &Args) -> anyhow::Result<Ended> {
    let mut stop = Stop::new()?;
    let mut commands = read_commands();
    let stack = {
        let mut starting = std::pin::pin!(start(args));
        loop {
            tokio::select! {
                started = &mut starting => break started?,
                () = stop.requested() => return Ok(Ended::Early),
                line = commands.recv() => match line {
                    Some(line) => eprintln!("ignored before the start is done: {line}"),
                    None => return Ok(Ended::Early),
                },
            }
        }
    };
    say(&describe(&stack))?;
    loop {
        tokio::select! {
            () = stop.requested() => break,
            line = commands.recv() => match line {
                Some(line) => say(&obey(&stack, &line).await)?,
                None => break,
            },
        }
    }
    stack.shutdown().await;
    Ok(Ended::Asked)
}

async fn start(args: &Args) -> anyhow::Result<Stack> {
    let kafka = args
        .kafka_bootstrap_servers
        .clone()
        .map_or(StackKafka::Own(1), StackKafka::At);
    let mut builder = Stack::builder()
        .kafka(kafka)
        .partitions(args.partitions)
        .ingests(args.ingests.into())
        .transcodes(args.transcodes.unwrap_or(0).into())
        .rungs(&args.rungs)
        .gateways(args.gateways.into());
    if let Some(dir) = &args.media_dir {
        builder = builder.media_dir(std::path::absolute(dir)?);
    }
    let stack = builder.start().await?;
    if !args.no_demo {
        stack.add_stream(&demo_stream()).await?;
        for gateway in 0..stack.gateways().len() {
            stack.playable(gateway, "demo", DEMO_LIMIT).await?;
        }
    }
    Ok(stack)
}

/// What was started, for programs.
pub fn describe(stack: &Stack) -> Value {
    let gateways: Vec<Value> = stack
        .gateways()
        .iter()
        .map(|s| json!({"url": s.url(), "admin": s.admin_url(), "pid": s.process().pid()}))
        .collect();
    let ingests: Vec<Value> = stack
        .ingests()
        .iter()
        .map(|s| json!({"admin": s.admin_url(), "pid": s.process().pid()}))
        .collect();
    let transcodes: Vec<Value> = stack
        .transcodes()
        .iter()
        .map(|s| json!({"admin": s.admin_url(), "pid": s.process().pid()}))
        .collect();
    json!({
        "kafka": stack.bootstrap_servers(),
        "topicPrefix": stack.topic_prefix(),
        "gateways": gateways,
        "ingests": ingests,
        "transcodes": transcodes,
        "mediaDir": stack.media_dir(),
        "logs": stack.log_dir(),
    })
}

/// `restart gateway 0`, `kill ingest 1`, `pause …`, `resume …`.
async fn obey(stack: &Stack, line: &str) -> Value {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [verb, kind, index] = words[..] else {
        return json!({"error": format!("not VERB KIND INDEX: {line}")});
    };
    let services: &[Service] = match kind {
        "gateway" => stack.gateways(),
        "ingest" => stack.ingests(),
        "transcode" => stack.transcodes(),
        _ => &[],
    };
    let Some((index, service)) = index
        .parse()
        .ok()
        .and_then(|index: usize| Some((index, services.get(index)?)))
    else {
        return json!({"error": format!("no such service: {kind} {index}")});
    };
    let did = match verb {
        "restart" => match service.restart().await {
            Ok(()) => "restarted",
            Err(error) => return json!({"error": error.to_string()}),
        },
        "kill" => {
            service.kill();
            "killed"
        }
        "pause" => {
            service.pause();
            "paused"
        }
        "resume" => {
            service.resume();
            "resumed"
        }
        _ => return json!({"error": format!("{verb} is none of restart, kill, pause, resume")}),
    };
    json!({did: kind, "index": index, "pid": service.process().pid()})
}

fn say(value: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")
        .and_then(|()| out.flush())
        .context("standard output is gone")
}

/// Lines of standard input, read on a thread of its own: a read that waits cannot be
/// cancelled, and would hold up the end of the process if the runtime did it.
fn read_commands() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
