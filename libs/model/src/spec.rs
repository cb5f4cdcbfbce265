//! The desired state of a stream, and its form in the log.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CredentialsName, FieldError, Invalid, Offset, RungCodec, RungId, Rungs, SourceAddress,
    StreamId, StreamUid,
};

/// How a stream is prepared for its viewers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LatencyMode {
    /// About a second behind the camera: parts are announced (LL-HLS).
    #[default]
    Low,
    /// Better picture, plain HLS without parts.
    Normal,
}

/// The greatest length of a segment in seconds, 2 to 20.
///
/// It sets `EXT-X-TARGETDURATION` (RFC 8216bis §4.4.3.1), so it is fixed for the life of a uid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct GreatestSegment(#[schemars(range(min = 2, max = 20))] u8);

impl GreatestSegment {
    /// `seconds` if they are from 2 to 20.
    pub fn from_seconds(seconds: u64) -> Result<Self, FieldError> {
        match u8::try_from(seconds) {
            Ok(s @ 2..=20) => Ok(Self(s)),
            _ => Err(FieldError::new(
                "greatestSegmentSeconds",
                seconds,
                "2 to 20 seconds",
            )),
        }
    }

    /// The length in whole seconds.
    pub const fn seconds(self) -> u8 {
        self.0
    }

    /// The length in microseconds.
    pub const fn micros(self) -> u64 {
        self.0 as u64 * 1_000_000
    }
}

impl Default for GreatestSegment {
    fn default() -> Self {
        Self(6)
    }
}

/// A stream's spec as somebody wrote it: right in form, not yet validated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "StreamSpec")]
pub struct RawStreamSpec {
    /// Name of the stream: a DNS label, unique in the deployment.
    #[schemars(with = "StreamId")]
    pub id: String,
    /// The stream's incarnation; given by the system when the stream is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<StreamUid>,
    /// Name for people, up to 100 characters; the id where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub name: Option<String>,
    /// Where the media comes from.
    #[schemars(with = "SourceAddress")]
    pub source: String,
    /// Name of the credentials that the camera asks for: a file or folder below ingest's
    /// `--credentials-dir`. Only for `rtsp://` and `rtsps://` sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    )]
    pub credentials: Option<String>,
    /// Rungs to make beside the source, by id; each must be one of the deployment's. Absent: the
    /// deployment's H.264 rungs that are lower than the source. Empty: the source alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<RungId>>", length(max = 16))]
    pub ladder: Option<Vec<String>>,
    /// How far behind the camera viewers are.
    #[serde(default)]
    pub latency: LatencyMode,
    /// Greatest length of a segment in seconds (2 to 20, default 6); cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 20))]
    pub greatest_segment_seconds: Option<u64>,
    /// Kafka partition of the stream in every topic; by hash of the id where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub partition: Option<i32>,
    /// Free labels, up to 32, for grouping and search.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub labels: BTreeMap<String, String>,
}

/// A validated stream spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSpec {
    /// Name of the stream.
    pub id: StreamId,
    /// The stream's incarnation.
    pub uid: StreamUid,
    /// Name for people, if it has one.
    pub name: Option<String>,
    /// Where the media comes from.
    pub source: SourceAddress,
    /// Name of the credentials that the camera asks for.
    pub credentials: Option<CredentialsName>,
    /// Rungs to make beside the source, without repeats; the deployment's default where absent.
    /// [`ladder_for`](crate::ladder_for) says what comes of it.
    pub ladder: Option<Vec<RungId>>,
    /// How far behind the camera viewers are.
    pub latency: LatencyMode,
    /// Greatest length of a segment.
    pub greatest_segment: GreatestSegment,
    /// Kafka partition, if the spec places the stream.
    pub partition: Option<i32>,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
}

