//! Names of streams, of their incarnations and of their tracks.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::FieldError;

const LABEL_ALLOWED: &str =
    "1 to 63 characters a-z, 0-9 and '-', starting and ending with a letter or digit";

fn is_dns_label(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    (1..=63).contains(&text.len())
        && edge(text.chars().next())
        && edge(text.chars().next_back())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Name of a stream: a DNS label (RFC 1123), the Kafka key of all its records.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(Box<str>);

/// Name of a rung of the ladder, such as `480p` or `480p-av1`; part of a topic name.
///
/// `video` and `audio` are names of tracks and no rungs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RungId(Box<str>);

macro_rules! label {
    ($type:ident, $field:literal, $pattern:literal, $refuse:expr) => {
        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = FieldError;

            fn from_str(text: &str) -> Result<Self, FieldError> {
                if !is_dns_label(text) {
                    return Err(FieldError::new($field, text, LABEL_ALLOWED));
                }
                let refuse: fn(&str) -> Option<&'static str> = $refuse;
                match refuse(text) {
                    Some(allowed) => Err(FieldError::new($field, text, allowed)),
                    None => Ok(Self(text.into())),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "maxLength": 63, "pattern": $pattern })
            }
        }
    };
}

label!(StreamId, "id", "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", |_| None);
label!(RungId, "rung", "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", |text| {
    matches!(text, "video" | "audio" | "source")
        .then_some("a name other than 'video', 'audio' and 'source'")
});

/// One incarnation of a stream id: a stream deleted and made again has a new uid.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct StreamUid(Uuid);

impl StreamUid {
    /// A new random uid (UUID version 4).
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The uid of these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the uid.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for StreamUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for StreamUid {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| FieldError::new("uid", text, "a UUID"))
    }
}

/// A track of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Track {
    /// The video as it came in; topic `source`.
    Video,
    /// The audio; topic `audio`.
    Audio,
    /// One rung of the ladder; topic `rendition.<rung>`.
    Rung(RungId),
}

impl Track {
    /// The track's name in records and URLs: `video`, `audio` or the rung's id.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Rung(rung) => rung.as_str(),
        }
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Track {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        match text {
            "video" => Ok(Self::Video),
            "audio" => Ok(Self::Audio),
            rung => rung.parse().map(Self::Rung).map_err(|_| {
                FieldError::new("track", text, "'video', 'audio' or the id of a rung")
            }),
        }
    }
}

impl Serialize for Track {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Track {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Track {
    fn schema_name() -> Cow<'static, str> {
        "Track".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "'video', 'audio' or the id of a rung" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_ids_are_dns_labels() {
        for good in ["a", "door-1", "0", &"x".repeat(63)] {
            assert_eq!(good.parse::<StreamId>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a_b", "ä", "a.b", &"x".repeat(64)] {
            let error = bad.parse::<StreamId>().unwrap_err();
            assert_eq!(error.field, "id");
            assert_eq!(error.value, bad);
        }
    }

    #[test]
    fn a_rung_cannot_take_the_name_of_a_track() {
        assert!("audio".parse::<RungId>().is_err());
        assert_eq!(
            "480p".parse::<Track>().unwrap(),
            Track::Rung("480p".parse().unwrap())
        );
    }
}
