//! The rungs of the ladder: what each is made like, the built-in catalogue, and the rungs that
//! a deployment has.

mod catalogue;
mod definition;
mod deployment;
mod ladder;
mod preset;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use deployment::{RungDefinitions, Rungs};
pub use ladder::{SourceFormat, ladder_for, plays_in_browsers};
pub use preset::Preset;

use crate::{FieldError, RungId};

/// Id of the rung that is made in the source's own size where browsers cannot play the source.
pub const SOURCE_H264: &str = "source-h264";

/// The greatest height of a rung in pixels (8K).
pub const GREATEST_HEIGHT: u32 = 4320;

/// The codec of a rung.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum RungCodec {
    /// H.264 (x264): plays everywhere.
    H264,
    /// H.265 (x265): fewer bytes, more CPU; `normal` latency only.
    H265,
    /// AV1 (SVT-AV1): the fewest bytes; `normal` latency only.
    Av1,
}

impl RungCodec {
    /// The codec's name in definitions: `h264`, `h265` or `av1`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Av1 => "av1",
        }
    }

    /// The greatest CRF that the encoder takes.
    pub const fn greatest_crf(self) -> u8 {
        match self {
            Self::H264 | Self::H265 => 51,
            Self::Av1 => 63,
        }
    }
}

impl fmt::Display for RungCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How one rung is made. Rungs keep the source's frames and its aspect ratio.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RungProfile {
    /// Name of the rung: a track, and part of a topic's name.
    pub id: RungId,
    /// Height in pixels, even. A rung is made only of sources that are higher.
    pub height: u32,
    /// Codec.
    pub codec: RungCodec,
    /// Constant rate factor: the quality that the encoder keeps, lower is better.
    pub crf: u8,
    /// Bits per second that the encoder never exceeds; the rung's `BANDWIDTH` in playlists.
    pub cap: u32,
    /// How much CPU the encoder spends on saving bytes.
    pub preset: Preset,
}

impl RungProfile {
    /// Whether this is the rung in the source's own size for browsers that cannot play the source.
    pub fn is_source_size(&self) -> bool {
        self.id.as_str() == SOURCE_H264
    }

    /// The profile, if its values fit each other.
    ///
    /// # Errors
    /// The field that cannot be, such as `480p.height`.
    pub fn validate(self) -> Result<Self, FieldError> {
        let field = |name: &str| format!("{}.{name}", self.id);
        if !(64..=GREATEST_HEIGHT).contains(&self.height) || !self.height.is_multiple_of(2) {
            return Err(FieldError::new(
                field("height"),
                self.height,
                format!("an even number from 64 to {GREATEST_HEIGHT}"),
            ));
        }
        if !(50_000..=200_000_000).contains(&self.cap) {
            return Err(FieldError::new(
                field("cap"),
                self.cap,
                "50000 to 200000000 bit/s",
            ));
        }
        if self.crf > self.codec.greatest_crf() {
            return Err(FieldError::new(
                field("crf"),
                self.crf,
                format!("0 to {} for {}", self.codec.greatest_crf(), self.codec),
            ));
        }
        if !self.preset.fits(self.codec) {
            return Err(FieldError::new(
                field("preset"),
                self.preset,
                Preset::allowed(self.codec),
            ));
        }
        if self.is_source_size() && self.codec != RungCodec::H264 {
            return Err(FieldError::new(field("codec"), self.codec, "h264"));
        }
        Ok(self)
    }
}

/// The definition as `--rungs` takes it.
impl fmt::Display for RungProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            height,
            codec,
            crf,
            cap,
            preset,
        } = self;
        write!(
            f,
            "{id}:height={height},codec={codec},cap={cap},crf={crf},preset={preset}"
        )
    }
}