impl StreamSpec {
    /// Validates `raw` in a deployment that has `rungs`; a spec without a uid gets `uid`.
    ///
    /// # Errors
    /// All fields that are not valid, in one go.
    pub fn validate(raw: RawStreamSpec, uid: StreamUid, rungs: &[RungId]) -> Result<Self, Invalid> {
        let mut errors = Vec::new();
        let id = keep(raw.id.parse::<StreamId>(), &mut errors);
        let source = keep(raw.source.parse::<SourceAddress>(), &mut errors);
        let credentials = match (raw.credentials, &source) {
            (Some(_), Some(source)) if !source.takes_credentials() => {
                errors.push(FieldError::new(
                    "credentials",
                    "credentials for a source that is no camera",
                    "credentials only with a source of scheme rtsp:// or rtsps://",
                ));
                None
            }
            (Some(name), _) => keep(name.parse::<CredentialsName>(), &mut errors),
            (None, _) => None,
        };
        let greatest_segment = match raw.greatest_segment_seconds {
            None => Some(GreatestSegment::default()),
            Some(seconds) => keep(GreatestSegment::from_seconds(seconds), &mut errors),
        };
        if let Some(name) = &raw.name
            && (!(1..=100).contains(&name.chars().count()) || name.chars().any(char::is_control))
        {
            errors.push(FieldError::new(
                "name",
                name,
                "1 to 100 characters without control characters",
            ));
        }
        if let Some(partition) = raw.partition.filter(|p| *p < 0) {
            errors.push(FieldError::new(
                "partition",
                partition,
                "a partition number from 0",
            ));
        }
        let ladder = raw
            .ladder
            .as_deref()
            .map(|ladder| validate_ladder(ladder, rungs, &mut errors));
        validate_labels(&raw.labels, &mut errors);
        match (id, source, greatest_segment) {
            (Some(id), Some(source), Some(greatest_segment)) if errors.is_empty() => Ok(Self {
                id,
                uid: raw.uid.unwrap_or(uid),
                name: raw.name,
                source,
                credentials,
                ladder,
                latency: raw.latency,
                greatest_segment,
                partition: raw.partition,
                labels: raw.labels,
            }),
            _ => Err(Invalid(errors)),
        }
    }

    /// What of this spec may not become `next` by an edit: fixed for the life of a uid.
    ///
    /// # Errors
    /// The fields that would change though they cannot.
    pub fn check_edit(&self, next: &Self) -> Result<(), Invalid> {
        let mut errors = Vec::new();
        if next.greatest_segment != self.greatest_segment {
            errors.push(FieldError::new(
                "greatestSegmentSeconds",
                next.greatest_segment.seconds(),
                format!(
                    "{} (fixed for the life of a stream)",
                    self.greatest_segment.seconds()
                ),
            ));
        }
        if next.partition != self.partition {
            let show = |p: Option<i32>| p.map_or("none".to_owned(), |p| p.to_string());
            errors.push(FieldError::new(
                "partition",
                show(next.partition),
                format!("{} (fixed for the life of a stream)", show(self.partition)),
            ));
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Invalid(errors))
        }
    }

    /// Whether a deployment that has `rungs` can make the ladder in this spec's latency mode: in
    /// `low` only H.264 is encoded, since the other encoders look ahead.
    ///
    /// # Errors
    /// The rungs that would never be made.
    pub fn check_ladder(&self, rungs: &Rungs) -> Result<(), Invalid> {
        let mut errors = Vec::new();
        for (i, id) in self.ladder.iter().flatten().enumerate() {
            let codec = rungs.get(id).map(|profile| profile.codec);
            if self.latency == LatencyMode::Low && codec.is_some_and(|c| c != RungCodec::H264) {
                errors.push(FieldError::new(
                    format!("ladder[{i}]"),
                    id,
                    "an H.264 rung, or latency `normal`",
                ));
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Invalid(errors))
        }
    }

    /// The name for people: the display name, or the id.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.id.as_str())
    }

    /// The spec in the form that people and the log use, with every default filled in.
    pub fn to_raw(&self) -> RawStreamSpec {
        RawStreamSpec {
            id: self.id.to_string(),
            uid: Some(self.uid),
            name: self.name.clone(),
            source: self.source.to_string(),
            credentials: self.credentials.as_ref().map(ToString::to_string),
            ladder: (self.ladder.as_ref())
                .map(|ladder| ladder.iter().map(ToString::to_string).collect()),
            latency: self.latency,
            greatest_segment_seconds: Some(self.greatest_segment.seconds().into()),
            partition: self.partition,
            labels: self.labels.clone(),
        }
    }
}

