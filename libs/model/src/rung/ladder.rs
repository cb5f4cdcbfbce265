//! Which rungs are made of a stream: a pure function of its spec, the deployment and the source,
//! so that transcode and every gateway agree without asking each other.

use super::{GREATEST_HEIGHT, RungCodec, RungProfile, Rungs};
use crate::{LatencyMode, StreamSpec};

/// What of a source matters to its ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceFormat<'a> {
    /// RFC 6381 codecs of the video, such as `avc1.64001f`.
    pub codecs: &'a str,
    /// Height in pixels.
    pub height: u32,
}

/// Whether every current browser plays video of these RFC 6381 `codecs`. H.265 plays in some,
/// by the machine's hardware; so it does not count.
pub fn plays_in_browsers(codecs: &str) -> bool {
    ["avc1.", "avc3.", "av01.", "vp08.", "vp09."]
        .iter()
        .any(|start| codecs.starts_with(start))
}

/// The rungs of a stream of `spec` whose source has the format `source`, in a deployment with
/// `rungs`: the highest first.
///
/// Never a rung as high as the source or higher, but one: where browsers cannot play the source
/// and the spec does not ask for the source alone, `source-h264` has the source's size.
pub fn ladder_for(spec: &StreamSpec, rungs: &Rungs, source: SourceFormat<'_>) -> Vec<RungProfile> {
    let named = |profile: &RungProfile| match &spec.ladder {
        Some(ids) => ids.contains(&profile.id),
        None => profile.codec == RungCodec::H264,
    };
    let in_time = |profile: &RungProfile| {
        spec.latency == LatencyMode::Normal || profile.codec == RungCodec::H264
    };
    let source_alone = spec.ladder.as_ref().is_some_and(Vec::is_empty);
    let mut ladder: Vec<RungProfile> = rungs
        .iter()
        .filter_map(|profile| {
            if profile.is_source_size() {
                let needed = !source_alone && !plays_in_browsers(source.codecs);
                return needed.then(|| of_source_size(profile, source.height));
            }
            (profile.height < source.height && named(profile) && in_time(profile))
                .then(|| profile.clone())
        })
        .collect();
    ladder.sort_by(|a, b| (b.height, b.cap, &b.id).cmp(&(a.height, a.cap, &a.id)));
    ladder
}

/// `profile` in the source's height; its cap grows with the number of pixels.
fn of_source_size(profile: &RungProfile, height: u32) -> RungProfile {
    let height = (height & !1).clamp(64, GREATEST_HEIGHT);
    let pixels = |height: u32| u64::from(height) * u64::from(height);
    let cap = u64::from(profile.cap) * pixels(height) / pixels(profile.height);
    RungProfile {
        height,
        cap: cap.clamp(200_000, 200_000_000) as u32,
        ..profile.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RawStreamSpec, RungDefinitions, StreamUid};

    fn ladder(spec: serde_json::Value, rungs: &str, codecs: &str, height: u32) -> Vec<String> {
        let RungDefinitions(rungs) = rungs.parse().unwrap();
        let rungs = Rungs::new(rungs).unwrap();
        let mut raw = serde_json::json!({"id": "door", "source": "synthetic:"});
        raw.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        let raw: RawStreamSpec = serde_json::from_value(raw).unwrap();
        let spec = StreamSpec::validate(raw, StreamUid::random(), &rungs.ids()).unwrap();
        let ladder = ladder_for(&spec, &rungs, SourceFormat { codecs, height });
        ladder.iter().map(|rung| rung.id.to_string()).collect()
    }

    const H264: &str = "avc1.64001f";
    const H265: &str = "hvc1.1.6.L93.B0";
    const ALL: &str = "source-h264,240p,480p,360p,480p-av1,720p-h265";

    #[test]
    fn without_a_ladder_in_the_spec_the_h264_rungs_below_the_source_are_made() {
        let none = serde_json::json!({});
        assert_eq!(
            ladder(none.clone(), ALL, H264, 720),
            ["480p", "360p", "240p"]
        );
        assert_eq!(ladder(none.clone(), ALL, H264, 480), ["360p", "240p"]);
        assert!(ladder(none.clone(), ALL, H264, 240).is_empty());
        assert!(ladder(none, "", H264, 720).is_empty());
    }

    #[test]
    fn a_ladder_in_the_spec_names_what_is_made_and_an_empty_one_makes_nothing() {
        let named = serde_json::json!({"ladder": ["240p", "480p"]});
        assert_eq!(ladder(named, ALL, H264, 720), ["480p", "240p"]);
        let empty = serde_json::json!({"ladder": []});
        assert!(ladder(empty, ALL, H265, 720).is_empty());
    }

    #[test]
    fn other_codecs_are_made_in_normal_latency_alone() {
        let named = |latency: &str| serde_json::json!({"ladder": ["480p-av1", "720p-h265", "360p"], "latency": latency});
        assert_eq!(ladder(named("low"), ALL, H264, 1080), ["360p"]);
        assert_eq!(
            ladder(named("normal"), ALL, H264, 1080),
            ["720p-h265", "480p-av1", "360p"]
        );
    }

    #[test]
    fn a_source_that_browsers_cannot_play_gets_a_rung_of_its_size() {
        let none = serde_json::json!({});
        assert_eq!(
            ladder(none.clone(), ALL, H265, 720),
            ["source-h264", "480p", "360p", "240p"]
        );
        assert_eq!(ladder(none, "480p", H265, 720), ["480p"]);
        let profile: RungProfile = "source-h264".parse().unwrap();
        let sized = of_source_size(&profile, 721);
        assert_eq!((sized.height, sized.cap), (720, 2_666_666));
    }
}
