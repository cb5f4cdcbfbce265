//! What a track shows at one moment, rendered and compressed at most once for all viewers.

use std::{
    io::Write as _,
    sync::{Arc, OnceLock},
};

use axum::http::HeaderValue;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use reelay_timeline::{
    anchor::Anchors,
    hls::{MediaPlaylist, Report, Variant},
};
use sha2::{Digest as _, Sha256};

/// A track at one moment.
pub struct Shown {
    /// Its playlist.
    pub playlist: MediaPlaylist,
    /// What the multivariant playlist says of it.
    pub variant: Variant,
    /// Where its time line was set by the wall clock; renditions follow their source's.
    pub anchors: Arc<Anchors>,
    full: OnceLock<Rendered>,
    delta: OnceLock<Rendered>,
}

impl Shown {
    /// A moment that nobody has looked at yet.
    pub const fn new(playlist: MediaPlaylist, variant: Variant, anchors: Arc<Anchors>) -> Self {
        Self {
            playlist,
            variant,
            anchors,
            full: OnceLock::new(),
            delta: OnceLock::new(),
        }
    }

    /// The playlist as it is sent; `reports` says how far the other tracks have come, and is
    /// asked by the first who looks.
    pub fn rendered(&self, skip: bool, reports: impl FnOnce() -> Vec<Report>) -> &Rendered {
        let skip = skip && self.playlist.skippable() > 0;
        let slot = if skip { &self.delta } else { &self.full };
        slot.get_or_init(|| {
            metrics::counter!("reelay_gateway_playlists_rendered_total").increment(1);
            Rendered::new(self.playlist.render(&reports(), skip))
        })
    }
}

/// A playlist in the forms in which it is sent.
pub struct Rendered {
    /// As it is.
    pub plain: Bytes,
    /// With gzip (RFC 1952).
    pub gzip: Bytes,
    /// Strong validator of the plain form (RFC 9110 §8.8.3).
    pub etag: HeaderValue,
    /// Strong validator of the compressed form.
    pub gzip_etag: HeaderValue,
}

impl Rendered {
    /// Compresses `text` and derives its validators.
    pub fn new(text: String) -> Self {
        let hash = Sha256::digest(text.as_bytes());
        let hex = hash
            .iter()
            .take(8)
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let validator = |suffix: &str| {
            let quoted = HeaderValue::try_from(format!("\"{hex}{suffix}\""));
            // Hexadecimal digits and letters are always a valid header.
            quoted.unwrap_or_else(|_| HeaderValue::from_static("\"\""))
        };
        let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::new(6));
        // Writing to memory cannot fail.
        let _ = encoder.write_all(text.as_bytes());
        let gzip = encoder.finish().unwrap_or_default();
        Self {
            gzip: gzip.into(),
            etag: validator(""),
            gzip_etag: validator("-gzip"),
            plain: text.into(),
        }
    }
}