fn keep<T>(result: Result<T, FieldError>, errors: &mut Vec<FieldError>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}

fn validate_ladder(
    ladder: &[String],
    rungs: &[RungId],
    errors: &mut Vec<FieldError>,
) -> Vec<RungId> {
    let mut valid: Vec<RungId> = Vec::new();
    for (i, name) in ladder.iter().enumerate() {
        let field = format!("ladder[{i}]");
        match rungs.iter().find(|rung| rung.as_str() == name) {
            Some(rung) if valid.contains(rung) => {
                errors.push(FieldError::new(field, name, "each rung once"));
            }
            Some(rung) => valid.push(rung.clone()),
            None => {
                let names: Vec<_> = rungs.iter().map(RungId::as_str).collect();
                let allowed = match names.as_slice() {
                    [] => "none: this deployment has no rungs beside the source".to_owned(),
                    names => format!("the rungs of this deployment: {}", names.join(", ")),
                };
                errors.push(FieldError::new(field, name, allowed));
            }
        }
    }
    valid
}

fn validate_labels(labels: &BTreeMap<String, String>, errors: &mut Vec<FieldError>) {
    if labels.len() > 32 {
        errors.push(FieldError::new(
            "labels",
            format!("{} labels", labels.len()),
            "up to 32 labels",
        ));
    }
    for (key, value) in labels {
        let sound_key = (1..=63).contains(&key.len())
            && key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
        if !sound_key {
            errors.push(FieldError::new(
                format!("labels.{key}"),
                key,
                "keys of 1 to 63 characters A-Z, a-z, 0-9, '-', '_', '.' and '/'",
            ));
        }
        if value.chars().count() > 200 || value.chars().any(char::is_control) {
            errors.push(FieldError::new(
                format!("labels.{key}"),
                value,
                "values of up to 200 characters without control characters",
            ));
        }
    }
}

/// A record of topic `streams` (its key is the stream id): one edit of the desired state.
///
/// An edit names the record that it is based on; an edit whose base is no longer the record in
/// force is stale and ignored by every reader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpecRecord {
    /// Version of this form: 1.
    pub form: u32,
    /// The incarnation that is made, edited or deleted.
    pub uid: StreamUid,
    /// Offset of the record that this edit was made from; absent when the stream is made.
    #[serde(default)]
    pub based_on: Option<Offset>,
    /// The new spec; absent when the stream is deleted.
    #[serde(default)]
    pub spec: Option<RawStreamSpec>,
    /// Who wrote it: `api`, `cli`, `operator/<namespace>/<name>`.
    pub by: String,
}

