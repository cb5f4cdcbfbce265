//! The topics of the log and their names in a deployment.

use std::fmt;

use reelay_model::{FieldError, RungId, Track};

/// A topic of the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// The desired state of streams.
    Streams,
    /// How streams fare.
    Status,
    /// Video as it came in, claims and openings.
    Source,
    /// Audio.
    Audio,
    /// One rung of the ladder.
    Rendition(RungId),
    /// One picture (JPEG) a source segment.
    Thumbnails,
    /// One record a finished segment of a track.
    Index,
    /// The ledger of what is missing.
    Gaps,
    /// What players measured.
    Qoe,
}

/// What Kafka removes from a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Nothing, ever.
    Never,
    /// All but the newest record of a key.
    Compact,
    /// What is older than the retention.
    Delete,
    /// Both of them.
    CompactDelete,
}

impl Topic {
    /// The name after the deployment's prefix.
    pub fn suffix(&self) -> String {
        match self {
            Self::Streams => "streams".into(),
            Self::Status => "status".into(),
            Self::Source => "source".into(),
            Self::Audio => "audio".into(),
            Self::Rendition(rung) => format!("rendition.{rung}"),
            Self::Thumbnails => "thumbnails".into(),
            Self::Index => "index".into(),
            Self::Gaps => "gaps".into(),
            Self::Qoe => "qoe".into(),
        }
    }

    /// Whether the records are media, pictures or index records, with a header `chunk`.
    pub const fn has_chunk_header(&self) -> bool {
        matches!(
            self,
            Self::Source | Self::Audio | Self::Rendition(_) | Self::Thumbnails | Self::Index
        )
    }

    /// What Kafka removes from the topic.
    pub const fn cleanup(&self) -> Cleanup {
        match self {
            Self::Streams => Cleanup::Never,
            Self::Status => Cleanup::Compact,
            Self::Gaps => Cleanup::CompactDelete,
            Self::Source
            | Self::Audio
            | Self::Rendition(_)
            | Self::Thumbnails
            | Self::Index
            | Self::Qoe => Cleanup::Delete,
        }
    }

    /// The media topic of a track.
    pub fn of_track(track: &Track) -> Self {
        match track {
            Track::Video => Self::Source,
            Track::Audio => Self::Audio,
            Track::Rung(rung) => Self::Rendition(rung.clone()),
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.suffix())
    }
}

/// The names of topics in one deployment: a prefix and what each is called after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    prefix: Box<str>,
}

impl Topics {
    /// Topics whose names begin with `prefix`.
    ///
    /// # Errors
    /// If Kafka would not take such names.
    pub fn with_prefix(prefix: &str) -> Result<Self, FieldError> {
        let sound = prefix.len() <= 100
            && prefix
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        if sound {
            return Ok(Self {
                prefix: prefix.into(),
            });
        }
        Err(FieldError::new(
            "topic-prefix",
            prefix,
            "up to 100 characters A-Z, a-z, 0-9, '.', '-' and '_'",
        ))
    }

    /// The prefix of all names.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Name of `topic` in Kafka.
    pub fn name(&self, topic: &Topic) -> String {
        format!("{}{}", self.prefix, topic.suffix())
    }

    /// The topic that Kafka knows as `name`, if it is one of this deployment.
    pub fn parse(&self, name: &str) -> Option<Topic> {
        let suffix = name.strip_prefix(&*self.prefix)?;
        Some(match suffix {
            "streams" => Topic::Streams,
            "status" => Topic::Status,
            "source" => Topic::Source,
            "audio" => Topic::Audio,
            "thumbnails" => Topic::Thumbnails,
            "index" => Topic::Index,
            "gaps" => Topic::Gaps,
            "qoe" => Topic::Qoe,
            other => Topic::Rendition(other.strip_prefix("rendition.")?.parse().ok()?),
        })
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            prefix: "reelay.".into(),
        }
    }
}
