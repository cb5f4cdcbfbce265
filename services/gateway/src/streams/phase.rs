//! How a stream fares, by what its owner said and when.

use reelay_model::{Micros, Phase, Problem};

use super::Stream;

/// A component that has not reported for this long is taken for dead, in microseconds.
/// Owners report at least every 10 s.
pub const SILENCE: i64 = 30_000_000;

/// The component whose report says whether a stream is live.
const OWNER: &str = "ingest";

/// What the owner says; or that nobody owns the stream, when nobody has said anything for long.
pub fn judge(stream: &Stream, now: Micros) -> (Phase, Option<Problem>) {
    let owner = stream.status.get(OWNER);
    let heard = owner.map_or(stream.since, |status| status.at.max(stream.since));
    if now.0 - heard.0 <= SILENCE {
        return match owner {
            Some(status) => (status.phase, status.problem.clone()),
            None => (Phase::Starting, None),
        };
    }
    if let Some(status) = owner
        && status.phase == Phase::Offline
    {
        return (Phase::Offline, status.problem.clone());
    }
    let problem = Problem {
        code: "no-owner".to_owned(),
        message: match owner {
            Some(status) => format!("{} has stopped reporting on the stream", status.instance),
            None => "no ingest has taken the stream up".to_owned(),
        },
        since: heard,
        next: "an ingest takes it up as soon as one runs".to_owned(),
    };
    (Phase::Offline, Some(problem))
}

#[cfg(test)]
mod tests {
    use reelay_model::{StreamSpec, StreamStatus, StreamUid};

    use super::*;

    fn stream(at: Option<(i64, Phase)>) -> Stream {
        let spec = serde_json::json!({"id": "door", "source": "synthetic:"});
        let raw = serde_json::from_value(spec).unwrap();
        let uid = StreamUid::random();
        let spec = StreamSpec::validate(raw, uid, &[]).unwrap();
        let status = at.map(|(at, phase)| {
            let status = StreamStatus {
                id: spec.id.clone(),
                uid,
                component: OWNER.to_owned(),
                instance: "ingest-0".to_owned(),
                at: Micros(at),
                phase,
                since: Micros(at),
                problem: None,
                tracks: Vec::new(),
                durable: Vec::new(),
                high_water: None,
                transcode: None,
            };
            (OWNER.to_owned(), status)
        });
        Stream {
            spec,
            version: 7,
            partition: 0,
            since: Micros(0),
            status: status.into_iter().collect(),
        }
    }

    #[test]
    fn a_new_stream_is_starting_and_offline_when_nobody_takes_it_up() {
        assert_eq!(
            judge(&stream(None), Micros(SILENCE)),
            (Phase::Starting, None)
        );
        let (phase, problem) = judge(&stream(None), Micros(SILENCE + 1));
        assert_eq!(phase, Phase::Offline);
        assert_eq!(problem.unwrap().code, "no-owner");
    }

    #[test]
    fn an_owner_that_falls_silent_is_not_live_for_ever() {
        let live = stream(Some((5_000_000, Phase::Live)));
        assert_eq!(judge(&live, Micros(35_000_000)), (Phase::Live, None));
        let (phase, problem) = judge(&live, Micros(35_000_001));
        assert_eq!(phase, Phase::Offline);
        let problem = problem.unwrap();
        assert_eq!(problem.since, Micros(5_000_000));
        assert!(problem.message.contains("ingest-0"));
        let stopped = stream(Some((5_000_000, Phase::Offline)));
        assert_eq!(judge(&stopped, Micros(90_000_000)), (Phase::Offline, None));
    }
}