impl SpecRecord {
    /// The version of the form that this code writes and reads.
    pub const FORM: u32 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: serde_json::Value) -> RawStreamSpec {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn defaults_are_filled_in() {
        let uid = StreamUid::random();
        let spec = StreamSpec::validate(
            raw(serde_json::json!({"id": "door", "source": "synthetic:"})),
            uid,
            &[],
        )
        .unwrap();
        assert_eq!(spec.uid, uid);
        assert_eq!(spec.greatest_segment.seconds(), 6);
        assert_eq!(spec.display_name(), "door");
        assert_eq!(
            StreamSpec::validate(spec.to_raw(), StreamUid::random(), &[]).unwrap(),
            spec
        );
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let wrong = raw(serde_json::json!({
            "id": "Door", "source": "gopher://x", "greatestSegmentSeconds": 1, "partition": -1,
            "ladder": ["480p"], "name": "", "labels": {"a b": "c"},
        }));
        let Invalid(errors) = StreamSpec::validate(wrong, StreamUid::random(), &[]).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "id",
                "source",
                "greatestSegmentSeconds",
                "name",
                "partition",
                "ladder[0]",
                "labels.a b"
            ]
        );
    }

    #[test]
    fn credentials_are_a_name_and_only_for_cameras() {
        let spec = |source: &str, credentials: &str| {
            StreamSpec::validate(
                raw(serde_json::json!(
                    {"id": "a", "source": source, "credentials": credentials}
                )),
                StreamUid::random(),
                &[],
            )
        };
        let door = spec("rtsp://camera/main", "door-camera").unwrap();
        assert_eq!(door.to_raw().credentials.as_deref(), Some("door-camera"));
        for name in ["../etc/passwd", "a/b", ".", "", "Door", "a..b/", "-a"] {
            let error = spec("rtsp://camera/main", name).unwrap_err();
            assert_eq!(error.0[0].field, "credentials", "{name}");
        }
        let error = spec("synthetic:", "door-camera").unwrap_err();
        assert_eq!(error.0[0].field, "credentials");
        // Somebody may have typed the secret itself.
        let error = spec("rtsp://camera/main", "admin:hunter2").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn unknown_fields_are_refused() {
        let error = serde_json::from_value::<RawStreamSpec>(
            serde_json::json!({"id": "a", "source": "synthetic:", "sauce": 1}),
        )
        .unwrap_err();
        assert!(error.to_string().contains("sauce"));
    }

    #[test]
    fn rungs_must_be_the_deployments() {
        let rungs = ["480p".parse().unwrap(), "360p".parse().unwrap()];
        let spec = |ladder: &[&str]| {
            StreamSpec::validate(
                raw(serde_json::json!({"id": "a", "source": "synthetic:", "ladder": ladder})),
                StreamUid::random(),
                &rungs,
            )
        };
        assert_eq!(spec(&["480p"]).unwrap().ladder.unwrap(), rungs[..1]);
        assert_eq!(spec(&[]).unwrap().ladder, Some(Vec::new()));
        let error = spec(&["720p"]).unwrap_err();
        assert!(error.to_string().contains("480p, 360p"), "{error}");
        assert!(spec(&["480p", "480p"]).is_err());
    }

    #[test]
    fn a_rung_that_low_latency_cannot_have_is_named() {
        let rungs = Rungs::new(vec!["480p-av1".parse().unwrap(), "360p".parse().unwrap()]).unwrap();
        let spec = |latency| {
            let raw = raw(serde_json::json!({
                "id": "a", "source": "synthetic:", "ladder": ["360p", "480p-av1"],
                "latency": latency,
            }));
            StreamSpec::validate(raw, StreamUid::random(), &rungs.ids()).unwrap()
        };
        let Invalid(errors) = spec("low").check_ladder(&rungs).unwrap_err();
        assert_eq!((errors.len(), errors[0].field.as_str()), (1, "ladder[1]"));
        assert!(spec("normal").check_ladder(&rungs).is_ok());
    }

    #[test]
    fn what_is_fixed_for_a_uid_cannot_be_edited() {
        let spec = |seconds| {
            StreamSpec::validate(
                raw(serde_json::json!(
                    {"id": "a", "source": "synthetic:", "greatestSegmentSeconds": seconds}
                )),
                StreamUid::from_bytes([1; 16]),
                &[],
            )
            .unwrap()
        };
        assert!(spec(2).check_edit(&spec(2)).is_ok());
        let error = spec(2).check_edit(&spec(4)).unwrap_err();
        assert_eq!(error.0[0].field, "greatestSegmentSeconds");
    }
}
