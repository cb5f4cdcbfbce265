//! How rungs are written in configuration: `480p`, or `yard:height=540,codec=h264,cap=1800000`.

use std::str::FromStr;

use super::{Preset, RungCodec, RungProfile, catalogue};
use crate::{FieldError, RungId};

const FIELDS: &str = "height, codec, cap, crf and preset, each once, as name=value";

impl FromStr for RungProfile {
    type Err = FieldError;

    /// Reads one definition: the id of a built-in rung, alone or with fields that differ, or an
    /// id of one's own with at least height and cap.
    fn from_str(text: &str) -> Result<Self, FieldError> {
        let (id, fields) = match text.split_once(':') {
            Some((id, fields)) => (id, Some(fields)),
            None => (text, None),
        };
        let id: RungId = id.trim().parse()?;
        let built_in = catalogue::find(id.as_str());
        let Some(fields) = fields else {
            return built_in.ok_or_else(|| {
                let ids: Vec<_> = catalogue::ids().collect();
                FieldError::new(
                    "rungs",
                    &id,
                    format!(
                        "one of {}, or a definition such as {id}:height=480,codec=h264,cap=1400000,crf=24,preset=veryfast",
                        ids.join(", ")
                    ),
                )
            });
        };
        let fields = Fields::read(&id, fields)?;
        let base = built_in.as_ref();
        let codec = fields
            .codec
            .or(base.map(|base| base.codec))
            .unwrap_or(RungCodec::H264);
        // Quality and preset of a built-in rung say nothing about another codec.
        let same_codec = base.filter(|base| base.codec == codec);
        let preset = match &fields.preset {
            Some(name) => Preset::new(codec, name)
                .map_err(|error| FieldError::new(format!("{id}.preset"), name, error.allowed))?,
            None => same_codec.map_or_else(|| Preset::default_of(codec), |base| base.preset),
        };
        let needed = |value: Option<u32>, base: Option<u32>, name: &str| {
            value.or(base).ok_or_else(|| {
                FieldError::new(
                    format!("{id}.{name}"),
                    "absent",
                    format!("a number (only the built-in rungs have a {name} of their own)"),
                )
            })
        };
        Self {
            height: needed(fields.height, base.map(|base| base.height), "height")?,
            cap: needed(fields.cap, base.map(|base| base.cap), "cap")?,
            crf: fields
                .crf
                .or(same_codec.map(|base| base.crf))
                .unwrap_or(match codec {
                    RungCodec::H264 => 24,
                    RungCodec::H265 => 26,
                    RungCodec::Av1 => 36,
                }),
            codec,
            preset,
            id,
        }
        .validate()
    }
}

#[derive(Default)]
struct Fields {
    height: Option<u32>,
    codec: Option<RungCodec>,
    cap: Option<u32>,
    crf: Option<u8>,
    preset: Option<String>,
}

impl Fields {
    fn read(id: &RungId, text: &str) -> Result<Self, FieldError> {
        let mut fields = Self::default();
        for field in text.split(',').map(str::trim) {
            let wrong = |allowed: &str| FieldError::new(id.as_str(), field, allowed);
            let (name, value) = field.split_once('=').ok_or_else(|| wrong(FIELDS))?;
            let (name, value) = (name.trim(), value.trim());
            let in_field = |allowed: &str| FieldError::new(format!("{id}.{name}"), value, allowed);
            let repeated = match name {
                "height" => fields
                    .height
                    .replace(value.parse().map_err(|_| in_field("a number of pixels"))?)
                    .is_some(),
                "cap" => fields
                    .cap
                    .replace(value.parse().map_err(|_| in_field("a number of bit/s"))?)
                    .is_some(),
                "crf" => fields
                    .crf
                    .replace(value.parse().map_err(|_| in_field("a number from 0"))?)
                    .is_some(),
                "codec" => fields
                    .codec
                    .replace(match value {
                        "h264" => RungCodec::H264,
                        "h265" => RungCodec::H265,
                        "av1" => RungCodec::Av1,
                        _ => return Err(in_field("h264, h265 or av1")),
                    })
                    .is_some(),
                "preset" => fields.preset.replace(value.to_owned()).is_some(),
                _ => return Err(wrong(FIELDS)),
            };
            if repeated {
                return Err(wrong(FIELDS));
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RungProfile, FieldError> {
        text.parse()
    }

    #[test]
    fn a_built_in_rung_is_called_by_its_id() {
        let rung = parse("480p").unwrap();
        assert_eq!((rung.height, rung.codec), (480, RungCodec::H264));
        assert_eq!(rung.to_string().parse(), Ok(rung));
    }

    #[test]
    fn a_definition_changes_a_built_in_rung() {
        let rung = parse("480p:crf=30,preset=ultrafast").unwrap();
        assert_eq!((rung.height, rung.crf), (480, 30));
        assert_eq!(rung.preset.as_str(), "ultrafast");
        let rung = parse("480p:codec=av1").unwrap();
        assert_eq!(rung.preset, Preset::default_of(RungCodec::Av1));
    }

    #[test]
    fn errors_name_field_value_and_what_is_allowed() {
        for (text, field, allowed) in [
            ("999p", "rungs", "480p"),
            ("Big", "rung", "a-z"),
            ("mine:height=481,cap=1000000", "mine.height", "even"),
            ("mine:height=480", "mine.cap", "number"),
            ("mine:cap=1000000", "mine.height", "number"),
            ("mine:height=480,cap=1", "mine.cap", "50000"),
            ("mine:height=480,cap=1000000,crf=52", "mine.crf", "51"),
            ("mine:height=480,cap=1000000,codec=vp9", "mine.codec", "av1"),
            ("480p:preset=10", "480p.preset", "veryfast"),
            ("480p-av1:preset=veryfast", "480p-av1.preset", "13"),
            ("480p:color=red", "480p", "preset"),
            ("480p:crf=20,crf=21", "480p", "once"),
            ("480p:", "480p", "name=value"),
            ("source-h264:codec=av1", "source-h264.codec", "h264"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.field, field, "{text}: {error}");
            assert!(error.allowed.contains(allowed), "{text}: {error}");
        }
    }
}
