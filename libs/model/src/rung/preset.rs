//! Presets of encoders, by the names that the encoders give them.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RungCodec;
use crate::FieldError;

/// x264 and x265 share their presets' names.
const X26X: [&str; 9] = [
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
];

/// SVT-AV1 numbers its presets; 13 is the fastest.
const SVT: [&str; 14] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13",
];

/// How much CPU an encoder spends on saving bytes: `ultrafast` to `veryslow` of x264 and x265,
/// or 0 (slowest) to 13 of SVT-AV1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Preset(&'static str);

impl Preset {
    /// The preset of `codec` that is called `name`.
    ///
    /// # Errors
    /// The encoder has no such preset.
    pub fn new(codec: RungCodec, name: &str) -> Result<Self, FieldError> {
        names(codec)
            .iter()
            .find(|known| **known == name)
            .map(|known| Self(known))
            .ok_or_else(|| FieldError::new("preset", name, Self::allowed(codec)))
    }

    /// What a rung of `codec` gets that names no preset.
    pub const fn default_of(codec: RungCodec) -> Self {
        Self(match codec {
            RungCodec::H264 => "veryfast",
            RungCodec::H265 => "superfast",
            RungCodec::Av1 => "10",
        })
    }

    /// The name, as the encoder takes it.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether `codec`'s encoder has this preset.
    pub fn fits(self, codec: RungCodec) -> bool {
        names(codec).contains(&self.0)
    }

    /// In words, which presets `codec`'s encoder has.
    pub(super) fn allowed(codec: RungCodec) -> String {
        match codec {
            RungCodec::H264 | RungCodec::H265 => format!("for {codec} one of {}", X26X.join(", ")),
            RungCodec::Av1 => "for av1 a number from 0 to 13".to_owned(),
        }
    }
}

const fn names(codec: RungCodec) -> &'static [&'static str] {
    match codec {
        RungCodec::H264 | RungCodec::H265 => &X26X,
        RungCodec::Av1 => &SVT,
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for Preset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Preset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::new(RungCodec::H264, &text)
            .or_else(|_| Self::new(RungCodec::Av1, &text))
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Preset {
    fn schema_name() -> Cow<'static, str> {
        "Preset".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = X26X.iter().chain(&SVT).copied().collect();
        json_schema!({
            "type": "string",
            "enum": names,
            "description": "Preset of the encoder: by name for x264 and x265, 0 to 13 for SVT-AV1.",
        })
    }
}
